//! EndpointSlice: where some of a service's pods are.

use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::rules::fill::{each, set};
use super::rules::net::{self, PROTOCOLS};
use super::rules::{Mistakes, Spot};
use super::{document, first_of, text};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind};
use crate::names;
use crate::object::Object;

const SHOWN: usize = 3;
const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;

pub(super) fn kind() -> Kind {
    Kind {
        document: document::<EndpointSlice>(),
        default,
        validate,
        columns: columns(),
        is_carried_out: true,
        generation: Generation::Content,
        ..Kind::of(
            "discovery.k8s.io",
            "v1",
            "EndpointSlice",
            "endpointslices",
            "endpointslice",
        )
    }
}

fn default(object: &mut Object) {
    for port in each(&mut object.0, "ports") {
        set(port, "name", "");
        set(port, "protocol", "TCP");
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let kind = Spot::of(object, "addressType");
    mistakes.must_be_one_of(&kind, &["FQDN", "IPv4", "IPv6"]);
    if let Some(old) = old {
        mistakes.same(&kind, &Spot::of(old, "addressType"));
    }
    let shape = match kind.text() {
        "FQDN" => names::dns_subdomain,
        "IPv6" => net::ipv6,
        _ => net::ipv4,
    };
    let endpoints = Spot::of(object, "endpoints");
    mistakes.at_most(&endpoints, ENDPOINTS_MAX);
    for endpoint in endpoints.items() {
        let addresses = endpoint.at("addresses");
        mistakes.must_be(&addresses, "must contain at least 1 address");
        mistakes.at_most(&addresses, ADDRESSES_MAX);
        for address in addresses.items() {
            mistakes.shaped(&address, |text| match kind.text() {
                "FQDN" => shape(text),
                _ => shape(text).and_then(|()| net::sendable_ip(text)),
            });
        }
        mistakes.name(&endpoint.at("hostname"), names::dns_label);
        mistakes.name(&endpoint.at("nodeName"), names::dns_subdomain);
        mistakes.labels(&endpoint.at("deprecatedTopology"));
    }
    let ports = Spot::of(object, "ports");
    mistakes.at_most(&ports, PORTS_MAX);
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.at("name");
        mistakes.name(&name, names::dns_label);
        if !seen.insert(name.text()) {
            mistakes.duplicate(&name);
        }
        mistakes.port(&port.at("port"));
        mistakes.must_be_one_of(&port.at("protocol"), &PROTOCOLS);
        mistakes.name(&port.at("appProtocol"), names::label_key);
    }
    mistakes.into_causes()
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("AddressType", "What its addresses are.", |slice| {
            text(slice, &["addressType"])
        }),
        Column::text("Ports", "Its ports.", |slice| {
            let ports = Spot::of(slice, "ports");
            let shown = ports.items().map(|port| match port.at("port").number() {
                Some(number) => number.to_string(),
                None => "*".to_owned(),
            });
            unset(first_of(&shown.collect::<Vec<_>>(), SHOWN)).into()
        }),
        Column::text("Endpoints", "Its addresses.", |slice| {
            let mut all = Vec::new();
            for endpoint in Spot::of(slice, "endpoints").items() {
                let addresses = endpoint.at("addresses");
                all.extend(addresses.items().map(|one| one.text().to_owned()));
            }
            unset(first_of(&all, SHOWN)).into()
        }),
        Column::age(),
    ]
}

fn unset(text: String) -> String {
    if text.is_empty() {
        "<unset>".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    fn base() -> Value {
        json!({
            "metadata": { "name": "web-1" },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": ["10.0.0.1", "10.0.0.2"] }, { "addresses": ["10.0.0.3"] }, { "addresses": ["10.0.0.4"] }],
            "ports": [{ "port": 80 }, { "name": "any" }],
        })
    }

    #[test]
    fn ports_are_filled_in_and_all_is_checked() {
        let ports = json!([
            { "name": "", "port": 80, "protocol": "TCP" }, { "name": "any", "protocol": "TCP" },
        ]);
        assert_eq!(defaulted(&kind(), base())["ports"], ports);
        let many = vec![json!({ "addresses": ["10.0.0.1"] }); 1001];
        refuses(
            &kind(),
            &base(),
            &[
                (
                    json!({ "addressType": "IP" }),
                    &[
                        "addressType: Unsupported value: \"IP\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"",
                    ],
                ),
                (
                    json!({ "addressType": "IPv6", "endpoints": [{ "addresses": ["10.0.0.1", "fd00::1"] }] }),
                    &["endpoints[0].addresses[0]: Invalid value: \"10.0.0.1\""],
                ),
                (
                    json!({ "addressType": "FQDN", "endpoints": [{ "addresses": ["a_b", "a.b"] }] }),
                    &["endpoints[0].addresses[0]: Invalid value: \"a_b\""],
                ),
                (
                    json!({ "endpoints": [{ "addresses": [], "hostname": "A", "nodeName": "A", "deprecatedTopology": { "-": "" } }] }),
                    &[
                        "endpoints[0].addresses: Required value: must contain at least 1",
                        "endpoints[0].hostname: Invalid",
                        "endpoints[0].nodeName: Invalid",
                        "endpoints[0].deprecatedTopology: Invalid",
                    ],
                ),
                (
                    json!({ "endpoints": [{ "addresses": ["127.0.0.1"] }] }),
                    &[
                        "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback",
                    ],
                ),
                (
                    json!({ "endpoints": many }),
                    &["endpoints: Too many: 1001: must have at most 1000 items"],
                ),
                (
                    json!({ "ports": [{ "port": 0 }, { "protocol": "X" }, { "name": "A", "appProtocol": "-" }] }),
                    &[
                        "ports[0].port: Invalid",
                        "ports[1].name: Duplicate value: \"\"",
                        "ports[1].protocol: Unsupported",
                        "ports[2].name: Invalid",
                        "ports[2].appProtocol: Invalid",
                    ],
                ),
            ],
        );
        refuses_change(
            &kind(),
            &base(),
            &[(
                json!({ "addressType": "FQDN", "endpoints": [] }),
                &["addressType: Invalid value: \"FQDN\": field is immutable"],
            )],
        );
    }

    #[test]
    fn the_first_are_shown() {
        shows(
            &kind(),
            base(),
            &[
                ("NAME", "web-1"),
                ("ADDRESSTYPE", "IPv4"),
                ("PORTS", "80,*"),
                ("ENDPOINTS", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..."),
            ],
        );
        let bare = json!({ "metadata": { "name": "x" }, "addressType": "IPv4" });
        shows(
            &kind(),
            bare,
            &[
                ("NAME", "x"),
                ("ADDRESSTYPE", "IPv4"),
                ("PORTS", "<unset>"),
                ("ENDPOINTS", "<unset>"),
            ],
        );
    }
}
