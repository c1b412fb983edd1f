//! weft's nftables table for packets: its sets, maps, chains and rules, and what a network or a published
//! port adds to them.
//!
//! The rules never change: a network is a handful of elements, a published port is one. Never:
//! talking to the kernel.
//!
//! ```text
//!  raw         guard        loopback addresses only from lo; no foreign sources from a bridge
//!  dstnat      publish      port of this machine or service -> container, for what arrives
//!  output      publish-own  the same for what this machine itself sends, 127.0.0.1 included
//!  input       arriving     ports of services without endpoints are refused
//!  output      leaving      addresses of services do not leave
//!  forward     border       the same; into a bridge: answers, published, same bridge; nothing else
//!  srcnat      source       to the outside by this machine's address; else the client's is kept
//! ```

use std::net::Ipv4Addr;

use crate::nft::expression::{Base, Conntrack, Expression as X, Meta, R1, R2, W1, W2};
use crate::nft::{ChainSpec, Content, Element, Field, Hook, Rule, SetSpec, interface};
use crate::port::Protocol;
use crate::services::Serving;
use crate::services::rules::{self, READ_AGAIN, SERVICE_SETS};
use crate::subnet::{Mac, Subnet};

pub(crate) const BRIDGES: &str = "bridges";
const INTERNAL: &str = "internal";
const SAME: &str = "same-bridge";
const RESOLVERS: &str = "resolvers";
const OUTBOUND: &str = "outbound";
const SOURCES: &str = "sources";
const PORTS: &str = "ports";
const PORTS_AT: &str = "ports-at";

static SETS: [SetSpec; 18] = {
    use Field::{Interface, Ipv4, Port, Protocol};
    const fn set(name: &'static str, key: &'static [Field], interval: bool) -> SetSpec {
        let data = &[];
        SetSpec {
            name,
            key,
            data,
            interval,
            remembers: None,
        }
    }
    const fn map(name: &'static str, key: &'static [Field]) -> SetSpec {
        let data = &[Ipv4, Port];
        SetSpec {
            name,
            key,
            data,
            interval: false,
            remembers: None,
        }
    }
    [
        set(BRIDGES, &[Interface], false),
        set(INTERNAL, &[Interface], false),
        set(SAME, &[Interface, Interface], false),
        set(RESOLVERS, &[Ipv4], false),
        set(OUTBOUND, &[Ipv4], true),
        set(SOURCES, &[Interface, Ipv4], true),
        map(PORTS, &[Protocol, Port]),
        map(PORTS_AT, &[Ipv4, Protocol, Port]),
        SERVICE_SETS[0],
        SERVICE_SETS[1],
        SERVICE_SETS[2],
        SERVICE_SETS[3],
        SERVICE_SETS[4],
        SERVICE_SETS[5],
        SERVICE_SETS[6],
        SERVICE_SETS[7],
        SERVICE_SETS[8],
        SERVICE_SETS[9],
    ]
};

/// What the rules have to know of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkRules {
    pub(crate) bridge: String,
    pub(crate) subnet: Subnet,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) internal: bool,
    /// Its containers use services.
    pub(crate) serves: bool,
    /// The bridge's hardware address.
    pub(crate) mac: Mac,
}

/// What the rules have to know of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRule {
    /// 0.0.0.0 is any address of this machine.
    pub(crate) host_ip: Ipv4Addr,
    pub(crate) host_port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) to: Ipv4Addr,
    pub(crate) to_port: u16,
}

fn port(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [high, low, 0, 0]
}

/// The table with every element that networks, ports and services need; `lifts`: frames between
/// containers with services go by way of this machine.
pub(crate) fn content<'a>(
    networks: impl IntoIterator<Item = &'a NetworkRules>,
    ports: impl IntoIterator<Item = &'a PortRule>,
    serving: &Serving,
    lifts: bool,
) -> Content {
    let of_networks = networks.into_iter().flat_map(network_elements);
    let of_ports = ports.into_iter().map(port_element);
    let mut chains = chains(lifts);
    chains.extend(serving.chains());
    Content {
        sets: &SETS,
        chains,
        elements: of_networks
            .chain(of_ports)
            .chain(serving.elements())
            .collect(),
    }
}

/// The sets of services, as the kernel is asked for them.
pub(crate) fn service_sets() -> impl Iterator<Item = &'static SetSpec> {
    SETS.iter().filter(|set| READ_AGAIN.contains(&set.name))
}

/// The elements a network adds.
pub(crate) fn network_elements(network: &NetworkRules) -> Vec<Element> {
    let bridge = interface(&network.bridge);
    let subnet = network.subnet;
    let first = subnet.network().octets();
    let mut elements = vec![
        Element::new(BRIDGES, bridge.clone()),
        Element::new(SAME, [bridge.clone(), bridge.clone()].concat()),
        Element::new(RESOLVERS, network.gateway.octets().to_vec()),
        Element {
            key_end: [bridge.as_slice(), &subnet.broadcast().octets()].concat(),
            ..Element::new(SOURCES, [bridge.as_slice(), &first].concat())
        },
    ];
    if network.serves {
        elements.push(rules::member(&network.bridge));
    }
    if network.internal {
        elements.push(Element::new(INTERNAL, bridge));
    } else {
        elements.push(Element::new(OUTBOUND, first.to_vec()));
        let behind = u32::from(subnet.broadcast()).checked_add(1);
        if let Some(behind) = behind {
            elements.push(Element {
                range_end: true,
                ..Element::new(OUTBOUND, behind.to_be_bytes().to_vec())
            });
        }
    }
    elements
}

/// The one element a published port adds.
pub(crate) fn port_element(rule: &PortRule) -> Element {
    let protocol = [rule.protocol.number(), 0, 0, 0];
    let data = [rule.to.octets(), port(rule.to_port)].concat();
    let (set, key) = if rule.host_ip.is_unspecified() {
        (PORTS, [protocol, port(rule.host_port)].concat())
    } else {
        let key = [rule.host_ip.octets(), protocol, port(rule.host_port)].concat();
        (PORTS_AT, key)
    };
    Element {
        data,
        ..Element::new(set, key)
    }
}

pub(crate) const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// A local address, as the routing table says (`RTN_LOCAL`).
const LOCAL: u32 = 2;
/// `IPS_DST_NAT`.
const IS_PUBLISHED: u32 = 1 << 5;
/// `NF_CT_STATE_BIT` of established and related.
const IS_ANSWER: u32 = 0b110;

pub(crate) fn family(number: u8) -> [X; 2] {
    [X::Meta(Meta::Family, R1), X::Equal(R1, vec![number])]
}

pub(crate) fn source(length: u32, to: u32) -> X {
    X::Payload {
        base: Base::Network,
        offset: 12,
        length,
        to,
    }
}

pub(crate) fn destination(length: u32, to: u32) -> X {
    X::Payload {
        base: Base::Network,
        offset: 16,
        length,
        to,
    }
}

pub(crate) fn destination_port(to: u32) -> X {
    X::Payload {
        base: Base::Transport,
        offset: 2,
        length: 2,
        to,
    }
}

pub(crate) fn status_published() -> [X; 3] {
    [
        X::Conntrack(Conntrack::Status, R1),
        X::AnyBit(R1, IS_PUBLISHED),
        X::NotEqual(R1, vec![0; 4]),
    ]
}

pub(crate) fn to_us() -> [X; 2] {
    [
        X::DestinationKind(R1),
        X::Equal(R1, LOCAL.to_ne_bytes().to_vec()),
    ]
}

/// The chains of the table, with their rules.
fn chains(lifts: bool) -> Vec<ChainSpec> {
    let chain = |name: &str, number, priority, kind, rules| ChainSpec {
        name: name.to_owned(),
        hook: Some(Hook {
            number,
            priority,
            kind,
        }),
        rules,
    };
    const PREROUTING: u32 = 0;
    const INPUT: u32 = 1;
    const FORWARD: u32 = 2;
    const OUTPUT: u32 = 3;
    const POSTROUTING: u32 = 4;
    let mut arriving = vec![resolver_rule(), rules::arriving()];
    arriving.extend(publish_rules());
    let mut own = vec![rules::own()];
    own.extend(publish_rules());
    let leaving = vec![rules::nobody(), rules::no_redirects()];
    // Sets and chains come before the rules that lead to them.
    let mut all = rules::ends();
    all.extend([
        chain("guard", PREROUTING, -300, "filter", guard_rules()),
        chain("publish", PREROUTING, -100, "nat", arriving),
        chain("publish-own", OUTPUT, -100, "nat", own),
        chain("arriving", INPUT, 0, "filter", vec![rules::closed()]),
        chain("leaving", OUTPUT, 0, "filter", leaving),
        chain("border", FORWARD, 0, "filter", border_rules()),
        chain("source", POSTROUTING, 100, "nat", source_rules(lifts)),
    ]);
    all
}

fn guard_rules() -> Vec<Rule> {
    let mut lo = interface("lo");
    lo.truncate(16);
    let not_lo = [X::Meta(Meta::InputName, R1), X::NotEqual(R1, lo)];
    let from_bridge = [X::Meta(Meta::InputName, R1), X::In(R1, BRIDGES)];
    let loopback = [X::Equal(R1, vec![127])];
    let foreign = [
        X::Meta(Meta::InputName, R1),
        source(4, R2),
        X::NotIn(R1, SOURCES),
    ];
    vec![
        Rule::new(
            "loopback addresses are reached from this machine only",
            &[
                &not_lo,
                &family(IPV4),
                &[destination(1, R1)],
                &loopback,
                &[X::Drop],
            ],
        ),
        Rule::new(
            "loopback addresses do not come from elsewhere",
            &[
                &not_lo,
                &family(IPV4),
                &[source(1, R1)],
                &loopback,
                &[X::Drop],
            ],
        ),
        Rule::new(
            "no IPv6 from containers yet",
            &[&from_bridge, &family(IPV6), &[X::Drop]],
        ),
        Rule::new(
            "containers send from their own network",
            &[&from_bridge, &family(IPV4), &foreign, &[X::Drop]],
        ),
    ]
}

/// Names are resolved by weft even when a container publishes port 53.
fn resolver_rule() -> Rule {
    Rule::new(
        "name servers of networks are not published ports",
        &[
            &family(IPV4),
            &[destination(4, R1), X::In(R1, RESOLVERS)],
            &[destination_port(R1), X::Equal(R1, vec![0, 53])],
            &[X::Accept],
        ],
    )
}

fn publish_rules() -> Vec<Rule> {
    let protocol = |to| X::Meta(Meta::Protocol, to);
    vec![
        Rule::new(
            "ports published on one address",
            &[
                &family(IPV4),
                &to_us(),
                &[destination(4, R1), protocol(W1), destination_port(W2)],
                &[X::Map(R1, PORTS_AT, R1), X::DestinationNat(R1, W1)],
            ],
        ),
        Rule::new(
            "ports published on all addresses",
            &[
                &family(IPV4),
                &to_us(),
                &[protocol(R1), destination_port(W1)],
                &[X::Map(R1, PORTS, R1), X::DestinationNat(R1, W1)],
            ],
        ),
        rules::by_port(),
    ]
}

fn border_rules() -> Vec<Rule> {
    let into = [X::Meta(Meta::OutputName, R1), X::In(R1, BRIDGES)];
    let same = [
        X::Meta(Meta::InputName, R1),
        X::Meta(Meta::OutputName, R2),
        X::In(R1, SAME),
    ];
    let answer = [
        X::Conntrack(Conntrack::State, R1),
        X::AnyBit(R1, IS_ANSWER),
        X::NotEqual(R1, vec![0; 4]),
    ];
    let internal = [X::Meta(Meta::InputName, R1), X::In(R1, INTERNAL)];
    vec![
        rules::nobody(),
        Rule::new("within a network", &[&same, &[X::Accept]]),
        Rule::new(
            "internal networks have no outside",
            &[&internal, &[X::Drop]],
        ),
        Rule::new("answers", &[&answer, &[X::Accept]]),
        Rule::new(
            "published ports",
            &[&status_published(), &into, &[X::Accept]],
        ),
        Rule::new("nothing else into a network", &[&into, &[X::Drop]]),
    ]
}

fn source_rules(lifts: bool) -> Vec<Rule> {
    let to_bridge = [X::Meta(Meta::OutputName, R1), X::In(R1, BRIDGES)];
    let mut rules = vec![
        Rule::new(
            "containers to the outside",
            &[
                &family(IPV4),
                &[source(4, R1), X::In(R1, OUTBOUND)],
                &[X::Meta(Meta::OutputName, R1), X::NotIn(R1, BRIDGES)],
                &[X::Masquerade],
            ],
        ),
        Rule::new(
            "published ports, from this machine by a loopback address",
            &[
                &family(IPV4),
                &[source(1, R1), X::Equal(R1, vec![127])],
                &to_bridge,
                &[X::Masquerade],
            ],
        ),
        rules::hairpin(),
    ];
    rules.extend(rules::onward(lifts));
    rules.push(Rule::new(
        "published ports, from the network they lead to",
        &[
            &status_published(),
            &family(IPV4),
            &[
                X::Meta(Meta::OutputName, R1),
                source(4, R2),
                X::In(R1, SOURCES),
            ],
            &[X::Masquerade],
        ],
    ));
    rules
}
