//! Endpoints: where a service's pods are, the old way.

use k8s_openapi::api::core::v1::Endpoints;

use super::rules::fill::{each, set_text};
use super::rules::net::{self, PROTOCOLS};
use super::rules::{Mistakes, Spot};
use super::{document, first_of, or_none};
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
    let mut mistakes = Mistakes::default();
    for subset in Spot::of(object, "subsets").items() {
        let ready = subset.at("addresses");
        let waiting = subset.at("notReadyAddresses");
        if ready.is_empty() && waiting.is_empty() {
            mistakes.required(&subset, "must specify `addresses` or `notReadyAddresses`");
        }
        for address in ready.items().chain(waiting.items()) {
            mistakes.must_be_name(&address.at("ip"), net::sendable_ip);
            mistakes.name(&address.at("hostname"), names::dns_label);
            mistakes.name(&address.at("nodeName"), names::dns_subdomain);
        }
        let ports = subset.at("ports");
        mistakes.port_names(&ports);
        for port in ports.items() {
            mistakes.port(&port.at("port"));
            mistakes.must_be_one_of(&port.at("protocol"), &PROTOCOLS);
            mistakes.name(&port.at("appProtocol"), names::label_key);
        }
    }
    mistakes.into_causes()
}

fn shown(object: &Object) -> String {
    let mut all = Vec::new();
    for subset in Spot::of(object, "subsets").items() {
        let (addresses, ports) = (subset.at("addresses"), subset.at("ports"));
        let ips = addresses.items().map(|one| one.at("ip").text());
        let ips: Vec<&str> = ips.collect();
        if ports.is_empty() {
            all.extend(ips.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports.items() {
            let port = port.at("port").number().unwrap_or_default();
            all.extend(ips.iter().map(|ip| match ip {
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
