//! Commits: order, atomicity, guards, versions, deletes, bounds.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

use super::{Bed, pairs};
use crate::{Change, CommitError, Expect, LARGEST_COMMIT, LARGEST_VALUE, LONGEST_KEY};
use crate::{Commit, Revision};

pub(super) fn numbered<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let mut last = bed.now().await;
        for _ in 0..20 {
            let next = bed.put("a", "x").await;
            assert!(next > last);
            assert!(bed.now().await >= next, "what is answered can be read");
            last = next;
        }
        // A commit of nothing is none.
        let nothing = bed.commit(Vec::new()).await;
        assert_eq!((nothing.revision, nothing.items.len()), (last, 0));
        assert_eq!(bed.put("a", "x").await, Revision(last.0 + 1));
    }
    .boxed()
}

pub(super) fn atomic<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let changes = vec![bed.put_change("b", "1"), bed.put_change("a", "2")];
        let made = bed.commit(changes).await;
        let found = bed.range(None, None).await;
        for item in &found.items {
            assert_eq!(
                (item.created, item.modified),
                (made.revision, made.revision)
            );
        }
        let keys: Vec<_> = made.items.iter().flatten().map(|item| &item.key).collect();
        assert_eq!(keys, [&bed.key("b"), &bed.key("a")], "in the order asked");
        // One guard of two fails: nothing of it is there.
        let guards = vec![
            bed.guard("a", Expect::Present),
            bed.guard("c", Expect::Present),
        ];
        let changes = vec![bed.put_change("a", "3"), bed.delete_change("b")];
        let refused = bed.guarded(guards, changes).await;
        assert!(matches!(refused, Err(CommitError::Conflict { .. })));
        assert_eq!(bed.texts(None).await, pairs(&[("a", "2"), ("b", "1")]));
        assert_eq!(bed.now().await, made.revision, "a refusal is no revision");
        // Put and delete at once.
        let changes = vec![bed.put_change("c", "4"), bed.delete_change("b")];
        bed.commit(changes).await;
        assert_eq!(bed.texts(None).await, pairs(&[("a", "2"), ("c", "4")]));
    }
    .boxed()
}

pub(super) fn guards<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let first = bed.put("a", "1").await;
        let second = bed.put("a", "2").await;
        let holds = [
            bed.guard("a", Expect::Present),
            bed.guard("a", Expect::Modified(second)),
            bed.guard("z", Expect::Absent),
        ];
        let made = bed.guarded(holds.to_vec(), vec![bed.put_change("b", "1")]);
        made.await.expect("all guards hold");
        let fails = [
            bed.guard("a", Expect::Absent),
            bed.guard("a", Expect::Modified(first)),
            bed.guard("z", Expect::Present),
            bed.guard("z", Expect::Modified(first)),
            bed.guard("z", Expect::Modified(Revision(0))),
        ];
        for fail in fails {
            let guards = vec![holds[0].clone(), fail.clone(), holds[2].clone()];
            let refused = bed.guarded(guards, vec![bed.put_change("b", "2")]).await;
            let Err(CommitError::Conflict {
                key,
                found,
                revision,
            }) = refused
            else {
                panic!("{fail:?} is met by {refused:?}");
            };
            assert_eq!(key, fail.key);
            let modified = (key == bed.key("a")).then_some(second);
            assert_eq!(found.map(|item| item.modified), modified);
            assert!(revision > second);
        }
        assert_eq!(bed.texts(None).await, pairs(&[("a", "2"), ("b", "1")]));
        // Guards alone ask a question.
        let asked = bed.guarded(vec![holds[1].clone()], Vec::new()).await;
        assert_eq!(asked.expect("it holds").revision, bed.now().await);
    }
    .boxed()
}

pub(super) fn versions<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let created = bed.put("a", "1").await;
        for version in 2..5 {
            let made = bed.commit(vec![bed.put_change("a", "x")]).await;
            let item = made.items[0].as_ref().expect("it was put");
            assert_eq!((item.created, item.version), (created, version));
            assert_eq!(item.modified, made.revision);
        }
        bed.delete("a").await;
        let again = bed.commit(vec![bed.put_change("a", "y")]).await;
        let item = again.items[0].as_ref().expect("it was put");
        assert_eq!((item.created, item.version), (again.revision, 1));
    }
    .boxed()
}

pub(super) fn deletes<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let put = bed.put("a", "1").await;
        let gone = bed.commit(vec![bed.delete_change("a")]).await;
        assert!(gone.revision > put);
        let last = gone.items[0].as_ref().expect("what is gone");
        assert_eq!((last.modified, &last.value[..]), (put, &b"1"[..]));
        let nothing = bed.commit(vec![bed.delete_change("a")]).await;
        assert_eq!(nothing.revision, gone.revision, "it was gone already");
        assert!(nothing.items[0].is_none());
        assert!(bed.range(None, None).await.items.is_empty());
    }
    .boxed()
}

pub(super) fn refused<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let before = bed.now().await;
        let put = |key: Bytes, size: usize| Change::Put {
            key,
            value: vec![b'x'; size].into(),
            lease: None,
        };
        let long = |length| Bytes::from(format!("{}{:x<length$}", bed.prefix, ""));
        let fits = LONGEST_KEY - bed.prefix.len();
        let many = |count| (0..count).map(|n| bed.put_change(&n.to_string(), "x"));
        let bad: Vec<Vec<Change>> = vec![
            vec![put(Bytes::new(), 1)],
            vec![put(long(fits + 1), 1)],
            vec![put(bed.key("a"), LARGEST_VALUE + 1)],
            vec![put(bed.key("a"), LARGEST_VALUE), put(bed.key("b"), 1)],
            vec![put(bed.key("a"), 1), bed.delete_change("a")],
            many(LARGEST_COMMIT + 1).collect(),
        ];
        for changes in bad {
            let count = changes.len();
            let refused = bed.guarded(Vec::new(), changes).await;
            let invalid = matches!(refused, Err(CommitError::Invalid(_)));
            assert!(invalid, "of {count} changes: {:?}", refused.is_ok());
        }
        assert_eq!(bed.now().await, before);
        // What just fits.
        bed.commit(vec![put(long(fits), LARGEST_VALUE)]).await;
        bed.commit(many(LARGEST_COMMIT).collect()).await;
        assert_eq!(bed.range(None, Some(0)).await.left, LARGEST_COMMIT + 1);
    }
    .boxed()
}

pub(super) fn contended<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let commit = |n: usize| {
            bed.keyspace.commit(Commit {
                guards: vec![bed.guard("lock", Expect::Absent)],
                changes: vec![
                    bed.put_change("lock", &n.to_string()),
                    bed.put_change(&n.to_string(), ""),
                ],
            })
        };
        let answers = join_all((0..50).map(commit)).await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1);
        for answer in answers {
            match answer {
                Ok(_) => {}
                Err(CommitError::Conflict { found, .. }) => assert!(found.is_some()),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(bed.range(None, None).await.items.len(), 2);
    }
    .boxed()
}
