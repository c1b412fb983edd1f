//! What a service has mounted: volumes, directories of the machine, memory, configs, secrets.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::container::Pod;
use super::files::{CONTENT, Files, Small};
use super::read::{Map, Spot};
use super::services::Whole;
use super::words;

/// Reads all of it.
pub(super) fn read(service: &mut Map<'_>, whole: &Whole<'_>, files: &mut Files, pod: &mut Pod) {
    for spot in service.list("volumes") {
        match spot.value {
            Value::Object(_) => long(spot, whole, files, pod),
            _ => short(&spot, whole, files, pod),
        }
    }
    for spot in service.take("tmpfs").map(listed).unwrap_or_default() {
        let Some(text) = spot.text() else { continue };
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        let mut volume = json!({ "medium": "Memory" });
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("size", size)) => match words::bytes(size) {
                    Some(bytes) => volume["sizeLimit"] = bytes.to_string().into(),
                    None => spot.wrong("its size is none: size=64m"),
                },
                _ => spot.note(&format!("the option {option} is left out")),
            }
        }
        pod.mount(&spot, json!({ "emptyDir": volume }), target, false, None);
    }
    if let Some(spot) = service.take("shm_size") {
        match spot.text().and_then(|text| words::bytes(&text)) {
            Some(bytes) => {
                let memory = json!({ "medium": "Memory", "sizeLimit": bytes.to_string() });
                pod.mount(
                    &spot,
                    json!({ "emptyDir": memory }),
                    "/dev/shm",
                    false,
                    None,
                );
            }
            None => spot.wrong("it is no size: 64m"),
        }
    }
    for (key, small) in [("configs", Small::Config), ("secrets", Small::Secret)] {
        for spot in service.list(key) {
            small_file(spot, small, files, pod);
        }
    }
}

/// The elements of a list, or the one value that stands there instead.
fn listed(spot: Spot<'_>) -> Vec<Spot<'_>> {
    match spot.value {
        Value::Array(_) => spot.list(),
        _ => vec![spot],
    }
}

/// `[SOURCE:]TARGET[:OPTIONS]`
fn short(spot: &Spot<'_>, whole: &Whole<'_>, files: &mut Files, pod: &mut Pod) {
    let Some(text) = spot.text() else { return };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return spot.wrong("it is no [SOURCE:]TARGET[:OPTIONS]"),
    };
    let mut is_read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => is_read_only = true,
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            "nocopy" => {}
            other => spot.note(&format!("the option {other} is left out")),
        }
    }
    match source {
        None => {
            spot.note("it has no name: what is in it goes with the pod");
            pod.mount(spot, json!({ "emptyDir": {} }), target, is_read_only, None);
        }
        Some(source) if is_path(source) => {
            let volume = bound(spot, source, whole);
            pod.mount(spot, volume, target, is_read_only, None);
        }
        Some(source) => named(spot, source, target, (is_read_only, None), files, pod),
    }
}

fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

fn named(
    spot: &Spot<'_>,
    source: &str,
    target: &str,
    (is_read_only, below): (bool, Option<String>),
    files: &mut Files,
    pod: &mut Pod,
) {
    let Some(claim) = files.claim(source) else {
        return spot.wrong(&format!(
            "the volume {source:?} is not among the volumes at the top"
        ));
    };
    pod.has_claims = true;
    spot.note("the volume begins empty: what the image has there is not copied into it");
    let volume = json!({ "persistentVolumeClaim": { "claimName": claim } });
    pod.mount(spot, volume, target, is_read_only, below);
}

/// A path of the machine.
fn bound(spot: &Spot<'_>, source: &str, whole: &Whole<'_>) -> Value {
    let path = match source.strip_prefix('~') {
        Some(rest) => {
            let home = (whole.around.env)("HOME").unwrap_or_default();
            PathBuf::from(format!("{home}{rest}"))
        }
        None => whole.around.dir.join(source),
    };
    let path = tidy(&path);
    let kind = match (whole.around.is_file)(&path) {
        true => "File",
        // Docker makes what is not there.
        false => "DirectoryOrCreate",
    };
    spot.note("it is a path of whichever machine the pod runs on");
    json!({ "hostPath": { "path": path.to_string_lossy(), "type": kind } })
}

/// Without `.` and `..`: paths of hosts may have none.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::from("/");
    for step in path.components() {
        match step {
            std::path::Component::Normal(step) => tidy.push(step),
            std::path::Component::ParentDir => drop(tidy.pop()),
            _ => {}
        }
    }
    tidy
}

fn long(spot: Spot<'_>, whole: &Whole<'_>, files: &mut Files, pod: &mut Pod) {
    let at = spot.clone();
    let Some(mut map) = spot.map() else { return };
    let kind = map.text("type").unwrap_or_else(|| "volume".to_owned());
    let source = map.text("source");
    let target = map.text("target").unwrap_or_default();
    let is_read_only = map.bool("read_only");
    let _ = map.text("consistency");
    match (kind.as_str(), source) {
        ("volume", source) => {
            let mut below = None;
            if let Some(mut options) = map.map("volume") {
                let _ = options.bool("nocopy");
                below = options.text("subpath");
                options.without("labels", "they are left out");
                options.end();
            }
            match source {
                Some(source) => {
                    named(&at, &source, &target, (is_read_only, below), files, pod);
                }
                None => {
                    at.note("it has no name: what is in it goes with the pod");
                    pod.mount(&at, json!({ "emptyDir": {} }), &target, is_read_only, None);
                }
            }
        }
        ("bind", Some(source)) => {
            if let Some(mut options) = map.map("bind") {
                let _ = options.take("create_host_path");
                let _ = options.take("selinux");
                options.without(
                    "propagation",
                    "mounts made later on the machine are not seen",
                );
                options.without("recursive", "it is left out");
                options.end();
            }
            let volume = bound(&at, &source, whole);
            pod.mount(&at, volume, &target, is_read_only, None);
        }
        ("tmpfs", None) => {
            let mut volume = json!({ "medium": "Memory" });
            if let Some(mut options) = map.map("tmpfs") {
                if let Some(size) = options.text("size") {
                    match words::bytes(&size) {
                        Some(bytes) => volume["sizeLimit"] = bytes.to_string().into(),
                        None => options.wrong("size", "it is no size: 64m"),
                    }
                }
                options.without("mode", "it is left out");
                options.end();
            }
            pod.mount(
                &at,
                json!({ "emptyDir": volume }),
                &target,
                is_read_only,
                None,
            );
        }
        ("bind", None) => map.wrong("source", "it is missing"),
        (other, _) => map.wrong("type", &format!("{other}: it is volume, bind or tmpfs")),
    }
    map.end();
}

/// A config or secret as a file.
fn small_file(spot: Spot<'_>, small: Small, files: &mut Files, pod: &mut Pod) {
    let at = spot.clone();
    let (source, mut target, mut mode) = match &spot.value {
        Value::Object(_) => {
            let Some(mut map) = spot.map() else { return };
            let source = map.text("source").unwrap_or_default();
            let target = map.text("target");
            for key in ["uid", "gid"] {
                if map.text(key).is_some_and(|id| id != "0") {
                    map.note(key, "the file is root's");
                }
            }
            let mode = map.integer("mode");
            map.end();
            (source, target, mode)
        }
        _ => (spot.text().unwrap_or_default(), None, None),
    };
    let Some((object, sum)) = files.small(small, &source) else {
        let which = if small == Small::Config {
            "configs"
        } else {
            "secrets"
        };
        return at.wrong(&format!("{source:?} is not among the {which} at the top"));
    };
    let directory = if small == Small::Config {
        "/"
    } else {
        "/run/secrets/"
    };
    let target = target.take().unwrap_or_else(|| source.clone());
    let target = match target.starts_with('/') {
        true => target,
        false => format!("{directory}{target}"),
    };
    let mode = mode.take().unwrap_or(0o444);
    let items = json!([{ "key": CONTENT, "path": CONTENT, "mode": mode }]);
    let volume = match small {
        Small::Config => json!({ "configMap": { "name": object, "items": items } }),
        Small::Secret => json!({ "secret": { "secretName": object, "items": items } }),
    };
    pod.sum = words::sum(pod.sum ^ sum, target.as_bytes());
    pod.mount(&at, volume, &target, true, Some(CONTENT.to_owned()));
}
