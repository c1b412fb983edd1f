//! What bounds pods: disruption budgets, autoscalers, priorities.

use serde_json::Value;

use super::page::Page;
use super::value::{int, is, list, or, pairs, quantity, selector, text, unless_empty, when};

pub(super) fn budget(object: &Value, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    if !spec["minAvailable"].is_null() {
        page.field(0, "Min available", text(&spec["minAvailable"]));
    } else if !spec["maxUnavailable"].is_null() {
        page.field(0, "Max unavailable", text(&spec["maxUnavailable"]));
    }
    let chosen = match spec["selector"].is_object() {
        true => unless_empty(selector(&spec["selector"]), "<none>"),
        false => "<unset>".to_owned(),
    };
    page.field(0, "Selector", chosen);
    page.line(0, "Status:");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        page.field(2, title, int(&status[field]));
    }
}

pub(super) fn priority(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Value", int(&object["value"]));
    page.field(0, "GlobalDefault", is(&object["globalDefault"]));
    page.field(0, "PreemptionPolicy", text(&object["preemptionPolicy"]));
    page.field(0, "Description", text(&object["description"]));
    page.field(0, "Annotations", pairs(&meta["annotations"]));
}

pub(super) fn autoscaler(object: &Value, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "CreationTimestamp", when(&meta["creationTimestamp"]));
    let target = &spec["scaleTargetRef"];
    let kind = text(&target["kind"]);
    page.field(
        0,
        "Reference",
        format_args!("{kind}/{}", text(&target["name"])),
    );
    page.field(0, "Metrics", "( current / target )");
    for (at, metric) in list(&spec["metrics"]).iter().enumerate() {
        let (title, said) = self::metric(metric, &status["currentMetrics"][at]);
        page.field(1, &title, said);
    }
    page.field(0, "Min replicas", or(&spec["minReplicas"], "<unset>"));
    page.field(0, "Max replicas", int(&spec["maxReplicas"]));
    let behavior = &spec["behavior"];
    if behavior.is_object() {
        page.line(0, "Behavior:");
        direction("Scale Up", &behavior["scaleUp"], page);
        direction("Scale Down", &behavior["scaleDown"], page);
    }
    let (current, desired) = (
        int(&status["currentReplicas"]),
        int(&status["desiredReplicas"]),
    );
    let title = format!("{kind} pods");
    page.field(
        0,
        &title,
        format_args!("{current} current / {desired} desired"),
    );
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        page.line(0, "Conditions:");
        page.line(1, "Type\tStatus\tReason\tMessage");
        page.line(1, "----\t------\t------\t-------");
    }
    for one in conditions {
        let cells = ["type", "status", "reason", "message"].map(|field| text(&one[field]));
        page.line(1, cells.join("\t"));
    }
}

/// What is measured; what it is and what it is to be.
fn metric(metric: &Value, current: &Value) -> (String, String) {
    let kind = text(&metric["type"]);
    let field = match kind.as_str() {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return (format!("<unknown metric type {kind:?}>"), String::new()),
    };
    let (source, now) = (&metric[field], &current[field]["current"]);
    let (target, name) = (&source["target"], text(&source["metric"]["name"]));
    let is_average = match field {
        "object" => target["type"] == "AverageValue",
        "pods" => true,
        _ => !target["averageValue"].is_null(),
    };
    let amount = if is_average { "averageValue" } else { "value" };
    let is_known = now.is_object() && (field != "external" || !now[amount].is_null());
    let amounts = || {
        let now = if is_known {
            quantity(&now[amount]).to_string()
        } else {
            "<unknown>".to_owned()
        };
        format!("{now} / {}", quantity(&target[amount]))
    };
    let average = if is_average { "average value" } else { "value" };
    let (title, is_share) = match field {
        "external" => (format!("{name:?} (target {average})"), false),
        "pods" => (format!("{name:?} on pods"), false),
        "object" => {
            let whose = &source["describedObject"];
            let whose = format!("{}/{}", text(&whose["kind"]), text(&whose["name"]));
            (format!("\"{name}\" on {whose} (target {average})"), false)
        }
        _ => {
            let container = match field {
                "resource" => String::new(),
                _ => format!(" of container \"{}\"", text(&source["container"])),
            };
            let title = format!("resource {}{container} on pods", text(&source["name"]));
            match is_average {
                true => (title, false),
                false => (format!("{title}  (as a percentage of request)"), true),
            }
        }
    };
    match is_share {
        true => (title, share(now, target)),
        false => (title, amounts()),
    }
}

fn share(now: &Value, target: &Value) -> String {
    let percent = |value: &Value| value.as_i64().map(|percent| format!("{percent}%"));
    let current = percent(&now["averageUtilization"]);
    let current = current.map(|it| format!("{it} ({})", quantity(&now["averageValue"])));
    let target = percent(&target["averageUtilization"]).unwrap_or("<auto>".to_owned());
    format!("{} / {target}", current.unwrap_or("<unknown>".to_owned()))
}

/// How fast one direction goes.
fn direction(title: &str, rules: &Value, page: &mut Page) {
    if !rules.is_object() {
        return;
    }
    page.line(1, format_args!("{title}:"));
    if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
        page.line(2, format_args!("Stabilization Window: {seconds} seconds"));
    }
    if !list(&rules["policies"]).is_empty() {
        page.line(
            2,
            format_args!("Select Policy: {}", or(&rules["selectPolicy"], "Max")),
        );
        page.line(2, "Policies:");
    }
    for policy in list(&rules["policies"]) {
        let (kind, value) = (text(&policy["type"]), int(&policy["value"]));
        let seconds = int(&policy["periodSeconds"]);
        page.line(
            3,
            format_args!("- Type: {kind}\tValue: {value}\tPeriod: {seconds} seconds"),
        );
    }
}
