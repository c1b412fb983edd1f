//! Lists, from what is stored as it is.
//!
//! Owns their text. A long list is made as its client takes it: what nobody reads takes no room.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use weft_keyspace::Item;

use crate::answer::{self, Answer};
use crate::shape::Shape;

/// Bytes after which another piece begins.
pub(crate) const PIECE: usize = 64 << 10;

/// The list of `items`, as JSON.
pub(crate) fn answer(shape: &Shape, meta: &Value, items: Vec<Arc<Item>>) -> Answer {
    let is_short = items.iter().map(|item| item.value.len()).sum::<usize>() < PIECE;
    let pieces = pieces(shape, meta, items);
    if is_short {
        let text = pieces.collect::<Vec<_>>().concat();
        return answer::whole(StatusCode::OK, "application/json", text);
    }
    answer::stream("application/json", stream::iter(pieces))
}

fn pieces(
    shape: &Shape,
    meta: &Value,
    items: Vec<Arc<Item>>,
) -> impl Iterator<Item = Bytes> + use<> {
    let (shape, now) = (shape.clone(), Timestamp::now());
    let (head, end) = shape.frame(meta);
    let mut rest = Some((head.into_bytes(), items.into_iter()));
    let mut is_first = true;
    std::iter::from_fn(move || {
        let (mut text, mut items) = rest.take()?;
        while text.len() < PIECE {
            let Some(item) = items.next() else {
                text.extend_from_slice(end.as_bytes());
                return Some(text.into());
            };
            if !std::mem::take(&mut is_first) {
                text.push(b',');
            }
            if let Err(error) = shape.item(&item, now, &mut text) {
                // Without its end nobody takes it for all there is.
                tracing::error!(%error, "a list is broken off");
                return Some(text.into());
            }
        }
        rest = Some((Vec::with_capacity(PIECE + PIECE / 4), items));
        Some(text.into())
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::ACCEPT;
    use serde_json::json;
    use weft_control::Kinds;
    use weft_keyspace::Revision;

    use crate::query::Query;

    use super::*;

    fn items(count: usize, length: usize) -> Vec<Arc<Item>> {
        let item = |name: usize| {
            let labels = json!({ "x": "x".repeat(length) });
            let meta = json!({ "name": name.to_string(), "labels": labels });
            let value = json!({ "metadata": meta, "data": { "a": "b" } });
            Arc::new(Item {
                key: "key".into(),
                value: value.to_string().into(),
                created: Revision(1),
                modified: Revision(7),
                version: 1,
                lease: None,
                memo: Default::default(),
            })
        };
        (0..count).map(item).collect()
    }

    fn shape(accept: &str) -> Shape {
        let kinds = Kinds::built_in();
        let kind = kinds.find("", "v1", "configmaps").unwrap();
        let mut head = HeaderMap::new();
        head.insert(ACCEPT, accept.parse().unwrap());
        Shape::of(kind, "list", &head, &Query::default()).unwrap()
    }

    #[test]
    fn a_list_is_the_same_in_however_many_pieces_and_whatever_form() {
        let form = |name: &str| format!("application/json;as={name};g=meta.k8s.io;v=v1");
        for (accept, kind, list, each) in [
            ("application/json".to_owned(), "ConfigMapList", "items", ""),
            (
                form("PartialObjectMetadataList"),
                "PartialObjectMetadataList",
                "items",
                "",
            ),
            (form("Table"), "Table", "rows", "/object"),
        ] {
            let shape = shape(&accept);
            for (count, length) in [(0, 0), (1, 10), (3, PIECE), (1000, 100), (1, 3 * PIECE)] {
                let pieces: Vec<Bytes> =
                    pieces(&shape, &json!({ "a": 1 }), items(count, length)).collect();
                assert!(pieces.iter().all(|piece| piece.len() < 5 * PIECE));
                let whole: Value = serde_json::from_slice(&pieces.concat()).unwrap();
                assert_eq!(whole["kind"], kind);
                assert_eq!(whole["metadata"], json!({ "a": 1 }));
                let found = whole[list].as_array().unwrap();
                assert_eq!(found.len(), count);
                for (name, item) in found.iter().enumerate() {
                    let item = item.pointer(each).unwrap();
                    assert_eq!(item["metadata"]["name"], name.to_string());
                    assert_eq!(item["metadata"]["resourceVersion"], "7");
                    assert_eq!(item.get("data").is_some(), kind == "ConfigMapList");
                }
            }
        }
    }

    #[test]
    fn a_list_with_something_unreadable_in_it_is_no_whole_list() {
        let mut items = items(3, 0);
        Arc::get_mut(&mut items[1]).unwrap().value = Bytes::from_static(b"{\"metadata\":7");
        let shape = shape("application/json;as=Table;g=meta.k8s.io;v=v1");
        let text = pieces(&shape, &json!({}), items)
            .collect::<Vec<_>>()
            .concat();
        assert!(serde_json::from_slice::<Value>(&text).is_err());
    }
}
