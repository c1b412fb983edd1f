//! Event: what happened to an object, told for people.

use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use super::document;
use crate::kind::{Column, Kind};
use crate::object::Object;

const COLUMNS: &[Column] = &[
    column("Type", "Normal or Warning.", |event| text(event, &["type"])),
    column("Reason", "Why, in one word.", |event| {
        text(event, &["reason"])
    }),
    column("Object", "What it happened to.", object),
    column("Message", "What happened.", |event| {
        text(event, &["message"])
    }),
];

pub(super) fn kind() -> Kind {
    Kind {
        short: &["ev"],
        document: document::<Event>,
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
        columns: COLUMNS,
        is_carried_out: true,
        ..Kind::core("Event", "events", "event")
    }
}

const fn column(name: &'static str, about: &'static str, cell: fn(&Object) -> Value) -> Column {
    Column {
        name,
        kind: "string",
        about,
        priority: 0,
        cell,
    }
}

fn text(event: &Object, path: &[&str]) -> Value {
    event.text(path).unwrap_or_default().into()
}

fn object(event: &Object) -> Value {
    let kind = event.text(&["involvedObject", "kind"]).unwrap_or_default();
    let name = event.text(&["involvedObject", "name"]).unwrap_or_default();
    format!("{}/{name}", kind.to_lowercase()).into()
}
