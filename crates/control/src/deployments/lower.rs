//! From a deployment to the objects it means. Pure.
//!
//! One pod, wherever its labels allow: Knit ran what had no selector on every machine, which its own
//! documents say it did not mean.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::read::Wanted;
use super::{API, DESTINATION, KINDS, LABEL, NETWORK, ORIGIN, TEMPLATE};
use crate::object::Object;

/// Where Docker's own registry is called so in its clients' files.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Seconds it gets to end: as many as Docker gives. Knit gave none.
const GRACE_S: u64 = 10;

/// An object that is to be there, and its place among [`KINDS`].
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: (&'static str, &'static str),
    pub(super) object: Object,
}

impl Wanted {
    /// All that is to be there, in the order it is to be made in.
    pub(super) fn parts(&self) -> Vec<Part> {
        let [secrets, maps, services, main] = KINDS;
        let secret = self.secret().map(|object| (secrets, object));
        let map = self.config_map().map(|object| (maps, object));
        let service = Some((services, self.service()));
        let main = Some((main, self.main()));
        [secret, map, service, main]
            .into_iter()
            .flatten()
            .map(|(kind, value)| Part {
                kind,
                object: object(value),
            })
            .collect()
    }

    fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        for (key, value) in [
            ("app", self.name.as_str()),
            ("app.kubernetes.io/managed-by", "weft"),
            (LABEL, &self.name),
            (ORIGIN, API),
        ] {
            labels.insert(key.to_owned(), value.into());
        }
        labels
    }

    fn secret(&self) -> Option<Value> {
        let login = self.login.as_ref()?;
        let pair = STANDARD.encode(format!("{}:{}", login.username, login.password));
        let config = json!({ "auths": { registry(&self.image): {
            "username": login.username, "password": login.password, "auth": pair,
        } } });
        Some(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": self.pull_secret(), "labels": self.labels() },
            "type": "kubernetes.io/dockerconfigjson",
            "data": { ".dockerconfigjson": STANDARD.encode(config.to_string()) },
        }))
    }

    fn pull_secret(&self) -> String {
        format!("{}-registry", self.name)
    }

    fn templates_name(&self) -> String {
        format!("{}-templates", self.name)
    }

    fn config_map(&self) -> Option<Value> {
        if self.templates.is_empty() {
            return None;
        }
        let mut data = Map::new();
        let mut annotations = Map::new();
        annotations.insert(TEMPLATE.to_owned(), "true".into());
        for (index, one) in self.templates.iter().enumerate() {
            data.insert(key(index), one.content.as_str().into());
            let destination = format!("{DESTINATION}{index}");
            annotations.insert(destination, one.destination.as_str().into());
        }
        Some(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": self.templates_name(), "labels": self.labels(), "annotations": annotations,
            },
            "data": data,
        }))
    }

    /// Others find it by its name, whether it has ports or not.
    fn service(&self) -> Value {
        let inside: BTreeSet<u16> = self.ports.iter().map(|port| port.container).collect();
        let ports: Vec<Value> = inside
            .iter()
            .map(|port| json!({ "name": format!("port-{port}"), "port": port, "targetPort": port }))
            .collect();
        let mut spec = json!({ "selector": { LABEL: self.name, ORIGIN: API } });
        match ports.is_empty() {
            true => spec["clusterIP"] = "None".into(),
            false => spec["ports"] = ports.into(),
        }
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": self.name, "labels": self.labels() },
            "spec": spec,
        })
    }

    fn main(&self) -> Value {
        let mut labels = self.labels();
        if let Some(network) = &self.network {
            labels.insert(NETWORK.to_owned(), network.as_str().into());
        }
        // What holds a port of the machine has to go before its successor has it.
        let how = match self.ports.is_empty() {
            true => "RollingUpdate",
            false => "Recreate",
        };
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": self.name, "labels": self.labels() },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { LABEL: self.name, ORIGIN: API } },
                "strategy": { "type": how },
                "template": {
                    "metadata": { "labels": labels, "annotations": self.pod_annotations() },
                    "spec": self.pod(),
                },
            },
        })
    }

    /// Another file means another pod, as with Knit: what is mounted as a file does not change in one
    /// that runs.
    fn pod_annotations(&self) -> Value {
        if self.templates.is_empty() {
            return json!({});
        }
        let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
        for one in &self.templates {
            let parts = [
                one.destination.as_bytes(),
                &[0],
                one.content.as_bytes(),
                &[0],
            ];
            for byte in parts.concat() {
                sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        json!({ "nanocloud.io/templates-sum": format!("{sum:016x}") })
    }

    fn pod(&self) -> Value {
        let mut container = json!({ "name": self.name, "image": self.image });
        if !self.env.is_empty() {
            let env = self.env.iter();
            let env = env.map(|(name, value)| json!({ "name": name, "value": literal(value) }));
            container["env"] = env.collect();
        }
        if !self.ports.is_empty() {
            container["ports"] = self.ports.iter().map(port).collect();
        }
        let mut spec = json!({ "terminationGracePeriodSeconds": GRACE_S });
        if !self.templates.is_empty() {
            let mounts = self.templates.iter().enumerate().map(|(index, one)| {
                json!({ "name": "templates", "mountPath": one.destination, "subPath": key(index) })
            });
            container["volumeMounts"] = mounts.collect();
            let name = self.templates_name();
            spec["volumes"] = json!([{ "name": "templates", "configMap": { "name": name } }]);
        }
        if self.login.is_some() {
            spec["imagePullSecrets"] = json!([{ "name": self.pull_secret() }]);
        }
        if !self.node_selector.is_empty() {
            let pairs = self.node_selector.iter().cloned();
            let pairs = pairs.map(|(key, value)| (key, value.into()));
            spec["nodeSelector"] = Value::Object(pairs.collect());
        }
        spec["containers"] = json!([container]);
        spec
    }
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        _ => Object::default(),
    }
}

/// A file's key in the config map.
fn key(index: usize) -> String {
    format!("template-{index}")
}

fn port(port: &super::read::Port) -> Value {
    let mut value = json!({ "containerPort": port.container, "hostPort": port.host });
    if let Some(address) = port.host_ip {
        value["hostIP"] = address.to_string().into();
    }
    value
}

/// A variable's value that is not filled in: `$(NAME)` stands for another variable otherwise.
fn literal(value: &str) -> String {
    match value.contains("$(") || value.contains("$$") {
        true => value.replace('$', "$$"),
        false => value.to_owned(),
    }
}

/// The registry an image is from, as Docker's clients' files have it.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DOCKER_HUB,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::decode;
    use crate::kind::Kinds;
    use crate::schema;

    /// The example of Knit's README.
    pub(in super::super) const README: &str = r#"{
        "name": "nginx-eu-api", "image": "nginx:latest",
        "node_selector": { "region": "eu", "role": "api" },
        "ports": [{ "host_ip": "10.54.0.15", "host_port": 8080, "container_port": 80 }],
        "templates": [{
            "destination": "/usr/share/nginx/html/index.html",
            "content": "<h1>Hello from Knit</h1><p>Rendered by agent.</p>"
        }]
    }"#;

    const ALL: &str = r#"{
        "name": "web", "image": "registry.example:5000/web:1", "network": "back",
        "registry": { "username": "u", "password": "p" },
        "env": { "B": "x$(A)$$", "A": "1" },
        "ports": [{ "host_port": 80, "container_port": 8080 }, { "host_port": 81, "container_port": 8080 }]
    }"#;

    fn parts(text: &str) -> Vec<Part> {
        let wanted = Wanted::read(decode::json(text.as_bytes()).unwrap());
        wanted.unwrap().parts()
    }

    fn kinds(parts: &[Part]) -> Vec<&str> {
        parts.iter().map(|part| part.kind.1).collect()
    }

    #[test]
    fn knits_example_is_one_pod_on_a_node_with_those_labels() {
        let parts = parts(README);
        assert_eq!(kinds(&parts), ["configmaps", "services", "deployments"]);
        let spec = &parts[2].object.0["spec"];
        assert_eq!(spec["replicas"], 1);
        assert_eq!(spec["strategy"]["type"], "Recreate");
        let pod = &spec["template"]["spec"];
        assert_eq!(
            pod["nodeSelector"],
            json!({ "region": "eu", "role": "api" })
        );
        let container = &pod["containers"][0];
        let port = json!({ "containerPort": 80, "hostPort": 8080, "hostIP": "10.54.0.15" });
        assert_eq!(container["ports"], json!([port]));
        let mount = json!([{
            "name": "templates", "subPath": "template-0",
            "mountPath": "/usr/share/nginx/html/index.html",
        }]);
        assert_eq!(container["volumeMounts"], mount);
        let map = &parts[0].object;
        assert_eq!(map.meta().annotation(TEMPLATE), Some("true"));
        assert!(map.text(&["data", "template-0"]).unwrap().contains("Hello"));
    }

    #[test]
    fn what_knit_ignored_is_lowered_too() {
        let parts = parts(ALL);
        assert_eq!(kinds(&parts), ["secrets", "services", "deployments"]);
        let config = parts[0].object.text(&["data", ".dockerconfigjson"]);
        let config: Value =
            serde_json::from_slice(&STANDARD.decode(config.unwrap()).unwrap()).unwrap();
        let login = &config["auths"]["registry.example:5000"];
        assert_eq!(login["auth"], STANDARD.encode("u:p"));
        let template = &parts[2].object.0["spec"]["template"];
        assert_eq!(template["metadata"]["labels"][NETWORK], "back");
        let env = json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "x$$(A)$$$$" }]);
        assert_eq!(template["spec"]["containers"][0]["env"], env);
        let ports = parts[1].object.at(&["spec", "ports"]).unwrap();
        assert_eq!(ports.as_array().unwrap().len(), 1);
        assert_eq!(registry("nginx"), DOCKER_HUB);
        assert_eq!(registry("ann/nginx"), DOCKER_HUB);
        assert_eq!(registry("localhost/nginx"), "localhost");
    }

    #[test]
    fn what_has_no_ports_is_found_by_its_name() {
        let parts = parts(r#"{"name": "a", "image": "i"}"#);
        assert_eq!(kinds(&parts), ["services", "deployments"]);
        assert_eq!(parts[0].object.text(&["spec", "clusterIP"]), Some("None"));
    }

    #[test]
    fn all_of_it_is_known_to_the_kinds() {
        let built_in = Kinds::built_in();
        for mut part in [parts(README), parts(ALL)].concat() {
            let (group, plural) = part.kind;
            let kind = built_in.find(group, "v1", plural).unwrap();
            let findings = schema::check(kind.schema(), &mut part.object.0);
            assert!(findings.mistakes.is_empty(), "{:?}", findings.mistakes);
            assert!(findings.unknown.is_empty(), "{:?}", findings.unknown);
        }
    }
}
