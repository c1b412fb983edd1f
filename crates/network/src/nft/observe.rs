//! What nftables holds: our own table in full, and the base chains of everybody; and what it
//! tells of changes.
//!
//! Never: changing anything.

use std::collections::{BTreeMap, BTreeSet};

use rustix::io::Errno;

use super::{Element, SUBSYSTEM, SetShape, SetSpec, Table};
use crate::netlink::message::{DUMP, Received, text};
use crate::netlink::{Attributes, Batch, Connection, KernelError, attributes, find};

const GET_TABLE: u16 = SUBSYSTEM | 1;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const GET_RULE: u16 = SUBSYSTEM | 7;
const GET_SET: u16 = SUBSYSTEM | 10;
const GET_ELEMENT: u16 = SUBSYSTEM | 13;

/// A base chain of any table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseChain {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) hook: u32,
    pub(crate) priority: i32,
    pub(crate) kind: String,
    /// 0 is drop, 1 is accept.
    pub(crate) policy: u32,
}

/// A chain of our table: where it hangs (number, priority and kind of its hook), and what is
/// stored with each of its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObservedChain {
    pub(crate) hook: Option<(u32, i32, String)>,
    pub(crate) rules: Vec<Vec<u8>>,
}

/// Our table as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) chains: BTreeMap<String, ObservedChain>,
    pub(crate) sets: BTreeMap<String, SetShape>,
    pub(crate) elements: BTreeSet<Element>,
}

fn request(
    what: &'static str,
    kind: u16,
    flags: u16,
    family: u8,
    fill: impl Fn(&mut Attributes<'_>),
) -> impl Fn() -> Batch {
    move || {
        let mut batch = Batch::new();
        batch.message(what, kind, flags, &[family, 0, 0, 0], &fill);
        batch
    }
}

/// Base chains of every table and family.
pub(crate) fn base_chains(connection: &mut Connection) -> Result<Vec<BaseChain>, KernelError> {
    let mut found = Vec::new();
    let ask = request("list nftables chains", GET_CHAIN, DUMP, 0, |_| {});
    connection.ask(ask, |_, payload| found.extend(base_chain(payload)))?;
    Ok(found)
}

fn base_chain(payload: &[u8]) -> Option<BaseChain> {
    let family = *payload.first()?;
    let rest = payload.get(4..)?;
    let hook = find(rest, 4)?;
    Some(BaseChain {
        family,
        table: find(rest, 1).map(text)?,
        name: find(rest, 3).map(text)?,
        hook: be32(find(hook, 1)?)?,
        priority: be32(find(hook, 2)?)? as i32,
        kind: find(rest, 7).map(text).unwrap_or_default(),
        policy: find(rest, 5).and_then(be32).unwrap_or(1),
    })
}

/// Our table, or `None` when it does not exist, with the elements of `sets`.
pub(crate) fn observe(
    connection: &mut Connection,
    table: Table<'_>,
    sets: &[SetSpec],
) -> Result<Option<Observed>, KernelError> {
    let family = table.number();
    let named = |a: &mut Attributes<'_>| a.string(1, table.name);
    let exists = request("look up our nftables table", GET_TABLE, 0, family, named);
    match connection.ask(exists, |_, _| {}) {
        Err(error) if error.is(Errno::NOENT) => return Ok(None),
        other => other?,
    }
    let mut observed = Observed::default();
    for chain in base_chains(connection)? {
        if chain.family == family && chain.table == table.name {
            let hook = Some((chain.hook, chain.priority, chain.kind));
            let rules = Vec::new();
            observed
                .chains
                .insert(chain.name, ObservedChain { hook, rules });
        }
    }
    let rules = request("list nftables rules", GET_RULE, DUMP, family, named);
    connection.ask(rules, |_, payload| {
        let rest = payload.get(4..).unwrap_or(&[]);
        if find(rest, 1).map(text).as_deref() == Some(table.name) {
            let chain = find(rest, 2).map(text).unwrap_or_default();
            let data = find(rest, 7).unwrap_or(&[]).to_vec();
            observed.chains.entry(chain).or_default().rules.push(data);
        }
    })?;
    let all = request("list nftables sets", GET_SET, DUMP, family, named);
    connection.ask(all, |_, payload| {
        observed.sets.extend(set(payload, table.name));
    })?;
    for set in sets {
        if set.remembers.is_none() && observed.sets.contains_key(set.name) {
            observed
                .elements
                .extend(elements(connection, table, set.name)?);
        }
    }
    Ok(Some(observed))
}

/// The elements of a set of our table.
pub(crate) fn elements(
    connection: &mut Connection,
    table: Table<'_>,
    set: &'static str,
) -> Result<Vec<Element>, KernelError> {
    let of_set = |a: &mut Attributes<'_>| {
        a.string(1, table.name);
        a.string(2, set);
    };
    let what = "list elements of an nftables set";
    let ask = request(what, GET_ELEMENT, DUMP, table.number(), of_set);
    let mut found = Vec::new();
    connection.ask(ask, |_, payload| {
        let rest = payload.get(4..).unwrap_or(&[]);
        let list = find(rest, 3).unwrap_or(&[]);
        found.extend(attributes(list).filter_map(|(_, bytes)| element(set, bytes)));
    })?;
    Ok(found)
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something of our table came, changed or went.
    OfTable,
    /// The end of a transaction, whosever.
    Commit {
        by: Option<String>,
    },
    Other,
}

/// Reads an event of nftables; our tables are all called `table`.
pub(crate) fn event(event: &Received<'_>, table: &str) -> Event {
    const NEW_GENERATION: u16 = SUBSYSTEM | 15;
    const PROGRAM: u16 = 3;
    let rest = event.payload.get(4..).unwrap_or(&[]);
    if event.kind == NEW_GENERATION {
        let by = find(rest, PROGRAM).map(text);
        return Event::Commit { by };
    }
    // Whatever the kind of object, its first attribute names the table.
    let ours = find(rest, 1).map(text).as_deref() == Some(table);
    match ours {
        true => Event::OfTable,
        false => Event::Other,
    }
}

fn set(payload: &[u8], table: &str) -> Option<(String, SetShape)> {
    let rest = payload.get(4..)?;
    if find(rest, 1).map(text).as_deref() != Some(table) {
        return None;
    }
    let number = |kind| find(rest, kind).and_then(be32).unwrap_or(0);
    let shape = SetShape {
        flags: number(3),
        key: (number(4), number(5)),
        data: match number(6) {
            // The kernel tells the size of its own structure.
            super::VERDICT => (super::VERDICT, 0),
            kind => (kind, number(7)),
        },
    };
    Some((find(rest, 2).map(text)?, shape))
}

fn element(set: &'static str, bytes: &[u8]) -> Option<Element> {
    let value = |kind| find(bytes, kind).and_then(|nested| find(nested, 1));
    let flags = find(bytes, 3).and_then(be32).unwrap_or(0);
    Some(Element {
        set,
        key: value(1)?.to_vec(),
        key_end: value(10).unwrap_or(&[]).to_vec(),
        range_end: flags & 1 != 0,
        data: value(2).unwrap_or(&[]).to_vec(),
        chain: find(bytes, 2)
            .and_then(|data| find(data, 2))
            .and_then(|verdict| find(verdict, 2))
            .map(text),
    })
}

fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}
