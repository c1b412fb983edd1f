//! Tables (`meta.k8s.io`): what `kubectl get` prints, made here.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use weft_control::age::age;
use weft_control::{Column, Kind, Object};

use crate::shape;

/// How much of an object stands beside its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    Metadata,
    Whole,
}

impl Beside {
    /// What `includeObject` says.
    pub(crate) fn of(text: &str) -> Beside {
        match text {
            "None" => Beside::Nothing,
            "Object" => Beside::Whole,
            _ => Beside::Metadata,
        }
    }
}

/// A table of `rows`.
pub(crate) fn of(kind: &Kind, rows: Vec<Value>, meta: &Value, version: &str) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": meta,
        "columnDefinitions": columns(kind),
        "rows": rows,
    })
}

fn columns(kind: &Kind) -> Vec<Value> {
    let column = |column: &Column| {
        json!({
            "name": column.name,
            // Times are shown as ages, which are texts; what is defined says so of itself.
            "type": if column.kind == "date" && !kind.is_custom() { "string" } else { &column.kind },
            "format": column.format,
            "description": column.about,
            "priority": column.priority,
        })
    };
    kind.columns.iter().map(column).collect()
}

fn shown(column: &Column, cell: Value, now: Timestamp) -> Value {
    if column.kind != "date" {
        return cell;
    }
    match cell.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(then)) => age(now.duration_since(then).as_secs()).into(),
        None if cell.is_null() => cell,
        _ => "<unknown>".into(),
    }
}

/// The row of an object.
pub(crate) fn row(
    kind: &Kind,
    mut object: Object,
    (version, beside): (&str, Beside),
    now: Timestamp,
) -> Value {
    let looked_at = kind.for_cells(&object);
    let cells = kind.cells(&looked_at);
    let cells: Vec<Value> = cells
        .map(|(column, cell)| shown(column, cell, now))
        .collect();
    drop(looked_at);
    let object = match beside {
        Beside::Nothing => Value::Null,
        Beside::Whole => Value::Object(object.0),
        Beside::Metadata => {
            let metadata = object.0.remove("metadata").unwrap_or_default();
            shape::metadata(metadata, version)
        }
    };
    let mut row = Map::new();
    row.insert("cells".to_owned(), cells.into());
    row.insert("object".to_owned(), object);
    row.into()
}
