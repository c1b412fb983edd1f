//! What is kept is bounded: by age, by count, by bytes; and who falls behind is told so.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::advance;
use weft_keyspace::{
    Batch, Change, Commit, CommitError, EventKind, Keyspace as _, Local, Options, Range, Revision,
    Span, WatchError, embedded, memory,
};

async fn put(keyspace: &Local, key: &str, size: usize, lease: Option<weft_keyspace::LeaseId>) {
    let change = Change::Put {
        key: key.to_owned().into(),
        value: vec![b'x'; size].into(),
        lease,
    };
    let commit = Commit {
        guards: Vec::new(),
        changes: vec![change],
    };
    keyspace.commit(commit).await.unwrap();
}

/// How far back changes can be watched.
async fn oldest(keyspace: &Local) -> u64 {
    let watch = keyspace.watch(Span::prefix(""), Revision(0)).await;
    match watch {
        Ok(_) => 0,
        Err(WatchError::Compacted { oldest, .. }) => oldest.0,
        Err(other) => panic!("{other}"),
    }
}

/// Lets what is due happen.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn history_ends_when_it_is_old_enough() {
    let keyspace = memory(Options::default());
    put(&keyspace, "a", 1, None).await;
    advance(Duration::from_secs(200)).await;
    put(&keyspace, "a", 1, None).await;
    settle().await;
    advance(Duration::from_secs(110)).await;
    settle().await;
    assert_eq!(oldest(&keyspace).await, 0, "five minutes, and some");
    advance(Duration::from_secs(60)).await;
    settle().await;
    assert_eq!(oldest(&keyspace).await, 1, "the second is younger");
    advance(Duration::from_secs(200)).await;
    settle().await;
    assert_eq!(oldest(&keyspace).await, 2);
    let span = Span::key("a");
    let mut watch = keyspace.watch(span, Revision(2)).await.unwrap();
    put(&keyspace, "a", 1, None).await;
    assert!(matches!(watch.receive().await, Ok(Batch::Events(_))));
}

#[tokio::test(start_paused = true)]
async fn memory_is_given_back_when_much_was_forgotten() {
    static RELIEVED: Notify = Notify::const_new();
    let keyspace = memory(Options {
        relieved: || RELIEVED.notify_one(),
        ..Options::default()
    });
    let relieved = || RELIEVED.notified().now_or_never().is_some();
    for count in [10, 2000] {
        for _ in 0..count {
            put(&keyspace, "a", 1, None).await;
        }
        settle().await;
        assert!(!relieved(), "nothing is old");
        advance(Duration::from_secs(361)).await;
        settle().await;
        if count == 10 {
            assert!(!relieved(), "it was not much");
        }
    }
    RELIEVED.notified().await;
    assert_eq!(oldest(&keyspace).await, 2010);
}

#[tokio::test(start_paused = true)]
async fn memory_is_given_back_in_a_lull_after_much_was_written() {
    static RELIEVED: Notify = Notify::const_new();
    let keyspace = memory(Options {
        relieved: || RELIEVED.notify_one(),
        ..Options::default()
    });
    let relieved = || RELIEVED.notified().now_or_never().is_some();
    for count in [899, 101] {
        for _ in 0..count {
            put(&keyspace, "a", 1, None).await;
        }
        settle().await;
        advance(Duration::from_secs(14)).await;
        settle().await;
        assert!(!relieved(), "not much, or just now");
    }
    // As nodes do with their leases.
    put(&keyspace, "a", 1, None).await;
    settle().await;
    advance(Duration::from_secs(2)).await;
    RELIEVED.notified().await;
    for _ in 0..6 {
        put(&keyspace, "a", 1, None).await;
        settle().await;
        advance(Duration::from_secs(10)).await;
        settle().await;
    }
    assert!(!relieved(), "it was given back already");
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_as_long_as_it_is_kept_alive() {
    let keyspace = memory(Options::default());
    let ttl = Duration::from_secs(10);
    let kept = keyspace.grant(ttl).await.unwrap();
    let left = keyspace.grant(ttl).await.unwrap();
    put(&keyspace, "kept", 1, Some(kept)).await;
    put(&keyspace, "left", 1, Some(left)).await;
    settle().await;
    let mut watch = keyspace.watch(Span::prefix(""), Revision(2)).await.unwrap();
    for _ in 0..3 {
        advance(Duration::from_secs(9)).await;
        keyspace.keep_alive(kept).await.unwrap();
        settle().await;
    }
    let Ok(Batch::Events(events)) = watch.receive().await else {
        panic!("one is over");
    };
    assert_eq!(events.len(), 1);
    assert_eq!(
        (events[0].kind, &events[0].item.key[..]),
        (EventKind::Deleted, &b"left"[..])
    );
    // At its end it is over, whether or not its keys are gone yet.
    advance(ttl).await;
    let late = keyspace.keep_alive(kept).await;
    assert!(matches!(late, Err(CommitError::NoLease(_))));
    settle().await;
    let range = Range {
        span: Span::prefix(""),
        at: None,
        limit: None,
    };
    assert!(keyspace.range(range).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_so() {
    let options = Options {
        history_revisions: 100,
        ..Options::default()
    };
    let keyspace = memory(options);
    let watch = async |span| keyspace.watch(span, Revision(0)).await.unwrap();
    let mut slow = watch(Span::prefix("busy/")).await;
    let mut idle = watch(Span::prefix("idle/")).await;
    let mut quick = watch(Span::prefix("busy/")).await;
    let mut seen = 0;
    for n in 0..1000 {
        put(&keyspace, &format!("busy/{}", n % 7), 1, None).await;
        let Batch::Events(events) = quick.receive().await.unwrap() else {
            panic!("there is one");
        };
        seen += events.len();
    }
    assert_eq!(seen, 1000);
    for _ in 0..2 {
        let told = slow.receive().await;
        assert!(matches!(told, Err(WatchError::Slow { seen }) if seen == Revision(0)));
    }
    assert!((890..=910).contains(&oldest(&keyspace).await));
    assert!(idle.receive().now_or_never().is_none());
    assert_eq!(idle.progress(), Revision(1000));
    put(&keyspace, "idle/a", 1, None).await;
    assert!(matches!(idle.receive().await, Ok(Batch::Events(e)) if e.len() == 1));
}

#[tokio::test]
async fn bytes_are_bounded_on_disk_too_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let options = Options {
        history_bytes: 1 << 20,
        ..Options::default()
    };
    let keyspace = embedded(&path, options.clone()).unwrap();
    for n in 0..200 {
        put(&keyspace, &format!("{:02}", n % 50), 20_000, None).await;
    }
    // Until there is a lull twice as much is kept, and what two batches bring.
    let kept = 200 - oldest(&keyspace).await;
    assert!(kept <= 120, "{kept} revisions of 20 kB in 1 MiB");
    while 200 - oldest(&keyspace).await > 60 {
        tokio::task::yield_now().await;
    }
    keyspace.compact(Revision(0)).await.unwrap();
    put(&keyspace, "last", 1, None).await;
    let kept = 201 - oldest(&keyspace).await;
    assert!(kept >= 20, "{kept} revisions of 20 kB in 1 MiB");
    let compacted = oldest(&keyspace).await;
    drop(keyspace);
    let keyspace = embedded(&path, options).unwrap();
    assert_eq!(oldest(&keyspace).await, compacted);
    let range = |at| Range {
        span: Span::prefix(""),
        at: Some(Revision(at)),
        limit: None,
    };
    let found = keyspace.range(range(compacted)).await.unwrap();
    assert_eq!(found.items.len(), 50);
    let newest = found.items.iter().map(|item| item.modified.0).max();
    assert_eq!(newest, Some(compacted));
    keyspace.range(range(compacted - 1)).await.unwrap_err();
}

#[tokio::test]
async fn history_stays_bounded_however_many_write_without_a_pause() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        history_revisions: 1000,
        ..Options::default()
    };
    for tasks in [1, 16, 600] {
        let path = dir.path().join(tasks.to_string());
        let keyspace = embedded(&path, options.clone()).unwrap();
        let writes = async |task: usize| {
            let mut most = 0;
            for n in 0..9000 / tasks as u64 {
                put(&keyspace, &format!("{task}/{}", n % 50), 10, None).await;
                let now = keyspace.revision().await.unwrap().0;
                most = most.max(now.saturating_sub(oldest(&keyspace).await));
            }
            most
        };
        let kept = futures_util::future::join_all((0..tasks).map(writes)).await;
        let most = kept.into_iter().max().unwrap();
        assert!(most > 1000, "a tenth is forgotten at once, not more");
        assert!(most < 2000 + 5 * 600, "{most} revisions with {tasks} tasks");
    }
}

#[tokio::test]
async fn ten_thousand_idle_watches_are_not_in_the_way() {
    let keyspace = memory(Options::default());
    let mut watches = Vec::new();
    for n in 0..10_000 {
        let span = Span::prefix(format!("/idle/{n}/"));
        let mut watch = keyspace.watch(span, Revision(0)).await.unwrap();
        assert!(watch.receive().now_or_never().is_none());
        watches.push(watch);
    }
    put(&keyspace, "/busy/a", 1, None).await;
    put(&keyspace, "/idle/77/a", 1, None).await;
    for (n, watch) in watches.iter_mut().enumerate() {
        let received = watch.receive().now_or_never();
        assert_eq!(received.is_some(), n == 77, "watch {n}");
        assert_eq!(watch.progress(), Revision(2));
    }
}
