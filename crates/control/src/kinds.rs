//! The kinds this server knows: one file each.

mod config_map;
mod event;
mod namespace;

use serde_json::Value;

use crate::kind::Kind;
use crate::object::Object;

/// All of them.
pub(crate) fn all() -> [Kind; 3] {
    [config_map::kind(), event::kind(), namespace::kind()]
}

/// The JSON schema of a type.
fn document<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// The number of fields of the map at `path`.
fn count(object: &Object, path: &[&str]) -> usize {
    object
        .at(path)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}
