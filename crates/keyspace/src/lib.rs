//! Versioned keys: what the cluster is to be, and was.
//!
//! Owns: etcd's model. One counter of revisions; each commit changes several keys or none, and is
//! on disk when it is answered; what was is kept until it is compacted, and can be read and watched
//! from any revision since.
//! Never: what a value means.
//!
//! ```text
//!   commit ──► guards hold? ──► next revision ──► on disk ──► index, ring ──► answer
//!                                                               │      │
//!   range, at this or an older revision ◄───────────────────────┘      └──► watches
//! ```

pub mod conformance;
mod disk;
mod error;
mod fold;
pub mod fuzz;
mod history;
mod hub;
mod index;
mod item;
mod lease;
mod local;
mod memo;
mod open;
mod options;
mod queue;
mod request;
mod snapshot;
mod stage;
mod state;
mod timer;
mod watch;
mod writer;

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use error::{CommitError, ReadError, WatchError};
pub use item::{Event, EventKind, Item, LeaseId, Revision};
pub use local::{Local, memory};
pub use memo::Memo;
pub use open::{OpenError, embedded};
pub use options::Options;
pub use request::{
    Batch, Change, Commit, Committed, Expect, Found, Guard, Range, Span, Watch, WatchSource,
};
pub use snapshot::{RestoreError, Snapshot, restore, verify};

/// Longest key, in bytes.
pub const LONGEST_KEY: usize = 1024;
/// Largest value, in bytes: etcd's limit of a request.
pub const LARGEST_VALUE: usize = 1536 * 1024;
/// Most guards and changes of one commit, together.
pub const LARGEST_COMMIT: usize = 1024;

/// A keyspace. All backends pass one conformance suite.
pub trait Keyspace: Debug + Send + Sync {
    /// The newest revision that can be read.
    fn revision(&self) -> BoxFuture<'_, Result<Revision, ReadError>>;

    /// The items of a span, in the order of their keys, as they are or were.
    ///
    /// # Errors
    /// [`ReadError::Compacted`] and [`ReadError::Future`] for a revision that cannot be read.
    fn range(&self, range: Range) -> BoxFuture<'_, Result<Found, ReadError>>;

    /// Makes all changes, if all guards hold, as one revision. It is durable when this answers.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] names the first guard that does not hold.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>>;

    /// Every change in a span after `after`, in order, without a gap.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] if changes after `after` are gone, [`WatchError::Future`] if
    /// `after` has not happened yet.
    fn watch(&self, span: Span, after: Revision) -> BoxFuture<'_, Result<Watch, WatchError>>;

    /// A lease of `ttl`. Keys put under it are deleted when it is not kept alive for so long.
    fn grant(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, CommitError>>;

    /// Lets the lease's time begin anew.
    ///
    /// # Errors
    /// [`CommitError::NoLease`] when it is over.
    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CommitError>>;

    /// Ends the lease, and deletes the keys under it; one that is over is ended already.
    fn revoke(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CommitError>>;

    /// Forgets what was before `to`: what is now stays, and what was at `to` can still be read.
    ///
    /// # Errors
    /// [`ReadError::Future`] for a revision that has not happened yet.
    fn compact(&self, to: Revision) -> BoxFuture<'_, Result<(), ReadError>>;
}
