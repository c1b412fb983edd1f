//! Lists, from what is stored as it is.
//!
//! Owns their text. A long list is made as its client takes it: what nobody reads takes no room.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use serde_json::Value;
use weft_control::Kind;
use weft_control::store;
use weft_keyspace::Item;

use crate::answer::{self, Answer};

/// Bytes after which another piece begins.
pub(crate) const PIECE: usize = 64 << 10;

/// The list of `items`.
pub(crate) fn answer(kind: &Kind, meta: &Value, items: Vec<Arc<Item>>) -> Answer {
    let is_short = items.iter().map(|item| item.value.len()).sum::<usize>() < PIECE;
    let pieces = pieces(kind, meta, items);
    if is_short {
        let text = pieces.collect::<Vec<_>>().concat();
        return answer::whole(StatusCode::OK, "application/json", text);
    }
    answer::stream("application/json", stream::iter(pieces))
}

fn pieces(kind: &Kind, meta: &Value, items: Vec<Arc<Item>>) -> impl Iterator<Item = Bytes> + use<> {
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{meta},\"items\":[",
        kind.kind,
        kind.api_version()
    );
    let mut rest = Some((head.into_bytes(), items.into_iter()));
    std::iter::from_fn(move || {
        let (mut text, mut items) = rest.take()?;
        while text.len() < PIECE {
            let Some(item) = items.next() else {
                text.extend_from_slice(b"]}");
                return Some(text.into());
            };
            store::wire(&item, &mut text);
            if !items.as_slice().is_empty() {
                text.push(b',');
            }
        }
        rest = Some((Vec::with_capacity(PIECE + PIECE / 4), items));
        Some(text.into())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_control::Kinds;
    use weft_keyspace::Revision;

    use super::*;

    #[test]
    fn a_list_is_the_same_in_however_many_pieces() {
        let kinds = Kinds::built_in();
        let kind = kinds.find("", "v1", "configmaps").unwrap();
        for (count, length) in [(0, 0), (1, 10), (3, PIECE), (1000, 100), (1, 3 * PIECE)] {
            let item = |name: usize| {
                let value = json!({ "metadata": { "name": name, "x": "x".repeat(length) } });
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
            let items = (0..count).map(item).collect();
            let pieces: Vec<Bytes> = pieces(kind, &json!({ "a": 1 }), items).collect();
            assert!(pieces.iter().all(|piece| piece.len() < 5 * PIECE));
            let list: Value = serde_json::from_slice(&pieces.concat()).unwrap();
            assert_eq!(list["kind"], "ConfigMapList");
            assert_eq!(list["metadata"], json!({ "a": 1 }));
            let found = list["items"].as_array().unwrap();
            assert_eq!(found.len(), count);
            for (name, item) in found.iter().enumerate() {
                assert_eq!(item["metadata"]["name"], name);
                assert_eq!(item["metadata"]["resourceVersion"], "7");
            }
        }
    }
}
