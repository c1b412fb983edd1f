//! From the tables back to memory, checking what is found.
//!
//! Owns our part of the integrity check: revisions without holes, each item what its key's history
//! makes of it. That pages are whole is redb's.

use std::fmt::Display;
use std::sync::Arc;

use redb::{ReadableDatabase as _, ReadableTable as _};
use tokio::time::Instant;

use super::record::{self, Written};
use super::{BASE, COMPACTED, Disk, DiskError, FOLDING, FORMAT, FORMAT_KNOWN, LEASE, LOG, META};
use crate::fold::{Becomes, Folding};
use crate::history::History;
use crate::index::Version;
use crate::item::{Event, EventKind, Item, Revision};
use crate::lease::Lease;
use crate::memo::Memo;
use crate::state::State;

/// What is on a disk.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    /// Up to where the base has all.
    pub(crate) compacted: Revision,
    /// A fold that has begun, and not ended.
    pub(crate) folding: Option<Folding>,
}

impl Disk {
    /// Everything there is; leases begin anew.
    pub(crate) fn load(&self, now: Instant) -> Result<Loaded, DiskError> {
        let read = self.database.begin_read()?;
        let meta = read.open_table(META)?;
        let number = |name: &str| -> Result<u64, DiskError> {
            let found = meta.get(name)?.map(|number| number.value());
            found.ok_or_else(|| damaged("meta", format_args!("there is no {name}")))
        };
        match number(FORMAT)? {
            FORMAT_KNOWN => {}
            other => return Err(DiskError::Format(other)),
        }
        let compacted = Revision(number(COMPACTED)?);
        let folding = meta.get(FOLDING)?.map(|number| Revision(number.value()));
        // The base is somewhere between, and the log knows better: history begins where it ends.
        let begins = folding.unwrap_or(compacted).max(compacted);
        let log = read.open_table(LOG)?;
        let becomes = becomes(&log, compacted, begins)?;
        let mut state = State {
            revision: begins,
            history: History::after(begins),
            ..State::default()
        };
        for row in read.open_table(LEASE)?.iter()? {
            let (key, value) = row?;
            let (id, ttl) = record::lease(value.value()).map_err(|why| damaged("lease", why))?;
            if id.0 != key.value() {
                return Err(damaged("lease", "one is in the place of another"));
            }
            state.leases.insert(id, Lease::new(ttl, now));
        }
        for row in read.open_table(BASE)?.iter()? {
            let (key, value) = row?;
            let at = String::from_utf8_lossy(key.value());
            let item = record::item(value.value()).map_err(|why| damaged(&at, why))?;
            if item.key != key.value() || item.modified > begins {
                return Err(damaged(&at, "it is not of this place"));
            }
            if !becomes.contains_key(&item.key) {
                put(&mut state, item);
            }
        }
        for item in becomes.values().flatten() {
            put(&mut state, Arc::clone(item));
        }
        for row in log.iter()? {
            let (first, records) = row?;
            replay(&mut state, first.value(), records.value(), now)?;
        }
        state.publish();
        Ok(Loaded {
            state,
            compacted,
            folding: folding.map(|to| Folding::resume(to, becomes)),
        })
    }
}

fn put(state: &mut State, item: Arc<Item>) {
    state.leases.attach(item.lease, &item.key);
    state.index.push(&item.key.clone(), Version::Value(item));
}

/// What the log says of the time after `compacted` until `to`.
fn becomes(
    log: &impl redb::ReadableTable<u64, &'static [u8]>,
    compacted: Revision,
    to: Revision,
) -> Result<Becomes, DiskError> {
    let mut becomes = Becomes::new();
    let mut seen = compacted;
    if to == compacted {
        return Ok(becomes);
    }
    for row in log.range(..=to.0)? {
        let (first, records) = row?;
        let mut rest = records.value();
        let mut place = first.value();
        while !rest.is_empty() {
            let at = format!("revision {place}");
            let logged = record::take_commit(&mut rest).map_err(|why| damaged(&at, why))?;
            place += 1;
            if logged.revision <= seen || logged.revision > to {
                continue;
            }
            if logged.revision.0 != seen.0 + 1 {
                return Err(damaged(
                    &at,
                    format_args!("revision {} is missing", seen.0 + 1),
                ));
            }
            seen = logged.revision;
            for change in logged.changes {
                match change {
                    Written::Put(item) => becomes.insert(item.key.clone(), Some(Arc::new(item))),
                    Written::Delete(key) => becomes.insert(key, None),
                };
            }
        }
    }
    match seen == to {
        true => Ok(becomes),
        false => Err(damaged(
            "log",
            format_args!("revision {} is missing", seen.0 + 1),
        )),
    }
}

/// Adds a chunk of the log, without what the base has already.
fn replay(state: &mut State, first: u64, mut rest: &[u8], now: Instant) -> Result<(), DiskError> {
    let mut place = first;
    while !rest.is_empty() {
        let at = format!("revision {place}");
        let logged = record::take_commit(&mut rest).map_err(|why| damaged(&at, why))?;
        if logged.revision.0 != place {
            return Err(damaged(&at, "another is in its place"));
        }
        place += 1;
        if logged.revision <= state.revision {
            continue;
        }
        let next = state.newest().0 + 1;
        if logged.revision.0 != next {
            return Err(damaged(&at, format_args!("revision {next} is missing")));
        }
        let events = logged
            .changes
            .into_iter()
            .map(|change| event(state, change, logged.revision));
        let events: Vec<Arc<Event>> = events
            .collect::<Result<_, _>>()
            .map_err(|why| damaged(&at, why))?;
        state.stage(events, now);
    }
    Ok(())
}

fn event(state: &State, change: Written, revision: Revision) -> Result<Arc<Event>, &'static str> {
    let key = match &change {
        Written::Put(item) => &item.key,
        Written::Delete(key) => key,
    };
    let previous = state.index.newest(key).cloned();
    if previous.as_ref().is_some_and(|p| p.modified >= revision) {
        return Err("a key is changed twice in it");
    }
    let (kind, item) = match (change, &previous) {
        (Written::Put(item), previous) => {
            follows(&item, previous.as_deref(), revision)?;
            let kind = match previous {
                Some(_) => EventKind::Changed,
                None => EventKind::Created,
            };
            (kind, Arc::new(item))
        }
        (Written::Delete(_), Some(previous)) => (EventKind::Deleted, Arc::clone(previous)),
        (Written::Delete(_), None) => return Err("it deletes what was not there"),
    };
    Ok(Arc::new(Event {
        revision,
        kind,
        item,
        previous,
        memo: Memo::default(),
    }))
}

fn follows(item: &Item, previous: Option<&Item>, revision: Revision) -> Result<(), &'static str> {
    let created = previous.map_or(revision, |previous| previous.created);
    let version = previous.map_or(1, |previous| previous.version + 1);
    if (item.created, item.modified, item.version) != (created, revision, version) {
        return Err("an item in it does not follow from what was before");
    }
    Ok(())
}

fn damaged(place: &str, what: impl Display) -> DiskError {
    DiskError::Damaged(format!("{place}: {what}"))
}
