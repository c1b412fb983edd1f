//! PodMetrics and NodeMetrics: what pods and nodes use, for `kubectl top`.
//!
//! Never: stored; they are measured when somebody asks.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::schema_of;
use crate::kind::{Column, Document, Kind};
use crate::object::Object;

const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "v1beta1";

pub(super) fn nodes() -> Kind {
    Kind {
        is_namespaced: false,
        is_carried_out: true,
        is_measured: true,
        document: Document::Of(of_node),
        columns: columns(
            |object| used(object, "cpu"),
            |object| used(object, "memory"),
        ),
        ..Kind::of(GROUP, VERSION, "NodeMetrics", "nodes", "node")
    }
}

pub(super) fn pods() -> Kind {
    Kind {
        is_carried_out: true,
        is_measured: true,
        document: Document::Of(of_pod),
        columns: columns(|object| sum(object, "cpu"), |object| sum(object, "memory")),
        ..Kind::of(GROUP, VERSION, "PodMetrics", "pods", "pod")
    }
}

fn columns(cpu: fn(&Object) -> Value, memory: fn(&Object) -> Value) -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("cpu", "Processors in use.", cpu),
        Column::text("memory", "Bytes in use.", memory),
        Column::text("Window", "How long it was measured.", |object| {
            super::text(object, &["window"])
        }),
    ]
}

fn used(object: &Object, name: &str) -> Value {
    super::text(object, &["usage", name])
}

/// Of all containers.
fn sum(object: &Object, name: &str) -> Value {
    let containers = object.at(&["containers"]).and_then(Value::as_array);
    let used = containers.into_iter().flatten();
    let used = used.filter_map(|one| crate::quantity::Quantity::of(&one["usage"][name]).ok());
    let sum = used.reduce(crate::quantity::Quantity::plus);
    sum.map_or(Value::Null, |sum| sum.to_string().into())
}

fn amounts() -> Value {
    json!({
        "type": "object",
        "description": "Amounts by resource: cpu, memory.",
        "additionalProperties": { "type": "string" },
    })
}

fn measured(mut more: Value) -> Value {
    more["timestamp"] = json!({
        "type": "string",
        "format": "date-time",
        "description": "The end of the time over which it was measured.",
    });
    more["window"] = json!({ "type": "string", "description": "How long that time was." });
    more
}

fn of_node() -> Value {
    let parts = measured(json!({ "usage": amounts() }));
    let about = "What a node uses.";
    schema_of::<ObjectMeta>(
        "NodeMetrics",
        about,
        parts,
        &["timestamp", "window", "usage"],
    )
}

fn of_pod() -> Value {
    let parts = measured(json!({
        "containers": {
            "type": "array",
            "description": "Its containers that run.",
            "items": {
                "type": "object",
                "required": ["name", "usage"],
                "properties": {
                    "name": { "type": "string", "description": "Its name." },
                    "usage": amounts(),
                },
            },
        },
    }));
    let about = "What the containers of a pod use.";
    let required = ["timestamp", "window", "containers"];
    schema_of::<ObjectMeta>("PodMetrics", about, parts, &required)
}
