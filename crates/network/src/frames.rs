//! weft's nftables table for frames: a container sends as nobody but itself.
//!
//! Every port of a bridge is one element: its name, and the hardware and IPv4 address behind it.
//! What a port sends has to carry them, in the frame and in what ARP says within; all else is
//! dropped before the bridge learns from it, IPv6 too as long as its networks do not exist. Ports
//! are known by the beginning of their names, so one without an element says nothing. Never:
//! talking to the kernel.

use std::net::Ipv4Addr;

use crate::nft::expression::{Base, Expression as X, Meta, R1, R2, W6};
use crate::nft::{ChainSpec, Content, Element, Field, Hook, Rule, SetSpec, interface};
use crate::ruleset::NetworkRules;
use crate::services;
use crate::services::rules::{LIFT_SET, lift};
use crate::subnet::Mac;

pub(crate) const SENDERS: &str = "senders";

static SETS: [SetSpec; 2] = [
    SetSpec {
        name: SENDERS,
        key: &[Field::Interface, Field::Mac, Field::Ipv4],
        data: &[],
        interval: false,
        remembers: None,
    },
    LIFT_SET,
];

/// The one element a port adds: `link` is the machine's end of its veth pair.
pub(crate) fn sender(link: &str, mac: Mac, address: Ipv4Addr) -> Element {
    let key = [&interface(link)[..], &mac.0, &[0, 0], &address.octets()].concat();
    Element::new(SENDERS, key)
}

/// The elements a network adds when its containers use services.
pub(crate) fn lifted(network: &NetworkRules) -> Vec<Element> {
    match network.serves {
        true => services::rules::lifted(network.subnet, network.mac),
        false => Vec::new(),
    }
}

/// The link an element is about.
pub(crate) fn link_of(element: &Element) -> &str {
    let name = element.key.get(..16).unwrap_or_default();
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    std::str::from_utf8(&name[..end]).unwrap_or_default()
}

/// The table for ports whose names begin with `prefix`; `elements` are senders and what networks
/// with services add.
pub(crate) fn content(prefix: &str, elements: impl IntoIterator<Item = Element>) -> Content {
    const PREROUTING: u32 = 0;
    let chain = |name: &str, priority, rules| ChainSpec {
        name: name.to_owned(),
        hook: Some(Hook {
            number: PREROUTING,
            priority,
            kind: "filter",
        }),
        rules,
    };
    Content {
        sets: &SETS,
        chains: vec![
            chain("guard", -300, rules(prefix)),
            chain("lift", -200, lift(prefix)),
        ],
        elements: elements.into_iter().collect(),
    }
}

fn read(base: Base, offset: u32, length: u32, to: u32) -> X {
    X::Payload {
        base,
        offset,
        length,
        to,
    }
}

fn rules(prefix: &str) -> Vec<Rule> {
    let ours = [
        X::Meta(Meta::InputName, R1),
        X::Equal(R1, prefix.as_bytes().to_vec()),
    ];
    let kind = |kind: [u8; 2]| [read(Base::Link, 12, 2, R2), X::Equal(R2, kind.to_vec())];
    let frame = read(Base::Link, 6, 6, R2);
    // An IPv4 address for an Ethernet one, the only form the offsets below are true for.
    let form = [
        read(Base::Network, 2, 4, R2),
        X::Equal(R2, vec![8, 0, 6, 4]),
    ];
    let known = X::In(R1, SENDERS);
    vec![
        Rule::new(
            "containers send by their own addresses",
            &[
                &ours,
                &kind([8, 0]),
                &[frame.clone(), read(Base::Network, 12, 4, W6)],
                &[known.clone(), X::Accept],
            ],
        ),
        Rule::new(
            "containers answer for their own addresses",
            &[
                &ours,
                &kind([8, 6]),
                &form,
                &[frame, read(Base::Network, 14, 4, W6), known.clone()],
                &[read(Base::Network, 8, 6, R2), known, X::Accept],
            ],
        ),
        Rule::new("containers say nothing else", &[&ours, &[X::Drop]]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_tells_its_link() {
        let address = Ipv4Addr::new(10, 44, 0, 2);
        for link in ["wv0a1b2c1234567", "a"] {
            let element = sender(link, Mac([2, 0, 0, 0, 0, 1]), address);
            assert_eq!(link_of(&element), link);
            assert_eq!(element.key.len(), 28);
        }
    }
}
