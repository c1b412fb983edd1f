//! Event: what happened to an object, told for people.

mod group;
mod rules;

use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use super::{document, text};
use crate::kind::{Column, Kind, texts};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["ev"]),
        document: document::<Event>(),
        selectable: &[
            ("involvedObject.kind", &["involvedObject", "kind"]),
            ("involvedObject.namespace", &["involvedObject", "namespace"]),
            ("involvedObject.name", &["involvedObject", "name"]),
            ("involvedObject.uid", &["involvedObject", "uid"]),
            (
                "involvedObject.apiVersion",
                &["involvedObject", "apiVersion"],
            ),
            (
                "involvedObject.resourceVersion",
                &["involvedObject", "resourceVersion"],
            ),
            ("involvedObject.fieldPath", &["involvedObject", "fieldPath"]),
            ("reason", &["reason"]),
            ("reportingComponent", &["reportingComponent"]),
            ("source", &["source", "component"]),
            ("type", &["type"]),
        ],
        validate: rules::validate,
        forms: group::forms,
        columns: columns(),
        is_carried_out: true,
        // Upstream's `--event-ttl`.
        lives_s: 3600,
        is_made_by_put: true,
        ..Kind::core("Event", "events", "event")
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::text("Last Seen", "When it happened last.", last_seen).date(),
        Column::text("Type", "Normal or Warning.", |event| text(event, &["type"])),
        Column::text("Reason", "Why, in one word.", |event| {
            text(event, &["reason"])
        }),
        Column::text("Object", "What it happened to.", object),
        Column::text("Subobject", "Which part of it.", |event| {
            text(event, &["involvedObject", "fieldPath"])
        })
        .wide(),
        Column::text("Source", "Who tells it.", source).wide(),
        Column::text("Message", "What happened.", |event| {
            text(event, &["message"])
        }),
        Column::text("First Seen", "When it happened first.", first_seen)
            .date()
            .wide(),
        Column::text("Count", "How often it happened.", |event| {
            count(event).into()
        })
        .integer()
        .wide(),
        Column::name().wide(),
    ]
}

/// The first of these times that is there.
fn time(event: &Object, paths: &[&[&str]]) -> Value {
    let mut found = paths.iter().filter_map(|path| event.text(path));
    found.find(|text| !text.is_empty()).unwrap_or("").into()
}

fn last_seen(event: &Object) -> Value {
    time(
        event,
        &[
            &["series", "lastObservedTime"],
            &["lastTimestamp"],
            &["eventTime"],
            &["firstTimestamp"],
        ],
    )
}

fn first_seen(event: &Object) -> Value {
    time(event, &[&["firstTimestamp"], &["eventTime"]])
}

/// A series counts itself; an event that is none happened once.
fn count(event: &Object) -> i64 {
    let found = event.at(&["series", "count"]).or(event.at(&["count"]));
    found.and_then(Value::as_i64).unwrap_or(1)
}

fn source(event: &Object) -> Value {
    let host = event.text(&["source", "host"]);
    let component = event.text(&["source", "component"]);
    let component = component.filter(|text| !text.is_empty());
    let component = component.or(event.text(&["reportingComponent"]));
    let parts: Vec<&str> = component.into_iter().chain(host).collect();
    parts.join(", ").into()
}

fn object(event: &Object) -> Value {
    let kind = event.text(&["involvedObject", "kind"]).unwrap_or_default();
    let name = event.text(&["involvedObject", "name"]).unwrap_or_default();
    format!("{}/{name}", kind.to_lowercase()).into()
}
