//! The sets, maps, chains and rules that lead to endpoints; what a service adds is in `lead`.
//!
//! A virtual address is nobody's: what is not led to an endpoint is refused before it leaves.
//! Clients keep their addresses; only who is led to itself, or to somewhere beyond this machine,
//! comes from the machine's. So that answers of a neighbour pass these rules too, frames between
//! containers of a network with services go by way of the machine. Never: talking to the kernel.

use std::net::Ipv4Addr;

use crate::nft::expression::{Base, Expression as X, Meta, R1, R2, W1, W2, W3, W4, W5, W6};
use crate::nft::{ChainSpec, Element, Field, Rule, SetSpec, digest, interface};
use crate::port::Protocol;
use crate::ruleset::{
    BRIDGES, IPV4, destination, destination_port, family, source, status_published, to_us,
};
use crate::subnet::{Mac, Subnet};

pub(crate) const SERVICES: &str = "services";
pub(crate) const NODE_PORTS: &str = "node-ports";
pub(crate) const ENDPOINTS: &str = "endpoints";
/// As [`ENDPOINTS`], for services that lead clients to the same one again.
pub(crate) const STICKY_ENDPOINTS: &str = "sticky-endpoints";
pub(crate) const STICKY: &str = "sticky";
pub(crate) const TARGETS: &str = "targets";
pub(crate) const LOOPS: &str = "loops";
pub(crate) const CLOSED: &str = "closed-ports";
pub(crate) const RANGE: &str = "service-range";
pub(crate) const MEMBERS: &str = "service-bridges";
pub(crate) const LIFTED: &str = "lifted";

/// Whoever is led here is refused, or dropped when it comes from beyond.
pub(crate) const REFUSE: &str = "refuse";
/// Whoever is led here is refused.
pub(crate) const CLOSE: &str = "close";
/// Whoever is led here hears nothing.
pub(crate) const IGNORE: &str = "ignore";

/// Clients that are remembered; more are led anywhere each time.
const MOST_REMEMBERED: u32 = 65_536;

/// Of the table for packets.
pub(crate) const SERVICE_SETS: [SetSpec; 10] = {
    use Field::{Chain, Interface, Ipv4, Number, Port, Protocol};
    const fn set(name: &'static str, key: &'static [Field], data: &'static [Field]) -> SetSpec {
        SetSpec {
            name,
            key,
            data,
            interval: false,
            remembers: None,
        }
    }
    [
        set(SERVICES, &[Ipv4, Protocol, Port], &[Chain]),
        set(NODE_PORTS, &[Protocol, Port], &[Chain]),
        set(ENDPOINTS, &[Ipv4, Protocol, Port, Number], &[Ipv4, Port]),
        set(STICKY_ENDPOINTS, &[Ipv4, Protocol, Port, Number], &[Chain]),
        SetSpec {
            remembers: Some(MOST_REMEMBERED),
            ..set(STICKY, &[Ipv4, Protocol, Port, Ipv4, Number], &[])
        },
        set(TARGETS, &[Ipv4, Protocol, Port], &[]),
        set(LOOPS, &[Ipv4, Ipv4], &[]),
        set(CLOSED, &[Protocol, Port], &[Chain]),
        SetSpec {
            interval: true,
            ..set(RANGE, &[Ipv4], &[Chain])
        },
        set(MEMBERS, &[Interface], &[]),
    ]
};

/// Of the table for frames.
pub(crate) const LIFT_SET: SetSpec = SetSpec {
    name: LIFTED,
    key: &[Field::Ipv4],
    data: &[Field::Mac],
    interval: true,
    remembers: None,
};

/// The sets from which the next process learns what is served.
pub(crate) const READ_AGAIN: [&str; 7] = [
    SERVICES,
    NODE_PORTS,
    ENDPOINTS,
    STICKY_ENDPOINTS,
    CLOSED,
    RANGE,
    MEMBERS,
];

/// Address and port somebody is led to.
pub(crate) type Target = (Ipv4Addr, u16);
/// What is asked for; 0.0.0.0 is any address of this machine.
pub(crate) type At = (Ipv4Addr, Protocol, u16);

/// A chain that elements lead to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Lead {
    /// To any of so many.
    Any { is_node: bool, count: u32 },
    /// To where the client was before, or to any.
    Again {
        at: At,
        targets: Vec<Target>,
        seconds: u32,
    },
    /// To this one, from now on.
    One {
        is_node: bool,
        target: Target,
        seconds: u32,
    },
}

impl Lead {
    /// What the chain is called: chains of one name are alike.
    pub(crate) fn name(&self) -> String {
        let of = |is_node: &bool| if *is_node { "node" } else { "service" };
        match self {
            Lead::Any { is_node, count } => format!("{}-any-{count}", of(is_node)),
            Lead::Again {
                at: (address, protocol, port),
                targets,
                seconds,
            } => {
                let known: Vec<u8> = targets.iter().flat_map(bytes).collect();
                let digest = digest(&known);
                format!("again-{address}-{protocol}-{port}-for-{seconds}s-{digest:08x}")
            }
            Lead::One {
                is_node,
                target: (address, port),
                seconds,
            } => format!("{}-{address}-{port}-for-{seconds}s", of(is_node)),
        }
    }

    /// Whom a chain to one leads to, and for how many seconds, by its name.
    pub(crate) fn parse_one(name: &str) -> Option<(Target, u32)> {
        let mut parts = name.splitn(3, '-').skip(1);
        let address = parts.next()?.parse().ok()?;
        let (port, seconds) = parts.next()?.split_once("-for-")?;
        let seconds = seconds.strip_suffix('s')?.parse().ok()?;
        Some(((address, port.parse().ok()?), seconds))
    }

    pub(crate) fn chain(&self) -> ChainSpec {
        let rules = match self {
            Lead::Any { is_node, count } => {
                let number = [X::Random(*count, W3), X::Map(R1, ENDPOINTS, R1)];
                let to = [X::DestinationNat(R1, W1)];
                vec![Rule::new("anywhere", &[&asked(*is_node), &number, &to])]
            }
            Lead::Again {
                at,
                targets,
                seconds,
            } => again(at.0.is_unspecified(), targets, *seconds),
            Lead::One {
                is_node,
                target,
                seconds,
            } => {
                let to = [X::DestinationNat(W5, W6)];
                let client = client(*is_node, target);
                let remember = [remember(*seconds)];
                vec![
                    Rule::new("from now on there", &[&client, &remember, &to]),
                    // There may be no room to remember.
                    Rule::new("there", &[&client, &to]),
                ]
            }
        };
        ChainSpec {
            name: self.name(),
            hook: None,
            rules,
        }
    }
}

fn again(is_node: bool, targets: &[Target], seconds: u32) -> Vec<Rule> {
    let known = targets.iter().map(|target| {
        let found = [X::In(R1, STICKY), remember(seconds)];
        let to = [X::DestinationNat(W5, W6)];
        Rule::new(
            "where the client was before",
            &[&client(is_node, target), &found, &to],
        )
    });
    let number = [
        X::Random(targets.len() as u32, W3),
        X::GoTo(R1, STICKY_ENDPOINTS),
    ];
    let any = Rule::new("anywhere", &[&asked(is_node), &number]);
    known.chain([any]).collect()
}

fn remember(seconds: u32) -> X {
    X::Remember(STICKY, R1, u64::from(seconds) * 1000)
}

/// Address, protocol and port as the maps have them.
fn asked(is_node: bool) -> Vec<X> {
    let address = match is_node {
        true => X::Load(vec![0; 4], R1),
        false => destination(4, R1),
    };
    vec![address, X::Meta(Meta::Protocol, W1), destination_port(W2)]
}

/// The same, then who asks and a target's mark; behind that, the target.
fn client(is_node: bool, (address, port): &Target) -> Vec<X> {
    let mut key = asked(is_node);
    key.extend([
        source(4, W3),
        X::Load(mark(&(*address, *port)).to_vec(), W4),
        X::Load(address.octets().to_vec(), W5),
        X::Load(port.to_be_bytes().to_vec(), W6),
    ]);
    key
}

fn bytes((address, port): &Target) -> [u8; 6] {
    let ([a, b, c, d], [high, low]) = (address.octets(), port.to_be_bytes());
    [a, b, c, d, high, low]
}

/// What stands for a target where clients are remembered: keys have five parts at most.
pub(crate) fn mark(target: &Target) -> [u8; 4] {
    digest(&bytes(target)).to_ne_bytes()
}

/// The chains that are always there.
pub(crate) fn ends() -> Vec<ChainSpec> {
    let tcp = [X::Meta(Meta::Protocol, R1), X::Equal(R1, vec![6])];
    let refuse = [
        Rule::new("nobody is there", &[&tcp, &[X::Reset]]),
        Rule::new("nobody is there", &[&[X::Unreachable]]),
    ];
    let beyond = Rule::new(
        "services are for this machine and its containers",
        &[
            &[
                X::Meta(Meta::InputName, R1),
                X::NotEqual(R1, interface("")),
                X::NotIn(R1, BRIDGES),
            ],
            &[X::Drop],
        ],
    );
    let chain = |name: &str, rules| ChainSpec {
        name: name.to_owned(),
        hook: None,
        rules,
    };
    let mut refusing = vec![beyond];
    refusing.extend(refuse.clone());
    vec![
        chain(REFUSE, refusing),
        chain(CLOSE, refuse.to_vec()),
        chain(IGNORE, vec![Rule::new("not from here", &[&[X::Drop]])]),
    ]
}

/// For what arrives from a network with services.
pub(crate) fn arriving() -> Rule {
    let from_member = [X::Meta(Meta::InputName, R1), X::In(R1, MEMBERS)];
    Rule::new(
        "services, for containers",
        &[&family(IPV4), &from_member, &by_address()],
    )
}

/// For what this machine sends.
pub(crate) fn own() -> Rule {
    Rule::new("services", &[&family(IPV4), &by_address()])
}

fn by_address() -> [X; 4] {
    [
        destination(4, R1),
        X::Meta(Meta::Protocol, W1),
        destination_port(W2),
        X::GoTo(R1, SERVICES),
    ]
}

/// For both: services that have a port of this machine.
pub(crate) fn by_port() -> Rule {
    Rule::new(
        "ports of services",
        &[
            &family(IPV4),
            &to_us(),
            &[X::Meta(Meta::Protocol, R1), destination_port(W1)],
            &[X::GoTo(R1, NODE_PORTS)],
        ],
    )
}

/// For what is forwarded or sent: what has an address of services by now is led nowhere.
pub(crate) fn nobody() -> Rule {
    Rule::new(
        "services without anybody",
        &[&family(IPV4), &[destination(4, R1), X::GoTo(R1, RANGE)]],
    )
}

/// For what is to this machine.
pub(crate) fn closed() -> Rule {
    Rule::new(
        "ports of services without anybody",
        &[
            &family(IPV4),
            &[X::Meta(Meta::Protocol, R1), destination_port(W1)],
            &[X::GoTo(R1, CLOSED)],
        ],
    )
}

/// Frames go by way of the machine on purpose.
pub(crate) fn no_redirects() -> Rule {
    const REDIRECT: u8 = 5;
    const ICMP: u8 = 1;
    let kind = X::Payload {
        base: Base::Transport,
        offset: 0,
        length: 1,
        to: R1,
    };
    Rule::new(
        "no shorter way between containers",
        &[
            &family(IPV4),
            &[X::Meta(Meta::OutputName, R1), X::In(R1, MEMBERS)],
            &[X::Meta(Meta::Protocol, R1), X::Equal(R1, vec![ICMP])],
            &[kind, X::Equal(R1, vec![REDIRECT]), X::Drop],
        ],
    )
}

/// For who was led to itself.
pub(crate) fn hairpin() -> Rule {
    Rule::new(
        "services that lead back to who asks",
        &[
            &status_published(),
            &family(IPV4),
            &[source(4, R1), destination(4, W1), X::In(R1, LOOPS)],
            &[X::Masquerade],
        ],
    )
}

/// For who was led to a container or beyond; `lifts`: frames go by way of this machine.
pub(crate) fn onward(lifts: bool) -> Vec<Rule> {
    let target = [
        destination(4, R1),
        X::Meta(Meta::Protocol, W1),
        destination_port(W2),
        X::In(R1, TARGETS),
    ];
    let into = [X::Meta(Meta::OutputName, R1), X::In(R1, MEMBERS)];
    let beyond = [
        X::Meta(Meta::OutputName, R1),
        X::NotEqual(R1, interface("lo")),
        X::NotIn(R1, BRIDGES),
    ];
    let keep = Rule::new(
        "services see who asks",
        &[
            &status_published(),
            &family(IPV4),
            &into,
            &target,
            &[X::Accept],
        ],
    );
    let away = Rule::new(
        "services beyond this machine answer to it",
        &[
            &status_published(),
            &family(IPV4),
            &beyond,
            &target,
            &[X::Masquerade],
        ],
    );
    match lifts {
        true => vec![keep, away],
        false => vec![away],
    }
}

/// For frames of ports whose names begin with `prefix`.
pub(crate) fn lift(prefix: &str) -> Vec<Rule> {
    let link = |offset, length| X::Payload {
        base: Base::Link,
        offset,
        length,
        to: R1,
    };
    let to_one = [
        link(0, 4),
        X::AnyBit(R1, u32::from_ne_bytes([1, 0, 0, 0])),
        X::Equal(R1, vec![0; 4]),
    ];
    vec![Rule::new(
        "containers with services meet by way of this machine",
        &[
            &[
                X::Meta(Meta::InputName, R1),
                X::Equal(R1, prefix.as_bytes().to_vec()),
            ],
            &[link(12, 2), X::Equal(R1, vec![8, 0])],
            &to_one,
            &[source(4, R1), X::Map(R1, LIFTED, R1)],
            &[
                X::WriteLink {
                    from: R1,
                    offset: 0,
                    length: 6,
                },
                X::Load(vec![0; 4], R2),
                X::ToThisMachine(R2),
            ],
        ],
    )]
}

/// The element a bridge with services adds.
pub(crate) fn member(bridge: &str) -> Element {
    Element::new(MEMBERS, interface(bridge))
}

/// The elements a network with services adds to the table for frames.
pub(crate) fn lifted(subnet: Subnet, bridge: Mac) -> Vec<Element> {
    range(LIFTED, subnet, |first| Element {
        data: bridge.0.to_vec(),
        ..first
    })
}

/// The elements of the range of virtual addresses.
pub(crate) fn refused(subnet: Subnet) -> Vec<Element> {
    range(RANGE, subnet, |first| Element {
        chain: Some(REFUSE.to_owned()),
        ..first
    })
}

fn range(set: &'static str, subnet: Subnet, with: impl Fn(Element) -> Element) -> Vec<Element> {
    let first = subnet.network().octets().to_vec();
    let behind = u32::from(subnet.broadcast()).checked_add(1);
    let end = behind.map(|behind| Element {
        range_end: true,
        ..Element::new(set, behind.to_be_bytes().to_vec())
    });
    [with(Element::new(set, first))]
        .into_iter()
        .chain(end)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_chain_leads_to_is_in_its_name() {
        let target = (Ipv4Addr::new(10, 44, 16, 2), 8080);
        for is_node in [false, true] {
            let one = Lead::One {
                is_node,
                target,
                seconds: 600,
            };
            assert_eq!(Lead::parse_one(&one.name()), Some((target, 600)));
        }
        for other in ["refuse", "service-any-3", "node-10.0.0.1-5-for-5"] {
            assert_eq!(Lead::parse_one(other), None, "{other}");
        }
    }
}
