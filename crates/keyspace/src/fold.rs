//! Folding a stretch of history into the base, piece by piece.
//!
//! Owns how far that has come. A piece goes along with a commit and for one sync of both, so it is
//! small; a stretch is long, and goes in the order of its keys: what is changed often is written
//! once, and what lies together in the base together.
//!
//! ```text
//!   collect ──► write, key by key ──► made: the base is at `to` ──► sweep the log, forget
//!   (memory)    base: [.. at `to` | as before ..]                   (disk)        (memory)
//! ```
//!
//! Stopped halfway, the log decides what is at `to`: of a key whose value may have changed in the
//! base it has a later record. It starts from there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::disk::Fold;
use crate::history::History;
use crate::item::{EventKind, Item, Revision};

/// Most revisions of a stretch, and bytes.
const STRETCH: u64 = 16 << 10;
const STRETCH_BYTES: usize = 16 << 20;

/// What each key has become; nothing: it is gone.
pub(crate) type Becomes = BTreeMap<Bytes, Option<Arc<Item>>>;

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// How long somebody is waited for who commits.
    pub(crate) wait: Duration,
    /// Whether it is left to be when somebody comes, who would have to wait for it.
    pub(crate) is_put_off: bool,
    /// Most items that are written; twice as many revisions are read or forgotten.
    items: usize,
    bytes: usize,
}

/// In a lull.
pub(crate) const IDLE: Step = Step {
    wait: Duration::from_millis(5),
    is_put_off: true,
    items: 1024,
    bytes: 4 << 20,
};
/// Somebody has asked for it, or no lull has come and there is too much history.
pub(crate) const ASKED: Step = Step {
    wait: Duration::from_millis(1),
    is_put_off: false,
    ..IDLE
};

impl Step {
    /// Enough to keep up with batches of so many commits.
    pub(crate) fn beside(self, commits: usize) -> Step {
        let times = commits.div_ceil(self.items / 4).max(1);
        Step {
            items: self.items * times,
            ..self
        }
    }

    fn revisions(&self) -> u64 {
        2 * self.items as u64
    }
}

/// A stretch on its way.
#[derive(Debug)]
pub(crate) struct Folding {
    /// Its last revision.
    pub(crate) to: Revision,
    /// What is read from memory next, and the bytes so far.
    next: Revision,
    bytes: usize,
    /// What is still to be written.
    items: Becomes,
    /// How many of them are being written.
    piece: usize,
    /// All of it is in the base.
    is_made: bool,
    /// The log has nothing of it any more.
    is_swept: bool,
}

impl Folding {
    /// From the revision after the compacted one, and no further than `target`.
    pub(crate) fn begin(compacted: Revision, target: Revision) -> Folding {
        Folding {
            to: target.min(Revision(compacted.0 + STRETCH)),
            next: Revision(compacted.0 + 1),
            bytes: 0,
            items: Becomes::new(),
            piece: 0,
            is_made: false,
            is_swept: false,
        }
    }

    /// One that an earlier process has left unfinished.
    pub(crate) fn resume(to: Revision, items: Becomes) -> Folding {
        Folding {
            next: Revision(to.0 + 1),
            items,
            ..Folding::begin(to, to)
        }
    }

    /// The next piece for the disk; nothing: this step has none for it.
    pub(crate) fn piece(&mut self, history: &History, step: &Step) -> Option<Fold> {
        self.collect(history, step);
        if self.next <= self.to || self.is_swept {
            return None;
        }
        let mut bytes = 0;
        let fits = |(key, item): &(&Bytes, &Option<Arc<Item>>)| {
            let is_within = bytes < step.bytes;
            bytes += key.len() + item.as_ref().map_or(0, |item| item.value.len());
            is_within
        };
        let piece = self.items.iter().take(step.items).take_while(fits);
        let items: Vec<_> = piece
            .map(|(key, item)| (key.clone(), item.clone()))
            .collect();
        self.piece = items.len();
        Some(Fold {
            to: self.to,
            is_last: self.piece == self.items.len(),
            items,
            rows: step.items / 2,
        })
    }

    /// The piece is on disk. Answers with the compacted revision if it was the last.
    pub(crate) fn made(&mut self, is_swept: bool) -> Option<Revision> {
        for _ in 0..std::mem::take(&mut self.piece) {
            self.items.pop_first();
        }
        self.is_made = self.items.is_empty();
        self.is_swept = self.is_made && is_swept;
        self.is_made.then_some(self.to)
    }

    /// The base was found at `compacted` when the disk was opened again.
    pub(crate) fn found(&mut self, compacted: Revision) {
        if compacted >= self.to {
            self.items.clear();
            self.next = Revision(self.to.0 + 1);
            self.is_made = true;
        }
    }

    /// Up to where memory may forget now.
    pub(crate) fn forgettable(&self, compacted: Revision, step: &Step) -> Option<Revision> {
        let to = self.to.min(Revision(compacted.0 + step.revisions()));
        self.is_made.then_some(to)
    }

    /// Whether nothing is left to be done, where memory has forgotten what was until `compacted`.
    pub(crate) fn is_over(&self, compacted: Revision) -> bool {
        self.is_swept && compacted >= self.to
    }

    fn collect(&mut self, history: &History, step: &Step) {
        if self.next > self.to {
            return;
        }
        let until = Revision(self.next.0 + step.revisions());
        for entry in history.from(self.next) {
            if entry.revision > self.to || entry.revision >= until {
                break;
            }
            self.bytes += entry.bytes();
            self.next = Revision(entry.revision.0 + 1);
            for event in &entry.events {
                let item = (event.kind != EventKind::Deleted).then(|| Arc::clone(&event.item));
                self.items.insert(event.item.key.clone(), item);
            }
            if self.bytes > STRETCH_BYTES {
                self.to = entry.revision;
            }
        }
    }
}
