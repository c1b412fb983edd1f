//! Pods, and the templates they are made from.

use serde_json::Value;
use weft_stdx::quantity::Quantity;

use super::container::{self, Of};
use super::page::Page;
use super::value::{
    ago, controller, entries, int, list, quantity, selector, text, unless_empty, when,
};
use super::volume;

/// All of a pod.
pub(super) fn tell(pod: &Value, page: &mut Page) {
    let (meta, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    for (title, field) in [
        ("Priority", "priority"),
        ("Priority Class Name", "priorityClassName"),
        ("Runtime Class Name", "runtimeClassName"),
        ("Service Account", "serviceAccountName"),
    ] {
        told(title, &spec[field], page);
    }
    let node = match text(&spec["nodeName"]) {
        none if none.is_empty() => "<none>".to_owned(),
        node => format!("{node}/{}", text(&status["hostIP"])),
    };
    page.field(0, "Node", node);
    if status["startTime"].is_string() {
        page.field(0, "Start Time", when(&status["startTime"]));
    }
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    state(pod, page);
    container::seccomp(&spec["securityContext"]["seccompProfile"], 0, 0, page);
    page.field(0, "IP", text(&status["podIP"]));
    match list(&status["podIPs"]) {
        [] => page.field(0, "IPs", "<none>"),
        all => {
            page.line(0, "IPs:");
            for one in all {
                page.field(1, "IP", text(&one["ip"]));
            }
        }
    }
    if let Some(controller) = controller(pod) {
        page.field(0, "Controlled By", controller);
    }
    told("NominatedNodeName", &status["nominatedNodeName"], page);
    if spec["resources"].is_object() {
        page.line(0, "Resources:");
        container::resources(&spec["resources"], 1, page);
    }
    containers(pod, page);
    conditions(pod, page);
    volume::tell(&spec["volumes"], "", page);
    let class = unless_empty(text(&status["qosClass"]), class(spec));
    page.field(0, "QoS Class", class);
    page.labels("Node-Selectors", &spec["nodeSelector"]);
    tolerations("Tolerations", &spec["tolerations"], page);
    spread(&spec["topologySpreadConstraints"], "", page);
}

/// What is said only where there is something to say.
fn told(title: &str, value: &Value, page: &mut Page) {
    if !text(value).is_empty() {
        page.field(0, title, text(value));
    }
}

fn state(pod: &Value, page: &mut Page) {
    let (meta, status) = (&pod["metadata"], &pod["status"]);
    let has_ended = status["phase"] == "Failed" || status["phase"] == "Succeeded";
    if meta["deletionTimestamp"].is_string() && !has_ended {
        let since = ago(&meta["deletionTimestamp"]);
        page.field(0, "Status", format_args!("Terminating (lasts {since})"));
        let grace = int(&meta["deletionGracePeriodSeconds"]);
        page.field(0, "Termination Grace Period", format_args!("{grace}s"));
    } else {
        page.field(0, "Status", text(&status["phase"]));
    }
    told("Reason", &status["reason"], page);
    told("Message", &status["message"], page);
}

fn containers(pod: &Value, page: &mut Page) {
    for (title, field, states, is_always) in [
        (
            "Init Containers",
            "initContainers",
            "initContainerStatuses",
            false,
        ),
        ("Containers", "containers", "containerStatuses", true),
        (
            "Ephemeral Containers",
            "ephemeralContainers",
            "ephemeralContainerStatuses",
            false,
        ),
    ] {
        let all = &pod["spec"][field];
        if is_always || !list(all).is_empty() {
            container::tell(title, all, Of::Pod(pod, &pod["status"][states]), page);
        }
    }
}

fn conditions(pod: &Value, page: &mut Page) {
    let conditions = list(&pod["status"]["conditions"]);
    let gates = list(&pod["spec"]["readinessGates"]);
    if !gates.is_empty() {
        page.line(0, "Readiness Gates:");
        page.line(1, "Type\tStatus");
    }
    for gate in gates {
        let kind = &gate["conditionType"];
        let found = conditions
            .iter()
            .find(|condition| condition["type"] == *kind);
        let status = found.map_or("<none>".to_owned(), |found| text(&found["status"]));
        page.line(1, format_args!("{} \t{status} ", text(kind)));
    }
    if !conditions.is_empty() {
        page.line(0, "Conditions:");
        page.line(1, "Type\tStatus");
    }
    for condition in conditions {
        let (kind, status) = (text(&condition["type"]), text(&condition["status"]));
        page.line(1, format_args!("{kind} \t{status} "));
    }
}

/// How well a pod is treated when memory is short, where its status does not say.
fn class(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = ([Quantity::ZERO; 2], [Quantity::ZERO; 2]);
    let mut is_limited = true;
    let of_containers = ["containers", "initContainers"].map(|field| list(&spec[field]));
    let of_containers = of_containers.concat();
    let resources: Vec<&Value> = match spec["resources"].is_object() {
        true => vec![&spec["resources"]],
        false => of_containers.iter().map(|one| &one["resources"]).collect(),
    };
    for resources in resources {
        for (at, name) in ["cpu", "memory"].into_iter().enumerate() {
            let limit = quantity(&resources["limits"][name]);
            requests[at] = requests[at].plus(quantity(&resources["requests"][name]));
            limits[at] = limits[at].plus(limit);
            is_limited &= !limit.is_zero();
        }
    }
    let all = [requests, limits].concat();
    match all.iter().all(Quantity::is_zero) {
        true => "BestEffort",
        false if is_limited && requests == limits => "Guaranteed",
        false => "Burstable",
    }
}

/// What pods are made from.
pub(super) fn template(template: &Value, page: &mut Page) {
    let (meta, spec) = (&template["metadata"], &template["spec"]);
    page.line(0, "Pod Template:");
    page.labels("  Labels", &meta["labels"]);
    if entries(&meta["annotations"]).next().is_some() {
        page.annotations("  Annotations", &meta["annotations"]);
    }
    told("  Service Account", &spec["serviceAccountName"], page);
    if !list(&spec["initContainers"]).is_empty() {
        container::tell(
            "Init Containers",
            &spec["initContainers"],
            Of::Template,
            page,
        );
    }
    container::tell("Containers", &spec["containers"], Of::Template, page);
    volume::tell(&spec["volumes"], "  ", page);
    spread(&spec["topologySpreadConstraints"], "  ", page);
    told("  Priority Class Name", &spec["priorityClassName"], page);
    page.labels("  Node-Selectors", &spec["nodeSelector"]);
    tolerations("  Tolerations", &spec["tolerations"], page);
}

/// Which taints of nodes do not matter.
pub(super) fn tolerations(title: &str, tolerations: &Value, page: &mut Page) {
    let mut all: Vec<&Value> = list(tolerations).iter().collect();
    all.sort_by_cached_key(|one| text(&one["key"]));
    let lines = all.into_iter().map(|one| {
        let mut line = taint(one);
        if one["operator"] == "Exists" && text(&one["value"]).is_empty() {
            line += if line.is_empty() {
                "op=Exists"
            } else {
                " op=Exists"
            };
        }
        if let Some(seconds) = one["tolerationSeconds"].as_i64() {
            line += &format!(" for {seconds}s");
        }
        line
    });
    page.below(title, &lines.collect::<Vec<_>>());
}

/// `key=value:Effect`
pub(super) fn taint(taint: &Value) -> String {
    let mut line = text(&taint["key"]);
    for (between, field) in [("=", "value"), (":", "effect")] {
        let part = text(&taint[field]);
        if !part.is_empty() {
            line += &format!("{between}{part}");
        }
    }
    line
}

fn spread(constraints: &Value, indent: &str, page: &mut Page) {
    let mut all: Vec<&Value> = list(constraints).iter().collect();
    all.sort_by_cached_key(|one| text(&one["topologyKey"]));
    let lines = all.into_iter().map(|one| {
        let (key, otherwise) = (text(&one["topologyKey"]), text(&one["whenUnsatisfiable"]));
        let mut line = format!(
            "{key}:{otherwise} when max skew {} is exceeded",
            int(&one["maxSkew"])
        );
        if one["labelSelector"].is_object() {
            let whom = unless_empty(selector(&one["labelSelector"]), "<none>");
            line += &format!(" for selector {whom}");
        }
        line
    });
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        page.below(&format!("{indent}Topology Spread Constraints"), &lines);
    }
}
