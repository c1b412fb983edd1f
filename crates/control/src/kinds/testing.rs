//! What tests of kinds share.

use serde_json::Value;

use crate::kind::Kind;
use crate::object::Object;
use crate::schema;

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
    let causes = match found.mistakes {
        none if none.is_empty() => (kind.validate)(&new, old),
        mistakes => mistakes,
    };
    causes.iter().map(ToString::to_string).collect()
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

/// Headings and cells as `kubectl get -o wide` shows them, without the age.
pub(super) fn row(kind: &Kind, value: Value) -> Vec<(String, String)> {
    let object = object(value);
    let cells = kind.cells(&object);
    cells
        .filter(|(column, _)| column.name != "Age")
        .map(|(column, cell)| {
            let cell = match cell {
                Value::String(text) => text,
                other => other.to_string(),
            };
            (column.name.to_uppercase(), cell)
        })
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
