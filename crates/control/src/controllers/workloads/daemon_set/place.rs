//! Where the pods of a DaemonSet are to be, and how they are told so: by the scheduler, which is
//! asked for one node alone.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_planner::workloads::{self, Fit};

use super::super::super::mirror::Mirror;
use super::super::super::scheduler::lower;
use super::super::pods;
use crate::object::Object;

/// All nodes by name, and whether the pod is to be there.
pub(super) struct Nodes {
    pub(super) fits: Vec<(String, Fit)>,
}

impl Nodes {
    pub(super) fn of(mirror: &Mirror, owner: &Object) -> Nodes {
        let mut pod = pods::of_template(owner, Value::Null);
        tolerate(&mut pod);
        let mut shape = Arc::unwrap_or_clone(lower::pod(&pod, "").shape);
        shape.node_name = pods::node(&pod).map(str::to_owned);
        let shape = Arc::new(shape);
        let all = mirror.all("nodes");
        let fits =
            all.map(|(id, node)| (id.name.clone(), workloads::fit(&shape, lower::node(node))));
        Nodes {
            fits: fits.collect(),
        }
    }
}

/// The node a pod is on, or asks for.
pub(super) fn target(pod: &Object) -> Option<&str> {
    if let Some(node) = pods::node(pod) {
        return Some(node);
    }
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let path = [
        "spec",
        "affinity",
        "nodeAffinity",
        required,
        "nodeSelectorTerms",
    ];
    let terms = pod
        .at(&path)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let fields = terms
        .filter_map(|term| term["matchFields"].as_array())
        .flatten();
    let mut named = fields.filter(|one| one["key"] == "metadata.name" && one["operator"] == "In");
    named.find_map(|one| one["values"].get(0)?.as_str())
}

/// What becomes of a node does not drive it out.
pub(super) fn tolerate(pod: &mut Object) {
    let is_on_host = pod.at(&["spec", "hostNetwork"]) == Some(&Value::Bool(true));
    let Some(spec) = pod.0.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    if !spec["tolerations"].is_array() {
        spec["tolerations"] = json!([]);
    }
    let Some(list) = spec["tolerations"].as_array_mut() else {
        return;
    };
    for (name, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
        ("network-unavailable", "NoSchedule"),
    ] {
        let key = format!("node.kubernetes.io/{name}");
        let one = json!({ "key": key, "operator": "Exists", "effect": effect });
        let is_needed = name != "network-unavailable" || is_on_host;
        if is_needed && !list.contains(&one) {
            list.push(one);
        }
    }
}

/// Has it ask for this node alone: what its template requires of nodes holds for this one.
pub(super) fn bind(pod: &mut Object, node: &str) {
    let terms = json!([{ "matchFields": [
        { "key": "metadata.name", "operator": "In", "values": [node] },
    ] }]);
    let Some(spec) = pod.0.get_mut("spec") else {
        return;
    };
    for part in ["affinity", "nodeAffinity"] {
        let parent = match part {
            "affinity" => &mut *spec,
            _ => &mut spec["affinity"],
        };
        if !parent[part].is_object() {
            parent[part] = json!({});
        }
    }
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    spec["affinity"]["nodeAffinity"][required] = json!({ "nodeSelectorTerms": terms });
}
