//! Templates of a pod's volumes, made into text with what the node knows.
//!
//! Never: anything beyond the bounds below, whatever a template says; and no part of a volume of which
//! another part cannot be made.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use weft_api::assignment::{Container, File, FileValue, Pod, Service, Services, Template, Texts};
use weft_template::{Bounds, Data, Delimiters, Dialect};

use crate::env::{self, Facts};

/// What the templates of a volume may do all together: text as much as a config map holds.
const BOUNDS: Bounds = Bounds {
    work: 1 << 24,
    out_bytes: 1 << 20,
};
/// Only who says this asks for services.
const SERVICE: &str = "service";

/// The templates among files, by their paths.
pub(crate) fn of(files: &BTreeMap<String, File>) -> impl Iterator<Item = (&str, &Template)> {
    files.iter().filter_map(|(path, file)| match &file.value {
        FileValue::Template(template) => Some((&**path, &**template)),
        _ => None,
    })
}

/// The templates of a pod.
pub(crate) fn all(pod: &Pod) -> impl Iterator<Item = &Template> {
    let volumes = pod.volumes.values();
    let files = volumes.filter_map(|volume| match volume {
        weft_api::assignment::Volume::Files { files } => Some(files),
        _ => None,
    });
    files.flat_map(|files| of(files).map(|(_, template)| template))
}

/// Whether what a pod's files say may change with services.
pub(crate) fn asks_for_services(pod: &Pod) -> bool {
    all(pod).any(|template| template.text.contains(SERVICE))
}

/// As people are told of it: config map and key.
pub(crate) fn name(template: &Template) -> String {
    format!("{}/{}", template.map, template.key)
}

/// The containers that see a volume, those that are no init containers first.
pub(crate) fn viewers<'a>(pod: &'a Pod, volume: &'a str) -> impl Iterator<Item = &'a Container> {
    let all = pod.containers.iter().chain(&pod.init);
    all.filter(move |one| one.mounts.iter().any(|mount| mount.volume == volume))
}

/// The text of each template of a volume, by its path; or what is wrong with one.
///
/// # Errors
/// A sentence that names the template and the line.
pub(crate) fn render(
    pod: &Pod,
    volume: &str,
    files: &BTreeMap<String, File>,
    facts: &Facts<'_>,
    services: &Services,
) -> Result<BTreeMap<String, String>, String> {
    let asks = of(files).any(|(_, template)| template.text.contains(SERVICE));
    let mut data = data(pod, volume, facts, asks.then_some(services));
    let mut bounds = BOUNDS;
    let mut made = BTreeMap::new();
    for (path, template) in of(files) {
        data.own.clone_from(&template.map);
        let within = Delimiters {
            left: &template.left,
            right: &template.right,
        };
        let parsed = weft_template::Template::parse_within(&template.text, Dialect::File, within);
        let rendered = parsed.and_then(|parsed| parsed.render_file(&data, &mut bounds));
        let text = rendered.map_err(|error| {
            let (name, line, column) = (name(template), error.line, error.column);
            format!(
                "template {name}, line {line}, column {column}: {}",
                error.why
            )
        })?;
        made.insert(path.to_owned(), text);
    }
    Ok(made)
}

fn data(pod: &Pod, volume: &str, facts: &Facts<'_>, services: Option<&Services>) -> Data {
    let env = viewers(pod, volume).next();
    let env = env.map_or_else(Vec::new, |one| env::resolve(&one.env, facts));
    let env: Map<String, Value> = env.into_iter().map(|(k, v)| (k, v.into())).collect();
    let namespace = pod.id.namespace.clone();
    let ip = facts.pod_ip.map(|ip| ip.to_string()).unwrap_or_default();
    let mut root = json!({
        "node": {
            "name": facts.node,
            "ip": facts.host_ip.to_string(),
            "labels": pod.shown.node_labels,
        },
        "pod": {
            "name": pod.id.name,
            "namespace": namespace,
            "uid": pod.id.uid,
            "ip": ip,
            "labels": pod.labels,
            "annotations": pod.annotations,
            "serviceAccount": pod.service_account,
        },
        "labels": pod.labels,
        "env": env,
    });
    let services = services.map_or_else(Map::new, |services| {
        let table = services.table.iter();
        let named = table.filter_map(|(name, service)| Some((name.strip_suffix(".svc")?, service)));
        let shown = named.filter_map(|(full, one)| Some((full.to_owned(), service(full, one)?)));
        shown.collect()
    });
    if !services.is_empty() {
        let own = services
            .values()
            .filter(|one| one["Namespace"] == *namespace);
        let own = own.filter_map(|one| Some((one["Name"].as_str()?.to_owned(), one.clone())));
        root["services"] = own.collect::<Map<String, Value>>().into();
    }
    Data {
        root,
        namespace,
        own: String::new(),
        maps: texts(&pod.shown.config_maps),
        secrets: texts(&pod.shown.secrets),
        services,
    }
}

fn texts(all: &Texts) -> Map<String, Value> {
    let all = all.iter();
    all.map(|(name, texts)| (name.clone(), json!(texts)))
        .collect()
}

/// A service as templates see it, by `name.namespace`; of its endpoints those that are ready.
fn service(full: &str, service: &Service) -> Option<Value> {
    let (name, namespace) = full.split_once('.')?;
    let mut endpoints = Vec::new();
    for port in &service.ports {
        for one in port.endpoints.iter().filter(|one| one.is_ready) {
            endpoints.push((
                &one.address,
                one.port,
                port.name.as_ref(),
                one.node.as_ref(),
            ));
        }
    }
    if service.ports.is_empty() {
        let hosts = service.hosts.iter().map(|(address, _)| address);
        endpoints.extend(
            hosts
                .chain(&service.alias)
                .map(|host| (host, 0, None, None)),
        );
    }
    // In an order of their own: not that of their coming.
    endpoints.sort();
    let endpoints = endpoints
        .into_iter()
        .map(|(address, port, port_name, node)| {
            json!({
                "Name": name,
                "Namespace": namespace,
                "Address": address,
                "Port": port,
                "PortName": port_name.map_or("", String::as_str),
                "Node": node.map_or("", String::as_str),
            })
        });
    let ports = service.ports.iter().map(|port| {
        json!({
            "Name": port.name.as_deref().unwrap_or_default(),
            "Port": port.port,
            "Protocol": if port.udp { "UDP" } else { "TCP" },
        })
    });
    Some(json!({
        "Name": name,
        "Namespace": namespace,
        "Address": service.address.as_deref().unwrap_or_default(),
        "Ports": ports.collect::<Vec<Value>>(),
        "Endpoints": endpoints.collect::<Vec<Value>>(),
    }))
}

#[cfg(test)]
mod tests {
    use weft_api::assignment::{Change, Endpoint, PodId, ServicePort, Shown};

    use super::*;

    fn files(texts: &[(&str, &str)]) -> BTreeMap<String, File> {
        let file = |text: &str| File {
            value: FileValue::Template(Box::new(Template {
                map: "m".to_owned(),
                key: "k".to_owned(),
                text: text.to_owned(),
                left: "{{".to_owned(),
                right: "}}".to_owned(),
                change: Change::Restart,
                splay_ms: 0,
            })),
            mode: 0o644,
            owner: None,
        };
        let all = texts.iter();
        all.map(|(path, text)| ((*path).to_owned(), file(text)))
            .collect()
    }

    fn services() -> Services {
        let endpoint = |address: &str, is_ready| Endpoint {
            address: address.to_owned(),
            port: 8080,
            is_ready,
            node: Some("n".to_owned()),
            ..Endpoint::default()
        };
        let web = Service {
            address: Some("10.43.0.7".to_owned()),
            ports: vec![ServicePort {
                port: 80,
                endpoints: vec![
                    endpoint("10.42.0.9", true),
                    endpoint("10.42.0.8", true),
                    endpoint("10.42.0.7", false),
                ],
                ..ServicePort::default()
            }],
            ..Service::default()
        };
        let other = Service {
            alias: Some("example.com".to_owned()),
            ..Service::default()
        };
        let table = [("web.here.svc", web), ("other.there.svc", other)];
        Services {
            range: "10.43.0.0/16".to_owned(),
            table: table.map(|(name, one)| (name.to_owned(), one)).into(),
            ..Services::default()
        }
    }

    fn made(text: &str) -> String {
        let secret = [
            ("p".to_owned(), Some("s".to_owned())),
            ("b".to_owned(), None),
        ];
        let pod = Pod {
            id: PodId {
                namespace: "here".to_owned(),
                name: "p".to_owned(),
                uid: "u".to_owned(),
            },
            shown: Shown {
                secrets: [("db".to_owned(), secret.into())].into(),
                ..Shown::default()
            },
            ..Pod::default()
        };
        let facts = Facts {
            pod_ip: Some("10.42.0.5".parse().expect("it is one")),
            host_ip: "192.168.0.1".parse().expect("it is one"),
            node: "n",
        };
        let made = render(&pod, "v", &files(&[("f", text)]), &facts, &services());
        made.map_or_else(|why| why, |made| made["f"].clone())
    }

    #[test]
    fn what_the_node_knows_is_seen() {
        for (text, expected) in [
            (
                "{{.pod.ip}} {{.pod.uid}} {{.node.ip}} {{.node.name}}",
                "10.42.0.5 u 192.168.0.1 n",
            ),
            (
                "{{range service \"web\"}}{{.Address}}:{{.Port}}@{{.Node}} {{end}}",
                "10.42.0.8:8080@n 10.42.0.9:8080@n ",
            ),
            (
                "{{range service \"other.there\"}}{{.Address}}{{end}}",
                "example.com",
            ),
            ("{{.services.web.Address}} {{len services}}", "10.43.0.7 1"),
            // Who does not ask for them is not made anew when they change.
            ("{{len (. | toJSON | parseJSON)}}", "4"),
            (
                "{{secret \"db\" \"p\"}}{{range $k, $v := secret \"db\"}}{{$k}}{{end}}",
                "sbp",
            ),
            (
                "a\n{{secret \"db\" \"b\"}}",
                "template m/k, line 2, column 3: function secret: secret \"db\" has no text under \"b\"",
            ),
        ] {
            assert_eq!(made(text), expected, "{text}");
        }
    }

    #[test]
    fn the_templates_of_a_volume_share_their_bounds() {
        let pod = Pod::default();
        let facts = Facts {
            pod_ip: None,
            host_ip: "192.168.0.1".parse().expect("it is one"),
            node: "n",
        };
        let half = "x".repeat(600 << 10);
        let both = files(&[("a", &half), ("b", &half)]);
        let made = render(&pod, "v", &both, &facts, &Services::default());
        let why = made.expect_err("they make too much");
        assert!(why.contains("more text than a template may"), "{why}");
    }
}
