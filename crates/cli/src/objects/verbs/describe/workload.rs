//! What makes pods: deployments, replica sets and controllers, stateful sets, daemon sets, jobs, cron
//! jobs.

use serde_json::Value;

use super::page::Page;
use super::pod::template;
use super::related::Related;
use super::storage::class_of;
use super::value::{
    capital, controller, int, list, or, owner, pairs, quantity, selector, text, texts, took,
    unless_empty, when,
};

/// Longest list of a job's indexes, in bytes.
const INDEXES: usize = 50;

pub(super) fn deployment(object: &Value, related: &Related, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.field(0, "CreationTimestamp", when(&meta["creationTimestamp"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "Selector", selector(&spec["selector"]));
    let count = |field: &str| int(&status[field]);
    let replicas = format!(
        "{} desired | {} updated | {} total | {} available | {} unavailable",
        int(&spec["replicas"]),
        count("updatedReplicas"),
        count("replicas"),
        count("availableReplicas"),
        count("unavailableReplicas")
    );
    page.field(0, "Replicas", replicas);
    page.field(0, "StrategyType", text(&spec["strategy"]["type"]));
    page.field(0, "MinReadySeconds", int(&spec["minReadySeconds"]));
    let rolling = &spec["strategy"]["rollingUpdate"];
    if rolling.is_object() {
        let (fewer, more) = (text(&rolling["maxUnavailable"]), text(&rolling["maxSurge"]));
        let said = format!("{fewer} max unavailable, {more} max surge");
        page.field(0, "RollingUpdateStrategy", said);
    }
    template(&spec["template"], page);
    conditions(&status["conditions"], page);
    replica_sets(object, related, page);
}

fn replica_sets(object: &Value, related: &Related, page: &mut Page) {
    let mut sets: Vec<&Value> = related.of("replicasets").iter().collect();
    sets.retain(|set| owner(set).is_some_and(|owner| owner["uid"] == object["metadata"]["uid"]));
    let born = |set: &&Value| {
        let meta = &set["metadata"];
        (text(&meta["creationTimestamp"]), text(&meta["name"]))
    };
    sets.sort_by_cached_key(born);
    let wanted = without_hash(&object["spec"]["template"]);
    let new = sets
        .iter()
        .position(|set| without_hash(&set["spec"]["template"]) == wanted);
    let new = new.map(|at| sets.remove(at));
    if sets.is_empty() && new.is_none() {
        return;
    }
    let said = |sets: Vec<&Value>| {
        let sets = sets.iter().map(|set| {
            let (is, wanted) = (
                int(&set["status"]["replicas"]),
                int(&set["spec"]["replicas"]),
            );
            format!(
                "{} ({is}/{wanted} replicas created)",
                text(&set["metadata"]["name"])
            )
        });
        unless_empty(sets.collect::<Vec<_>>().join(", "), "<none>")
    };
    page.field(0, "OldReplicaSets", said(sets));
    page.field(0, "NewReplicaSet", said(new.into_iter().collect()));
}

/// A template as its deployment has it.
fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(meta) = template["metadata"].as_object_mut() {
        if let Some(labels) = meta.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove("pod-template-hash");
        }
        meta.retain(|_, value| !value.is_null());
    }
    template
}

pub(super) fn replica_set(object: &Value, related: &Related, page: &mut Page) {
    let chosen = unless_empty(selector(&object["spec"]["selector"]), "<none>");
    head_of_replicas(object, chosen, page);
    controlled(object, page);
    replicas(object, related, page);
}

pub(super) fn replication_controller(object: &Value, related: &Related, page: &mut Page) {
    head_of_replicas(object, pairs(&object["spec"]["selector"]), page);
    replicas(object, related, page);
}

fn head_of_replicas(object: &Value, chosen: String, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.field(0, "Selector", chosen);
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
}

fn replicas(object: &Value, related: &Related, page: &mut Page) {
    let (spec, status) = (&object["spec"], &object["status"]);
    let (is, wanted) = (int(&status["replicas"]), int(&spec["replicas"]));
    page.field(
        0,
        "Replicas",
        format_args!("{is} current / {wanted} desired"),
    );
    pods(object, related, page);
    template(&spec["template"], page);
    conditions(&status["conditions"], page);
}

pub(super) fn stateful_set(object: &Value, related: &Related, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.field(0, "CreationTimestamp", when(&meta["creationTimestamp"]));
    page.field(0, "Selector", selector(&spec["selector"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    let (wanted, is) = (int(&spec["replicas"]), int(&status["replicas"]));
    page.field(0, "Replicas", format_args!("{wanted} desired | {is} total"));
    let strategy = &spec["updateStrategy"];
    page.field(0, "Update Strategy", text(&strategy["type"]));
    let rolling = &strategy["rollingUpdate"];
    if let Some(partition) = rolling["partition"].as_i64() {
        page.field(1, "Partition", partition);
        if !rolling["maxUnavailable"].is_null() {
            page.field(1, "MaxUnavailable", text(&rolling["maxUnavailable"]));
        }
    }
    pods(object, related, page);
    template(&spec["template"], page);
    claims(&spec["volumeClaimTemplates"], page);
}

fn claims(templates: &Value, page: &mut Page) {
    match list(templates).is_empty() {
        true => page.field(0, "Volume Claims", "<none>"),
        false => page.line(0, "Volume Claims:"),
    }
    for claim in list(templates) {
        let (meta, spec) = (&claim["metadata"], &claim["spec"]);
        page.field(1, "Name", text(&meta["name"]));
        page.field(1, "StorageClass", class_of(claim));
        page.labels("  Labels", &meta["labels"]);
        page.labels("  Annotations", &meta["annotations"]);
        let capacity = match &spec["resources"]["requests"]["storage"] {
            Value::Null => "<default>".to_owned(),
            size => quantity(size).to_string(),
        };
        page.field(1, "Capacity", capacity);
        let modes = texts(&spec["accessModes"]).join(" ");
        page.field(1, "Access Modes", format_args!("[{modes}]"));
    }
}

pub(super) fn daemon_set(object: &Value, related: &Related, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Selector", selector(&spec["selector"]));
    page.field(
        0,
        "Node-Selector",
        pairs(&spec["template"]["spec"]["nodeSelector"]),
    );
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    for (title, field) in [
        (
            "Desired Number of Nodes Scheduled",
            "desiredNumberScheduled",
        ),
        (
            "Current Number of Nodes Scheduled",
            "currentNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Up-to-date Pods",
            "updatedNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Available Pods",
            "numberAvailable",
        ),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        page.line(0, format_args!("{title}: {}", int(&status[field])));
    }
    pods(object, related, page);
    template(&spec["template"], page);
}

pub(super) fn job(object: &Value, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.field(0, "Selector", selector(&spec["selector"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    controlled(object, page);
    let told = |title: &str, value: &Value, page: &mut Page| {
        if !value.is_null() {
            page.field(0, title, text(value));
        }
    };
    told("Parallelism", &spec["parallelism"], page);
    page.field(0, "Completions", or(&spec["completions"], "<unset>"));
    told("Completion Mode", &spec["completionMode"], page);
    told("Suspend", &spec["suspend"], page);
    told("Backoff Limit", &spec["backoffLimit"], page);
    told(
        "TTL Seconds After Finished",
        &spec["ttlSecondsAfterFinished"],
        page,
    );
    let (start, end) = (&status["startTime"], &status["completionTime"]);
    if start.is_string() {
        page.field(0, "Start Time", when(start));
    }
    if end.is_string() {
        page.field(0, "Completed At", when(end));
    }
    if start.is_string() && end.is_string() {
        page.field(0, "Duration", took(start, end));
    }
    deadline(spec, page);
    let ready = status["ready"].as_i64();
    let ready = ready.map_or(String::new(), |ready| format!(" ({ready} Ready)"));
    let [active, succeeded, failed] = ["active", "succeeded", "failed"].map(|it| int(&status[it]));
    let said = format!("{active} Active{ready} / {succeeded} Succeeded / {failed} Failed");
    page.field(0, "Pods Statuses", said);
    if spec["completionMode"] == "Indexed" {
        let indexes = text(&status["completedIndexes"]);
        page.field(0, "Completed Indexes", capped(&indexes));
    }
    template(&spec["template"], page);
}

/// The first of many indexes.
fn capped(indexes: &str) -> String {
    let cut = indexes.get(INDEXES..).and_then(|rest| rest.find(','));
    match cut {
        Some(at) => format!("{}...", &indexes[..=INDEXES + at]),
        None => unless_empty(indexes.to_owned(), "<none>"),
    }
}

fn deadline(spec: &Value, page: &mut Page) {
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64() {
        page.field(0, "Active Deadline Seconds", format_args!("{seconds}s"));
    }
}

pub(super) fn cron_job(object: &Value, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Namespace", text(&meta["namespace"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "Schedule", text(&spec["schedule"]));
    page.field(0, "Concurrency Policy", text(&spec["concurrencyPolicy"]));
    let suspended = spec["suspend"].as_bool().map_or("<unset>", capital);
    page.field(0, "Suspend", suspended);
    for (title, field, unit) in [
        (
            "Successful Job History Limit",
            "successfulJobsHistoryLimit",
            "",
        ),
        ("Failed Job History Limit", "failedJobsHistoryLimit", ""),
        ("Starting Deadline Seconds", "startingDeadlineSeconds", "s"),
    ] {
        match spec[field].as_i64() {
            Some(number) => page.field(0, title, format_args!("{number}{unit}")),
            None => page.field(0, title, "<unset>"),
        }
    }
    let job = &spec["jobTemplate"]["spec"];
    let chosen = match job["selector"].is_object() {
        true => selector(&job["selector"]),
        false => "<unset>".to_owned(),
    };
    page.field(0, "Selector", chosen);
    page.field(0, "Parallelism", or(&job["parallelism"], "<unset>"));
    page.field(0, "Completions", or(&job["completions"], "<unset>"));
    deadline(job, page);
    template(&job["template"], page);
    let last = match status["lastScheduleTime"].is_string() {
        true => when(&status["lastScheduleTime"]),
        false => "<unset>".to_owned(),
    };
    page.field(0, "Last Schedule Time", last);
    let active: Vec<String> = list(&status["active"])
        .iter()
        .map(|job| text(&job["name"]))
        .collect();
    page.field(0, "Active Jobs", unless_empty(active.join(", "), "<none>"));
}

fn controlled(object: &Value, page: &mut Page) {
    if let Some(controller) = controller(object) {
        page.field(0, "Controlled By", controller);
    }
}

/// How many pods there are, by how far they are.
fn pods(object: &Value, related: &Related, page: &mut Page) {
    if let Some(why) = related.failure("pods") {
        return page.field(
            0,
            "Pods Status",
            format_args!("error in fetching pods: {why}"),
        );
    }
    let own = related.of("pods").iter();
    let own = own.filter(|pod| owner(pod).is_some_and(|it| it["uid"] == object["metadata"]["uid"]));
    let phases: Vec<&Value> = own.map(|pod| &pod["status"]["phase"]).collect();
    let count = |phase: &str| phases.iter().filter(|is| **is == phase).count();
    let said = format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    );
    page.field(0, "Pods Status", said);
}

/// A table of what holds.
pub(super) fn conditions(conditions: &Value, page: &mut Page) {
    if list(conditions).is_empty() {
        return;
    }
    page.line(0, "Conditions:");
    page.line(1, "Type\tStatus\tReason");
    page.line(1, "----\t------\t------");
    for one in list(conditions) {
        let [kind, status, reason] = ["type", "status", "reason"].map(|field| text(&one[field]));
        page.line(1, format_args!("{kind} \t{status}\t{reason}"));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn indexes_are_cut_after_one_of_them() {
        let long = "10,".repeat(20);
        assert_eq!(super::capped(&long), "10,".repeat(17) + "...");
        assert_eq!(
            (super::capped("1,3"), super::capped("")),
            ("1,3".to_owned(), "<none>".to_owned())
        );
    }
}
