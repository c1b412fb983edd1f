//! Trying kinds out: what becomes of a manifest, and what is said of a wrong one.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::object::Object;
use crate::schema;

/// The id of every object made here.
pub(super) const ID: &str = "6f1c0b5e-0000-4000-8000-000000000000";

pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        other => panic!("no object: {other}"),
    }
}

/// A manifest as it is after creation.
pub(super) fn made(kind: &Kind, manifest: Value) -> Object {
    let mut object = object(manifest);
    object.set_meta("uid", Some(ID.into()));
    (kind.default)(&mut object);
    let once = object.clone();
    (kind.default)(&mut object);
    assert_eq!(object, once, "defaults add nothing to what they made");
    object
}

/// Everything that is wrong with a manifest.
pub(super) fn wrong(kind: &Kind, manifest: Value) -> Vec<String> {
    let mut object = made(kind, manifest);
    let findings = schema::check(kind.schema(), &mut object.0);
    assert!(findings.unknown.is_empty(), "{:?}", findings.unknown);
    let mut causes = findings.mistakes;
    causes.extend((kind.validate)(&object, None));
    causes.iter().map(ToString::to_string).collect()
}

/// What is wrong when `old` is to become `new`, both made of manifests.
pub(super) fn wrong_change(kind: &Kind, old: Value, new: Value) -> Vec<String> {
    let mut old = made(kind, old);
    old.set_meta("resourceVersion", Some("1".into()));
    let mut object = object(new);
    object.set_meta("uid", Some(ID.into()));
    object.set_meta("resourceVersion", Some("1".into()));
    if let Some(status) = old.0.get("status") {
        object.0.insert("status".to_owned(), status.clone());
    }
    (kind.inherit)(&old, &mut object);
    (kind.default)(&mut object);
    let causes = (kind.validate)(&object, Some(&old));
    causes.iter().map(ToString::to_string).collect()
}

/// `base` with another value at the pointer (RFC 6901); null takes what is there away.
pub(super) fn with(base: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = base.clone();
    let (above, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
    let above = changed.pointer_mut(above).expect("what is above is there");
    match above {
        Value::Array(list) if name == "-" => list.push(value),
        Value::Array(list) => list[name.parse::<usize>().expect("an index")] = value,
        Value::Object(map) if value.is_null() => drop(map.remove(name)),
        Value::Object(map) => drop(map.insert(name.to_owned(), value)),
        other => panic!("nothing is in {other}"),
    }
    changed
}

/// A table of changes to `base`, and what the one mistake each makes begins with.
pub(super) fn each_is_refused(kind: &Kind, base: &Value, table: &[(&str, Value, &str)]) {
    assert_eq!(wrong(kind, base.clone()), [""; 0], "the base is right");
    for (pointer, value, expected) in table {
        let told = wrong(kind, with(base, pointer, value.clone()));
        let is_told = told.iter().any(|one| one.starts_with(expected));
        assert!(is_told, "{pointer} = {value}: {told:#?} lacks {expected}");
    }
}

/// A template with one container, with the label `app: web`.
pub(super) fn template() -> Value {
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "web", "image": "nginx:1.27" }] },
    })
}

/// What the cells of `object` say, those of the columns that are always shown first.
pub(super) fn cells(kind: &Kind, object: &Object) -> Vec<String> {
    let cells = kind.cells(object);
    let cells = cells.filter(|(column, _)| column.kind != "date");
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    cells.map(|(_, cell)| text(cell)).collect()
}

/// Headings, those of `-o wide` in parentheses.
pub(super) fn headings(kind: &Kind) -> String {
    let shown = kind.columns.iter().map(|column| match column.priority {
        0 => column.name.to_string(),
        _ => format!("({})", column.name),
    });
    shown.collect::<Vec<_>>().join(" ")
}
