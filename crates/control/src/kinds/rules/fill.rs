//! Filling in what was left out.
//!
//! Never: judges. What is of the wrong type stays as it is, for the check that comes after.

use serde_json::{Map, Value};

use crate::quantity::Quantity;

/// The fields of an object.
pub(crate) type Fields = Map<String, Value>;

/// Sets what is absent.
pub(crate) fn set(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Sets what is absent or empty.
pub(crate) fn set_text(fields: &mut Fields, name: &str, value: &str) {
    let is_empty = |found: &Value| found.is_null() || found.as_str() == Some("");
    if fields.get(name).is_none_or(is_empty) {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Sets what is absent or zero.
pub(crate) fn set_number(fields: &mut Fields, name: &str, value: i64) {
    let is_zero = |found: &Value| found.is_null() || found.as_i64() == Some(0);
    if fields.get(name).is_none_or(is_zero) {
        fields.insert(name.to_owned(), value.into());
    }
}

/// The object that is the field `name`, if it is one.
pub(crate) fn below<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    fields.get_mut(name)?.as_object_mut()
}

/// The object that is the field `name`, made if it is absent.
pub(crate) fn made<'a>(fields: &'a mut Fields, name: &str) -> Option<&'a mut Fields> {
    set(fields, name, Map::new());
    below(fields, name)
}

/// The objects of the list that is the field `name`.
pub(crate) fn each<'a>(
    fields: &'a mut Fields,
    name: &str,
) -> impl Iterator<Item = &'a mut Fields> + use<'a> {
    let list = fields.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The text of a field; empty where there is none.
pub(crate) fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Writes the quantity that is the field `name` as Kubernetes does.
pub(crate) fn quantity(fields: &mut Fields, name: &str) {
    if let Some(value) = fields.get_mut(name) {
        canonical(value, |quantity| quantity);
    }
}

/// Writes the quantities of a resource list as Kubernetes does.
pub(crate) fn resource_list(fields: &mut Fields, name: &str) {
    for (_, value) in below(fields, name).into_iter().flatten() {
        canonical(value, Quantity::to_thousandths);
    }
}

fn canonical(value: &mut Value, round: impl FnOnce(Quantity) -> Quantity) {
    if let Ok(quantity) = Quantity::of(value) {
        let written = round(quantity).to_string();
        if value.as_str() != Some(&written) {
            *value = written.into();
        }
    }
}
