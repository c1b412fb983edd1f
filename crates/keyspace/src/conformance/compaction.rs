//! Compaction: what is forgotten, and what just is not.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Bed, events, pairs};
use crate::{Range, ReadError, Revision, WatchError};

async fn compact(bed: &Bed<'_>, to: Revision) {
    bed.keyspace.compact(to).await.expect("compacted");
}

pub(super) fn edges<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let one = bed.put("a", "1").await;
        let two = bed.put("a", "2").await;
        let three = bed.put("a", "3").await;
        compact(bed, two).await;
        assert_eq!(bed.texts(Some(two)).await, pairs(&[("a", "2")]));
        assert_eq!(bed.texts(Some(three)).await, pairs(&[("a", "3")]));
        let range = Range {
            span: bed.span(),
            at: Some(one),
            limit: None,
        };
        let old = bed.keyspace.range(range).await;
        let Err(ReadError::Compacted { asked, oldest }) = old else {
            panic!("what is compacted was read: {old:?}");
        };
        assert_eq!((asked, oldest), (one, two));
        let old = bed.keyspace.watch(bed.span(), one).await;
        let Err(WatchError::Compacted { asked, oldest }) = old else {
            panic!("what is compacted is watched: {old:?}");
        };
        assert_eq!((asked, oldest), (one, two));
        let mut watch = bed.watch(two).await;
        assert_eq!(events(&mut watch, 1).await[0].revision, three);
        compact(bed, bed.now().await).await;
        assert_eq!(bed.texts(None).await, pairs(&[("a", "3")]));
    }
    .boxed()
}

pub(super) fn deleted<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        bed.put("a", "1").await;
        bed.put("b", "1").await;
        let gone = bed.delete("a").await;
        compact(bed, gone).await;
        assert_eq!(bed.texts(Some(gone)).await, pairs(&[("b", "1")]));
        let mut watch = bed.watch(gone).await;
        let back = bed.put("a", "2").await;
        // A put right before the edge, a delete right behind it.
        compact(bed, back).await;
        let again = bed.delete("a").await;
        let full = pairs(&[("a", "2"), ("b", "1")]);
        assert_eq!(bed.texts(Some(back)).await, full);
        assert_eq!(bed.texts(Some(again)).await, pairs(&[("b", "1")]));
        let item = bed.commit(vec![bed.put_change("a", "3")]).await;
        let item = item.items[0].as_ref().expect("it was put");
        assert_eq!((item.version, item.created), (1, item.modified));
        // That watch was overtaken before it was read: it is told so, or has it all.
        match watch.receive().await {
            Err(WatchError::Slow { seen }) => assert!(seen >= gone && seen < back),
            Ok(crate::Batch::Events(events)) => assert_eq!(events[0].revision, back),
            other => panic!("silence about what is compacted: {other:?}"),
        }
    }
    .boxed()
}

pub(super) fn watched<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let start = bed.now().await;
        let mut idle = bed.watch(start).await;
        let elsewhere = format!("{}-", bed.prefix.trim_end_matches('/'));
        for n in 0..5 {
            let change = crate::Change::Put {
                key: elsewhere.clone().into(),
                value: n.to_string().into(),
                lease: None,
            };
            bed.commit(vec![change]).await;
        }
        let edge = bed.now().await;
        compact(bed, edge).await;
        // Nothing of what it watches is gone.
        let mut fresh = bed.watch(edge).await;
        let made = bed.put("a", "1").await;
        assert_eq!(events(&mut idle, 1).await[0].revision, made);
        assert_eq!(events(&mut fresh, 1).await[0].revision, made);
    }
    .boxed()
}

pub(super) fn again<'a>(bed: &'a Bed<'a>) -> BoxFuture<'a, ()> {
    async move {
        let one = bed.put("a", "1").await;
        let two = bed.put("a", "2").await;
        compact(bed, two).await;
        compact(bed, two).await;
        compact(bed, one).await;
        compact(bed, Revision(0)).await;
        assert_eq!(bed.texts(Some(two)).await, pairs(&[("a", "2")]));
        assert_eq!(bed.put("b", "1").await, Revision(two.0 + 1));
    }
    .boxed()
}
