//! What every object must be, whatever its kind: its nesting and its metadata.
//!
//! Never: types; the schema has said before that they are right, or will say that they are not.

use serde_json::{Map, Value};

use crate::failure::Cause;
use crate::kind::Kind;
use crate::names;
use crate::object::Object;

/// Deepest nesting of an object. Whoever reads JSON gives up at 128, and who owns its fields is
/// nested a little deeper than they are.
pub(super) const DEEPEST: usize = 100;
/// How much deeper it is told who owns a field (`metadata.managedFields[0].fieldsV1`).
const OWNING: usize = 8;
/// Most bytes of all annotations, as upstream.
pub(super) const ANNOTATIONS_MAX: usize = 256 << 10;

/// How deeply `value` is nested: 0 for what holds nothing. What comes in is read within bounds, so
/// this may call itself.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What is wrong, by path. `old` is what was there.
pub(super) fn mistakes(kind: &Kind, object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let deep = object.0.iter().find(|(name, value)| match name.as_str() {
        "metadata" => depth(value) >= DEEPEST + OWNING,
        _ => depth(value) >= DEEPEST,
    });
    if let Some((name, _)) = deep {
        let message = format!("Too deep: must not be nested more than {DEEPEST} levels");
        causes.push(Cause {
            reason: "FieldValueInvalid",
            field: name.clone(),
            message,
        });
    }
    name(kind, object, old, &mut causes);
    labels(object, &mut causes);
    finalizers(object, &mut causes);
    if let Some(old) = old.filter(|old| old.meta().is_deleting()) {
        let had: Vec<&str> = old.meta().finalizers().collect();
        let mut new: Vec<&str> = object.meta().finalizers().collect();
        new.retain(|name| !had.contains(name));
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                new.iter()
                    .map(|name| format!("{name:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    owners(object, &mut causes);
    causes
}

fn finalizers(object: &Object, causes: &mut Vec<Cause>) {
    for finalizer in object.meta().finalizers() {
        if let Err(why) = names::label_key(finalizer) {
            causes.push(Cause::invalid("metadata.finalizers", finalizer, why));
        }
    }
}

/// What is wrong with the objects within an object; that their version and kind are there, and all
/// types are right, the schema says.
pub(super) fn embedded(kind: &Kind, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (path, inner) in kind.schema().embedded(&object.0) {
        let inner_causes = of_embedded(inner).into_iter();
        causes.extend(inner_causes.map(|cause| Cause {
            field: format!("{path}.{}", cause.field),
            ..cause
        }));
    }
    causes
}

fn of_embedded(map: &Map<String, Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let object = Object(map.clone());
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    if let Some(version) = text("apiVersion") {
        if version.is_empty() {
            causes.push(Cause::invalid("apiVersion", version, "must not be empty"));
        } else if version.matches('/').count() > 1 {
            let why = "should be a group and a version, or a version";
            causes.push(Cause::invalid("apiVersion", shown(version), why));
        }
    }
    if let Some(kind) = text("kind") {
        if kind.is_empty() {
            causes.push(Cause::invalid("kind", kind, "must not be empty"));
        } else if let Err(why) = names::dns_1035(&kind.to_lowercase()) {
            causes.push(Cause::invalid("kind", shown(kind), why));
        }
    }
    let name = object.meta().name();
    if let Err(why) = names::path_segment(name)
        && !name.is_empty()
    {
        causes.push(Cause::invalid("metadata.name", shown(name), why));
    }
    labels(&object, &mut causes);
    finalizers(&object, &mut causes);
    owners(&object, &mut causes);
    causes
}

fn name(kind: &Kind, object: &Object, old: Option<&Object>, causes: &mut Vec<Cause>) {
    if old.is_some() {
        return;
    }
    let meta = object.meta();
    let (name, prefix) = (meta.name(), meta.text("generateName"));
    // A prefix may end as no name does.
    if !prefix.is_empty()
        && let Err(why) = (kind.check_name)(&format!("{}a", prefix.trim_end_matches('-')))
    {
        causes.push(Cause::invalid("metadata.generateName", shown(prefix), why));
    }
    if name.is_empty() {
        let why = "name or generateName is required";
        causes.push(Cause::required("metadata.name", why));
    } else if let Err(why) = (kind.check_name)(name) {
        causes.push(Cause::invalid("metadata.name", shown(name), why));
    }
}

fn labels(object: &Object, causes: &mut Vec<Cause>) {
    let mut bytes = 0;
    for (field, is_label) in [("labels", true), ("annotations", false)] {
        let path = format!("metadata.{field}");
        for (key, value) in object.meta().map(field) {
            if let Err(why) = names::label_key(key) {
                causes.push(Cause::invalid(&path, shown(key), why));
            }
            if !is_label {
                bytes += key.len() + value.len();
            } else if let Err(why) = names::label_value(value) {
                causes.push(Cause::invalid(&path, shown(value), why));
            }
        }
    }
    if bytes > ANNOTATIONS_MAX {
        let message = format!("Too long: may not be more than {ANNOTATIONS_MAX} bytes");
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".to_owned(),
            message,
        });
    }
}

fn owners(object: &Object, causes: &mut Vec<Cause>) {
    let path = "metadata.ownerReferences";
    let owners = object.at(&["metadata", "ownerReferences"]);
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    let mut controllers = 0;
    for (index, owner) in owners.enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str) == Some("") {
                causes.push(Cause::required(format!("{path}[{index}].{field}"), ""));
            }
        }
        controllers += usize::from(owner.get("controller") == Some(&Value::Bool(true)));
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid(path, controllers, why));
    }
}

/// As much of what somebody sent as a message should say again.
fn shown(text: &str) -> String {
    const SHOWN: usize = 300;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
