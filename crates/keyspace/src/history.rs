//! Every change since the last compaction, in order: what all watches are served from.
//!
//! Owns the events and the bounds on them. Entries are without holes: the first follows the
//! compacted revision.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::item::{Event, Revision};
use crate::options::Options;

/// What an event costs besides its key and value.
const EVENT_BYTES: usize = 256;

/// One revision.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) revision: Revision,
    pub(crate) at: Instant,
    pub(crate) events: Vec<Arc<Event>>,
}

impl Entry {
    pub(crate) fn bytes(&self) -> usize {
        let event = |e: &Arc<Event>| EVENT_BYTES + e.item.key.len() + e.item.value.len();
        self.events.iter().map(event).sum()
    }
}

#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    compacted: Revision,
    bytes: usize,
}

impl History {
    /// One that begins after `compacted`.
    pub(crate) fn after(compacted: Revision) -> History {
        History {
            compacted,
            ..History::default()
        }
    }

    pub(crate) fn compacted(&self) -> Revision {
        self.compacted
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// Everything from a revision on, which has to be after the compacted one.
    pub(crate) fn from(&self, first: Revision) -> impl Iterator<Item = &Entry> {
        let skip = first.0.saturating_sub(self.compacted.0 + 1);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.entries.range(skip.min(self.entries.len())..)
    }

    /// How many revisions there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes away what is not after `to`.
    pub(crate) fn forget(&mut self, to: Revision) -> Vec<Entry> {
        let count = usize::try_from(to.0.saturating_sub(self.compacted.0)).unwrap_or(usize::MAX);
        let gone: Vec<Entry> = self
            .entries
            .drain(..count.min(self.entries.len()))
            .collect();
        self.bytes -= gone.iter().map(Entry::bytes).sum::<usize>();
        self.compacted = self.compacted.max(to);
        gone
    }

    /// Where to compact to so that count and bytes are within bounds again; a tenth further, so
    /// that it is not done for each commit.
    pub(crate) fn excess(&self, options: &Options) -> Option<Revision> {
        let (revisions, bytes) = (options.history_revisions, options.history_bytes);
        if self.entries.len() <= revisions && self.bytes <= bytes {
            return None;
        }
        let (mut left, mut held) = (self.entries.len(), self.bytes);
        let enough = |left: usize, held: usize| {
            left <= revisions - revisions / 10 && held <= bytes - bytes / 10
        };
        let mut to = None;
        for entry in &self.entries {
            if enough(left, held) {
                break;
            }
            left -= 1;
            held -= entry.bytes();
            to = Some(entry.revision);
        }
        to
    }

    /// Whether there is so much that what is over the bounds has to go before more comes.
    pub(crate) fn is_pressing(&self, options: &Options) -> bool {
        self.entries.len() / 2 > options.history_revisions || self.bytes / 2 > options.history_bytes
    }

    /// The newest revision made at `then` or before.
    pub(crate) fn at(&self, then: Instant) -> Option<Revision> {
        let count = self.entries.partition_point(|entry| entry.at <= then);
        count.checked_sub(1).map(|last| self.entries[last].revision)
    }

    /// When the last change before the newest `few` was made, or the oldest of fewer.
    pub(crate) fn before(&self, few: usize) -> Option<Instant> {
        let last = self.entries.len().saturating_sub(few + 1);
        self.entries.get(last).map(|entry| entry.at)
    }

    /// When the oldest change was made.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.at)
    }
}
