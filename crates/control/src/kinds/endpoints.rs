//! Endpoints: where a service's pods are, the old way.

use k8s_openapi::api::core::v1::Endpoints;

use super::rules::fill::{each, set_text};
use super::rules_net::{self, PROTOCOLS};
use super::{document, first_of, or_none, spot::Spot};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

/// How many are shown.
const SHOWN: usize = 3;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["ep"]),
        document: document::<Endpoints>(),
        default,
        validate,
        columns: vec![
            Column::name(),
            Column::text("Endpoints", "Addresses and ports.", |object| {
                shown(object).into()
            }),
            Column::age(),
        ],
        is_carried_out: true,
        is_made_by_put: true,
        ..Kind::core("Endpoints", "endpoints", "endpoints")
    }
}

fn default(object: &mut Object) {
    for subset in each(&mut object.0, "subsets") {
        for port in each(subset, "ports") {
            set_text(port, "protocol", "TCP");
        }
    }
}

fn validate(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for subset in Spot::of(object, "subsets").items() {
        let ready = subset.field("addresses");
        let waiting = subset.field("notReadyAddresses");
        if ready.is_empty() && waiting.is_empty() {
            causes.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for address in ready.items().iter().chain(&waiting.items()) {
            causes.extend(address.field("ip").needed_shaped(rules_net::sendable_ip));
            causes.extend(address.field("hostname").shaped(names::dns_label));
            causes.extend(address.field("nodeName").shaped(names::dns_subdomain));
        }
        let ports = subset.field("ports");
        causes.extend(rules_net::names_of_ports(&ports));
        for port in ports.items() {
            causes.extend(rules_net::port(&port.field("port")));
            causes.extend(port.field("protocol").needed_of(&PROTOCOLS));
            causes.extend(port.field("appProtocol").shaped(names::label_key));
        }
    }
    causes
}

fn shown(object: &Object) -> String {
    let mut all = Vec::new();
    for subset in Spot::of(object, "subsets").items() {
        let addresses = subset.field("addresses").items();
        let ports = subset.field("ports").items();
        if ports.is_empty() {
            all.extend(
                addresses
                    .iter()
                    .map(|one| one.field("ip").text().to_owned()),
            );
        }
        for port in ports {
            let port = port.field("port").number().unwrap_or_default();
            all.extend(addresses.iter().map(|one| match one.field("ip").text() {
                ip if ip.contains(':') => format!("[{ip}]:{port}"),
                ip => format!("{ip}:{port}"),
            }));
        }
    }
    or_none(first_of(&all, SHOWN))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, shows};

    fn base() -> Value {
        json!({
            "metadata": { "name": "web" },
            "subsets": [{
                "addresses": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }],
                "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 81, "protocol": "UDP" }],
            }],
        })
    }

    #[test]
    fn a_protocol_is_filled_in_and_the_rest_checked() {
        let found = defaulted(&kind(), base());
        let wanted = json!([
            { "name": "a", "port": 80, "protocol": "TCP" },
            { "name": "b", "port": 81, "protocol": "UDP" },
        ]);
        assert_eq!(found["subsets"][0]["ports"], wanted);
        let subset = |subset: Value| json!({ "subsets": [subset] });
        let with =
            |ports: Value| subset(json!({ "addresses": [{ "ip": "10.0.0.1" }], "ports": ports }));
        refuses(
            &kind(),
            &base(),
            &[
                (
                    subset(json!({ "ports": [{ "port": 1 }] })),
                    &["subsets[0]: Required value: must specify `addresses`"],
                ),
                (
                    subset(
                        json!({ "addresses": [{ "ip": "127.0.0.1" }], "notReadyAddresses": [{ "ip": "x", "hostname": "A", "nodeName": "-" }] }),
                    ),
                    &[
                        "subsets[0].addresses[0].ip: Invalid value",
                        "subsets[0].notReadyAddresses[0].ip: Invalid value",
                        "subsets[0].notReadyAddresses[0].hostname: Invalid value",
                        "subsets[0].notReadyAddresses[0].nodeName: Invalid value",
                    ],
                ),
                (
                    with(json!([{ "port": 0, "protocol": "X", "appProtocol": "-" }])),
                    &[
                        "subsets[0].ports[0].port: Invalid value: 0",
                        "subsets[0].ports[0].protocol: Unsupported value",
                        "subsets[0].ports[0].appProtocol: Invalid value",
                    ],
                ),
                (
                    with(
                        json!([{ "port": 1 }, { "name": "a", "port": 2 }, { "name": "a", "port": 3 }]),
                    ),
                    &[
                        "subsets[0].ports[0].name: Required value",
                        "subsets[0].ports[2].name: Duplicate value",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn the_first_are_shown() {
        shows(
            &kind(),
            base(),
            &[
                ("NAME", "web"),
                (
                    "ENDPOINTS",
                    "10.0.0.1:80,[fd00::1]:80,10.0.0.1:81 + 1 more...",
                ),
            ],
        );
        let bare = json!({ "metadata": { "name": "x" }, "subsets": [{ "addresses": [{ "ip": "1.1.1.1" }] }] });
        shows(&kind(), bare, &[("NAME", "x"), ("ENDPOINTS", "1.1.1.1")]);
        shows(
            &kind(),
            json!({ "metadata": { "name": "x" } }),
            &[("NAME", "x"), ("ENDPOINTS", "<none>")],
        );
    }
}
