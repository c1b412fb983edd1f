//! Many at once: every watcher sees the one history, whenever it came and however it is scheduled.

use std::sync::Arc;

use weft_keyspace::{Batch, Change, Commit, Keyspace, Options, Revision, Span, embedded, memory};

const WRITERS: u64 = 8;
const COMMITS: u64 = 150;
/// The last concerns all who watch.
const LAST: u64 = WRITERS * COMMITS + 1;

async fn write(keyspace: Arc<dyn Keyspace>, writer: u64, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let change = |span: &str| Change::Put {
            key: format!("{span}/{writer}/{n}").into(),
            value: n.to_string().into(),
            lease: None,
        };
        let changes = vec![change("a"), change("b")];
        let guards = Vec::new();
        let commit = keyspace.commit(Commit { guards, changes });
        commit.await.unwrap();
    }
}

/// What is seen of a span, by watches that end and resume.
async fn follow(keyspace: Arc<dyn Keyspace>, span: Span, patience: usize) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    let mut after = Revision(0);
    while after.0 < LAST {
        let mut watch = keyspace.watch(span.clone(), after).await.unwrap();
        for _ in 0..patience {
            if watch.progress().0 >= LAST {
                break;
            }
            if let Batch::Events(events) = watch.receive().await.unwrap() {
                let text = |e: &Arc<weft_keyspace::Event>| {
                    let key = String::from_utf8_lossy(&e.item.key).into_owned();
                    (e.revision.0, key)
                };
                seen.extend(events.iter().map(text));
            }
        }
        after = watch.progress();
    }
    seen
}

async fn all_see_the_same(keyspace: Arc<dyn Keyspace>) {
    let follower = |n: usize| {
        let span = ["a/", "b/", "", "a/3/"][n % 4];
        let span = Span::prefix(span);
        tokio::spawn(follow(Arc::clone(&keyspace), span, 1 + n * n))
    };
    let early: Vec<_> = (0..16).map(follower).collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(Arc::clone(&keyspace), writer, 0..COMMITS)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    write(Arc::clone(&keyspace), 3, COMMITS..COMMITS + 1).await;
    let whole = follow(Arc::clone(&keyspace), Span::prefix(""), usize::MAX).await;
    let revisions: Vec<u64> = whole.iter().map(|(revision, _)| *revision).collect();
    let expected: Vec<u64> = (1..=LAST).flat_map(|r| [r, r]).collect();
    assert_eq!(revisions, expected);
    for (n, follower) in early.into_iter().enumerate() {
        let prefix = ["a/", "b/", "", "a/3/"][n % 4];
        let theirs = whole.iter().filter(|(_, key)| key.starts_with(prefix));
        let theirs: Vec<_> = theirs.cloned().collect();
        assert_eq!(follower.await.unwrap(), theirs, "watcher {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory_all_see_the_same() {
    for _ in 0..5 {
        all_see_the_same(Arc::new(memory(Options::default()))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_disk_all_see_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    all_see_the_same(Arc::new(embedded(&path, Options::default()).unwrap())).await;
}
