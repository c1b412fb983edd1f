//! Columns of `kubectl get pods`.

use jiff::Timestamp;
use serde_json::Value;

use super::status::{holds, summary};
use crate::kind::Column;
use crate::object::Object;

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Ready", "How many of its containers are ready.", |pod| {
            let summary = summary(pod);
            format!("{}/{}", summary.ready, summary.total).into()
        }),
        Column::text("Status", "What state it is in.", |pod| {
            summary(pod).reason.into()
        }),
        Column::text(
            "Restarts",
            "How often its containers were started again, and when last.",
            |pod| summary(pod).restarts(Timestamp::now()).into(),
        ),
        Column::age(),
        Column::text("IP", "Its address.", ip).wide(),
        Column::text("Node", "The node it is on.", |pod| {
            shown(pod.text(&["spec", "nodeName"]))
        })
        .wide(),
        Column::text(
            "Nominated Node",
            "The node it is to be on, when others have made room.",
            |pod| shown(pod.text(&["status", "nominatedNodeName"])),
        )
        .wide(),
        Column::text(
            "Readiness Gates",
            "How many of the conditions it waits for hold.",
            gates,
        )
        .wide(),
    ]
}

fn shown(text: Option<&str>) -> Value {
    match text {
        None | Some("") => "<none>".into(),
        Some(text) => text.into(),
    }
}

fn ip(pod: &Object) -> Value {
    let first = pod
        .at(&["status", "podIPs"])
        .and_then(|ips| ips.get(0)?.get("ip")?.as_str());
    shown(first.or_else(|| pod.text(&["status", "podIP"])))
}

fn gates(pod: &Object) -> Value {
    let gates = pod
        .at(&["spec", "readinessGates"])
        .and_then(Value::as_array);
    let Some(gates) = gates.filter(|gates| !gates.is_empty()) else {
        return "<none>".into();
    };
    let named = gates
        .iter()
        .filter_map(|gate| gate.get("conditionType")?.as_str());
    let held = named.filter(|condition| holds(pod, condition)).count();
    format!("{held}/{}", gates.len()).into()
}

#[cfg(test)]
mod tests;
