//! What every backend has to do: its tests hand a keyspace to [`all`].
//!
//! Owns the checks. They share one keyspace, each below a prefix of its own, and assume nothing of
//! its revisions but their order; none measures time.

mod commits;
mod compaction;
mod leases;
mod ranges;
mod watches;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{Change, Commit, Committed, Event, Expect, Guard, Keyspace, Range, Revision, Span};
use crate::{CommitError, Found, Watch};

/// One check, of a keyspace, below a prefix that nobody else uses.
pub type Check = for<'a> fn(&'a Bed<'a>) -> BoxFuture<'a, ()>;

/// Their names and themselves. Compaction comes last: it is for the whole keyspace.
pub const CHECKS: &[(&str, Check)] = &[
    ("commits are numbered in order", commits::numbered),
    ("several keys change at once or not at all", commits::atomic),
    ("the first guard that fails is named", commits::guards),
    ("versions are counted from 1", commits::versions),
    ("what is not there is deleted already", commits::deletes),
    ("bad commits are refused", commits::refused),
    ("of commits at once one wins", commits::contended),
    ("ranges are ordered, limited and counted", ranges::limits),
    ("spans end where they say", ranges::spans),
    ("older revisions can be read", ranges::past),
    ("a watch is ordered, unique and whole", watches::complete),
    ("a watch resumes where another ended", watches::resumed),
    ("a watch sees its span only", watches::filtered),
    ("events say what was before", watches::previous),
    (
        "a watch gets ahead by what others change",
        watches::progress,
    ),
    ("a batch has whole commits", watches::whole),
    ("a cancelled receive loses nothing", watches::cancelled),
    ("the future cannot be read or watched", watches::future),
    ("a lease takes its keys along", leases::revoked),
    ("a lease ends by itself", leases::expired),
    ("a key leaves its lease", leases::detached),
    ("a lease that is over is no lease", leases::over),
    ("what was before a compaction is gone", compaction::edges),
    ("a delete at the edge stays deleted", compaction::deleted),
    ("a watch from the edge misses nothing", compaction::watched),
    ("compacting again changes nothing", compaction::again),
];

/// Runs all checks, one after the other, on a keyspace that nobody else uses.
///
/// # Panics
/// Where one fails.
pub async fn all(keyspace: &dyn Keyspace) {
    for (number, (name, check)) in CHECKS.iter().enumerate() {
        println!("conformance: {name}");
        let prefix = format!("/conformance/{number}/");
        check(&Bed { keyspace, prefix }).await;
    }
}

/// What a check works on.
#[derive(Debug)]
pub struct Bed<'a> {
    keyspace: &'a dyn Keyspace,
    prefix: String,
}

impl Bed<'_> {
    fn key(&self, name: &str) -> Bytes {
        format!("{}{name}", self.prefix).into()
    }

    fn span(&self) -> Span {
        Span::prefix(self.prefix.clone())
    }

    fn put_change(&self, name: &str, value: &str) -> Change {
        Change::Put {
            key: self.key(name),
            value: Bytes::copy_from_slice(value.as_bytes()),
            lease: None,
        }
    }

    fn delete_change(&self, name: &str) -> Change {
        Change::Delete {
            key: self.key(name),
        }
    }

    fn guard(&self, name: &str, expect: Expect) -> Guard {
        Guard {
            key: self.key(name),
            expect,
        }
    }

    async fn commit(&self, changes: Vec<Change>) -> Committed {
        let guards = Vec::new();
        let commit = Commit { guards, changes };
        self.keyspace.commit(commit).await.expect("a commit")
    }

    async fn guarded(&self, guards: Vec<Guard>, changes: Vec<Change>) -> Answer {
        self.keyspace.commit(Commit { guards, changes }).await
    }

    async fn put(&self, name: &str, value: &str) -> Revision {
        self.commit(vec![self.put_change(name, value)])
            .await
            .revision
    }

    async fn delete(&self, name: &str) -> Revision {
        self.commit(vec![self.delete_change(name)]).await.revision
    }

    async fn range(&self, at: Option<Revision>, limit: Option<usize>) -> Found {
        let span = self.span();
        let range = Range { span, at, limit };
        self.keyspace.range(range).await.expect("a range")
    }

    /// Names and values, at a revision.
    async fn texts(&self, at: Option<Revision>) -> Vec<(String, String)> {
        let found = self.range(at, None).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let texts = found
            .items
            .iter()
            .map(|item| (text(&item.key[self.prefix.len()..]), text(&item.value)));
        texts.collect()
    }

    async fn watch(&self, after: Revision) -> Watch {
        let watch = self.keyspace.watch(self.span(), after).await;
        watch.expect("a watch")
    }

    async fn now(&self) -> Revision {
        self.keyspace.revision().await.expect("a revision")
    }
}

type Answer = Result<Committed, CommitError>;

/// Waits for `count` events.
async fn events(watch: &mut Watch, count: usize) -> Vec<std::sync::Arc<Event>> {
    let mut events = Vec::new();
    while events.len() < count {
        match watch.receive().await.expect("a batch") {
            crate::Batch::Events(more) => {
                assert!(!more.is_empty(), "a batch of no events");
                events.extend(more);
            }
            crate::Batch::Progress(_) => {}
        }
    }
    assert_eq!(events.len(), count, "more events than changes: {events:?}");
    events
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    owned.collect()
}
