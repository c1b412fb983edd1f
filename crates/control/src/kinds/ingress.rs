//! Ingress: which names and paths from outside lead to which services.

use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;

use super::rules::fill::{made, set};
use super::rules::{Mistakes, Spot, net};
use super::{document, or_none};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, texts};
use crate::names;
use crate::object::Object;

/// Where its class was before it had a field.
const CLASS: &str = "kubernetes.io/ingress.class";
const SHOWN: usize = 3;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["ing"]),
        document: document::<Ingress>(),
        default,
        validate,
        columns: columns(),
        has_status: true,
        generation: Generation::Content,
        ..Kind::of("networking.k8s.io", "v1", "Ingress", "ingresses", "ingress")
    }
}

fn default(object: &mut Object) {
    if let Some(status) = made(&mut object.0, "status") {
        set(status, "loadBalancer", json!({}));
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut mistakes = Mistakes::default();
    let (rules, fallback) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.is_empty() && !fallback.is_some() {
        let why = "either `defaultBackend` or `rules` must be specified";
        mistakes.invalid(&spec, why);
    }
    for tls in spec.at("tls").items() {
        for host in tls.at("hosts").items() {
            mistakes.name(&host, host_name);
        }
    }
    for rule in rules.items() {
        mistakes.name(&rule.at("host"), host_name);
        let http = rule.at("http");
        if http.is_some() {
            mistakes.must_be(&http.at("paths"), "");
        }
        for entry in http.at("paths").items() {
            path(&mut mistakes, &entry);
            backend(&mut mistakes, &entry.at("backend"));
        }
    }
    if fallback.is_some() {
        backend(&mut mistakes, &fallback);
    }
    let class = spec.at("ingressClassName");
    mistakes.name(&class, names::dns_subdomain);
    let meta = Spot::of(object, "metadata");
    let notes = meta.at("annotations");
    let noted = notes.at(CLASS);
    if old.is_none() && class.is_some() && noted.is_some() {
        let why = "can not be set when the class field is also set";
        mistakes.invalid(&noted, why);
    }
    mistakes.into_causes()
}

/// Why `name` is no name for which requests come: `a.b`, `*.b`.
fn host_name(name: &str) -> Result<(), &'static str> {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Err("must be a DNS name, not an IP address");
    }
    match name.strip_prefix("*.") {
        None => names::dns_subdomain(name),
        Some(rest) => names::dns_subdomain(rest).map_err(|_| {
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS \
             subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and \
             end with an alphanumeric character (e.g. '*.example.com')"
        }),
    }
}

fn path(mistakes: &mut Mistakes, entry: &Spot<'_, '_>) {
    let (path, kind) = (entry.at("path"), entry.at("pathType"));
    let text = path.text();
    match kind.text() {
        "" => mistakes.required(&kind, "pathType must be specified"),
        "Exact" | "Prefix" => {
            if !text.starts_with('/') {
                mistakes.invalid(&path, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.contains(part) {
                    mistakes.invalid(&path, &format!("must not contain '{part}'"));
                }
            }
            for end in ["/..", "/."] {
                if text.ends_with(end) {
                    mistakes.invalid(&path, &format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" => {
            if !text.is_empty() && !text.starts_with('/') {
                mistakes.invalid(&path, "must be an absolute path");
            }
        }
        _ => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            mistakes.unsupported(&kind, &known);
        }
    }
}

fn backend(mistakes: &mut Mistakes, spot: &Spot<'_, '_>) {
    let (service, resource) = (spot.at("service"), spot.at("resource"));
    match (service.is_some(), resource.is_some()) {
        (true, true) => mistakes.invalid(spot, "cannot set both resource and service backends"),
        (false, false) => mistakes.required(spot, "resource or service backend is required"),
        (false, true) => {
            mistakes.must_be(&resource.at("kind"), "");
            mistakes.must_be(&resource.at("name"), "");
        }
        (true, false) => {
            mistakes.must_be_name(&service.at("name"), names::dns_1035);
            let port = service.at("port");
            let (name, number) = (port.at("name"), port.at("number"));
            match (name.is_empty(), number.number().unwrap_or_default() == 0) {
                (false, false) => {
                    mistakes.invalid(&port, "cannot set both port name & port number")
                }
                (true, true) => mistakes.required(&port, "port name or number is required"),
                (false, true) => mistakes.name(&name, net::port_name),
                (true, false) => mistakes.port(&number),
            }
        }
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Class", "Who serves it.", |ingress| {
            let class = ingress.text(&["spec", "ingressClassName"]);
            or_none(class.unwrap_or_default().to_owned()).into()
        }),
        Column::text("Hosts", "Names requests come for.", |ingress| {
            hosts(ingress).into()
        }),
        Column::text("Address", "Where it is reached.", |ingress| {
            Vec::from_iter(super::balanced(ingress)).join(",").into()
        }),
        Column::text("Ports", "Ports it is reached at.", |ingress| {
            let is_secure = !Spot::of(ingress, "spec").at("tls").is_empty();
            if is_secure {
                "80, 443".into()
            } else {
                "80".into()
            }
        }),
        Column::age(),
    ]
}

fn hosts(ingress: &Object) -> String {
    let spec = Spot::of(ingress, "spec");
    let rules = spec.at("rules");
    let hosts = rules.items().map(|rule| rule.at("host").text());
    let named: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
    let count = rules.items().count();
    let shown = named
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(",");
    match named.len() {
        0 => "*".to_owned(),
        SHOWN.. if count > SHOWN => format!("{shown} + {} more...", count - SHOWN),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, shows};

    fn to(port: Value) -> Value {
        json!({ "service": { "name": "web", "port": port } })
    }

    fn base() -> Value {
        json!({
            "metadata": { "name": "web", "annotations": { CLASS: "x" } },
            "spec": { "rules": [{ "host": "*.a.b", "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": to(json!({ "number": 80 })) },
            ] } }] },
        })
    }

    #[test]
    fn mistakes_are_told() {
        let spec = |spec: Value| json!({ "spec": spec });
        let rule = |paths: Value| spec(json!({ "rules": [{ "http": { "paths": paths } }] }));
        let path = |path: &str, kind: &str| {
            rule(
                json!([{ "path": path, "pathType": kind, "backend": to(json!({ "name": "http" })) }]),
            )
        };
        let backend = |backend: Value| {
            rule(json!([{ "path": "/", "pathType": "Exact", "backend": backend }]))
        };
        let at = |field: &str| format!("spec.rules[0].http.paths[0].{field}");
        let (p, b) = (at("path"), at("backend"));
        let cases: Vec<(Value, Vec<String>)> = vec![
            (spec(json!({ "rules": null })), vec!["spec: Invalid value: {}: either `defaultBackend`".into()]),
            (spec(json!({ "ingressClassName": "A" })), vec!["spec.ingressClassName: Invalid".into(), "metadata.annotations.kubernetes.io/ingress.class: Invalid value: \"x\": can not be set".into()]),
            (spec(json!({ "tls": [{ "hosts": ["a.b", "*.*.c"] }] })), vec!["spec.tls[0].hosts[1]: Invalid value: \"*.*.c\": a wildcard".into()]),
            (spec(json!({ "rules": [{ "host": "1.2.3.4" }, { "host": "A" }] })), vec!["spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name".into(), "spec.rules[1].host: Invalid".into()]),
            (rule(json!([])), vec!["spec.rules[0].http.paths: Required value".into()]),
            (path("x", "Prefix"), vec![format!("{p}: Invalid value: \"x\": must be an absolute path")]),
            (path("x", "ImplementationSpecific"), vec![format!("{p}: Invalid value")]),
            (path("/", "Regex"), vec![format!("{p}Type: Unsupported value: \"Regex\"")]),
            (path("/", ""), vec![format!("{p}Type: Required value")]),
            (path("/a//b/./c/../d%2fe%2F/..", "Exact"), vec![format!("{p}: Invalid value"); 6]),
            (path("/a/.", "Exact"), vec![format!("{p}: Invalid value: \"/a/.\": cannot end with '/.'")]),
            (backend(json!({})), vec![format!("{b}: Required value: resource or service backend is required")]),
            (backend(json!({ "service": { "name": "a", "port": { "number": 1 } }, "resource": { "kind": "A", "name": "b" } })), vec![format!("{b}: Invalid value")]),
            (backend(json!({ "resource": { "kind": "", "name": "" } })), vec![format!("{b}.resource.kind: Required"), format!("{b}.resource.name: Required")]),
            (backend(json!({ "service": { "name": "1" } })), vec![format!("{b}.service.name: Invalid"), format!("{b}.service.port: Required")]),
            (backend(to(json!({ "number": 1, "name": "a" }))), vec![format!("{b}.service.port: Invalid")]),
            (backend(to(json!({ "number": 70_000 }))), vec![format!("{b}.service.port.number: Invalid value: 70000")]),
            (backend(to(json!({ "name": "A" }))), vec![format!("{b}.service.port.name: Invalid value: \"A\"")]),
            (spec(json!({ "defaultBackend": {} })), vec!["spec.defaultBackend: Required".into()]),
        ];
        for (patch, wanted) in cases {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            refuses(&kind(), &base(), &[(patch, &wanted)]);
        }
    }

    #[test]
    fn columns_are_kubectls() {
        let mut ingress = defaulted(&kind(), base());
        assert_eq!(ingress["status"], json!({ "loadBalancer": {} }));
        shows(
            &kind(),
            ingress.clone(),
            &[
                ("NAME", "web"),
                ("CLASS", "<none>"),
                ("HOSTS", "*.a.b"),
                ("ADDRESS", ""),
                ("PORTS", "80"),
            ],
        );
        let host = |host: &str| json!({ "host": host });
        ingress["spec"] = json!({ "ingressClassName": "c", "tls": [{}], "rules": [host("a"), host("b"), host("c"), host("d")] });
        ingress["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "2.2.2.2" }, { "ip": "1.1.1.1" }, { "ip": "2.2.2.2" }] } });
        shows(
            &kind(),
            ingress.clone(),
            &[
                ("NAME", "web"),
                ("CLASS", "c"),
                ("HOSTS", "a,b,c + 1 more..."),
                ("ADDRESS", "1.1.1.1,2.2.2.2"),
                ("PORTS", "80, 443"),
            ],
        );
        ingress["spec"] = json!({ "defaultBackend": {} });
        ingress["status"] = json!({});
        shows(
            &kind(),
            ingress,
            &[
                ("NAME", "web"),
                ("CLASS", "<none>"),
                ("HOSTS", "*"),
                ("ADDRESS", ""),
                ("PORTS", "80"),
            ],
        );
    }
}
