//! The expressions rules are made of, and their encoding (`linux/netfilter/nf_tables.h`).
//!
//! Registers are numbered as in `nft --debug=netlink`: 1-4 are 16 bytes wide, 8-23 are the same
//! memory as words of 4 bytes.

use crate::netlink::Attributes;

/// The first register, 16 bytes.
pub(crate) const R1: u32 = 1;
/// The second register, 16 bytes.
pub(crate) const R2: u32 = 2;
/// The second word of the first register.
pub(crate) const W1: u32 = 9;
/// The third word of the first register.
pub(crate) const W2: u32 = 10;
/// The fourth word of the first register.
pub(crate) const W3: u32 = 11;
/// The first word of the second register.
pub(crate) const W4: u32 = 12;
/// The second word of the second register.
pub(crate) const W5: u32 = 13;
/// The third word of the second register.
pub(crate) const W6: u32 = 14;

/// What rules can read of a packet beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meta {
    InputName,
    OutputName,
    Family,
    Protocol,
}

/// Where bytes of a packet are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Link,
    Network,
    Transport,
}

/// What connection tracking knows of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conntrack {
    State,
    Status,
}

/// One step of a rule; a comparison or lookup that fails ends the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    Meta(Meta, u32),
    Payload {
        base: Base,
        offset: u32,
        length: u32,
        to: u32,
    },
    Conntrack(Conntrack, u32),
    /// The kind of the packet's destination address (`fib daddr type`).
    DestinationKind(u32),
    Equal(u32, Vec<u8>),
    NotEqual(u32, Vec<u8>),
    /// Some of these bits are set in the register (in the machine's byte order).
    AnyBit(u32, u32),
    In(u32, &'static str),
    NotIn(u32, &'static str),
    /// The map's value for the register goes to the second register.
    Map(u32, &'static str, u32),
    /// New destination: address and port in these registers.
    DestinationNat(u32, u32),
    Masquerade,
    /// Goes to the chain the map has for the register.
    GoTo(u32, &'static str),
    /// A number below this, another for every packet.
    Random(u32, u32),
    Load(Vec<u8>, u32),
    /// Adds the key in the register to a set that remembers, for so many milliseconds from now.
    Remember(&'static str, u32, u64),
    /// Writes a register over bytes of the frame's header.
    WriteLink {
        from: u32,
        offset: u32,
        length: u32,
    },
    /// The frame is taken for one to this machine; uses the register.
    ToThisMachine(u32),
    /// Answers with a TCP reset.
    Reset,
    /// Answers that the port is unreachable.
    Unreachable,
    Accept,
    Drop,
}

impl Expression {
    pub(crate) fn encode(&self, a: &mut Attributes<'_>) {
        a.string(1, self.name());
        a.nest(2, |a| self.encode_data(a));
    }

    /// What the kernel calls it.
    fn name(&self) -> &'static str {
        match self {
            Expression::Meta(..) | Expression::ToThisMachine(_) => "meta",
            Expression::Payload { .. } | Expression::WriteLink { .. } => "payload",
            Expression::Conntrack(..) => "ct",
            Expression::DestinationKind(_) => "fib",
            Expression::Equal(..) | Expression::NotEqual(..) => "cmp",
            Expression::AnyBit(..) => "bitwise",
            Expression::In(..)
            | Expression::NotIn(..)
            | Expression::Map(..)
            | Expression::GoTo(..) => "lookup",
            Expression::Random(..) => "numgen",
            Expression::Remember(..) => "dynset",
            Expression::Reset | Expression::Unreachable => "reject",
            Expression::DestinationNat(..) => "nat",
            Expression::Masquerade => "masq",
            Expression::Load(..) | Expression::Accept | Expression::Drop => "immediate",
        }
    }

    fn encode_data(&self, a: &mut Attributes<'_>) {
        match self {
            Expression::Meta(key, to) => encode_meta(a, *key, *to),
            Expression::Payload {
                base,
                offset,
                length,
                to,
            } => {
                let base = match base {
                    Base::Link => 0,
                    Base::Network => 1,
                    Base::Transport => 2,
                };
                for (kind, value) in [(1, *to), (2, base), (3, *offset), (4, *length)] {
                    a.be32(kind, value);
                }
            }
            Expression::Conntrack(key, to) => encode_ct(a, *key, *to),
            Expression::DestinationKind(to) => encode_fib(a, *to),
            Expression::Equal(from, value) => compare(a, *from, 0, value),
            Expression::NotEqual(from, value) => compare(a, *from, 1, value),
            Expression::AnyBit(register, mask) => and_mask(a, *register, *mask),
            Expression::In(from, set) => lookup(a, *from, set, None, 0),
            Expression::NotIn(from, set) => lookup(a, *from, set, None, 1),
            Expression::Map(from, map, to) => lookup(a, *from, map, Some(*to), 0),
            Expression::DestinationNat(address, port) => encode_nat(a, *address, *port),
            Expression::Masquerade => {}
            Expression::GoTo(from, map) => lookup(a, *from, map, Some(0), 0),
            Expression::Random(below, to) => {
                const RANDOM: u32 = 1;
                for (kind, value) in [(1, *to), (2, *below), (3, RANDOM), (4, 0)] {
                    a.be32(kind, value);
                }
            }
            Expression::Load(value, to) => {
                a.be32(1, *to);
                a.nest(2, |a| a.bytes(1, value));
            }
            Expression::Remember(set, key, ms) => {
                const UPDATE: u32 = 1;
                a.string(1, set);
                a.be32(3, UPDATE);
                a.be32(4, *key);
                a.bytes(6, &ms.to_be_bytes());
            }
            Expression::WriteLink { .. } | Expression::ToThisMachine(_) => self.encode_change(a),
            Expression::Reset => {
                const TCP_RESET: u32 = 1;
                a.be32(1, TCP_RESET);
                a.u8(2, 0);
            }
            Expression::Unreachable => {
                const OF_ANY_FAMILY: u32 = 2;
                const PORT: u8 = 1;
                a.be32(1, OF_ANY_FAMILY);
                a.u8(2, PORT);
            }
            Expression::Accept => verdict(a, 1),
            Expression::Drop => verdict(a, 0),
        }
    }

    /// Of what changes a frame.
    fn encode_change(&self, a: &mut Attributes<'_>) {
        match self {
            Expression::WriteLink {
                from,
                offset,
                length,
            } => {
                let plain = [(2, 0), (3, *offset), (4, *length), (5, *from)];
                for (kind, value) in plain.into_iter().chain([(6, 0), (7, 0), (8, 0)]) {
                    a.be32(kind, value);
                }
            }
            Expression::ToThisMachine(from) => {
                const PACKET_KIND: u32 = 19;
                a.be32(2, PACKET_KIND);
                a.be32(3, *from);
            }
            _ => {}
        }
    }
}

fn encode_meta(a: &mut Attributes<'_>, key: Meta, to: u32) {
    a.be32(1, to);
    let key = match key {
        Meta::InputName => 6,
        Meta::OutputName => 7,
        Meta::Family => 15,
        Meta::Protocol => 16,
    };
    a.be32(2, key);
}

fn encode_ct(a: &mut Attributes<'_>, key: Conntrack, to: u32) {
    a.be32(1, to);
    let key = match key {
        Conntrack::State => 0,
        Conntrack::Status => 2,
    };
    a.be32(2, key);
}

fn encode_fib(a: &mut Attributes<'_>, to: u32) {
    const ADDRESS_TYPE: u32 = 3;
    const OF_DESTINATION: u32 = 2;
    a.be32(1, to);
    a.be32(2, ADDRESS_TYPE);
    a.be32(3, OF_DESTINATION);
}

fn compare(a: &mut Attributes<'_>, from: u32, operation: u32, value: &[u8]) {
    a.be32(1, from);
    a.be32(2, operation);
    a.nest(3, |a| a.bytes(1, value));
}

fn and_mask(a: &mut Attributes<'_>, register: u32, mask: u32) {
    a.be32(1, register);
    a.be32(2, register);
    a.be32(3, 4);
    a.nest(4, |a| a.bytes(1, &mask.to_ne_bytes()));
    a.nest(5, |a| a.bytes(1, &[0; 4]));
}

fn lookup(a: &mut Attributes<'_>, from: u32, set: &str, to: Option<u32>, inverted: u32) {
    a.string(1, set);
    a.be32(2, from);
    if let Some(to) = to {
        a.be32(3, to);
    }
    if inverted != 0 {
        a.be32(5, inverted);
    }
}

fn encode_nat(a: &mut Attributes<'_>, address: u32, port: u32) {
    const DESTINATION: u32 = 1;
    const IPV4: u32 = 2;
    for (kind, value) in [(1, DESTINATION), (2, IPV4), (3, address), (5, port)] {
        a.be32(kind, value);
    }
}

fn verdict(a: &mut Attributes<'_>, code: u32) {
    a.be32(1, 0);
    a.nest(2, |a| a.nest(2, |a| a.be32(1, code)));
}
