//! What is stored, and what happens to it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// A commit's number, from 1. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// One version of a key. Shared by all who read it.
#[derive(Debug)]
pub struct Item {
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// When the key came to be.
    pub created: Revision,
    /// When it got this value.
    pub modified: Revision,
    /// How many values it has had since it came to be, from 1.
    pub version: u64,
    /// The lease it is under.
    pub lease: Option<LeaseId>,
    /// What a reader makes of the value, made once.
    pub memo: Memo,
}

/// A place for what a reader makes of a value or an event, so that the next need not make it again.
#[derive(Default)]
pub struct Memo(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Memo {
    /// What was made before, or `make`'s. The first type kept here wins; for another type it is
    /// made each time.
    pub fn get_or<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(kept) = self.0.get() {
            return Arc::clone(kept)
                .downcast()
                .unwrap_or_else(|_| Arc::new(make()));
        }
        let made = Arc::new(make());
        // Two readers at once: both are right, and one is kept.
        let _ = self.0.set(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
        made
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "made" } else { "-" })
    }
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It came to be.
    Created,
    /// It got another value.
    Changed,
    /// It is gone.
    Deleted,
}

/// One change of one key. Shared by all who watch.
#[derive(Debug)]
pub struct Event {
    /// The commit's.
    pub revision: Revision,
    /// What happened.
    pub kind: EventKind,
    /// The new version; of a deleted key, the last.
    pub item: Arc<Item>,
    /// The version before; nothing for a new key, or where it is compacted.
    pub previous: Option<Arc<Item>>,
    /// What a watcher makes of it.
    pub memo: Memo,
}
