//! What stands at the top beside the services: volumes, configs, secrets, networks.
//!
//! Owns: that only what a service uses is made, under the deployment's name.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Around;
use super::read::{Map, Spot};
use super::words;
use crate::deploy::dns_label;

/// The key of what a config or secret holds.
pub(super) const CONTENT: &str = "content";
/// How much a volume asks for that says nothing: directories of a node have no bound of their own.
const SIZE: &str = "1Gi";

/// A volume, config or secret.
struct Held {
    /// The object's name.
    object: String,
    /// What is made of it; nothing: somebody else makes it.
    made: Option<Value>,
    is_used: bool,
    /// Tells its content from another.
    sum: u64,
}

/// All of them.
pub(super) struct Files {
    volumes: BTreeMap<String, Held>,
    configs: BTreeMap<String, Held>,
    secrets: BTreeMap<String, Held>,
}

/// Which of the two small ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Small {
    Config,
    Secret,
}

type Look<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Files {
    pub(super) fn read(
        name: &str,
        top: &mut Map<'_>,
        around: &Around<'_>,
        look: Look<'_>,
    ) -> Files {
        let mut files = Files {
            volumes: BTreeMap::new(),
            configs: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        for (key, spot) in each(top, "volumes") {
            if let Some(held) = volume(name, &key, spot) {
                files.volumes.insert(key, held);
            }
        }
        for (word, small) in [("configs", Small::Config), ("secrets", Small::Secret)] {
            for (key, spot) in each(top, word) {
                let Some(map) = spot.clone().map() else {
                    continue;
                };
                if let Some(held) = held(name, &key, map, small, (around, look)) {
                    files.of(small).insert(key, held);
                }
            }
        }
        for all in [&files.volumes, &files.configs, &files.secrets] {
            let mut seen = BTreeSet::new();
            for (key, held) in all {
                if held.made.is_some() && !seen.insert(&held.object) {
                    let why =
                        "another one has the same name but for letters that names cannot have";
                    top.sink.borrow_mut().wrong(key, why);
                }
            }
        }
        files
    }

    fn of(&mut self, small: Small) -> &mut BTreeMap<String, Held> {
        match small {
            Small::Config => &mut self.configs,
            Small::Secret => &mut self.secrets,
        }
    }

    /// The claim of a volume that a service mounts.
    pub(super) fn claim(&mut self, key: &str) -> Option<String> {
        let held = self.volumes.get_mut(key)?;
        held.is_used = true;
        Some(held.object.clone())
    }

    /// The object of a config or secret that a service mounts, and what tells its content.
    pub(super) fn small(&mut self, small: Small, key: &str) -> Option<(String, u64)> {
        let held = self.of(small).get_mut(key)?;
        held.is_used = true;
        Some((held.object.clone(), held.sum))
    }

    /// What is to be made.
    pub(super) fn objects(self) -> Vec<Value> {
        let all = [self.secrets, self.configs, self.volumes];
        let all = all.into_iter().flat_map(BTreeMap::into_values);
        let used = all.filter(|held| held.is_used);
        used.filter_map(|held| held.made).collect()
    }
}

fn each<'a>(top: &mut Map<'a>, key: &str) -> Vec<(String, Spot<'a>)> {
    top.map(key).map(Map::each).unwrap_or_default()
}

/// Whether somebody else makes it, and what it is called then.
fn external(map: &mut Map<'_>, key: &str) -> Option<String> {
    let name = map.text("name");
    let spot = map.take("external")?;
    // As it was written once: external: { name: x }
    let said = match &spot.value {
        Value::Object(_) => spot.map().and_then(|mut map| map.text("name")),
        _ if spot.bool() == Some(true) => None,
        _ => return None,
    };
    Some(said.or(name).unwrap_or_else(|| key.to_owned()))
}

fn object_name(deployment: &str, key: &str, spot: &Map<'_>) -> Option<String> {
    let name = dns_label(key).map(|key| format!("{deployment}-{key}"));
    if name.is_none() {
        spot.wrong(
            "",
            "nothing of its name can be an object's: letters, digits and -",
        );
    }
    name
}

fn volume(deployment: &str, key: &str, spot: Spot<'_>) -> Option<Held> {
    let mut map = match spot.value {
        Value::Null => Map::of(json!({}), &spot.path, spot.sink)?,
        _ => spot.map()?,
    };
    if map.text("driver").is_some_and(|driver| driver != "local") {
        map.wrong(
            "driver",
            "only local volumes are made; a claim somebody made is used with external: true",
        );
    }
    let options = map.map("driver_opts");
    let mut size = SIZE.to_owned();
    if let Some(mut options) = options {
        if let Some(text) = options.text("size") {
            match words::bytes(&text) {
                Some(bytes) => size = bytes.to_string(),
                None => options.wrong("size", "it is no size: 10g"),
            }
        }
        for (_, spot) in options.each() {
            spot.wrong("volumes of this node take size and nothing else; for a directory that is there, mount it by its path");
        }
    }
    let labels = map.pairs("labels");
    let is_external = external(&mut map, key);
    let object = match &is_external {
        Some(name) => name.clone(),
        None => object_name(deployment, key, &map)?,
    };
    map.end();
    let made = is_external.is_none().then(|| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": object, "annotations": annotations(labels) },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": size } },
            },
        })
    });
    Some(Held {
        object,
        made,
        is_used: false,
        sum: 0,
    })
}

/// Docker's labels may hold anything, the cluster's may not: they are annotations.
pub(super) fn annotations(pairs: Vec<(String, Option<String>)>) -> Value {
    let pairs = pairs.into_iter();
    let pairs = pairs.filter(|(key, _)| weft_stdx::names::label_key(key).is_ok());
    let pairs = pairs.map(|(key, value)| (key, value.unwrap_or_default().into()));
    Value::Object(pairs.collect())
}

fn held(
    deployment: &str,
    key: &str,
    mut map: Map<'_>,
    small: Small,
    (around, look): (&Around<'_>, Look<'_>),
) -> Option<Held> {
    map.no("template_driver", "content is filled in with ${...} alone");
    map.no("driver", "there are no drivers of secrets here");
    map.no("driver_opts", "there are no drivers of secrets here");
    let labels = map.pairs("labels");
    if let Some(object) = external(&mut map, key) {
        map.end();
        return Some(Held {
            object,
            made: None,
            is_used: false,
            sum: 0,
        });
    }
    let content = content(&mut map, small, around, look);
    let object = object_name(deployment, key, &map)?;
    map.end();
    let content = content?;
    let is_text = std::str::from_utf8(&content);
    let data = match (small, is_text) {
        (Small::Config, Ok(text)) => json!({ "data": { CONTENT: text } }),
        (Small::Config, Err(_)) => json!({ "binaryData": { CONTENT: STANDARD.encode(&content) } }),
        (Small::Secret, _) => json!({ "data": { CONTENT: STANDARD.encode(&content) } }),
    };
    let mut made = json!({
        "apiVersion": "v1",
        "kind": if small == Small::Config { "ConfigMap" } else { "Secret" },
        "metadata": { "name": object, "annotations": annotations(labels) },
    });
    if let (Value::Object(made), Value::Object(data)) = (&mut made, data) {
        made.extend(data);
    }
    Some(Held {
        object,
        made: Some(made),
        is_used: false,
        sum: words::sum(0, &content),
    })
}

fn content(
    map: &mut Map<'_>,
    small: Small,
    around: &Around<'_>,
    look: Look<'_>,
) -> Option<Vec<u8>> {
    let file = map.text("file");
    let environment = map.text("environment");
    let inline = match small {
        Small::Config => map.text("content"),
        Small::Secret => None,
    };
    match (file, environment, inline) {
        (Some(file), None, None) => {
            let path = around.dir.join(&file);
            let read = (around.read)(&path);
            read.map_err(|why| map.wrong("file", &format!("read {}: {why}", path.display())))
                .ok()
        }
        (None, Some(variable), None) => {
            let value = look(&variable);
            if value.is_none() {
                map.wrong(
                    "environment",
                    &format!("the variable {variable} is not set"),
                );
            }
            value.map(String::into_bytes)
        }
        (None, None, Some(text)) => Some(text.into_bytes()),
        _ => {
            map.wrong(
                "",
                "it needs one of file, environment, external and, for a config, content",
            );
            None
        }
    }
}

/// Which networks there are.
pub(super) fn networks(top: &mut Map<'_>) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = ["default".to_owned()].into();
    for (key, spot) in each(top, "networks") {
        if spot.value.is_null() {
            all.insert(key);
            continue;
        }
        let Some(mut map) = spot.map() else { continue };
        // What says nothing about who reaches whom.
        for key in ["name", "labels", "attachable", "external", "driver"] {
            let _ = map.take(key);
        }
        let _ = map.bool("enable_ipv4");
        map.without(
            "driver_opts",
            "pods have one network, which is not set up by this",
        );
        map.without("ipam", "pods have addresses of their node's");
        map.without("enable_ipv6", "pods have IPv4 addresses");
        map.without("internal", "it does not keep pods from the outside yet");
        map.end();
        all.insert(key);
    }
    if all.len() > 2 {
        let what = "pods of all networks reach each other: networks keep nobody apart yet";
        top.note("networks", what);
    }
    all
}
