//! What is asked, and answered.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::WatchError;
use crate::item::{Event, Item, LeaseId, Revision};

/// Keys from `start` on, before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first that may be in it.
    pub start: Bytes,
    /// The first that is not; nothing: there is no end.
    pub end: Option<Bytes>,
}

impl Span {
    /// One key.
    pub fn key(key: impl Into<Bytes>) -> Span {
        let start: Bytes = key.into();
        let end = [&start[..], &[0]].concat();
        Span {
            start,
            end: Some(end.into()),
        }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Span {
        let start: Bytes = prefix.into();
        let mut end = start.to_vec();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                return Span {
                    start,
                    end: Some(end.into()),
                };
            }
        }
        Span { start, end: None }
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }
}

/// What to read.
#[derive(Clone, Debug)]
pub struct Range {
    /// Which keys.
    pub span: Span,
    /// As they were then; nothing: as they are.
    pub at: Option<Revision>,
    /// At most so many items; nothing: all.
    pub limit: Option<usize>,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// The revision it is true for.
    pub revision: Revision,
    /// In the order of their keys.
    pub items: Vec<Arc<Item>>,
    /// How many more there are beyond the limit.
    pub left: usize,
}

/// Changes, and what has to be true for them.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// All must hold.
    pub guards: Vec<Guard>,
    /// Made in this order; a key may be changed once.
    pub changes: Vec<Change>,
}

/// What must be true of a key.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The key.
    pub key: Bytes,
    /// What.
    pub expect: Expect,
}

/// See [`Guard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// There is one.
    Present,
    /// It has the value it got then.
    Modified(Revision),
}

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    /// The key has this value from now on.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// The lease it is under from now on.
        lease: Option<LeaseId>,
    },
    /// The key is gone; one that is not there is gone already.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// What a commit came to.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its revision; the newest there is, if it changed nothing.
    pub revision: Revision,
    /// For each change the new version, or the version that is gone.
    pub items: Vec<Option<Arc<Item>>>,
}

/// What a watch hands out.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Changes, of whole commits.
    Events(Vec<Arc<Event>>),
    /// Nothing in the span changed up to here.
    Progress(Revision),
}

/// A watch that goes on. Dropped, it ends.
#[derive(Debug)]
pub struct Watch(Box<dyn WatchSource>);

/// A backend's side of a watch.
pub trait WatchSource: std::fmt::Debug + Send + Sync {
    /// See [`Watch::receive`].
    fn receive(&mut self) -> BoxFuture<'_, Result<Batch, WatchError>>;

    /// See [`Watch::progress`].
    fn progress(&mut self) -> Revision;
}

impl Watch {
    /// Wraps a backend's.
    pub fn new(source: impl WatchSource + 'static) -> Watch {
        Watch(Box::new(source))
    }

    /// What comes next. Cancelled, it has lost nothing.
    ///
    /// # Errors
    /// [`WatchError::Slow`] when this watcher is so far behind that what it missed is gone.
    pub fn receive(&mut self) -> BoxFuture<'_, Result<Batch, WatchError>> {
        self.0.receive()
    }

    /// Everything up to this revision has been handed out.
    pub fn progress(&mut self) -> Revision {
        self.0.progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_where_its_prefix_does() {
        let pods = Span::prefix("/pods/");
        assert!(pods.contains(b"/pods/a") && pods.contains(b"/pods/"));
        assert!(!pods.contains(b"/pods") && !pods.contains(b"/pods0"));
        assert_eq!(Span::prefix(vec![0xff, 0xff]).end, None);
        assert_eq!(Span::prefix("").end, None);
        let one = Span::key("a");
        assert!(one.contains(b"a") && !one.contains(b"a\0") && !one.contains(b"b"));
    }
}
