//! Trying kinds out: what becomes of a manifest, what is said of a wrong one, and how it is shown.

use serde_json::{Value, json};

use crate::failure::Cause;
use crate::kind::Kind;
use crate::object::Object;
use crate::schema;

/// The id of every object made here.
pub(super) const ID: &str = "6f1c0b5e-0000-4000-8000-000000000000";

pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        other => panic!("{other} is no object"),
    }
}

/// With everything filled in that was left out; to do it twice changes nothing.
#[track_caller]
pub(super) fn defaulted(kind: &Kind, value: Value) -> Value {
    let mut once = object(value);
    (kind.default)(&mut once);
    let mut twice = once.clone();
    (kind.default)(&mut twice);
    assert_eq!(once, twice, "defaults are not idempotent");
    once.0.into()
}

/// The same, with an id, as it is after creation.
#[track_caller]
pub(super) fn made(kind: &Kind, manifest: Value) -> Object {
    object(defaulted(kind, with_id(manifest)))
}

fn with_id(manifest: Value) -> Value {
    let mut object = object(manifest);
    object.set_meta("uid", Some(ID.into()));
    object.0.into()
}

/// What is wrong with an object, as the successor of another perhaps.
#[track_caller]
pub(super) fn mistakes(kind: &Kind, value: Value, old: Option<&Object>) -> Vec<String> {
    let mut new = object(value);
    if let Some(old) = old {
        (kind.inherit)(old, &mut new);
    }
    let mut new = object(defaulted(kind, new.0.into()));
    let found = schema::check(kind.schema(), &mut new.0);
    assert_eq!(found.unknown, Vec::<String>::new());
    let mut causes = found.mistakes;
    if !causes.iter().any(Cause::is_wrong_type) {
        // What is missing is told once.
        let mut more = (kind.validate)(&new, old);
        let is_missing = |at: &str| causes.iter().any(|one| at.starts_with(&one.field));
        more.retain(|one| !is_missing(&one.field));
        causes.extend(more);
    }
    causes.iter().map(ToString::to_string).collect()
}

/// Everything that is wrong with a manifest that is to be created.
#[track_caller]
pub(super) fn wrong(kind: &Kind, manifest: Value) -> Vec<String> {
    mistakes(kind, with_id(manifest), None)
}

/// What is wrong when `old` is to become `new`, both made of manifests.
#[track_caller]
pub(super) fn wrong_change(kind: &Kind, old: Value, new: Value) -> Vec<String> {
    let version = || Some("1".into());
    let (mut old, mut new) = (made(kind, old), object(with_id(new)));
    old.set_meta("resourceVersion", version());
    new.set_meta("resourceVersion", version());
    if let Some(status) = old.0.get("status") {
        new.0.insert("status".to_owned(), status.clone());
    }
    mistakes(kind, new.0.into(), Some(&old))
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
#[track_caller]
pub(super) fn each_is_refused(kind: &Kind, base: &Value, table: &[(&str, Value, &str)]) {
    assert_eq!(wrong(kind, base.clone()), [""; 0], "the base is right");
    for (pointer, value, expected) in table {
        let told = wrong(kind, with(base, pointer, value.clone()));
        let is_told = told.iter().any(|one| one.starts_with(expected));
        assert!(is_told, "{pointer} = {value}: {told:#?} lacks {expected}");
    }
}

/// Nothing is wrong with `base`; but with it and each patch (RFC 7386) there is exactly what
/// stands beside it: beginnings of messages.
#[track_caller]
pub(super) fn refuses(kind: &Kind, base: &Value, cases: &[(Value, &[&str])]) {
    assert_eq!(mistakes(kind, base.clone(), None), Vec::<String>::new());
    for (patch, wanted) in cases {
        let mut value = base.clone();
        json_patch::merge(&mut value, patch);
        same(&mistakes(kind, value, None), wanted, patch);
    }
}

/// The same for `base` becoming what it is with each patch.
#[track_caller]
pub(super) fn refuses_change(kind: &Kind, base: &Value, cases: &[(Value, &[&str])]) {
    let old = object(defaulted(kind, base.clone()));
    for (patch, wanted) in cases {
        let mut value = Value::Object(old.0.clone());
        json_patch::merge(&mut value, patch);
        same(&mistakes(kind, value, Some(&old)), wanted, patch);
    }
}

#[track_caller]
fn same(found: &[String], wanted: &[&str], patch: &Value) {
    let fits = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.starts_with(wanted));
    assert!(fits, "{patch}\nfound {found:#?}\nwanted {wanted:#?}");
}

/// A template with one container, with the label `app: web`.
pub(super) fn template() -> Value {
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "web", "image": "nginx:1.27" }] },
    })
}

/// Headings and cells as `kubectl get -o wide` shows them, without the age.
pub(super) fn row(kind: &Kind, value: Value) -> Vec<(String, String)> {
    let object = object(value);
    let cells = kind.cells(&object);
    cells
        .filter(|(column, _)| column.name != "Age")
        .map(|(column, cell)| (column.name.to_uppercase(), text(cell)))
        .collect()
}

/// Asserts a row.
#[track_caller]
pub(super) fn shows(kind: &Kind, value: Value, wanted: &[(&str, &str)]) {
    let found = row(kind, value);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(name, cell)| (name.as_str(), cell.as_str()))
        .collect();
    assert_eq!(found, wanted);
}

/// What the cells of `object` say, those of the columns that are always shown first.
pub(super) fn cells(kind: &Kind, object: &Object) -> Vec<String> {
    let cells = kind
        .cells(object)
        .filter(|(column, _)| column.kind != "date");
    cells.map(|(_, cell)| text(cell)).collect()
}

fn text(cell: Value) -> String {
    match cell {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Headings, those of `-o wide` in parentheses.
pub(super) fn headings(kind: &Kind) -> String {
    let shown = kind.columns.iter().map(|column| match column.priority {
        0 => column.name.to_string(),
        _ => format!("({})", column.name),
    });
    shown.collect::<Vec<_>>().join(" ")
}
