//! Starting: what is found again, and what is refused.

use std::path::Path;
use std::time::Duration;

use weft_keyspace::{
    Batch, Change, Commit, Expect, Guard, Keyspace as _, Local, OpenError, Options, Range,
    Revision, Span, WatchError, embedded,
};

async fn put(keyspace: &Local, key: &str, lease: Option<weft_keyspace::LeaseId>) -> Revision {
    let change = Change::Put {
        key: key.to_owned().into(),
        value: "x".into(),
        lease,
    };
    let commit = Commit {
        guards: Vec::new(),
        changes: vec![change],
    };
    keyspace.commit(commit).await.unwrap().revision
}

#[tokio::test]
async fn history_and_leases_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let keyspace = embedded(&path, Options::default()).unwrap();
    let lease = keyspace.grant(Duration::from_secs(3600)).await.unwrap();
    let over = keyspace.grant(Duration::from_secs(3600)).await.unwrap();
    put(&keyspace, "a", Some(lease)).await;
    put(&keyspace, "b", None).await;
    put(&keyspace, "a", Some(lease)).await;
    keyspace.revoke(over).await.unwrap();
    keyspace.compact(Revision(2)).await.unwrap();
    drop(keyspace);

    let keyspace = embedded(&path, Options::default()).unwrap();
    let everything = Span::prefix("");
    let old = keyspace.watch(everything.clone(), Revision(1)).await;
    assert!(matches!(old, Err(WatchError::Compacted { oldest, .. }) if oldest == Revision(2)));
    let mut watch = keyspace.watch(everything, Revision(2)).await.unwrap();
    let Batch::Events(events) = watch.receive().await.unwrap() else {
        panic!("there is one");
    };
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].revision, events[0].item.version),
        (Revision(3), 2)
    );
    let before = events[0].previous.as_ref().unwrap();
    assert_eq!(before.modified, Revision(1));
    keyspace.keep_alive(lease).await.unwrap();
    keyspace.keep_alive(over).await.unwrap_err();
    keyspace.revoke(lease).await.unwrap();
    let range = Range {
        span: Span::key("a"),
        at: None,
        limit: None,
    };
    assert!(keyspace.range(range).await.unwrap().items.is_empty());
    let guard = Guard {
        key: "b".into(),
        expect: Expect::Modified(Revision(2)),
    };
    let ask = Commit {
        guards: vec![guard],
        changes: Vec::new(),
    };
    assert_eq!(keyspace.commit(ask).await.unwrap().revision, Revision(4));
}

fn refused(path: &Path) -> String {
    embedded(path, Options::default()).unwrap_err().to_string()
}

#[tokio::test]
async fn a_second_one_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let first = embedded(&path, Options::default()).unwrap();
    let second = embedded(&path, Options::default());
    assert!(matches!(&second, Err(OpenError::InUse(which)) if *which == path));
    assert!(second.unwrap_err().to_string().contains("another process"));
    put(&first, "a", None).await;
    drop(first);
    let third = embedded(&path, Options::default()).unwrap();
    assert_eq!(third.revision().await.unwrap(), Revision(1));
}

#[tokio::test]
async fn what_cannot_be_read_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    drop(embedded(&path, Options::default()).unwrap());
    let whole = std::fs::read(&path).unwrap();
    let mut zeroed = whole.clone();
    zeroed.fill(0);
    for bad in [
        &b""[..],
        b"something else",
        &whole[..whole.len() / 2],
        &zeroed,
    ] {
        std::fs::write(&path, bad).unwrap();
        let said = refused(&path);
        assert!(
            said.contains("damaged") && said.contains("restore a snapshot"),
            "{said}"
        );
        assert!(said.contains(&*path.to_string_lossy()), "{said}");
        assert_eq!(std::fs::read(&path).unwrap().len(), bad.len());
    }
    // A link is not followed, a directory is none, and one cannot be made where there is none.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for bad in [&link, dir.path(), &dir.path().join("none/keyspace")] as [&Path; 3] {
        let said = refused(bad);
        assert!(said.starts_with("open the keyspace"), "{said}");
    }
}

#[tokio::test]
async fn nothing_comes_after_the_end() {
    let keyspace = weft_keyspace::memory(Options::default());
    let span = Span::prefix("");
    let mut watch = keyspace.watch(span, Revision(0)).await.unwrap();
    put(&keyspace, "a", None).await;
    drop(keyspace);
    assert!(matches!(watch.receive().await, Ok(Batch::Events(_))));
    assert!(matches!(watch.receive().await, Err(WatchError::Closed(_))));
}
