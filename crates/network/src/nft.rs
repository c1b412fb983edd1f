//! nftables as values and as nfnetlink messages: sets, maps, chains, rules, elements
//! (`linux/netfilter/nf_tables.h`). One call of [`apply`] is one transaction: all or nothing.
//!
//! Never: which rules there should be; see `ruleset`. No table but the one named is touched.

pub(crate) mod expression;
mod observe;

pub(crate) use expression::Expression;
pub(crate) use observe::{
    BaseChain, Event, Observed, ObservedChain, base_chains, elements, event, observe,
};

use std::collections::BTreeSet;
use std::fmt;

use crate::netlink::message::{ACK, APPEND, CREATE, encode};
use crate::netlink::{Attributes, Batch, Connection, KernelError};

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const DELETE_CHAIN: u16 = SUBSYSTEM | 5;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const NEW_SET: u16 = SUBSYSTEM | 9;
const NEW_ELEMENT: u16 = SUBSYSTEM | 12;
const DELETE_ELEMENT: u16 = SUBSYSTEM | 14;

/// Which packets a table's chains see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 and IPv6 of this machine.
    Inet,
    /// Frames that pass a bridge.
    Bridge,
}

/// A table of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table<'a> {
    pub(crate) family: Family,
    pub(crate) name: &'a str,
}

impl Table<'_> {
    fn number(self) -> u8 {
        match self.family {
            Family::Inet => 1,
            Family::Bridge => 7,
        }
    }

    fn header(self) -> [u8; 4] {
        [self.number(), 0, 0, 0]
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Inet => "inet",
            Family::Bridge => "bridge",
        };
        write!(f, "{family} {}", self.name)
    }
}

/// Everything in a table.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) sets: &'static [SetSpec],
    pub(crate) chains: Vec<ChainSpec>,
    pub(crate) elements: BTreeSet<Element>,
}

const SET_INTERVAL: u32 = 4;
const SET_MAP: u32 = 8;
const SET_TIMEOUT: u32 = 0x10;
const SET_EVAL: u32 = 0x20;
const SET_CONCAT: u32 = 0x80;
/// What the kernel calls a map whose values are chains to go to.
const VERDICT: u32 = 0xffff_ff00;
/// Elements of one message: a list has at most 64 KiB, and an element never 128 bytes.
const MOST_PER_MESSAGE: usize = 400;

/// One part of a key or of a map's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Ipv4,
    Protocol,
    Port,
    Interface,
    Mac,
    /// A number in the machine's byte order.
    Number,
    /// A chain to go to; in a map's value, alone.
    Chain,
}

impl Field {
    /// Bytes it takes in a concatenation, padded to a register.
    fn length(self) -> u32 {
        match self {
            Field::Ipv4 | Field::Protocol | Field::Port | Field::Number => 4,
            Field::Chain => 0,
            Field::Mac => 8,
            Field::Interface => 16,
        }
    }

    /// The number `nft` shows it by.
    fn code(self) -> u32 {
        match self {
            Field::Ipv4 => 7,
            Field::Mac => 9,
            Field::Protocol => 12,
            Field::Port => 13,
            Field::Number => 19,
            Field::Interface => 41,
            Field::Chain => VERDICT,
        }
    }
}

fn code(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |sum, field| sum << 6 | field.code())
}

fn length(fields: &[Field]) -> u32 {
    match fields {
        // Alone, a value has its own length.
        [Field::Protocol] => 1,
        [Field::Port] => 2,
        [Field::Mac] => 6,
        _ => fields.iter().map(|field| field.length()).sum(),
    }
}

/// A set, or a map when it has `data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetSpec {
    pub(crate) name: &'static str,
    pub(crate) key: &'static [Field],
    pub(crate) data: &'static [Field],
    /// Elements are ranges.
    pub(crate) interval: bool,
    /// Rules add elements themselves, which go after a time; at most so many.
    pub(crate) remembers: Option<u32>,
}

impl SetSpec {
    fn flags(&self) -> u32 {
        let mut flags = 0;
        if self.interval {
            flags |= SET_INTERVAL;
            if self.key.len() > 1 {
                flags |= SET_CONCAT;
            }
        }
        if !self.data.is_empty() {
            flags |= SET_MAP;
        }
        if self.remembers.is_some() {
            flags |= SET_TIMEOUT | SET_EVAL;
        }
        flags
    }

    /// What the kernel answers for such a set: flags, key type and length, data type and length.
    pub(crate) fn shape(&self) -> SetShape {
        SetShape {
            flags: self.flags(),
            key: (code(self.key), length(self.key)),
            data: match self.data {
                [] => (0, 0),
                data => (code(data), length(data)),
            },
        }
    }
}

/// What distinguishes a set from another of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetShape {
    pub(crate) flags: u32,
    pub(crate) key: (u32, u32),
    pub(crate) data: (u32, u32),
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Element {
    pub(crate) set: &'static str,
    pub(crate) key: Vec<u8>,
    /// The last key of the range, in sets of concatenated ranges.
    pub(crate) key_end: Vec<u8>,
    /// The key is the first one behind a range, in sets of plain ranges.
    pub(crate) range_end: bool,
    pub(crate) data: Vec<u8>,
    /// The chain to go to, in maps to chains.
    pub(crate) chain: Option<String>,
}

impl Element {
    pub(crate) fn new(set: &'static str, key: Vec<u8>) -> Element {
        Element {
            set,
            key,
            key_end: Vec::new(),
            range_end: false,
            data: Vec::new(),
            chain: None,
        }
    }
}

/// An interface's name as the rules see it: 16 bytes, filled with NUL.
pub(crate) fn interface(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

/// Where a base chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) number: u32,
    pub(crate) priority: i32,
    /// `filter` or `nat`.
    pub(crate) kind: &'static str,
}

/// A base chain, whose policy is accept, or one that elements of maps lead to.
#[derive(Debug, Clone)]
pub(crate) struct ChainSpec {
    pub(crate) name: String,
    pub(crate) hook: Option<Hook>,
    pub(crate) rules: Vec<Rule>,
}

impl ChainSpec {
    /// What the kernel answers for such a chain.
    pub(crate) fn observed(&self) -> ObservedChain {
        let hook = self.hook.as_ref();
        ObservedChain {
            hook: hook.map(|hook| (hook.number, hook.priority, hook.kind.to_owned())),
            rules: self.rules.iter().map(Rule::user_data).collect(),
        }
    }
}

/// A rule with the comment `nft list ruleset` shows.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) comment: &'static str,
    pub(crate) expressions: Vec<Expression>,
}

impl Rule {
    pub(crate) fn new(comment: &'static str, parts: &[&[Expression]]) -> Rule {
        Rule {
            comment,
            expressions: parts.concat(),
        }
    }

    fn encoded(&self) -> Vec<u8> {
        encode(|a| {
            for expression in &self.expressions {
                a.nest(1, |a| expression.encode(a));
            }
        })
    }

    /// What is stored with the rule: the comment and a digest of the rule, by which the next
    /// start recognises it.
    pub(crate) fn user_data(&self) -> Vec<u8> {
        let text = format!("{} [{:08x}]", self.comment, digest(&self.encoded()));
        let mut data = vec![0, (text.len() + 1) as u8];
        data.extend_from_slice(text.as_bytes());
        data.push(0);
        data
    }
}

/// FNV-1a: stable across versions of the compiler, unlike the standard hasher.
pub(crate) fn digest(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// One step of a transaction.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    AddTable,
    DeleteTable,
    AddSet(SetSpec),
    AddChain(ChainSpec),
    /// With its rules.
    DeleteChain(String),
    AddElement(Element),
    DeleteElement(Element),
}

/// Does all of `ops` to `table`, or nothing.
pub(crate) fn apply(
    connection: &mut Connection,
    table: Table<'_>,
    ops: &[Op],
) -> Result<(), KernelError> {
    if ops.is_empty() {
        return Ok(());
    }
    connection.run(batch(table, ops))
}

fn batch(table: Table<'_>, ops: &[Op]) -> Batch {
    let mut batch = Batch::new();
    // The batch's own header names the subsystem in its resource id.
    let border = [0u8, 0, 0, 10];
    batch.message(
        "begin a change of nftables",
        BATCH_BEGIN,
        0,
        &border,
        |_| {},
    );
    let mut rest = ops;
    while let [op, ..] = rest {
        let together = alike(rest);
        encode_op(&mut batch, table, op, &rest[..together]);
        rest = &rest[together..];
    }
    batch.message("commit a change of nftables", BATCH_END, 0, &border, |_| {});
    batch
}

/// How many of the first steps do the same to elements of one set: they share a message.
fn alike(ops: &[Op]) -> usize {
    let what = |op: &Op| match op {
        Op::AddElement(element) => Some((true, element.set)),
        Op::DeleteElement(element) => Some((false, element.set)),
        _ => None,
    };
    match ops.first().and_then(what) {
        None => 1,
        first => ops
            .iter()
            .take(MOST_PER_MESSAGE)
            .take_while(|op| what(op) == first)
            .count(),
    }
}

/// `together` are the steps that `op` begins, which are alike.
fn encode_op(batch: &mut Batch, table: Table<'_>, op: &Op, together: &[Op]) {
    let header = table.header();
    match op {
        Op::AddTable => {
            let what = format!("create nftables table {table}");
            batch.message(what, NEW_TABLE, ACK | CREATE, &header, |a| {
                a.string(1, table.name);
                a.be32(2, 0);
            });
        }
        Op::DeleteTable => {
            let what = format!("delete nftables table {table}");
            batch.message(what, DELETE_TABLE, ACK, &header, |a| {
                a.string(1, table.name)
            });
        }
        Op::AddSet(set) => {
            let what = format!("create nftables set {} in table {table}", set.name);
            let id = batch.len() as u32;
            batch.message(what, NEW_SET, ACK | CREATE, &header, |a| {
                encode_set(a, table, set, id);
            });
        }
        Op::AddChain(chain) => add_chain(batch, table, chain),
        Op::DeleteChain(name) => {
            let what = format!("delete nftables chain {name} in table {table}");
            batch.message(what, DELETE_CHAIN, ACK, &header, |a| {
                a.string(1, table.name);
                a.string(3, name);
            });
        }
        Op::AddElement(element) => {
            let what = format!("add to nftables set {} in table {table}", element.set);
            batch.message(what, NEW_ELEMENT, ACK | CREATE, &header, |a| {
                encode_elements(a, table, element.set, together);
            });
        }
        Op::DeleteElement(element) => {
            let what = format!("delete from nftables set {} in table {table}", element.set);
            batch.message(what, DELETE_ELEMENT, ACK, &header, |a| {
                encode_elements(a, table, element.set, together);
            });
        }
    }
}

fn encode_set(a: &mut Attributes<'_>, table: Table<'_>, set: &SetSpec, id: u32) {
    let shape = set.shape();
    a.string(1, table.name);
    a.string(2, set.name);
    a.be32(3, shape.flags);
    a.be32(4, shape.key.0);
    a.be32(5, shape.key.1);
    if !set.data.is_empty() {
        a.be32(6, shape.data.0);
        a.be32(7, shape.data.1);
    }
    if let Some(most) = set.remembers {
        a.nest(9, |a| a.be32(1, most));
    }
    if shape.flags & SET_CONCAT != 0 {
        a.nest(9, |a| {
            a.nest(2, |a| {
                for field in set.key {
                    a.nest(1, |a| a.be32(1, field.length()));
                }
            });
        });
    }
    a.be32(10, id);
    if set.key == [Field::Interface] {
        // For `nft` alone: names are in the machine's byte order.
        a.bytes(13, &[0, 4, 1, 0, 0, 0]);
    }
}

fn add_chain(batch: &mut Batch, table: Table<'_>, chain: &ChainSpec) {
    let header = table.header();
    let what = format!("create nftables chain {} in table {table}", chain.name);
    batch.message(what, NEW_CHAIN, ACK | CREATE, &header, |a| {
        a.string(1, table.name);
        a.string(3, &chain.name);
        if let Some(hook) = &chain.hook {
            a.nest(4, |a| {
                a.be32(1, hook.number);
                a.be32(2, hook.priority as u32);
            });
            a.be32(5, 1);
            a.string(7, hook.kind);
        }
    });
    for rule in &chain.rules {
        let what = format!("add the rule {:?} to table {table}", rule.comment);
        batch.message(what, NEW_RULE, ACK | CREATE | APPEND, &header, |a| {
            a.string(1, table.name);
            a.string(2, &chain.name);
            a.bytes(4 | 0x8000, &rule.encoded());
            a.bytes(7, &rule.user_data());
        });
    }
}

fn encode_elements(a: &mut Attributes<'_>, table: Table<'_>, set: &str, ops: &[Op]) {
    a.string(1, table.name);
    a.string(2, set);
    a.nest(3, |a| {
        for op in ops {
            match op {
                Op::AddElement(element) => a.nest(1, |a| encode_element(a, element, true)),
                Op::DeleteElement(element) => a.nest(1, |a| encode_element(a, element, false)),
                _ => {}
            }
        }
    });
}

fn encode_element(a: &mut Attributes<'_>, element: &Element, with_data: bool) {
    const RANGE_END: u32 = 1;
    const GOTO: i32 = -4;
    if element.range_end {
        a.be32(3, RANGE_END);
    }
    a.nest(1, |a| a.bytes(1, &element.key));
    if !element.key_end.is_empty() {
        a.nest(10, |a| a.bytes(1, &element.key_end));
    }
    if with_data && !element.data.is_empty() {
        a.nest(2, |a| a.bytes(1, &element.data));
    }
    if let (true, Some(chain)) = (with_data, &element.chain) {
        a.nest(2, |a| {
            a.nest(2, |a| {
                a.be32(1, GOTO as u32);
                a.string(2, chain);
            });
        });
    }
}
