//! NetworkPolicy: who may talk to some pods, and to whom they may.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::json;

use super::document;
use super::rules::fill::{below, each, set, set_text};
use super::rules::net::{self, Cidr, PROTOCOLS};
use super::rules::selectors::selector_text;
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, texts};
use crate::object::Object;

/// Directions, with how their peers are called.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["netpol"]),
        document: document::<NetworkPolicy>(),
        default,
        validate,
        columns: vec![
            Column::name(),
            Column::text("Pod-Selector", "Whose pods it guards.", |policy| {
                selector_text(policy.at(&["spec", "podSelector"])).into()
            }),
            Column::age(),
        ],
        generation: Generation::Content,
        ..Kind::of(
            "networking.k8s.io",
            "v1",
            "NetworkPolicy",
            "networkpolicies",
            "networkpolicy",
        )
    }
}

fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set(spec, "podSelector", json!({}));
    for (direction, _) in DIRECTIONS {
        for rule in each(spec, direction) {
            for port in each(rule, "ports") {
                set_text(port, "protocol", "TCP");
            }
        }
    }
    if spec
        .get("policyTypes")
        .is_some_and(|types| *types == json!([]))
    {
        spec.remove("policyTypes");
    }
    let goes_out = each(spec, "egress").next().is_some();
    let types = if goes_out {
        json!(["Ingress", "Egress"])
    } else {
        json!(["Ingress"])
    };
    set(spec, "policyTypes", types);
}

fn validate(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut mistakes = Mistakes::default();
    mistakes.label_selector(&spec.at("podSelector"));
    for (direction, peers) in DIRECTIONS {
        for rule in spec.at(direction).items() {
            for entry in rule.at("ports").items() {
                port(&mut mistakes, &entry);
            }
            for entry in rule.at(peers).items() {
                peer(&mut mistakes, &entry);
            }
        }
    }
    let types = spec.at("policyTypes");
    if types.items().count() > DIRECTIONS.len() {
        mistakes.invalid(&types, "may not specify more than two policyTypes");
        return mistakes.into_causes();
    }
    for one in types.items() {
        mistakes.one_of(&one, &["Egress", "Ingress"]);
    }
    mistakes.into_causes()
}

fn port(mistakes: &mut Mistakes, entry: &Spot<'_, '_>) {
    mistakes.one_of(&entry.at("protocol"), &PROTOCOLS);
    let (port, end) = (entry.at("port"), entry.at("endPort"));
    mistakes.port_or_name(&port);
    let Some(last) = end.number() else {
        return;
    };
    if !port.is_some() {
        mistakes.required(&port, "must be specified when `endPort` is");
    } else if let Some(first) = port.number() {
        if last < first {
            mistakes.invalid(&end, "must be greater than or equal to `port`");
        }
        mistakes.port(&end);
    } else {
        mistakes.forbidden(&end, "may not be specified when `port` is non-numeric");
    }
}

fn peer(mistakes: &mut Mistakes, entry: &Spot<'_, '_>) {
    let selectors = [entry.at("podSelector"), entry.at("namespaceSelector")];
    let block = entry.at("ipBlock");
    let selects = selectors.iter().any(Spot::is_some);
    if !selects && !block.is_some() {
        mistakes.required(entry, "must specify a peer");
    } else if selects && block.is_some() {
        mistakes.forbidden(entry, "may not specify both ipBlock and another peer");
    }
    for selector in &selectors {
        mistakes.label_selector(selector);
    }
    if !block.is_some() {
        return;
    }
    let cidr = block.at("cidr");
    mistakes.must_be_name(&cidr, net::cidr);
    for except in block.at("except").items() {
        match (Cidr::parse(except.text()), Cidr::parse(cidr.text())) {
            (None, _) => mistakes.shaped(&except, net::cidr),
            (Some(inner), Some(outer)) if !inner.is_strictly_in(outer) => {
                mistakes.invalid(&except, "must be a strict subset of `cidr`");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, shows};

    fn base() -> Value {
        json!({ "metadata": { "name": "web" }, "spec": { "podSelector": { "matchLabels": { "app": "web" } } } })
    }

    #[test]
    fn directions_and_protocols_are_filled_in() {
        let types = |spec: Value| defaulted(&kind(), json!({ "spec": spec }))["spec"].clone();
        assert_eq!(
            types(json!({})),
            json!({ "podSelector": {}, "policyTypes": ["Ingress"] })
        );
        assert_eq!(
            types(json!({ "egress": [] }))["policyTypes"],
            json!(["Ingress"])
        );
        let found = types(json!({ "egress": [{ "ports": [{ "port": 53 }] }] }));
        assert_eq!(found["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(found["egress"][0]["ports"][0]["protocol"], "TCP");
        assert_eq!(
            types(json!({ "policyTypes": ["Egress"] }))["policyTypes"],
            json!(["Egress"])
        );
    }

    #[test]
    fn mistakes_are_told() {
        let spec = |spec: Value| json!({ "spec": spec });
        let port = |port: Value| spec(json!({ "ingress": [{ "ports": [port] }] }));
        let peer = |peer: Value| spec(json!({ "egress": [{ "to": [peer] }] }));
        let block = |cidr: &str, except: &str| {
            peer(json!({ "ipBlock": { "cidr": cidr, "except": [except] } }))
        };
        refuses(
            &kind(),
            &base(),
            &[
                (
                    spec(json!({ "podSelector": { "matchLabels": { "-": "" } } })),
                    &["spec.podSelector.matchLabels: Invalid"],
                ),
                (
                    spec(json!({ "policyTypes": ["Up"] })),
                    &[
                        "spec.policyTypes[0]: Unsupported value: \"Up\": supported values: \"Egress\", \"Ingress\"",
                    ],
                ),
                (
                    spec(json!({ "policyTypes": ["Egress", "Ingress", "Egress"] })),
                    &["spec.policyTypes: Invalid"],
                ),
                (
                    port(json!({ "port": 0, "protocol": "X" })),
                    &[
                        "spec.ingress[0].ports[0].protocol: Unsupported",
                        "spec.ingress[0].ports[0].port: Invalid",
                    ],
                ),
                (
                    port(json!({ "port": "A" })),
                    &["spec.ingress[0].ports[0].port: Invalid value: \"A\""],
                ),
                (
                    port(json!({ "endPort": 5 })),
                    &["spec.ingress[0].ports[0].port: Required"],
                ),
                (
                    port(json!({ "port": "a", "endPort": 5 })),
                    &[
                        "spec.ingress[0].ports[0].endPort: Forbidden: may not be specified when `port` is non-numeric",
                    ],
                ),
                (
                    port(json!({ "port": 6, "endPort": 5 })),
                    &[
                        "spec.ingress[0].ports[0].endPort: Invalid value: 5: must be greater than or equal to `port`",
                    ],
                ),
                (
                    port(json!({ "port": 6, "endPort": 70_000 })),
                    &["spec.ingress[0].ports[0].endPort: Invalid value: 70000"],
                ),
                (
                    peer(json!({})),
                    &["spec.egress[0].to[0]: Required value: must specify a peer"],
                ),
                (
                    peer(json!({ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } })),
                    &[
                        "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
                    ],
                ),
                (
                    peer(json!({ "namespaceSelector": { "matchLabels": { "-": "" } } })),
                    &["spec.egress[0].to[0].namespaceSelector.matchLabels: Invalid"],
                ),
                (
                    peer(json!({ "ipBlock": { "cidr": "" } })),
                    &["spec.egress[0].to[0].ipBlock.cidr: Required"],
                ),
                (
                    block("10.0.0.0", "10.0.0.0/9"),
                    &[
                        "spec.egress[0].to[0].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR value",
                    ],
                ),
                (
                    block("10.0.0.0/8", "x"),
                    &[
                        "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"x\": must be a valid CIDR value",
                    ],
                ),
                (
                    block("10.0.0.0/8", "11.0.0.0/16"),
                    &[
                        "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn columns_are_kubectls() {
        shows(
            &kind(),
            base(),
            &[("NAME", "web"), ("POD-SELECTOR", "app=web")],
        );
    }
}
