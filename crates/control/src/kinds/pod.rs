//! Pod: containers that run together on a node.

mod account;
mod columns;
mod debug;
mod priority;
mod status;
mod update;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::pod_spec::{self, Use};
use super::rules::fill::{below, set, set_text};
use super::rules::{Mistakes, Spot, net};
use super::{document, is_new};
use crate::failure::Cause;
use crate::kind::{Generation, Kind, Resolve, texts};
use crate::names;
use crate::object::Object;

pub use debug::debugged;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["po"]),
        categories: texts(&["all"]),
        document: document::<Pod>(),
        default,
        inherit,
        resolve: &[
            Resolve {
                group: "",
                plural: "serviceaccounts",
                of: account::wanted,
                is_for_changes: false,
                with: account::take,
            },
            Resolve {
                group: "scheduling.k8s.io",
                plural: "priorityclasses",
                of: priority::wanted,
                is_for_changes: false,
                with: priority::take,
            },
        ],
        validate,
        selectable: &[
            ("spec.nodeName", &["spec", "nodeName"]),
            ("spec.restartPolicy", &["spec", "restartPolicy"]),
            ("spec.schedulerName", &["spec", "schedulerName"]),
            ("spec.serviceAccountName", &["spec", "serviceAccountName"]),
            ("spec.hostNetwork", &["spec", "hostNetwork"]),
            ("status.phase", &["status", "phase"]),
            ("status.podIP", &["status", "podIP"]),
            ("status.nominatedNodeName", &["status", "nominatedNodeName"]),
        ],
        absent: &[("spec.hostNetwork", "false")],
        columns: columns::columns(),
        has_status: true,
        is_carried_out: true,
        grace_s,
        generation: Generation::Content,
        ..Kind::core("Pod", "pods", "pod")
    }
}

/// Whether it has run to its end.
fn has_ended(pod: &Object) -> bool {
    let phase = pod.text(&["status", "phase"]);
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// A pod that is on no node, or ended there, needs no time.
fn grace_s(pod: &Object) -> i64 {
    let node = pod.text(&["spec", "nodeName"]).unwrap_or_default();
    if node.is_empty() || has_ended(pod) {
        return 0;
    }
    let grace = pod.at(&["spec", "terminationGracePeriodSeconds"]);
    grace
        .and_then(serde_json::Value::as_i64)
        .unwrap_or_default()
}

/// What was decided when it was made is decided, if nothing else is said.
fn inherit(old: &Object, pod: &mut Object) {
    let Some(spec) = below(&mut pod.0, "spec") else {
        return;
    };
    for name in ["priority", "preemptionPolicy"] {
        if let Some(value) = old.at(&["spec", name]) {
            set(spec, name, value.clone());
        }
    }
    pod_spec::tolerate_loss(spec);
}

fn default(pod: &mut Object) {
    let is_new = is_new(pod);
    if let Some(spec) = below(&mut pod.0, "spec") {
        pod_spec::default_spec(spec);
        pod_spec::pod(spec, is_new);
    }
    if !is_new {
        return;
    }
    let quality = pod_spec::quality(pod);
    let gates = pod
        .at(&["spec", "schedulingGates"])
        .and_then(|gates| gates.as_array());
    let is_gated = gates.is_some_and(|gates| !gates.is_empty());
    set(&mut pod.0, "status", json!({}));
    if let Some(status) = below(&mut pod.0, "status") {
        set_text(status, "phase", "Pending");
        set_text(status, "qosClass", quality);
        if is_gated {
            let gated = json!([{
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }]);
            set(status, "conditions", gated);
        }
    }
}

fn validate(pod: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let spec = Spot::of(pod, "spec");
    status(&mut mistakes, &Spot::of(pod, "status"));
    if !spec.is_some() {
        mistakes.required(&spec.at("containers"), "");
        return mistakes.into_causes();
    }
    match old {
        Some(old) if old.0.get("spec") == spec.value() => {}
        Some(old) => {
            pod_spec::validate(&mut mistakes, &spec, Use::Pod, [].into_iter());
            update::update(&mut mistakes, &spec, &Spot::of(old, "spec"));
        }
        None => {
            pod_spec::validate(&mut mistakes, &spec, Use::Pod, [].into_iter());
            create(&mut mistakes, &spec);
        }
    }
    mistakes.into_causes()
}

fn create(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let debug = spec.at("ephemeralContainers");
    if !debug.is_empty() {
        mistakes.forbidden(&debug, "cannot be set on create");
    }
}

fn status(mistakes: &mut Mistakes, status: &Spot<'_, '_>) {
    mistakes.name(&status.at("nominatedNodeName"), names::dns_subdomain);
    mistakes.name(&status.at("podIP"), net::ip);
    for ip in status.at("podIPs").items() {
        mistakes.name(&ip.at("ip"), net::ip);
    }
}

#[cfg(test)]
mod tests;
