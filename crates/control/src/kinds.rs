//! The kinds this server knows: one file each.

mod config_map;
mod event;
mod namespace;

use serde_json::Value;

use crate::kind::{Document, Kind};
use crate::object::Object;

/// All of them.
pub(crate) fn all() -> Vec<Kind> {
    vec![config_map::kind(), event::kind(), namespace::kind()]
}

/// The JSON schema of a type.
fn document<T: schemars::JsonSchema>() -> Document {
    Document::Of(|| schemars::schema_for!(T).to_value())
}

/// The text at `path`, for a cell; empty where there is none.
fn text(object: &Object, path: &[&str]) -> Value {
    object.text(path).unwrap_or_default().into()
}

/// The number of fields of the map at `path`.
fn count(object: &Object, path: &[&str]) -> usize {
    object
        .at(path)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}
