//! Node: a machine that runs pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use super::rules::fill::{below, resource_list, set};
use super::rules::{Mistakes, Spot, net};
use super::{document, or_none, text};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

const ROLE: &str = "node-role.kubernetes.io/";
const OLD_ROLE: &str = "kubernetes.io/role";

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["no"]),
        is_namespaced: false,
        document: document::<Node>(),
        default,
        validate,
        selectable: &[("spec.unschedulable", &["spec", "unschedulable"])],
        absent: &[("spec.unschedulable", "false")],
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        // The kubelet says what its machine is when it registers it.
        begins_with_status: true,
        ..Kind::core("Node", "nodes", "node")
    }
}

fn default(object: &mut Object) {
    set(&mut object.0, "spec", json!({}));
    if let Some(spec) = below(&mut object.0, "spec") {
        let one = super::rules::fill::text(spec, "podCIDR").to_owned();
        if !one.is_empty() {
            set(spec, "podCIDRs", json!([one]));
        }
    }
    if let Some(status) = below(&mut object.0, "status") {
        if let Some(capacity) = status.get("capacity").cloned() {
            set(status, "allocatable", capacity);
        }
        resource_list(status, "capacity");
        resource_list(status, "allocatable");
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut mistakes = Mistakes::default();
    taints(&mut mistakes, &spec.at("taints"));
    let ranges = spec.at("podCIDRs");
    for range in ranges.items() {
        mistakes.shaped(&range, net::cidr);
    }
    let all: Vec<&str> = ranges.items().map(|range| range.text()).collect();
    let one = spec.at("podCIDR");
    if all.first().is_some_and(|first| *first != one.text()) {
        mistakes.invalid(&ranges, "first value must match `podCIDR`");
    }
    let v4 = all.iter().filter(|range| !range.contains(':')).count();
    if all.len() > 2 || (all.len() == 2 && v4 != 1) {
        let why = "may specify no more than one CIDR for each IP family";
        mistakes.invalid(&ranges, why);
    }
    let status = Spot::of(object, "status");
    for name in ["capacity", "allocatable"] {
        for (_, amount) in status.at(name).entries() {
            mistakes.amount(&amount);
        }
    }
    let mut seen = BTreeSet::new();
    for address in status.at("addresses").items() {
        let pair = (address.at("type").text(), address.at("address").text());
        if !seen.insert(pair) {
            mistakes.duplicate(&address);
        }
    }
    if let Some(old) = old {
        changes(&mut mistakes, &spec, &Spot::of(old, "spec"));
    }
    mistakes.into_causes()
}

fn taints(mistakes: &mut Mistakes, taints: &Spot<'_, '_>) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, effect) = (taint.at("key"), taint.at("effect"));
        mistakes.shaped(&key, names::label_key);
        mistakes.name(&taint.at("value"), names::label_value);
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        mistakes.must_be_one_of(&effect, &effects);
        if !effect.is_empty() && !seen.insert((key.text(), effect.text())) {
            mistakes.duplicate(&taint);
        }
    }
}

/// What a machine is known by stays.
fn changes(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    for name in ["podCIDRs", "providerID"] {
        let (new, before) = (spec.at(name), old.at(name));
        if !before.is_empty() && new.value() != before.value() {
            let why = format!("node updates may not change {name} except from \"\" to valid");
            mistakes.forbidden(&new, &why);
        }
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Status", "Whether it takes pods.", |node| {
            status(node).into()
        }),
        Column::text("Roles", "What it is for.", |node| roles(node).into()),
        Column::age(),
        Column::text("Version", "What runs its pods.", |node| {
            text(node, &["status", "nodeInfo", "kubeletVersion"])
        }),
        Column::text("Internal-IP", "Its address within.", |node| {
            address(node, "InternalIP").into()
        })
        .wide(),
        Column::text("External-IP", "Its address outside.", |node| {
            address(node, "ExternalIP").into()
        })
        .wide(),
        Column::text("OS-Image", "Its system.", |node| {
            info(node, "osImage").into()
        })
        .wide(),
        Column::text("Kernel-Version", "Its kernel.", |node| {
            info(node, "kernelVersion").into()
        })
        .wide(),
        Column::text("Container-Runtime", "What runs its containers.", |node| {
            info(node, "containerRuntimeVersion").into()
        })
        .wide(),
    ]
}

fn status(node: &Object) -> String {
    let status = Spot::of(node, "status");
    let conditions = status.at("conditions");
    let ready = conditions
        .items()
        .find(|one| one.at("type").text() == "Ready");
    let mut status = match ready.map(|ready| ready.at("status").text()) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    }
    .to_owned();
    if Spot::of(node, "spec").at("unschedulable").is_true() {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(node: &Object) -> String {
    let labels = node.meta().map("labels");
    let roles: BTreeSet<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE) {
            Some(role) => Some(role),
            None => (key == OLD_ROLE).then_some(value),
        })
        .filter(|role| !role.is_empty())
        .collect();
    or_none(roles.into_iter().collect::<Vec<_>>().join(","))
}

fn address(node: &Object, kind: &str) -> String {
    let status = Spot::of(node, "status");
    let addresses = status.at("addresses");
    let found = addresses.items().find(|one| one.at("type").text() == kind);
    or_none(found.map_or("", |one| one.at("address").text()).to_owned())
}

fn info(node: &Object, name: &str) -> String {
    match node.text(&["status", "nodeInfo", name]) {
        None | Some("") => "<unknown>".to_owned(),
        Some(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::kinds::testing::{defaulted, object, refuses, refuses_change, shows};

    #[test]
    fn mistakes_are_told() {
        let base = json!({ "metadata": { "name": "a" } });
        let spec = |spec: Value| json!({ "spec": spec });
        refuses(
            &kind(),
            &base,
            &[
                (
                    spec(json!({ "taints": [
                    { "key": "-", "effect": "NoSchedule" },
                    { "key": "a", "value": "b c", "effect": "Leave" },
                    { "key": "b", "effect": "" },
                    { "key": "c", "effect": "NoExecute" },
                    { "key": "c", "effect": "NoExecute", "value": "x" },
                ] })),
                    &[
                        "spec.taints[0].key: Invalid",
                        "spec.taints[1].value: Invalid",
                        "spec.taints[1].effect: Unsupported",
                        "spec.taints[2].effect: Required",
                        "spec.taints[4]: Duplicate value",
                    ],
                ),
                (
                    spec(json!({ "podCIDR": "x" })),
                    &["spec.podCIDRs[0]: Invalid value: \"x\": must be a valid CIDR"],
                ),
                (
                    spec(
                        json!({ "podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.1.0/24", "10.0.2.0/24"] }),
                    ),
                    &[
                        "spec.podCIDRs: Invalid value: [\"10.0.1.0/24\",\"10.0.2.0/24\"]: first value",
                        "spec.podCIDRs: Invalid value: [\"10.0.1.0/24\",\"10.0.2.0/24\"]: may specify no more",
                    ],
                ),
                (
                    json!({ "status": { "capacity": { "cpu": "-1", "memory": "x" }, "allocatable": {} } }),
                    &[
                        "status.capacity[cpu]: Invalid value: \"-1\": must be greater",
                        "status.capacity[memory]: Invalid",
                    ],
                ),
                (
                    json!({ "status": { "addresses": [{ "type": "Hostname", "address": "a" }, { "type": "Hostname", "address": "a" }] } }),
                    &["status.addresses[1]: Duplicate"],
                ),
            ],
        );
        let old = json!({ "metadata": { "name": "a" }, "spec": { "podCIDR": "10.0.0.0/24", "providerID": "x" } });
        refuses_change(
            &kind(),
            &old,
            &[
                (spec(json!({ "unschedulable": true })), &[]),
                (
                    spec(json!({ "podCIDR": "10.0.1.0/24", "podCIDRs": null, "providerID": "y" })),
                    &[
                        "spec.podCIDRs: Forbidden: node updates may not change podCIDRs",
                        "spec.providerID: Forbidden",
                    ],
                ),
            ],
        );
        let found = defaulted(&kind(), json!({ "status": { "capacity": { "cpu": 1 } } }));
        assert_eq!(
            found,
            json!({ "spec": {}, "status": { "capacity": { "cpu": "1" }, "allocatable": { "cpu": "1" } } })
        );
    }

    #[test]
    fn a_switch_that_is_not_there_is_off() {
        let field = |spec: Value| {
            let node = object(json!({ "spec": spec }));
            kind().field(&node, "spec.unschedulable").into_owned()
        };
        assert_eq!(field(json!({})), "false");
        assert_eq!(field(json!({ "unschedulable": false })), "false");
        assert_eq!(field(json!({ "unschedulable": true })), "true");
    }

    #[test]
    fn columns_are_kubectls() {
        shows(
            &kind(),
            json!({ "metadata": { "name": "a" } }),
            &[
                ("NAME", "a"),
                ("STATUS", "Unknown"),
                ("ROLES", "<none>"),
                ("VERSION", ""),
                ("INTERNAL-IP", "<none>"),
                ("EXTERNAL-IP", "<none>"),
                ("OS-IMAGE", "<unknown>"),
                ("KERNEL-VERSION", "<unknown>"),
                ("CONTAINER-RUNTIME", "<unknown>"),
            ],
        );
        let node = json!({
            "metadata": { "name": "a", "labels": { "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "x" } },
            "spec": { "unschedulable": true },
            "status": {
                "conditions": [{ "type": "Ready", "status": "False" }],
                "addresses": [{ "type": "InternalIP", "address": "10.0.0.1" }, { "type": "ExternalIP", "address": "1.2.3.4" }],
                "nodeInfo": { "kubeletVersion": "v1", "osImage": "Debian", "kernelVersion": "6.1", "containerRuntimeVersion": "weft://1" },
            },
        });
        shows(
            &kind(),
            node,
            &[
                ("NAME", "a"),
                ("STATUS", "NotReady,SchedulingDisabled"),
                ("ROLES", "control-plane,worker,x"),
                ("VERSION", "v1"),
                ("INTERNAL-IP", "10.0.0.1"),
                ("EXTERNAL-IP", "1.2.3.4"),
                ("OS-IMAGE", "Debian"),
                ("KERNEL-VERSION", "6.1"),
                ("CONTAINER-RUNTIME", "weft://1"),
            ],
        );
    }
}
