//! How an object is written: its JSON, type and metadata first and its version left out, so that
//! it can be served without being read.
//!
//! ```text
//!   {"kind":"ConfigMap","apiVersion":"v1","metadata":{│"name":"a",…},"data":{…}}
//!                                                     └ "resourceVersion":"7", goes here
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use weft_keyspace::{Item, Memo, Revision};

use super::defined::{self, Settled};
use crate::failure::Failure;
use crate::kind::Kind;
use crate::object::Object;

const METADATA: &[u8] = b"\"metadata\":{";

/// What is stored of `object`.
pub(super) fn write(kind: &Kind, object: &Object) -> Result<Bytes, Failure> {
    write_as((&kind.kind, &kind.api_version()), object)
}

/// The same of an object that is called so: its kind and version.
fn write_as((kind, version): (&str, &str), object: &Object) -> Result<Bytes, Failure> {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(b"{\"kind\":");
    put(&mut text, kind)?;
    text.extend_from_slice(b",\"apiVersion\":");
    put(&mut text, version)?;
    text.push(b',');
    text.extend_from_slice(METADATA);
    let meta = object.0.get("metadata").and_then(Value::as_object);
    let meta = meta.into_iter().flatten();
    fields(
        &mut text,
        meta.filter(|(name, _)| *name != "resourceVersion"),
    )?;
    text.push(b'}');
    let is_head = |name: &str| matches!(name, "kind" | "apiVersion" | "metadata");
    let mut rest = object
        .0
        .iter()
        .filter(|(name, _)| !is_head(name))
        .peekable();
    if rest.peek().is_some() {
        text.push(b',');
    }
    fields(&mut text, rest)?;
    text.push(b'}');
    // It stays in the history: without what was set aside for more.
    Ok(text.into_boxed_slice().into())
}

fn fields<'a>(
    text: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Result<(), Failure> {
    for (index, (name, value)) in fields.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        put(text, name)?;
        text.push(b':');
        put(text, value)?;
    }
    Ok(())
}

fn put(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    serde_json::to_writer(text, value).map_err(Failure::internal)
}

/// What is stored of an object of `kind`, which may be a form of another.
pub(super) fn stored(kind: &Kind, object: &Object) -> Result<Bytes, Failure> {
    if let Some(defined) = &kind.defined {
        let version = format!("{}/{}", kind.group, defined.stored_version());
        return write_as((&kind.kind, &version), &defined.as_stored(kind, object));
    }
    write(kind.stored(), &kind.as_stored(object))
}

/// `item`, which is stored, as `kind` has it, which may be a form of another.
pub(super) fn shown(kind: &Kind, item: &Arc<Item>) -> Result<Arc<Item>, Failure> {
    if kind.form.is_none() {
        return defined::settled(kind, item);
    }
    with(kind, item, &kind.of_stored(&*read(item)?))
}

/// `item` with another object in it.
pub(super) fn with(kind: &Kind, item: &Item, object: &Object) -> Result<Arc<Item>, Failure> {
    Ok(Arc::new(Item {
        key: item.key.clone(),
        value: write(kind, object)?,
        created: item.created,
        modified: item.modified,
        version: item.version,
        lease: item.lease,
        memo: Memo::default(),
    }))
}

/// An object that is kept nowhere, as an item of a list.
///
/// # Errors
/// It is no JSON.
pub fn unkept(kind: &Kind, object: &Object) -> Result<Arc<Item>, Failure> {
    Ok(Arc::new(Item {
        key: Bytes::new(),
        value: write(kind, object)?,
        created: Revision(0),
        modified: Revision(0),
        version: 0,
        lease: None,
        memo: Memo::default(),
    }))
}

/// What is made of an item once, and kept with it.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Nothing: it is no object.
    object: OnceLock<Option<Arc<Object>>>,
    pub(super) settled: Mutex<Vec<Settled>>,
}

pub(super) fn made(item: &Item) -> Arc<Made> {
    item.memo.get_or(item.value.len(), Made::default)
}

/// The object in an item, without its version; read once while it is often asked for.
pub(super) fn read(item: &Item) -> Result<Arc<Object>, Failure> {
    let made = made(item);
    let object = made.object.get_or_init(|| parse(item).ok().map(Arc::new));
    object.clone().ok_or_else(|| damaged(item))
}

/// The same, of which nothing is kept.
pub(super) fn parse(item: &Item) -> Result<Object, Failure> {
    let map = serde_json::from_slice(&item.value);
    map.map(Object).map_err(|_| damaged(item))
}

/// The same without the owners of its fields, whose trees are larger than the rest.
pub(super) fn parse_unowned(item: &Item) -> Result<Object, Failure> {
    let mut parser = serde_json::Deserializer::from_slice(&item.value);
    let map = Less(&["metadata", "managedFields"]).deserialize(&mut parser);
    map.map(Object).map_err(|_| damaged(item))
}

/// Reads a map without the field that this path leads to.
struct Less(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Less {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Less {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            match self.0 {
                [field] if key == *field => drop(from.next_value::<IgnoredAny>()?),
                [field, rest @ ..] if key == *field => {
                    let value = from.next_value_seed(Less(rest))?;
                    map.insert(key, Value::Object(value));
                }
                _ => drop(map.insert(key, from.next_value()?)),
            }
        }
        Ok(map)
    }
}

/// What begins an object as it is stored; the rest is not read.
#[derive(Deserialize)]
struct Head<T> {
    metadata: T,
}

/// The labels of the object in an item.
pub(super) fn labels(item: &Item) -> Result<HashMap<String, String>, Failure> {
    #[derive(Deserialize)]
    struct Labelled {
        #[serde(default)]
        labels: Option<HashMap<String, Option<String>>>,
    }
    let head: Head<Labelled> = head(item)?;
    let labels = head.metadata.labels.into_iter().flatten();
    Ok(labels
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}

/// The metadata of the object in an item, without its version.
pub(super) fn metadata(item: &Item) -> Result<Map<String, Value>, Failure> {
    Ok(head::<Map<String, Value>>(item)?.metadata)
}

fn head<T: DeserializeOwned>(item: &Item) -> Result<Head<T>, Failure> {
    serde_json::from_slice(&item.value).map_err(|_| damaged(item))
}

fn damaged(item: &Item) -> Failure {
    let key = String::from_utf8_lossy(&item.key);
    Failure::internal(format!("what is stored at {key} is no JSON object"))
}

/// What an object of `revision` says of its version: nothing, where a rehearsal made it.
pub(super) fn version_of(revision: Revision) -> Option<String> {
    (revision.0 != 0).then(|| revision.to_string())
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
    if let Some(version) = version_of(version).filter(|_| at > 0) {
        out.extend_from_slice(format!("\"resourceVersion\":\"{version}\"").as_bytes());
        if rest.first() != Some(&b'}') {
            out.push(b',');
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kinds;

    #[test]
    fn owners_of_fields_are_left_out_and_nothing_else() {
        let kinds = Kinds::built_in();
        let kind = kinds.at("", "configmaps").expect("there are config maps");
        let fields = json!({ "f:data": { "f:a": {} } });
        let mut map = json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {
                "name": "a", "labels": { "managedFields": "x" },
                "managedFields": [{ "manager": "m", "operation": "Update", "fieldsV1": fields }],
            },
            "data": { "managedFields": "y", "metadata": "z" },
        });
        let item = |value: &Value| {
            let object = Object(value.as_object().expect("a map").clone());
            unkept(kind, &object).expect("it can be written")
        };
        let read = parse_unowned(&item(&map)).expect("it is an object");
        let metadata = map["metadata"].as_object_mut().expect("a map");
        metadata.remove("managedFields").expect("they were there");
        assert_eq!(Value::Object(read.0), map);
    }
}
