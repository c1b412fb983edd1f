//! Pods as workload controllers see and make them.

use serde_json::{Map, Value, json};
use weft_planner::workloads::{Phase, Replica};

use crate::names;
use crate::object::Object;

/// Whether it runs or will, and stays.
pub(super) fn is_active(pod: &Object) -> bool {
    !is_over(pod) && !pod.meta().is_deleting()
}

/// Whether it has run to its end.
pub(in crate::controllers) fn is_over(pod: &Object) -> bool {
    matches!(pod.text(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// Seconds since 1970 of a time as objects have it.
pub(in crate::controllers) fn seconds(time: &str) -> Option<i64> {
    let time = time.parse::<jiff::Timestamp>().ok()?;
    Some(time.as_second())
}

/// Since when it is ready, if it is.
pub(super) fn ready_since(pod: &Object) -> Option<i64> {
    let ready = pod
        .condition("Ready")
        .filter(|ready| ready["status"] == "True")?;
    let since = ready["lastTransitionTime"].as_str().and_then(seconds);
    // Who does not say since when is not known to be ready for any time.
    Some(since.unwrap_or(i64::MAX))
}

pub(super) fn node(pod: &Object) -> Option<&str> {
    let node = pod.text(&["spec", "nodeName"]);
    node.filter(|node| !node.is_empty())
}

/// A number of a specification or status; 0 where it is absent.
pub(super) fn number(object: &Object, path: &[&str]) -> u32 {
    let number = object.at(path).and_then(Value::as_u64);
    number.map_or(0, |number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// A pod as one of several; `labels` are those of the template.
pub(super) fn replica(pod: &Object, labels: Option<&Map<String, Value>>, beside: u32) -> Replica {
    let restarts = pod.at(&["status", "containerStatuses"]);
    let restarts = restarts.and_then(Value::as_array).into_iter().flatten();
    let restarts = restarts
        .filter_map(|one| one["restartCount"].as_u64())
        .max();
    let cost = pod
        .meta()
        .annotation("controller.kubernetes.io/pod-deletion-cost");
    let mut labels = labels.into_iter().flatten();
    Replica {
        uid: pod.meta().text("uid").to_owned(),
        is_assigned: node(pod).is_some(),
        phase: match pod.text(&["status", "phase"]) {
            Some("Running") => Phase::Running,
            Some("Unknown") => Phase::Unknown,
            _ => Phase::Pending,
        },
        ready_since_s: ready_since(pod),
        created_s: seconds(pod.meta().text("creationTimestamp")).unwrap_or(i64::MAX),
        restarts: u32::try_from(restarts.unwrap_or(0)).unwrap_or(u32::MAX),
        cost: cost.and_then(|cost| cost.parse().ok()).unwrap_or(0),
        beside,
        is_labelled: labels.all(|(name, value)| pod.meta().label(name) == value.as_str()),
    }
}

/// A pod of the template in `owner`, which `reference` refers to; its name is made of that of the owner.
pub(super) fn of_template(owner: &Object, reference: Value) -> Object {
    let template = owner.at(&["spec", "template"]).unwrap_or(&Value::Null);
    let name = owner.meta().name();
    let mut meta = Map::new();
    // Where a name with a hyphen would be none.
    let prefix = match names::dns_subdomain(&format!("{name}-a")) {
        Ok(()) => format!("{name}-"),
        Err(_) => name.to_owned(),
    };
    meta.insert("generateName".to_owned(), prefix.into());
    meta.insert("namespace".to_owned(), owner.meta().namespace().into());
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    meta.insert("ownerReferences".to_owned(), json!([reference]));
    let mut pod = Object::default();
    pod.0.insert("metadata".to_owned(), meta.into());
    pod.0.insert("spec".to_owned(), template["spec"].clone());
    pod
}
