//! Snapshots: taken while the keyspace is worked with, restored into new ones only, refused when
//! spoilt.

use std::time::Duration;

use weft_keyspace::{
    Change, Commit, Keyspace as _, Local, Options, Range, ReadError, RestoreError, Revision, Span,
    WatchError, memory, restore, verify,
};

async fn put(keyspace: &Local, key: String, lease: Option<weft_keyspace::LeaseId>) -> Revision {
    let value = key.clone().into();
    let key = key.into();
    let changes = vec![Change::Put { key, value, lease }];
    let guards = Vec::new();
    let made = keyspace.commit(Commit { guards, changes }).await;
    made.unwrap().revision
}

fn everything(at: Option<Revision>) -> Range {
    Range {
        span: Span::prefix(""),
        at,
        limit: None,
    }
}

#[tokio::test]
async fn a_restored_keyspace_goes_on_from_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("restored");
    let keyspace = memory(Options::default());
    let lease = keyspace.grant(Duration::from_secs(3600)).await.unwrap();
    for n in 0..100 {
        put(&keyspace, format!("{n:02}"), (n == 7).then_some(lease)).await;
    }
    let mut bytes = Vec::new();
    let taken = keyspace.snapshot(&mut bytes).unwrap();
    assert_eq!((taken.revision.0, taken.items, taken.leases), (100, 100, 1));
    assert_eq!(verify(&bytes[..]).unwrap(), taken);
    put(&keyspace, "later".into(), None).await;

    assert_eq!(restore(&bytes[..], &path, |taken| taken).unwrap(), taken);
    let restored = weft_keyspace::embedded(&path, Options::default()).unwrap();
    let found = restored.range(everything(None)).await.unwrap();
    let then = keyspace.range(everything(Some(taken.revision))).await;
    let text = |found: weft_keyspace::Found| format!("{:?}", found.items);
    assert_eq!(text(found), text(then.unwrap()));
    let past = restored.range(everything(Some(Revision(99)))).await;
    assert!(matches!(past, Err(ReadError::Compacted { .. })));
    restored.revoke(lease).await.unwrap();
    assert_eq!(
        restored.range(everything(None)).await.unwrap().items.len(),
        99
    );
    assert_eq!(put(&restored, "new".into(), None).await, Revision(102));
    // What is there is not replaced, and nothing is left beside it.
    let again = restore(&bytes[..], &path, |taken| taken);
    assert!(matches!(again, Err(RestoreError::Exists(_))), "{again:?}");
    drop(restored);
    let again = weft_keyspace::embedded(&path, Options::default()).unwrap();
    assert_eq!(again.revision().await.unwrap(), Revision(102));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_spoilt_snapshot_restores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keyspace = memory(Options::default());
    keyspace.grant(Duration::from_secs(60)).await.unwrap();
    for n in 0..10 {
        put(&keyspace, format!("key-{n}"), None).await;
    }
    let mut bytes = Vec::new();
    keyspace.snapshot(&mut bytes).unwrap();
    for place in 0..bytes.len() {
        let mut spoilt = bytes.clone();
        spoilt[place] ^= 1;
        verify(&spoilt[..]).expect_err("a bit is another");
        verify(&bytes[..place]).expect_err("the rest is missing");
    }
    let longer = [&bytes[..], b"x"].concat();
    for bad in [&longer[..], &bytes[..bytes.len() - 1], b"", b"not one"] {
        let path = dir.path().join("restored");
        let refused = restore(bad, &path, |taken| taken);
        assert!(matches!(refused, Err(RestoreError::Damaged(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_snapshot_is_of_one_moment_whatever_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let keyspace = weft_keyspace::embedded(&path, Options::default()).unwrap();
    let load = async {
        for n in 0..200 {
            // Both or none.
            let change = |name: &str| Change::Put {
                key: format!("{name}/{n:03}").into(),
                value: "x".into(),
                lease: None,
            };
            let changes = vec![change("a"), change("b")];
            let guards = Vec::new();
            keyspace.commit(Commit { guards, changes }).await.unwrap();
        }
    };
    let snapshots = async {
        let mut taken = Vec::new();
        while keyspace.revision().await.unwrap().0 < 200 {
            let mut bytes = Vec::new();
            taken.push((keyspace.snapshot(&mut bytes).unwrap(), bytes));
            tokio::task::yield_now().await;
            let after = keyspace.revision().await.unwrap();
            if after.0 < 200 {
                let span = Span::prefix("");
                let mut watch = keyspace.watch(span, after).await.unwrap();
                watch.receive().await.unwrap();
            }
        }
        taken
    };
    let ((), taken) = futures_util::future::join(load, snapshots).await;
    for (said, bytes) in taken {
        assert_eq!(verify(&bytes[..]).unwrap(), said);
        assert_eq!(said.items, 2 * said.revision.0);
    }
}

/// What was handed out after the snapshot is gone, and whoever knows of it is told so: not that it
/// is still to come.
#[tokio::test]
async fn beyond_what_was_handed_out_nothing_is_still_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("restored");
    let keyspace = memory(Options::default());
    put(&keyspace, "a".into(), None).await;
    let mut bytes = Vec::new();
    keyspace.snapshot(&mut bytes).unwrap();
    let later = put(&keyspace, "lost".into(), None).await;
    let least = Revision(1_000_000);
    let begun = restore(&bytes[..], &path, |_| least).unwrap();
    assert_eq!((begun.revision, begun.items), (least, 1));
    let open = || weft_keyspace::embedded(&path, Options::default()).unwrap();
    let restored = open();
    for known in [Revision(1), later, Revision(least.0 - 1)] {
        let watched = restored.watch(Span::prefix(""), known).await;
        assert!(matches!(watched, Err(WatchError::Compacted { .. })));
        let read = restored.range(everything(Some(known))).await;
        assert!(matches!(read, Err(ReadError::Compacted { .. })));
    }
    let mut watch = restored.watch(Span::prefix(""), least).await.unwrap();
    assert_eq!(put(&restored, "a".into(), None).await.0, least.0 + 1);
    watch.receive().await.unwrap();
    let found = restored.range(everything(None)).await.unwrap();
    let item = &found.items[0];
    assert_eq!((item.created.0, item.modified.0), (1, least.0 + 1));
    // It is as sound as any when it is opened again, and a snapshot of it, too.
    drop((watch, restored));
    let again = open();
    assert_eq!(again.revision().await.unwrap().0, least.0 + 1);
    let mut bytes = Vec::new();
    let taken = again.snapshot(&mut bytes).unwrap();
    assert_eq!(verify(&bytes[..]).unwrap(), taken);
}
