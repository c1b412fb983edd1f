//! Ranges: order, limits, counts, the past.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Bed, pairs};
use crate::{Range, Span};

pub(super) fn limits<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        for name in ["c", "a", "e", "b", "d"] {
            bed.put(name, name).await;
        }
        let all = bed.range(None, None).await;
        let keys: Vec<_> = all.items.iter().map(|item| item.key.clone()).collect();
        assert_eq!(keys, ["a", "b", "c", "d", "e"].map(|name| bed.key(name)));
        assert_eq!((all.left, all.revision), (0, bed.now().await));
        for (limit, items, left) in [(0, 0, 5), (2, 2, 3), (5, 5, 0), (9, 5, 0)] {
            let found = bed.range(None, Some(limit)).await;
            assert_eq!((found.items.len(), found.left), (items, left));
            assert!(found.items.iter().zip(&keys).all(|(i, key)| i.key == *key));
        }
        // Page by page, at one revision, whatever is changed meanwhile.
        let at = Some(all.revision);
        let (mut start, mut seen) = (bed.key(""), Vec::new());
        loop {
            let end = bed.span().end;
            let span = Span { start, end };
            let limit = Some(2);
            let page = bed.keyspace.range(Range { span, at, limit }).await;
            let page = page.expect("a page");
            seen.extend(page.items.iter().map(|item| item.key.clone()));
            bed.delete("c").await;
            bed.put("bb", "new").await;
            if page.left == 0 {
                break;
            }
            start = [&seen[seen.len() - 1][..], &[0]].concat().into();
        }
        assert_eq!(seen, keys);
    }
    .boxed()
}

pub(super) fn spans<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        for name in ["a", "a/b", "b", "b0"] {
            bed.put(name, "x").await;
        }
        let between = |start: &str, end: &str| Span {
            start: bed.key(start),
            end: Some(bed.key(end)),
        };
        let cases = [
            (Span::key(bed.key("a")), 1),
            (Span::prefix(bed.key("a")), 2),
            (Span::prefix(bed.key("a/")), 1),
            (between("a", "b"), 2),
            (between("a", "b0"), 3),
            (between("a", "a"), 0),
            (between("b", "a"), 0),
            (Span::key(bed.key("none")), 0),
        ];
        for (span, count) in cases {
            let range = Range {
                span: span.clone(),
                at: None,
                limit: None,
            };
            let found = bed.keyspace.range(range).await.expect("a range");
            assert_eq!(found.items.len(), count, "{span:?}");
        }
    }
    .boxed()
}

pub(super) fn past<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let before = bed.now().await;
        let one = bed.put("a", "1").await;
        let two = bed.commit(vec![bed.put_change("a", "2"), bed.put_change("b", "x")]);
        let two = two.await.revision;
        let gone = bed.delete("a").await;
        let back = bed.put("a", "3").await;
        let then = [
            (before, pairs(&[])),
            (one, pairs(&[("a", "1")])),
            (two, pairs(&[("a", "2"), ("b", "x")])),
            (gone, pairs(&[("b", "x")])),
            (back, pairs(&[("a", "3"), ("b", "x")])),
        ];
        for (at, expected) in then {
            assert_eq!(bed.texts(Some(at)).await, expected, "at {at}");
            assert_eq!(bed.range(Some(at), None).await.revision, at);
        }
    }
    .boxed()
}
