//! Which fields of an object somebody owns, for server-side apply.
//!
//! Owns: sets of fields, what they are in an object, what differs between two objects, and how a
//! configuration is laid over an object. Never: who owns what; that is `store/managed.rs`.
//!
//! ```text
//!   spec.template.spec.containers[name=a].image
//!   {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}}}}}
//! ```

mod overlay;
mod set;
mod walk;

pub(crate) use overlay::{overlay, remove};
pub(crate) use set::{Set, Step};
pub(crate) use walk::{difference, of};

use serde_json::{Map, Value};

use crate::schema::Key;

/// What tells an element of a list apart: its keys' values, as text.
fn item(keys: &[Key], element: &Value) -> Option<Step> {
    let mut found = Map::new();
    for key in keys {
        let value = element.get(&*key.name).or(key.default.as_ref());
        // An optional key that is nowhere tells nothing apart.
        if let Some(value) = value {
            found.insert(key.name.to_string(), value.clone());
        }
    }
    (!found.is_empty()).then(|| Step::Item(Value::Object(found).to_string()))
}

#[cfg(test)]
mod tests;
