//! Filling in what was left out of an object.
//!
//! Never: changes what somebody meant; what is of the wrong type is left for the schema to refuse.

use serde_json::{Map, Value};

use crate::quantity::Quantity;

pub(super) type Fields = Map<String, Value>;

/// `name` is `value` where nothing is said.
pub(super) fn fill(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    let slot = fields.entry(name).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// The same, where an empty text says nothing, too.
pub(super) fn fill_text(fields: &mut Fields, name: &str, value: &str) {
    if fields.get(name).and_then(Value::as_str) == Some("") {
        fields.remove(name);
    }
    fill(fields, name, value);
}

/// The object at `name`.
pub(super) fn within<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    fields.get_mut(name)?.as_object_mut()
}

/// The object at `name`, made where there is none.
pub(super) fn made<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    fill(fields, name, Map::new());
    within(fields, name)
}

/// The objects in the list at `name`.
pub(super) fn each<'a>(
    fields: &'a mut Fields,
    name: &str,
) -> impl Iterator<Item = &'a mut Fields> + use<'a> {
    let list = fields.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The text at `name`; empty where there is none.
pub(super) fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Writes the quantities of a resource list as Kubernetes does.
pub(super) fn resource_list(fields: &mut Fields, name: &str) {
    for (_, value) in within(fields, name).into_iter().flatten() {
        let written = Quantity::of(value).map(|found| found.to_thousandths().to_string());
        if let Ok(written) = written {
            *value = written.into();
        }
    }
}
