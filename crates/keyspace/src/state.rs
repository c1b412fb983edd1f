//! What a keyspace of this process holds in memory.
//!
//! Owns the order of things: a change is staged (in the index, seen by the guards of what comes
//! after it, by no reader), then published to readers and watchers, or rolled back.
//!
//! ```text
//!   stage* ──► on disk? ──► publish      index: [.. published | staged ..]
//!                 └─ no ──► rollback     history, revision: up to published
//! ```

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::{ReadError, WatchError};
use crate::history::{Entry, History};
use crate::index::{Index, Version};
use crate::item::{Event, EventKind, LeaseId, Revision};
use crate::lease::{Lease, Leases};
use crate::request::{Found, Range};

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) history: History,
    pub(crate) leases: Leases,
    pub(crate) revision: Revision,
    pub(crate) staged: Staged,
    /// Up to where what was written has left nothing in memory that nobody needs.
    pub(crate) relieved: Revision,
    /// When the timer will look again; nothing: it sleeps.
    pub(crate) timer: Option<Instant>,
    /// Why nothing more will come.
    pub(crate) closed: Option<Arc<str>>,
}

/// What is not published yet.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) entries: Vec<Entry>,
    pub(crate) granted: Vec<LeaseId>,
    pub(crate) ended: Vec<(LeaseId, Lease)>,
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.granted.is_empty() && self.ended.is_empty()
    }
}

impl State {
    /// The newest revision, counting what is not published yet.
    pub(crate) fn newest(&self) -> Revision {
        let last = self.staged.entries.last();
        last.map_or(self.revision, |entry| entry.revision)
    }

    /// Adds one revision. Its events are in order, and each about another key.
    pub(crate) fn stage(&mut self, events: Vec<Arc<Event>>, now: Instant) {
        let revision = Revision(self.newest().0 + 1);
        for event in &events {
            let item = &event.item;
            if let Some(before) = &event.previous {
                self.leases.detach(before.lease, &item.key);
            }
            let version = if event.kind == EventKind::Deleted {
                Version::Gone(revision)
            } else {
                self.leases.attach(item.lease, &item.key);
                Version::Value(Arc::clone(item))
            };
            self.index.push(&item.key, version);
        }
        self.staged.entries.push(Entry {
            revision,
            at: now,
            events,
        });
    }

    /// What is staged is true from now on. Answers with the revisions since which it is.
    pub(crate) fn publish(&mut self) -> Option<Revision> {
        self.revision = self.newest();
        let staged = std::mem::take(&mut self.staged);
        let first = staged.entries.first().map(|entry| entry.revision);
        for entry in staged.entries {
            self.history.push(entry);
        }
        first
    }

    /// What is staged has never been.
    pub(crate) fn rollback(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        for (id, lease) in staged.ended {
            self.leases.insert(id, lease);
        }
        for event in staged
            .entries
            .iter()
            .rev()
            .flat_map(|e| e.events.iter().rev())
        {
            let item = &event.item;
            self.index.pop(&item.key);
            if event.kind != EventKind::Deleted {
                self.leases.detach(item.lease, &item.key);
            }
            if let Some(before) = &event.previous {
                self.leases.attach(before.lease, &item.key);
            }
        }
        for id in staged.granted {
            self.leases.remove(id);
        }
    }

    /// Forgets what was before `to`, which has happened.
    pub(crate) fn compact(&mut self, to: Revision) {
        for entry in self.history.forget(to) {
            for event in &entry.events {
                self.index.trim(&event.item.key, to);
            }
        }
    }

    pub(crate) fn read(&self, range: &Range) -> Result<Found, ReadError> {
        let at = range.at.unwrap_or(self.revision);
        let (oldest, newest) = (self.history.compacted(), self.revision);
        if at > newest {
            return Err(ReadError::Future { asked: at, newest });
        }
        if at < oldest {
            return Err(ReadError::Compacted { asked: at, oldest });
        }
        let mut found = self.index.range(&range.span, at);
        let limit = range.limit.unwrap_or(usize::MAX);
        let items = found.by_ref().take(limit).map(Arc::clone).collect();
        Ok(Found {
            revision: at,
            items,
            left: found.count(),
        })
    }

    /// Whether changes after `after` can be watched.
    pub(crate) fn watchable(&self, after: Revision) -> Result<(), WatchError> {
        let (asked, oldest, newest) = (after, self.history.compacted(), self.revision);
        if let Some(why) = &self.closed {
            return Err(WatchError::Closed(Arc::clone(why)));
        }
        if asked > newest {
            return Err(WatchError::Future { asked, newest });
        }
        if asked < oldest {
            return Err(WatchError::Compacted { asked, oldest });
        }
        Ok(())
    }
}
