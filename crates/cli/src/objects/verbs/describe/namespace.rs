//! Namespaces, and what holds in them: quotas and limits.

use serde_json::Value;

use super::page::Page;
use super::related::Related;
use super::value::{entries, list, quantity, text, texts, when};

/// Columns of limits, with where a limit has them.
const LIMITS: [(&str, &str); 5] = [
    ("Min", "min"),
    ("Max", "max"),
    ("Default Request", "defaultRequest"),
    ("Default Limit", "default"),
    ("Max Limit/Request Ratio", "maxLimitRequestRatio"),
];
/// Which pods a quota counts, in kubectl's words.
const SCOPES: [(&str, &str); 4] = [
    (
        "Terminating",
        "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.",
    ),
    (
        "NotTerminating",
        "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.",
    ),
    (
        "BestEffort",
        "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
    ),
    (
        "NotBestEffort",
        "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.",
    ),
];

pub(super) fn tell(object: &Value, related: &Related, page: &mut Page) {
    let (meta, status) = (&object["metadata"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "Status", text(&status["phase"]));
    let conditions = list(&status["conditions"]);
    if !conditions.is_empty() {
        page.line(0, "Conditions:");
        page.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
        page.line(1, "----\t------\t------------------\t------\t-------");
    }
    for one in conditions {
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|field| text(&one[field]));
        let changed = when(&one["lastTransitionTime"]);
        page.line(1, [kind, status, changed, reason, message].join("\t"));
    }
    if related.failure("resourcequotas").is_none() {
        page.line(0, "");
        quotas(related.of("resourcequotas"), page);
    }
    if related.failure("limitranges").is_none() {
        page.line(0, "");
        let ranges = related.of("limitranges");
        match ranges.is_empty() {
            true => page.line(0, "No LimitRange resource."),
            false => {
                page.line(0, "Resource Limits");
                limits(ranges, " ", page);
            }
        }
    }
}

fn quotas(quotas: &[Value], page: &mut Page) {
    if quotas.is_empty() {
        return page.line(0, "No resource quota.");
    }
    page.line(0, "Resource Quotas");
    let mut quotas: Vec<&Value> = quotas.iter().collect();
    quotas.sort_by_cached_key(|quota| text(&quota["metadata"]["name"]));
    for quota in quotas {
        page.field(1, "Name", text(&quota["metadata"]["name"]));
        scopes(quota, 1, "* ", page);
        page.line(1, "Resource\tUsed\tHard");
        page.line(1, "--------\t---\t---");
        amounts(quota, 1, page);
    }
}

/// All of one quota.
pub(super) fn quota(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    scopes(object, 0, " * ", page);
    page.line(0, "Resource\tUsed\tHard");
    page.line(0, "--------\t----\t----");
    amounts(object, 0, page);
}

fn scopes(quota: &Value, level: usize, bullet: &str, page: &mut Page) {
    let mut scopes = texts(&quota["spec"]["scopes"]);
    scopes.sort();
    if !scopes.is_empty() {
        page.field(level, "Scopes", scopes.join(", "));
    }
    for scope in &scopes {
        if let Some((_, help)) = SCOPES.iter().find(|(name, _)| name == scope) {
            page.line(level, format_args!("{bullet}{help}"));
        }
    }
}

fn amounts(quota: &Value, level: usize, page: &mut Page) {
    for (name, hard) in entries(&quota["status"]["hard"]) {
        let used = quantity(&quota["status"]["used"][name]);
        page.line(level, format_args!("{name}\t{used}\t{}", quantity(hard)));
    }
}

/// All of one object of limits.
pub(super) fn range(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    limits(std::slice::from_ref(object), "", page);
}

fn limits(ranges: &[Value], indent: &str, page: &mut Page) {
    let heading = |rule: fn(&str) -> String| {
        let fixed = ["Type", "Resource"].map(rule);
        let more = LIMITS.map(|(title, _)| rule(title));
        fixed
            .into_iter()
            .chain(more)
            .collect::<Vec<String>>()
            .join("\t")
    };
    page.line(0, format_args!("{indent}{}", heading(str::to_owned)));
    page.line(
        0,
        format_args!("{indent}{}", heading(|title| "-".repeat(title.len()))),
    );
    for limit in ranges
        .iter()
        .flat_map(|range| list(&range["spec"]["limits"]))
    {
        let fields = LIMITS.iter().flat_map(|(_, field)| entries(&limit[*field]));
        let mut resources: Vec<&String> = fields.map(|(resource, _)| resource).collect();
        resources.sort();
        resources.dedup();
        for resource in resources {
            let values = LIMITS.map(|(_, field)| match &limit[field][resource] {
                Value::Null => "-".to_owned(),
                amount => quantity(amount).to_string(),
            });
            let (kind, values) = (text(&limit["type"]), values.join("\t"));
            page.line(0, format_args!("{indent}{kind}\t{resource}\t{values}"));
        }
    }
}
