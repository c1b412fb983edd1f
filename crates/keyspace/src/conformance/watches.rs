//! Watches: ordered, unique, atomic, reliable, resumable, with progress.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Bed, events};
use crate::{Batch, EventKind, Range, ReadError, Revision, Span, WatchError};

/// Every change once, in order, whether it came before the watch or after.
pub(super) fn complete<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let start = bed.now().await;
        let mut expected = Vec::new();
        for n in 0..10 {
            expected.push((bed.put("a", &n.to_string()).await, n.to_string()));
        }
        let mut watch = bed.watch(start).await;
        for n in 10..20 {
            expected.push((bed.put("a", &n.to_string()).await, n.to_string()));
        }
        let seen = events(&mut watch, 20).await;
        let seen: Vec<_> = seen
            .iter()
            .map(|e| {
                (
                    e.revision,
                    String::from_utf8_lossy(&e.item.value).into_owned(),
                )
            })
            .collect();
        assert_eq!(seen, expected);
        assert!(watch.progress() >= expected[19].0);
    }
    .boxed()
}

pub(super) fn resumed<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let start = bed.now().await;
        let mut made = Vec::new();
        for n in 0..6 {
            made.push(bed.put(&n.to_string(), "x").await);
        }
        for seen in 0..6 {
            let after = if seen == 0 { start } else { made[seen - 1] };
            let mut watch = bed.watch(after).await;
            let rest = events(&mut watch, 6 - seen).await;
            let rest: Vec<_> = rest.iter().map(|event| event.revision).collect();
            assert_eq!(rest, made[seen..]);
        }
    }
    .boxed()
}

pub(super) fn filtered<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let start = bed.now().await;
        let watch = |span| bed.keyspace.watch(span, start);
        let between = Span {
            start: bed.key("a"),
            end: Some(bed.key("b")),
        };
        let mut one = watch(Span::key(bed.key("a"))).await.expect("a watch");
        let mut below = watch(Span::prefix(bed.key("a/"))).await.expect("a watch");
        let mut between = watch(between).await.expect("a watch");
        for name in ["b", "a/x", "a", "0", "a/y", "b"] {
            bed.put(name, "x").await;
        }
        let changes = ["a", "a/x", "b"].map(|name| bed.delete_change(name));
        bed.commit(changes.to_vec()).await;
        let names = |events: Vec<std::sync::Arc<crate::Event>>| {
            let name = |event: &std::sync::Arc<crate::Event>| event.item.key.clone();
            events.iter().map(name).collect::<Vec<_>>()
        };
        let keys = |names: &[&str]| names.iter().map(|n| bed.key(n)).collect::<Vec<_>>();
        assert_eq!(names(events(&mut one, 2).await), keys(&["a", "a"]));
        let seen = names(events(&mut below, 3).await);
        assert_eq!(seen, keys(&["a/x", "a/y", "a/x"]));
        let seen = names(events(&mut between, 5).await);
        assert_eq!(seen, keys(&["a/x", "a", "a/y", "a", "a/x"]));
    }
    .boxed()
}

pub(super) fn previous<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let mut watch = bed.watch(bed.now().await).await;
        let created = bed.put("a", "1").await;
        let changed = bed.put("a", "2").await;
        let deleted = bed.delete("a").await;
        let again = bed.put("a", "3").await;
        let seen = events(&mut watch, 4).await;
        let kinds: Vec<_> = seen.iter().map(|e| (e.revision, e.kind)).collect();
        let expected = [
            (created, EventKind::Created),
            (changed, EventKind::Changed),
            (deleted, EventKind::Deleted),
            (again, EventKind::Created),
        ];
        assert_eq!(kinds, expected);
        let before = |n: usize| seen[n].previous.as_ref().map(|item| item.modified);
        assert_eq!(
            [before(0), before(1), before(2), before(3)],
            [None, Some(created), Some(changed), None]
        );
        let values: Vec<_> = seen.iter().map(|event| &event.item.value[..]).collect();
        assert_eq!(
            values,
            [b"1", b"2", b"2", b"3"],
            "of a deleted key the last"
        );
    }
    .boxed()
}

pub(super) fn progress<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let start = bed.now().await;
        let inside = Span::prefix(bed.key("in/"));
        let mut watch = bed.keyspace.watch(inside, start).await.expect("a watch");
        assert!(watch.progress() >= start);
        for _ in 0..10 {
            bed.put("out", "x").await;
        }
        let last = bed.put("in/a", "x").await;
        assert!(watch.progress() < last, "not handed out yet");
        loop {
            match watch.receive().await.expect("a batch") {
                // A mark never runs ahead of an event.
                Batch::Progress(to) => assert!(to < last),
                Batch::Events(events) => {
                    assert_eq!(events[0].revision, last);
                    break;
                }
            }
        }
        assert!(watch.progress() >= last);
    }
    .boxed()
}

/// However large, and however late it is read.
pub(super) fn whole<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let mut watch = bed.watch(bed.now().await).await;
        let mut made = Vec::new();
        for round in 0..20 {
            let put = |n: usize| bed.put_change(&n.to_string(), &round.to_string());
            made.push(bed.commit((0..300).map(put).collect()).await.revision);
        }
        let mut seen: Vec<Revision> = Vec::new();
        while seen.last() != made.last() {
            let Batch::Events(batch) = watch.receive().await.expect("a batch") else {
                continue;
            };
            for commit in batch.chunk_by(|a, b| a.revision == b.revision) {
                assert_eq!(commit.len(), 300, "a part of {}", commit[0].revision);
                seen.push(commit[0].revision);
            }
        }
        assert_eq!(seen, made);
    }
    .boxed()
}

pub(super) fn cancelled<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let mut watch = bed.watch(bed.now().await).await;
        // Polled once, then dropped.
        while watch.receive().now_or_never().is_some() {}
        bed.put("a", "1").await;
        drop(watch.receive());
        bed.put("a", "2").await;
        let seen = events(&mut watch, 2).await;
        assert_eq!([&seen[0].item.value[..], &seen[1].item.value], [b"1", b"2"]);
    }
    .boxed()
}

pub(super) fn future<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let now = bed.now().await;
        let ahead = Revision(now.0 + 1);
        let watch = bed.keyspace.watch(bed.span(), ahead).await;
        let Err(WatchError::Future { asked, newest }) = watch else {
            panic!("a watch of the future: {watch:?}");
        };
        assert_eq!((asked, newest), (ahead, now));
        let range = Range {
            span: bed.span(),
            at: Some(ahead),
            limit: None,
        };
        let found = bed.keyspace.range(range).await;
        assert!(matches!(found, Err(ReadError::Future { asked, .. }) if asked == ahead));
        let compacted = bed.keyspace.compact(ahead).await;
        assert!(matches!(compacted, Err(ReadError::Future { .. })));
    }
    .boxed()
}
