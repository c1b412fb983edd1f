//! What is written of a job, and what is told of it.

use serde_json::{Map, Value, json};
use weft_planner::workloads::jobs::{Job, Plan, Target};

use super::super::acts::Say;
use super::read::is_resumed;
use crate::object::Object;
use crate::store::{now, set_condition};

/// Its next status, and what people are told if it is written.
pub(super) fn status(object: &Object, job: &Job, plan: &Plan) -> (Value, Vec<Say>) {
    let old = object.at(&["status"]).cloned().unwrap_or_default();
    let mut status = old.as_object().cloned().unwrap_or_default();
    for (name, count) in [
        ("active", plan.active),
        ("succeeded", plan.succeeded),
        ("failed", plan.failed),
    ] {
        match count {
            0 => drop(status.remove(name)),
            count => drop(status.insert(name.to_owned(), count.into())),
        }
    }
    status.insert("ready".to_owned(), plan.ready.into());
    status.insert("terminating".to_owned(), plan.terminating.into());
    let mut uncounted = Map::new();
    for (name, ids) in [
        ("succeeded", &plan.uncounted.succeeded),
        ("failed", &plan.uncounted.failed),
    ] {
        if !ids.is_empty() {
            uncounted.insert(name.to_owned(), json!(ids));
        }
    }
    status.insert("uncountedTerminatedPods".to_owned(), uncounted.into());
    indexes(&mut status, job, plan);
    let is_begun = status.contains_key("startTime") && !is_resumed(object, job);
    if !is_begun && !job.is_suspended {
        status.insert("startTime".to_owned(), now().into());
    }
    let mut status = Value::Object(status);
    let mut says = Vec::new();
    match &plan.target {
        Some(target) => end(&mut status, job, plan.is_over, target, &mut says),
        None if !job.is_going => suspend(&mut status, object, job, &mut says),
        None => {}
    }
    (status, says)
}

fn indexes(status: &mut Map<String, Value>, job: &Job, plan: &Plan) {
    if !job.is_indexed {
        return;
    }
    match plan.completed.to_string() {
        none if none.is_empty() => drop(status.remove("completedIndexes")),
        some => drop(status.insert("completedIndexes".to_owned(), some.into())),
    }
    if job.per_index.is_some() {
        let failed = plan.failed_indexes.to_string();
        status.insert("failedIndexes".to_owned(), failed.into());
    }
}

fn condition(name: &str, is_true: bool, reason: &str, message: &str) -> Value {
    let now = now();
    json!({
        "type": name, "status": if is_true { "True" } else { "False" },
        "lastProbeTime": now, "lastTransitionTime": now, "reason": reason, "message": message,
    })
}

fn end(status: &mut Value, job: &Job, is_over: bool, target: &Target, says: &mut Vec<Say>) {
    let (target_name, end_name) = match target.is_success {
        true => ("SuccessCriteriaMet", "Complete"),
        false => ("FailureTarget", "Failed"),
    };
    let (reason, message) = (&target.reason, &target.message);
    if job.target.is_none() {
        set_condition(status, condition(target_name, true, reason, message));
    }
    if !is_over {
        return;
    }
    set_condition(status, condition(end_name, true, reason, message));
    if target.is_success {
        status["completionTime"] = now().into();
        says.push(Say::normal("Completed", "Job completed".to_owned()));
        return;
    }
    says.push(Say::warning(known(reason), message.clone()));
}

/// A reason as events have it.
fn known(reason: &str) -> &'static str {
    let all = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "FailedIndexes",
        "MaxFailedIndexesExceeded",
        "PodFailurePolicy",
    ];
    let mut found = all.into_iter().filter(|one| *one == reason);
    found.next().unwrap_or("Failed")
}

fn suspend(status: &mut Value, object: &Object, job: &Job, says: &mut Vec<Say>) {
    let is_known = object
        .condition("Suspended")
        .is_some_and(|one| one["status"] == "True");
    if job.is_suspended && !is_known {
        let why = "Job suspended";
        set_condition(status, condition("Suspended", true, "JobSuspended", why));
        says.push(Say::normal("Suspended", why.to_owned()));
    } else if is_resumed(object, job) {
        let why = "Job resumed";
        set_condition(status, condition("Suspended", false, "JobResumed", why));
        says.push(Say::normal("Resumed", why.to_owned()));
    }
}
