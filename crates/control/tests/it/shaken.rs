//! A keyspace that lets others go first, as dice say, and notes what truly happened.
//!
//! In memory everything is done as soon as it is asked for: nobody would ever come between a read
//! and the commit that rests on it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use weft_keyspace::{
    Change, Commit, CommitError, Committed, Found, Keyspace, LeaseId, Local, Options, Range,
    ReadError, Revision, Span, Watch, WatchError, memory,
};

use crate::truth::Truth;

/// Most that come between.
const BETWEEN: u64 = 4;

/// Numbers that follow from a seed.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(AtomicU64::new(seed))
    }

    /// Below `sides`.
    pub(crate) fn roll(&self, sides: u64) -> u64 {
        // SplitMix64.
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// Whether one in `so_many`.
    pub(crate) fn one_in(&self, so_many: u64) -> bool {
        self.roll(so_many) == 0
    }

    /// Lets up to so many others go first.
    pub(crate) async fn pause(&self, most: u64) {
        for _ in 0..self.roll(most + 1) {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Debug)]
pub(crate) struct Shaken {
    inner: Local,
    dice: Arc<Dice>,
    truth: Mutex<Truth>,
}

impl Shaken {
    pub(crate) fn new(dice: &Arc<Dice>) -> Shaken {
        Shaken {
            inner: memory(Options::default()),
            dice: Arc::clone(dice),
            truth: Mutex::default(),
        }
    }

    pub(crate) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    async fn pause(&self) {
        self.dice.pause(BETWEEN).await;
    }

    async fn commit_and_note(&self, commit: Commit) -> Result<Committed, CommitError> {
        let changes = commit.changes.clone();
        let committed = self.inner.commit(commit).await?;
        let mut truth = self.truth();
        for (change, item) in changes.into_iter().zip(&committed.items) {
            let (key, value) = match change {
                Change::Put { key, value, .. } => (key, Some(value)),
                Change::Delete { key } => (key, None),
            };
            if item.is_some() {
                truth.note(committed.revision, &key, value);
            }
        }
        Ok(committed)
    }
}

impl Keyspace for Shaken {
    fn revision(&self) -> BoxFuture<'_, Result<Revision, ReadError>> {
        self.inner.revision()
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Found, ReadError>> {
        async move {
            self.pause().await;
            let found = self.inner.range(range).await;
            self.pause().await;
            found
        }
        .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        async move {
            self.pause().await;
            let committed = self.commit_and_note(commit).await;
            self.pause().await;
            committed
        }
        .boxed()
    }

    fn watch(&self, span: Span, after: Revision) -> BoxFuture<'_, Result<Watch, WatchError>> {
        async move {
            self.pause().await;
            self.inner.watch(span, after).await
        }
        .boxed()
    }

    fn grant(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, CommitError>> {
        self.inner.grant(ttl)
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CommitError>> {
        self.inner.keep_alive(lease)
    }

    fn revoke(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CommitError>> {
        self.inner.revoke(lease)
    }

    fn compact(&self, to: Revision) -> BoxFuture<'_, Result<(), ReadError>> {
        async move {
            self.inner.compact(to).await?;
            self.truth().compact(to);
            Ok(())
        }
        .boxed()
    }
}
