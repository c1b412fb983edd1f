//! Why a keyspace refuses.

use std::sync::Arc;

use bytes::Bytes;

use crate::item::{Item, LeaseId, Revision};

/// Why nothing could be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// What was then is forgotten.
    #[error("revision {asked} is compacted; {oldest} is the oldest that can be read")]
    Compacted {
        /// What was asked for.
        asked: Revision,
        /// The oldest there is.
        oldest: Revision,
    },
    /// It has not happened yet.
    #[error("revision {asked} has not happened yet; {newest} is the newest")]
    Future {
        /// What was asked for.
        asked: Revision,
        /// The newest there is.
        newest: Revision,
    },
    /// What is forgotten could not be written down; it is still there.
    #[error("the keyspace cannot be written: {0}")]
    Full(Arc<str>),
    /// The store does not answer.
    #[error("the keyspace is closed: {0}")]
    Closed(Arc<str>),
}

/// Why nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// A guard does not hold.
    #[error("the guard of {} does not hold", String::from_utf8_lossy(.key))]
    Conflict {
        /// The guard's key.
        key: Bytes,
        /// What is there.
        found: Option<Arc<Item>>,
        /// For which revision that is true.
        revision: Revision,
    },
    /// No such lease.
    #[error("lease {} is over", .0.0)]
    NoLease(LeaseId),
    /// The request is not one: too large, or a key twice.
    #[error("{0}")]
    Invalid(String),
    /// It could not be written; nothing of it is there.
    #[error("the keyspace cannot be written: {0}")]
    Full(Arc<str>),
    /// The store does not answer. The commit may have been made or not.
    #[error("the keyspace is closed: {0}")]
    Closed(Arc<str>),
}

/// Why there is no watch, or no more of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// Changes since then are forgotten.
    #[error("changes after revision {asked} are compacted; {oldest} is the oldest that is left")]
    Compacted {
        /// From where.
        asked: Revision,
        /// The oldest that can be watched from.
        oldest: Revision,
    },
    /// It has not happened yet.
    #[error("revision {asked} has not happened yet; {newest} is the newest")]
    Future {
        /// From where.
        asked: Revision,
        /// The newest there is.
        newest: Revision,
    },
    /// The watcher took so long that what it missed is gone.
    #[error("the watcher fell behind: after revision {seen} it took too long")]
    Slow {
        /// The last it has seen.
        seen: Revision,
    },
    /// The store does not answer.
    #[error("the keyspace is closed: {0}")]
    Closed(Arc<str>),
}
