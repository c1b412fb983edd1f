//! `labels` and `commonLabels`: on objects, on the pods they make, in what selects those.

use std::collections::BTreeMap;

use super::id::Resource;
use super::paths::{insert, template};
use super::wire::Label;

/// Puts `pairs` on all, and into selectors and templates.
pub fn common(resources: &mut [Resource], pairs: &BTreeMap<String, String>) {
    for one in resources {
        own(one, pairs);
        selectors(one, pairs);
        templates(one, pairs);
    }
}

/// Puts what one entry of `labels` says where it says.
pub fn add(resources: &mut [Resource], label: &Label) {
    for one in resources {
        own(one, &label.pairs);
        if label.include_selectors {
            selectors(one, &label.pairs);
        }
        if label.include_selectors || label.include_templates {
            templates(one, &label.pairs);
        }
    }
}

fn own(one: &mut Resource, pairs: &BTreeMap<String, String>) {
    insert(&mut one.value, "metadata/labels", true, pairs);
}

fn templates(one: &mut Resource, pairs: &BTreeMap<String, String>) {
    let kind = one.id().kind;
    let value = &mut one.value;
    if let Some(path) = template(&kind).filter(|_| kind != "PodTemplate") {
        insert(value, &format!("{path}/metadata/labels"), true, pairs);
    }
    match &*kind {
        "CronJob" => insert(value, "spec/jobTemplate/metadata/labels", true, pairs),
        "StatefulSet" => insert(
            value,
            "spec/volumeClaimTemplates[]/metadata/labels",
            true,
            pairs,
        ),
        _ => {}
    }
}

/// Where pods are chosen by labels that they are made with.
fn selectors(one: &mut Resource, pairs: &BTreeMap<String, String>) {
    let id = one.id();
    let value = &mut one.value;
    let mut put = |path: &str, create| insert(value, path, create, pairs);
    match &*id.kind {
        "Service" if id.group.is_empty() => put("spec/selector", true),
        "ReplicationController" => put("spec/selector", true),
        "Deployment" | "StatefulSet" | "ReplicaSet" | "DaemonSet" => {
            put("spec/selector/matchLabels", true);
        }
        "Job" | "PodDisruptionBudget" => put("spec/selector/matchLabels", false),
        "CronJob" => put("spec/jobTemplate/spec/selector/matchLabels", false),
        "NetworkPolicy" => {
            put("spec/podSelector/matchLabels", false);
            put("spec/ingress/from/podSelector/matchLabels", false);
            put("spec/egress/to/podSelector/matchLabels", false);
        }
        _ => {}
    }
    if !["Deployment", "StatefulSet"].contains(&&*id.kind) {
        return;
    }
    for how in ["podAffinity", "podAntiAffinity"] {
        let path = format!("spec/template/spec/affinity/{how}");
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm";
        for when in [preferred, "requiredDuringSchedulingIgnoredDuringExecution"] {
            put(&format!("{path}/{when}/labelSelector/matchLabels"), false);
        }
    }
    let spread = "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels";
    put(spread, false);
}
