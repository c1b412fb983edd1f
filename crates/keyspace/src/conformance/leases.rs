//! Leases: what is under them goes with them.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Bed, events, pairs};
use crate::{Change, CommitError, EventKind, LeaseId};

/// The shortest that etcd grants for sure.
const SHORT: Duration = Duration::from_secs(2);
/// Not in this test.
const LONG: Duration = Duration::from_secs(3600);

fn under(bed: &Bed<'_>, name: &str, lease: LeaseId) -> Change {
    Change::Put {
        key: bed.key(name),
        value: "x".into(),
        lease: Some(lease),
    }
}

async fn grant(bed: &Bed<'_>, ttl: Duration) -> LeaseId {
    bed.keyspace.grant(ttl).await.expect("a lease")
}

pub(super) fn revoked<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let (lease, other) = (grant(bed, LONG).await, grant(bed, LONG).await);
        assert_ne!(lease, other);
        let changes = vec![
            under(bed, "b", lease),
            under(bed, "a", lease),
            under(bed, "c", other),
            bed.put_change("d", "free"),
        ];
        let made = bed.commit(changes).await;
        let item = made.items[0].as_ref().expect("it was put");
        assert_eq!(item.lease, Some(lease));
        bed.keyspace.keep_alive(lease).await.expect("it is alive");
        let mut watch = bed.watch(made.revision).await;
        bed.keyspace.revoke(lease).await.expect("revoked");
        assert_eq!(bed.texts(None).await, pairs(&[("c", "x"), ("d", "free")]));
        let gone = events(&mut watch, 2).await;
        assert!(gone.iter().all(|event| event.kind == EventKind::Deleted));
        assert_eq!(gone[0].revision, gone[1].revision, "all keys at once");
        bed.keyspace.revoke(lease).await.expect("over already");
        bed.keyspace.revoke(other).await.expect("revoked");
    }
    .boxed()
}

pub(super) fn expired<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let long = grant(bed, LONG).await;
        let short = grant(bed, SHORT).await;
        bed.keyspace.keep_alive(short).await.expect("it is alive");
        let changes = vec![under(bed, "long", long), under(bed, "short", short)];
        let made = bed.commit(changes).await;
        let mut watch = bed.watch(made.revision).await;
        let gone = events(&mut watch, 1).await;
        assert_eq!(gone[0].item.key, bed.key("short"));
        assert_eq!(gone[0].kind, EventKind::Deleted);
        assert_eq!(bed.texts(None).await, pairs(&[("long", "x")]));
        let late = bed.keyspace.keep_alive(short).await;
        assert!(matches!(late, Err(CommitError::NoLease(id)) if id == short));
        bed.keyspace.revoke(long).await.expect("revoked");
    }
    .boxed()
}

/// A key put anew is under the lease of that put, or none.
pub(super) fn detached<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let (first, second) = (grant(bed, LONG).await, grant(bed, LONG).await);
        let puts = ["free", "moved", "gone"].map(|name| under(bed, name, first));
        bed.commit(puts.to_vec()).await;
        let changes = vec![
            bed.put_change("free", "y"),
            under(bed, "moved", second),
            bed.delete_change("gone"),
        ];
        bed.commit(changes).await;
        bed.put("gone", "back").await;
        bed.keyspace.revoke(first).await.expect("revoked");
        let left = pairs(&[("free", "y"), ("gone", "back"), ("moved", "x")]);
        assert_eq!(bed.texts(None).await, left);
        bed.keyspace.revoke(second).await.expect("revoked");
        let left = pairs(&[("free", "y"), ("gone", "back")]);
        assert_eq!(bed.texts(None).await, left);
    }
    .boxed()
}

pub(super) fn over<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let lease = grant(bed, LONG).await;
        bed.keyspace.revoke(lease).await.expect("revoked");
        let kept = bed.keyspace.keep_alive(lease).await;
        assert!(matches!(kept, Err(CommitError::NoLease(id)) if id == lease));
        let changes = vec![bed.put_change("a", "x"), under(bed, "b", lease)];
        let refused = bed.guarded(Vec::new(), changes).await;
        assert!(matches!(refused, Err(CommitError::NoLease(id)) if id == lease));
        assert!(bed.texts(None).await.is_empty(), "nothing of it is there");
    }
    .boxed()
}
