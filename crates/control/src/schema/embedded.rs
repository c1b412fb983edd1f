//! Whole objects within an object (`x-kubernetes-embedded-resource`): where they are, and what a
//! schema says of them besides what its definition does.

use serde_json::{Map, Value, json};

use super::rules::Rules;

const EMBEDDED: &str = "x-kubernetes-embedded-resource";

/// Whether an object is to be where this schema is.
fn is_embedded(schema: &Value) -> bool {
    schema.get(EMBEDDED) == Some(&Value::Bool(true))
}

/// Says of every embedded object that it has a version, a kind and metadata, which are `metadata`
/// and what the definition says of them. Gives whether there is one.
pub(crate) fn complete(schema: &mut Value, metadata: &Value) -> bool {
    let mut found = is_embedded(schema);
    let Some(map) = schema.as_object_mut() else {
        return false;
    };
    for name in ["items", "additionalProperties"] {
        if let Some(below) = map.get_mut(name) {
            found |= complete(below, metadata);
        }
    }
    let properties = map.get_mut("properties").and_then(Value::as_object_mut);
    for below in properties.into_iter().flat_map(Map::values_mut) {
        found |= complete(below, metadata);
    }
    if map.get(EMBEDDED) == Some(&Value::Bool(true)) {
        add(map, metadata);
    }
    found
}

fn add(map: &mut Map<String, Value>, metadata: &Value) {
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    for name in ["apiVersion", "kind"] {
        if properties.get(name).is_none() {
            properties[name] = json!({ "type": "string" });
        }
    }
    let own = properties.get("metadata").and_then(Value::as_object);
    let mut whole = own.cloned().unwrap_or_default();
    // Nothing else is known there than what all metadata may say.
    whole.remove("additionalProperties");
    for (name, value) in metadata.as_object().into_iter().flatten() {
        whole.insert(name.clone(), value.clone());
    }
    properties["metadata"] = whole.into();
    let required = map.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        for name in ["apiVersion", "kind"] {
            if !required.iter().any(|one| one == name) {
                required.push(name.into());
            }
        }
    }
}

/// Whether there are any in the objects of a schema.
pub(super) fn are_within(schema: &Value) -> bool {
    schema.to_string().contains(EMBEDDED)
}

impl Rules {
    /// The objects that are embedded in an object, with their paths.
    pub(super) fn embedded<'a>(
        &self,
        object: &'a Map<String, Value>,
    ) -> Vec<(String, &'a Map<String, Value>)> {
        let mut found = Vec::new();
        let fields = self.document.get("properties").filter(|_| self.embeds);
        for (name, value) in object {
            if let Some(schema) = fields.and_then(|fields| fields.get(name)) {
                find(schema, value, name, &mut found);
            }
        }
        found
    }
}

/// The objects that are embedded in a value, with their paths.
fn find<'a>(
    schema: &Value,
    value: &'a Value,
    path: &str,
    found: &mut Vec<(String, &'a Map<String, Value>)>,
) {
    match value {
        Value::Object(map) => {
            if is_embedded(schema) {
                found.push((path.to_owned(), map));
            }
            let rest = schema.get("additionalProperties");
            for (name, value) in map {
                let own = schema.get("properties").and_then(|known| known.get(name));
                if let Some(below) = own.or(rest) {
                    let dot = if path.is_empty() { "" } else { "." };
                    find(below, value, &format!("{path}{dot}{name}"), found);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                for (index, value) in list.iter().enumerate() {
                    find(items, value, &format!("{path}[{index}]"), found);
                }
            }
        }
        _ => {}
    }
}
