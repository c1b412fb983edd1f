//! Namespace: a place for other objects.

use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use super::{document, text};
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

/// What holds a namespace until it is empty.
const HELD: &str = "kubernetes";

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["ns"]),
        is_namespaced: false,
        document: document::<Namespace>(),
        check_name: names::dns_label,
        default,
        selectable: &[("status.phase", &["status", "phase"])],
        columns: vec![
            Column::name(),
            Column::text(
                "Status",
                "Active, or Terminating while what is in it goes.",
                |object| text(object, &["status", "phase"]),
            ),
            Column::age(),
        ],
        has_status: true,
        is_carried_out: true,
        kept: &["default", "kube-public", "kube-system"],
        ..Kind::core("Namespace", "namespaces", "namespace")
    }
}

fn default(object: &mut Object) {
    let is_deleting = object.meta().is_deleting();
    let name = object.meta().name().to_owned();
    let labels = object
        .meta_mut()
        .entry("labels")
        .or_insert_with(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
    // It holds the namespace until all in it is gone, so nobody leaves it out before that.
    let spec = object.0.entry("spec").or_insert_with(|| json!({}));
    let held = spec.get("finalizers").and_then(Value::as_array);
    let is_held = held.is_some_and(|held| held.iter().any(|one| one == HELD));
    if let (false, Some(spec)) = (is_deleting || is_held, spec.as_object_mut()) {
        spec.insert("finalizers".to_owned(), json!([HELD]));
    }
    object
        .0
        .entry("status")
        .or_insert_with(|| json!({ "phase": "Active" }));
}
