//! The JSON of a deployment, read into what it means: every mistake by its path, unknown fields too.
//!
//! Never: looks at what there is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::decode::Decoded;
use crate::failure::{Cause, Failure, Reason, told};
use crate::names;

/// What somebody wants to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) login: Option<Login>,
    pub(super) network: Option<String>,
    /// Sorted by name.
    pub(super) env: Vec<(String, String)>,
    pub(super) templates: Vec<Template>,
    pub(super) ports: Vec<Port>,
    pub(super) node_selector: Vec<(String, String)>,
}

/// Who one is at the image's registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?})", self.username)
    }
}

/// A file that is written before the container starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) content: String,
    pub(super) destination: String,
}

/// A port of the machine that leads to one of the container, TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) host_ip: Option<IpAddr>,
    pub(super) host: u16,
    pub(super) container: u16,
}

impl Wanted {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(decoded: Decoded) -> Result<Wanted, Failure> {
        let Value::Object(map) = decoded.value else {
            return Err(Failure::bad_request(
                "the body is no object: it begins with {\"name\": ..., \"image\": ...}",
            ));
        };
        let mut mistakes = Vec::new();
        for path in decoded.duplicates {
            mistakes.push(Cause::invalid(path, "", "it stands there twice"));
        }
        let mut top = Fields::new("", map, &mut mistakes);
        let wanted = Wanted {
            name: top.name(),
            image: top.image(),
            login: top.login(),
            network: top.network(),
            env: top.env(),
            templates: top.templates(),
            ports: top.ports(),
            node_selector: top.node_selector(),
        };
        top.end();
        if mistakes.is_empty() {
            return Ok(wanted);
        }
        let message = format!("the deployment is invalid: {}", told(&mistakes));
        let mut failure = Failure::new(Reason::BadRequest, message);
        failure.about.causes = mistakes;
        Err(failure)
    }
}

/// An object that is taken apart field by field.
struct Fields<'a> {
    path: String,
    map: Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: &'a mut Vec<Cause>,
}

fn found(value: &Value) -> String {
    weft_stdx::name::shown(&value.to_string())
}

impl<'a> Fields<'a> {
    fn new(path: &str, map: Map<String, Value>, mistakes: &'a mut Vec<Cause>) -> Fields<'a> {
        Fields {
            path: path.to_owned(),
            map,
            known: Vec::new(),
            mistakes,
        }
    }

    fn at(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// A field; null counts as absent, as in Go.
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, name: &str, value: impl std::fmt::Debug, why: &str) {
        let at = self.at(name);
        self.mistakes.push(Cause::invalid(at, value, why));
    }

    fn wrong_type(&mut self, name: &str, value: &Value, wanted: &str) {
        let at = self.at(name);
        let cause = Cause::type_invalid(at, &found(value), wanted);
        self.mistakes.push(cause);
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(name, &other, "string");
                None
            }
        }
    }

    fn required(&mut self, name: &'static str, why: &str) -> Option<String> {
        let before = self.mistakes.len();
        let text = self.text(name).filter(|text| !text.is_empty());
        if text.is_none() && self.mistakes.len() == before {
            let at = self.at(name);
            self.mistakes.push(Cause::required(at, why));
        }
        text
    }

    /// Pairs of texts, sorted.
    fn pairs(&mut self, name: &'static str) -> Vec<(String, String)> {
        let map = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.wrong_type(name, &other, "object");
                return Vec::new();
            }
        };
        let mut pairs = Vec::new();
        for (key, value) in map {
            match value {
                Value::String(text) => pairs.push((key, text)),
                other => self.wrong_type(&format!("{name}.{key}"), &other, "string"),
            }
        }
        pairs.sort();
        pairs
    }

    /// Objects of a list.
    fn each<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&mut Fields<'_>) -> Option<T>,
    ) -> Vec<T> {
        let list = match self.take(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong_type(name, &other, "array");
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            let path = self.at(&format!("{name}[{index}]"));
            match value {
                Value::Object(map) => {
                    let mut fields = Fields::new(&path, map, self.mistakes);
                    let one = read(&mut fields);
                    fields.end();
                    all.extend(one);
                }
                other => {
                    let cause = Cause::type_invalid(path, &found(&other), "object");
                    self.mistakes.push(cause);
                }
            }
        }
        all
    }

    /// What is left is not known.
    fn end(&mut self) {
        let left: Vec<String> = self.map.keys().cloned().collect();
        let known = self.known.join(", ");
        for name in left {
            let at = self.at(&weft_stdx::name::shown(&name));
            let why = format!("unknown field: there are {known}");
            self.mistakes.push(Cause::forbidden(at, &why));
        }
    }

    fn name(&mut self) -> String {
        let Some(name) = self.required("name", "what it is called") else {
            return String::new();
        };
        if let Err(why) = names::dns_1035(&name) {
            let why = format!("{why}; its service is called so");
            self.wrong("name", &name, &why);
        }
        name
    }

    fn image(&mut self) -> String {
        let image = self.required("image", "what is to run");
        let image = image.unwrap_or_default();
        if image.contains(char::is_whitespace) {
            self.wrong("image", &image, "it is no image's name: nginx:latest");
        }
        image
    }

    fn login(&mut self) -> Option<Login> {
        let map = match self.take("registry")? {
            Value::Object(map) => map,
            other => {
                self.wrong_type("registry", &other, "object");
                return None;
            }
        };
        let mut fields = Fields::new("registry", map, self.mistakes);
        let username = fields.required("username", "");
        let password = fields.required("password", "");
        fields.end();
        Some(Login {
            username: username?,
            password: password?,
        })
    }

    fn network(&mut self) -> Option<String> {
        let network = self.text("network").filter(|name| !name.is_empty())?;
        if let Err(why) = names::label_value(&network) {
            self.wrong("network", &network, why);
        }
        Some(network)
    }

    fn env(&mut self) -> Vec<(String, String)> {
        let pairs = self.pairs("env");
        for (name, _) in &pairs {
            if name.is_empty() || name.contains('=') || name.contains('\0') {
                let why = "a variable's name is not empty and has no '='";
                self.wrong("env", name, why);
            }
        }
        pairs
    }

    fn templates(&mut self) -> Vec<Template> {
        let all = self.each("templates", |one| {
            let content = one.text("content").unwrap_or_default();
            let destination = one.required("destination", "where the file is in the container")?;
            let is_path = destination.starts_with('/')
                && !destination.ends_with('/')
                && destination[1..]
                    .split('/')
                    .all(|step| !matches!(step, "" | "." | ".."))
                && !destination.contains([':', '\0']);
            if !is_path {
                let why = "it is no absolute path of a file: /etc/app.conf";
                one.wrong("destination", &destination, why);
            }
            Some(Template {
                content,
                destination,
            })
        });
        let mut seen = BTreeSet::new();
        for (index, one) in all.iter().enumerate() {
            if !seen.insert(&one.destination) {
                let at = format!("templates[{index}].destination");
                self.mistakes.push(Cause::duplicate(at, &one.destination));
            }
        }
        all
    }

    fn port(&mut self, name: &'static str) -> Option<u16> {
        let why = "a port, from 1 to 65535";
        let Some(value) = self.take(name) else {
            let at = self.at(name);
            self.mistakes.push(Cause::required(at, why));
            return None;
        };
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| *number > 0);
        if number.is_none() {
            let told = found(&value);
            self.wrong(name, &told, why);
        }
        number
    }

    fn ports(&mut self) -> Vec<Port> {
        let all = self.each("ports", |one| {
            let host_ip = one.text("host_ip").filter(|text| !text.is_empty());
            let host_ip = host_ip.and_then(|text| match text.parse() {
                Ok(address) => Some(address),
                Err(_) => {
                    one.wrong(
                        "host_ip",
                        &text,
                        "it is no address of the machine: 10.54.0.15",
                    );
                    None
                }
            });
            let (host, container) = (one.port("host_port"), one.port("container_port"));
            Some(Port {
                host_ip,
                host: host?,
                container: container?,
            })
        });
        let mut seen = BTreeSet::new();
        for (index, one) in all.iter().enumerate() {
            if !seen.insert((one.host_ip, one.host)) {
                let at = format!("ports[{index}].host_port");
                self.mistakes.push(Cause::duplicate(at, one.host));
            }
        }
        all
    }

    fn node_selector(&mut self) -> Vec<(String, String)> {
        let pairs = self.pairs("node_selector");
        for (key, value) in &pairs {
            if let Err(why) = names::label_key(key) {
                self.wrong("node_selector", key, why);
            }
            if let Err(why) = names::label_value(value) {
                self.wrong(&format!("node_selector.{key}"), value, why);
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    fn read(text: &str) -> Result<Wanted, Failure> {
        Wanted::read(decode::json(text.as_bytes()).unwrap())
    }

    #[test]
    fn knits_example_is_read() {
        let wanted = read(super::super::lower::tests::README).unwrap();
        assert_eq!(wanted.name, "nginx-eu-api");
        assert_eq!(wanted.node_selector.len(), 2);
        let port = Port {
            host_ip: Some("10.54.0.15".parse().unwrap()),
            host: 8080,
            container: 80,
        };
        assert_eq!(wanted.ports, [port]);
        assert_eq!(wanted.templates.len(), 1);
    }

    #[test]
    fn each_mistake_is_told_by_its_path() {
        let fields = |text: &str| {
            let failure = read(text).unwrap_err();
            assert_eq!(failure.reason, Reason::BadRequest);
            let causes = failure.about.causes.into_iter();
            causes.map(|cause| cause.field).collect::<Vec<_>>()
        };
        for (more, expected) in [
            (r#""x": 1"#, "x"),
            (r#""name": "b""#, "name"),
            (r#""registry": {"username": "u"}"#, "registry.password"),
            (
                r#""registry": {"username": "u", "password": "p", "url": ""}"#,
                "registry.url",
            ),
            (r#""network": "a b""#, "network"),
            (r#""env": {"A": 1}"#, "env.A"),
            (r#""env": {"A=B": ""}"#, "env"),
            (r#""env": ["A=B"]"#, "env"),
            (r#""templates": {}"#, "templates"),
            (r#""templates": [1]"#, "templates[0]"),
            (
                r#""templates": [{"content": ""}]"#,
                "templates[0].destination",
            ),
            (
                r#""templates": [{"destination": "a"}]"#,
                "templates[0].destination",
            ),
            (
                r#""templates": [{"destination": "/a/../b"}]"#,
                "templates[0].destination",
            ),
            (
                r#""templates": [{"destination": "/a"}, {"destination": "/a"}]"#,
                "templates[1].destination",
            ),
            (r#""ports": [{"container_port": 80}]"#, "ports[0].host_port"),
            (
                r#""ports": [{"host_port": 0, "container_port": 80}]"#,
                "ports[0].host_port",
            ),
            (
                r#""ports": [{"host_port": 1, "container_port": 65536}]"#,
                "ports[0].container_port",
            ),
            (
                r#""ports": [{"host_ip": "x", "host_port": 1, "container_port": 2}]"#,
                "ports[0].host_ip",
            ),
            (
                r#""ports": [{"host_port": 1, "container_port": 2, "protocol": "udp"}]"#,
                "ports[0].protocol",
            ),
            (
                r#""ports": [{"host_port": 1, "container_port": 2}, {"host_port": 1, "container_port": 3}]"#,
                "ports[1].host_port",
            ),
            (r#""node_selector": {"a b": "c"}"#, "node_selector"),
            (r#""node_selector": {"a": "b c"}"#, "node_selector.a"),
            (r#""node_selector": {"a": true}"#, "node_selector.a"),
        ] {
            let text = format!(r#"{{"name": "a", "image": "i", {more}}}"#);
            assert_eq!(fields(&text), [expected], "{more}");
        }
        for (text, expected) in [
            ("{}", &["name", "image"][..]),
            (r#"{"name": "A_b", "image": "i"}"#, &["name"]),
            (r#"{"name": 1, "image": "a b"}"#, &["name", "image"]),
        ] {
            assert_eq!(fields(text), expected, "{text}");
        }
        assert!(read("[]").is_err());
    }

    #[test]
    fn null_is_nothing() {
        let bare = read(r#"{"name": "a", "image": "i"}"#).unwrap();
        let nulls = r#"{"name": "a", "image": "i", "registry": null, "network": "", "env": null,
            "templates": null, "ports": [], "node_selector": null}"#;
        assert_eq!(read(nulls).unwrap(), bare);
    }
}
