//! Our two nftables tables as one object: packets (`ruleset`) and frames (`frames`).
//!
//! A kernel without nftables for bridges keeps no watch on frames; it is told so once, aloud.
//! Never: what networks and containers there are.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::frames::{self, SENDERS};
use crate::netlink::{Connection, KernelError};
use crate::nft::{self, BaseChain, Content, Element, Family, Op, Table};
use crate::plan::plan;
use crate::ruleset;

/// How often clients are forgotten anew while some go by themselves.
const MOST_TRIES: usize = 8;

/// The tables and the socket they are changed by.
#[derive(Debug)]
pub(crate) struct Rules {
    /// What both tables are called.
    name: String,
    connection: Mutex<Connection>,
    watches_frames: AtomicBool,
}

impl Rules {
    /// In the caller's network namespace.
    pub(crate) fn open(name: &str) -> Result<Rules, KernelError> {
        let connection = Connection::open(weft_sys::netlink::Family::Netfilter)?;
        Ok(Rules {
            name: name.to_owned(),
            connection: Mutex::new(connection),
            watches_frames: AtomicBool::new(true),
        })
    }

    fn table(&self, family: Family) -> Table<'_> {
        let name = &self.name;
        Table { family, name }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere must not take networking down with it.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// By what events of our own changes are known.
    pub(crate) fn port(&self) -> u32 {
        self.connection().port()
    }

    /// Base chains of every table and family.
    pub(crate) fn base_chains(&self) -> Result<Vec<BaseChain>, KernelError> {
        nft::base_chains(&mut self.connection())
    }

    /// Whether this kernel keeps containers from sending as somebody else, as far as is known.
    pub(crate) fn watches_frames(&self) -> bool {
        self.watches_frames.load(Ordering::Relaxed)
    }

    /// Makes the tables hold this; says whether they held something else.
    pub(crate) fn bring(&self, packets: &Content, frames: &Content) -> Result<bool, KernelError> {
        let mut changed = self.bring_one(Family::Inet, packets)?;
        if self.watches_frames() {
            match self.bring_one(Family::Bridge, frames) {
                Err(error) if is_missing(&error) => {
                    self.watches_frames.store(false, Ordering::Relaxed);
                }
                other => changed |= other?,
            }
        }
        Ok(changed)
    }

    fn bring_one(&self, family: Family, wanted: &Content) -> Result<bool, KernelError> {
        let table = self.table(family);
        let mut connection = self.connection();
        let observed = nft::observe(&mut connection, table, wanted.sets)?;
        let ops = plan(wanted, observed.as_ref());
        nft::apply(&mut connection, table, &ops)?;
        Ok(!ops.is_empty())
    }

    /// Does `ops` to the table for packets, or nothing.
    pub(crate) fn change(&self, ops: &[Op]) -> Result<(), KernelError> {
        nft::apply(&mut self.connection(), self.table(Family::Inet), ops)
    }

    /// What the maps say of services; nothing when there are none.
    pub(crate) fn read_services(&self) -> Result<Vec<Element>, KernelError> {
        let mut connection = self.connection();
        let mut found = Vec::new();
        for set in ruleset::service_sets() {
            match nft::elements(&mut connection, self.table(Family::Inet), set.name) {
                Err(error) if error.is(Errno::NOENT) => {}
                other => found.extend(other?),
            }
        }
        Ok(found)
    }

    /// Takes out of a set that remembers what is meant; some of it may go by itself meanwhile.
    pub(crate) fn forget(
        &self,
        set: &'static str,
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Result<(), KernelError> {
        let mut connection = self.connection();
        let table = self.table(Family::Inet);
        let mut tries = 0;
        loop {
            let ops: Vec<Op> = nft::elements(&mut connection, table, set)?
                .into_iter()
                .filter(|element| is_meant(&element.key))
                .map(Op::DeleteElement)
                .collect();
            tries += 1;
            match nft::apply(&mut connection, table, &ops) {
                Err(error) if error.is(Errno::NOENT) && tries < MOST_TRIES => {}
                other => return other,
            }
        }
    }

    /// Adds to the table for frames: lets a port send, or a network meet by way of the machine.
    pub(crate) fn add_frames(
        &self,
        elements: impl IntoIterator<Item = Element>,
    ) -> Result<(), KernelError> {
        if !self.watches_frames() {
            return Ok(());
        }
        let ops: Vec<Op> = elements.into_iter().map(Op::AddElement).collect();
        nft::apply(&mut self.connection(), self.table(Family::Bridge), &ops)
    }

    /// Forgets ports that are gone.
    pub(crate) fn remove_senders(&self, links: &HashSet<&str>) -> Result<(), KernelError> {
        if !self.watches_frames() {
            return Ok(());
        }
        let table = self.table(Family::Bridge);
        let mut connection = self.connection();
        // Who reads and changes under one lock deletes nothing that is not there.
        let present = match nft::elements(&mut connection, table, SENDERS) {
            Err(error) if error.is(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let ops: Vec<Op> = present
            .into_iter()
            .filter(|sender| links.contains(frames::link_of(sender)))
            .map(Op::DeleteElement)
            .collect();
        nft::apply(&mut connection, table, &ops)
    }

    /// Deletes both tables.
    pub(crate) fn delete(&self) -> Result<(), KernelError> {
        let mut connection = self.connection();
        for family in [Family::Inet, Family::Bridge] {
            let table = self.table(family);
            match nft::observe(&mut connection, table, &[]) {
                Ok(Some(_)) => nft::apply(&mut connection, table, &[Op::DeleteTable])?,
                Ok(None) => {}
                Err(error) if family == Family::Bridge && is_missing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether the kernel knows no such tables or chains.
fn is_missing(error: &KernelError) -> bool {
    [Errno::OPNOTSUPP, Errno::AFNOSUPPORT, Errno::NOENT]
        .iter()
        .any(|errno| error.is(*errno))
}
