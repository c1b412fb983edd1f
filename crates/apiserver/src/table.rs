//! Tables (`meta.k8s.io/v1`): what `kubectl get` prints, made here.

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_control::{Column, Kind, Object};

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

/// A table of `objects`.
pub(crate) fn of(
    kind: &Kind,
    objects: &[Object],
    meta: Value,
    beside: Beside,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| row(kind, object, beside, now))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": columns(kind),
        "rows": rows,
    })
}

fn columns(kind: &Kind) -> Vec<Value> {
    let column = |column: &Column| {
        json!({
            "name": column.name,
            // Times are shown as ages, which are texts.
            "type": if column.kind == "date" { "string" } else { &column.kind },
            "format": column.format,
            "description": column.about,
            "priority": column.priority,
        })
    };
    kind.columns.iter().map(column).collect()
}

fn cell(column: &Column, object: &Object, now: Timestamp) -> Value {
    let cell = column.cell(object);
    if column.kind != "date" {
        return cell;
    }
    match cell.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(then)) => age(now.duration_since(then).as_secs()).into(),
        _ => "<unknown>".into(),
    }
}

fn row(kind: &Kind, object: &Object, beside: Beside, now: Timestamp) -> Value {
    let columns = kind.columns.iter();
    let cells: Vec<Value> = columns.map(|column| cell(column, object, now)).collect();
    let object = match beside {
        Beside::Nothing => Value::Null,
        Beside::Whole => Value::Object(object.0.clone()),
        Beside::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object.0.get("metadata"),
        }),
    };
    json!({ "cells": cells, "object": object })
}

/// A time as kubectl shows it: two units while they matter (`apimachinery/pkg/util/duration`).
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: char, small: i64, below: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{below}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ages_are_kubectls() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (600, "10m"),
            (3_600 * 3 - 1, "179m"),
            (3_600 * 3 + 60, "3h1m"),
            (3_600 * 8, "8h"),
            (86_400 * 2, "2d"),
            (86_400 * 2 + 3_600, "2d1h"),
            (86_400 * 8, "8d"),
            (86_400 * 730, "2y"),
        ] {
            assert_eq!(super::age(seconds), text, "{seconds}");
        }
    }
}
