//! Service: one address and name for some pods.
//!
//! Never: gives out cluster addresses and node ports.

mod carry;
mod rules;

use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::rules::Spot;
use super::rules::fill::{Fields, below, each, made, set, set_text, text as text_of};
use super::rules::selectors::labels_text;
use super::{document, or_none, text};
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

/// How long a client stays with a pod (3 hours).
const AFFINITY_S: i64 = 10_800;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["svc"]),
        categories: texts(&["all"]),
        document: document::<Service>(),
        check_name: names::dns_1035,
        default,
        inherit: carry::inherit,
        validate: rules::validate,
        selectable: &[
            ("spec.clusterIP", &["spec", "clusterIP"]),
            ("spec.type", &["spec", "type"]),
        ],
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        is_made_by_put: true,
        ..Kind::core("Service", "services", "service")
    }
}

fn default(object: &mut Object) {
    if let Some(status) = made(&mut object.0, "status") {
        set(status, "loadBalancer", json!({}));
    }
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set_text(spec, "type", "ClusterIP");
    default_affinity(spec);
    for port in each(spec, "ports") {
        set_text(port, "protocol", "TCP");
        if let Some(number) = port.get("port").filter(|number| number.is_i64()).cloned() {
            if matches!(port.get("targetPort"), Some(Value::String(name)) if name.is_empty()) {
                port.remove("targetPort");
            }
            set(port, "targetPort", number);
        }
    }
    default_addresses(spec);
    default_policies(spec);
}

fn default_affinity(spec: &mut Fields) {
    set_text(spec, "sessionAffinity", "None");
    if text_of(spec, "sessionAffinity") == "ClientIP" {
        let config = made(spec, "sessionAffinityConfig");
        if let Some(client) = config.and_then(|config| made(config, "clientIP")) {
            set(client, "timeoutSeconds", AFFINITY_S);
        }
    } else {
        spec.remove("sessionAffinityConfig");
    }
}

/// An ExternalName has no addresses.
fn default_addresses(spec: &mut Fields) {
    if text_of(spec, "type") == "ExternalName" {
        return;
    }
    set(spec, "ipFamilyPolicy", "SingleStack");
    set(spec, "ipFamilies", json!(["IPv4"]));
    let address = text_of(spec, "clusterIP").to_owned();
    if !address.is_empty() {
        set(spec, "clusterIPs", json!([address]));
    }
}

fn default_policies(spec: &mut Fields) {
    let has_external = spec
        .get("externalIPs")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    let kind = text_of(spec, "type").to_owned();
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    let is_open = matches!(&*kind, "NodePort" | "LoadBalancer");
    if is_open || (kind == "ClusterIP" && has_external) {
        set_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind != "ExternalName" {
        set_text(spec, "internalTrafficPolicy", "Cluster");
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Type", "How it is reached.", |service| {
            text(service, &["spec", "type"])
        }),
        Column::text("Cluster-IP", "Its address within the cluster.", |service| {
            let spec = Spot::of(service, "spec");
            let all = spec.at("clusterIPs");
            let first = all.items().map(|first| first.text()).next();
            let first = first.filter(|first| !first.is_empty());
            let found = first.unwrap_or(spec.at("clusterIP").text());
            or_none(found.to_owned()).into()
        }),
        Column::text(
            "External-IP",
            "Where it is reached from outside.",
            |service| external(service).into(),
        ),
        Column::text("Port(s)", "Its ports.", |service| ports(service).into()),
        Column::age(),
        Column::text("Selector", "Whose pods answer.", |service| {
            labels_text(service.at(&["spec", "selector"])).into()
        })
        .wide(),
    ]
}

fn external(service: &Object) -> String {
    let spec = Spot::of(service, "spec");
    let given = spec.at("externalIPs");
    let given: Vec<&str> = given.items().map(|given| given.text()).collect();
    match spec.at("type").text() {
        "ClusterIP" | "NodePort" => or_none(given.join(",")),
        "LoadBalancer" => {
            let balanced = super::balanced(service);
            let all: Vec<&str> = balanced.iter().map(String::as_str).chain(given).collect();
            match &all[..] {
                [] => "<pending>".to_owned(),
                all => all.join(","),
            }
        }
        "ExternalName" => spec.at("externalName").text().to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(service: &Object) -> String {
    let spec = Spot::of(service, "spec");
    let ports = spec.at("ports");
    let shown = ports.items().map(|port| {
        let protocol = port.at("protocol").text();
        let number = |name| port.at(name).number().unwrap_or_default();
        match (number("port"), number("nodePort")) {
            (port, 0) => format!("{port}/{protocol}"),
            (port, node) => format!("{port}:{node}/{protocol}"),
        }
    });
    or_none(shown.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{defaulted, shows};

    #[test]
    fn what_is_left_out_is_filled_in() {
        let given = json!({ "spec": {
            "selector": { "app": "web" },
            "ports": [{ "port": 80 }, { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns" }],
        } });
        let wanted = json!({
            "spec": {
                "type": "ClusterIP",
                "selector": { "app": "web" },
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [
                    { "port": 80, "protocol": "TCP", "targetPort": 80 },
                    { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns" },
                ],
            },
            "status": { "loadBalancer": {} },
        });
        assert_eq!(defaulted(&kind(), given), wanted);
    }

    #[test]
    fn a_type_has_its_own() {
        let given = json!({ "spec": {
            "type": "LoadBalancer",
            "sessionAffinity": "ClientIP",
            "clusterIP": "10.0.0.1",
            "ports": [{ "port": 80 }],
        } });
        let found = defaulted(&kind(), given);
        let spec = found["spec"].clone();
        assert_eq!(spec["externalTrafficPolicy"], "Cluster");
        assert_eq!(spec["allocateLoadBalancerNodePorts"], true);
        assert_eq!(
            spec["sessionAffinityConfig"],
            json!({ "clientIP": { "timeoutSeconds": 10_800 } })
        );
        assert_eq!(spec["clusterIPs"], json!(["10.0.0.1"]));
        let mut found = found;
        found["spec"]["sessionAffinity"] = "None".into();
        let found = defaulted(&kind(), found);
        assert_eq!(found["spec"].get("sessionAffinityConfig"), None);
        let name = json!({ "spec": { "type": "ExternalName", "externalName": "example.com" } });
        let wanted = json!({
            "spec": { "type": "ExternalName", "externalName": "example.com", "sessionAffinity": "None" },
            "status": { "loadBalancer": {} },
        });
        assert_eq!(defaulted(&kind(), name), wanted);
    }

    #[test]
    fn columns_are_kubectls() {
        shows(
            &kind(),
            json!({
                "metadata": { "name": "web" },
                "spec": {
                    "type": "LoadBalancer",
                    "clusterIP": "10.0.0.1",
                    "externalIPs": ["1.2.3.4"],
                    "selector": { "b": "2", "a": "1" },
                    "ports": [
                        { "port": 80, "protocol": "TCP" },
                        { "port": 53, "protocol": "UDP", "nodePort": 30053 },
                    ],
                },
                "status": { "loadBalancer": { "ingress": [{ "hostname": "x.y" }, { "ip": "5.6.7.8" }] } },
            }),
            &[
                ("NAME", "web"),
                ("TYPE", "LoadBalancer"),
                ("CLUSTER-IP", "10.0.0.1"),
                ("EXTERNAL-IP", "5.6.7.8,x.y,1.2.3.4"),
                ("PORT(S)", "80/TCP,53:30053/UDP"),
                ("SELECTOR", "a=1,b=2"),
            ],
        );
        let bare = |spec: Value| json!({ "metadata": { "name": "n" }, "spec": spec });
        for (spec, external) in [
            (json!({ "type": "ClusterIP" }), "<none>"),
            (
                json!({ "type": "NodePort", "externalIPs": ["1.1.1.1"] }),
                "1.1.1.1",
            ),
            (json!({ "type": "LoadBalancer" }), "<pending>"),
            (
                json!({ "type": "ExternalName", "externalName": "a.b" }),
                "a.b",
            ),
        ] {
            let kind_of = spec["type"].as_str().unwrap().to_owned();
            shows(
                &kind(),
                bare(spec),
                &[
                    ("NAME", "n"),
                    ("TYPE", &kind_of),
                    ("CLUSTER-IP", "<none>"),
                    ("EXTERNAL-IP", external),
                    ("PORT(S)", "<none>"),
                    ("SELECTOR", "<none>"),
                ],
            );
        }
    }
}
