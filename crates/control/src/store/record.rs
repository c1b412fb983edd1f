//! How an object is written: its JSON, type and metadata first and its version left out, so that
//! it can be served without being read.
//!
//! ```text
//!   {"kind":"ConfigMap","apiVersion":"v1","metadata":{│"name":"a",…},"data":{…}}
//!                                                     └ "resourceVersion":"7", goes here
//! ```

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weft_keyspace::{Item, Revision};

use crate::failure::Failure;
use crate::kind::Kind;
use crate::object::Object;

const METADATA: &[u8] = b"\"metadata\":{";

/// What is stored of `object`.
pub(super) fn write(kind: &Kind, object: &Object) -> Result<Bytes, Failure> {
    let mut text = Vec::with_capacity(512);
    let mut meta = object.0.get("metadata").cloned().unwrap_or_default();
    if let Some(meta) = meta.as_object_mut() {
        meta.remove("resourceVersion");
    }
    let head = [
        ("kind", Value::from(&*kind.kind)),
        ("apiVersion", kind.api_version().into()),
        ("metadata", meta),
    ];
    let is_head = |name: &str| head.iter().any(|(known, _)| *known == name);
    let rest = object.0.iter().filter(|(name, _)| !is_head(name));
    let rest = rest.map(|(name, value)| (name.as_str(), value));
    for (name, value) in head.iter().map(|(name, value)| (*name, value)).chain(rest) {
        text.push(if text.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut text, name).map_err(Failure::internal)?;
        text.push(b':');
        serde_json::to_writer(&mut text, value).map_err(Failure::internal)?;
    }
    text.push(b'}');
    Ok(text.into())
}

/// The object in an item, without its version; read once.
pub(super) fn read(item: &Item) -> Result<Arc<Object>, Failure> {
    let made = item
        .memo
        .get_or(|| match serde_json::from_slice(&item.value) {
            Ok(map) => Some(Arc::new(Object(map))),
            Err(_) => None,
        });
    made.as_ref().clone().ok_or_else(|| {
        let key = String::from_utf8_lossy(&item.key);
        Failure::internal(format!("what is stored at {key} is no JSON object"))
    })
}

/// Appends the JSON of the object in `item`, with its version, to `out`.
pub fn wire(item: &Item, out: &mut Vec<u8>) {
    wire_at(item, item.modified, out);
}

/// The same with another version: that of a deletion.
pub fn wire_at(item: &Item, version: Revision, out: &mut Vec<u8>) {
    let at = item
        .value
        .windows(METADATA.len())
        .position(|window| window == METADATA)
        .map_or(0, |at| at + METADATA.len());
    let (head, rest) = item.value.split_at(at);
    out.extend_from_slice(head);
    if at > 0 {
        out.extend_from_slice(format!("\"resourceVersion\":\"{}\"", version).as_bytes());
        if rest.first() != Some(&b'}') {
            out.push(b',');
        }
    }
    out.extend_from_slice(rest);
}
