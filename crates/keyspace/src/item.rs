//! What is stored, and what happens to it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::memo::Memo;

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
    /// What a reader makes of the value.
    pub memo: Memo,
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
