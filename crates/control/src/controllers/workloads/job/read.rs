//! Jobs and their pods as the planner sees them.

use serde_json::Value;
use weft_planner::workloads::End;
use weft_planner::workloads::jobs::{
    Action, Enough, Failure, Indexes, Job, Rule, Target, Uncounted, When, Worker, verdict,
};

use super::super::pods;
use super::is_tracked;
use super::make::{FAILURES, IGNORED, INDEX};
use crate::object::Object;

fn number(value: &Value) -> Option<u32> {
    let number = value.as_u64()?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_true(object: &Object, condition: &str) -> bool {
    let found = object.condition(condition);
    found.is_some_and(|one| one["status"] == "True")
}

/// Whether it is not suspended any more, and that is not written yet.
pub(super) fn is_resumed(job: &Object, asked: &Job) -> bool {
    !asked.is_suspended && is_true(job, "Suspended")
}

pub(super) fn job(object: &Object, now_s: i64) -> Job {
    let null = Value::Null;
    let spec = object.at(&["spec"]).unwrap_or(&null);
    let status = object.at(&["status"]).unwrap_or(&null);
    let completions = number(&spec["completions"]);
    let end = completions.unwrap_or(0);
    let indexes = |name: &str| Indexes::parse(status[name].as_str().unwrap_or_default(), end);
    let ids = |name: &str| {
        list(&status["uncountedTerminatedPods"][name])
            .map(text)
            .collect()
    };
    let rules = list(&spec["successPolicy"]["rules"]);
    let enough = rules.map(|rule| Enough {
        of: rule["succeededIndexes"]
            .as_str()
            .map(|text| Indexes::parse(text, end)),
        count: number(&rule["succeededCount"]),
    });
    let mut job = Job {
        parallelism: number(&spec["parallelism"]).unwrap_or(1),
        completions,
        is_indexed: spec["completionMode"] == "Indexed",
        is_suspended: spec["suspend"] == true,
        is_going: object.meta().is_deleting(),
        only_failed: spec["podReplacementPolicy"] == "Failed",
        is_in_place: spec["template"]["spec"]["restartPolicy"] == "OnFailure",
        backoff_limit: number(&spec["backoffLimit"]).unwrap_or(6),
        per_index: number(&spec["backoffLimitPerIndex"]),
        failed_max: number(&spec["maxFailedIndexes"]),
        deadline_s: number(&spec["activeDeadlineSeconds"]),
        enough: enough.collect(),
        started_s: status["startTime"].as_str().and_then(pods::seconds),
        succeeded: number(&status["succeeded"]).unwrap_or(0),
        failed: number(&status["failed"]).unwrap_or(0),
        uncounted: Uncounted {
            succeeded: ids("succeeded"),
            failed: ids("failed"),
        },
        completed: indexes("completedIndexes"),
        failed_indexes: indexes("failedIndexes"),
        target: target(object),
    };
    let is_fresh = job.started_s.is_none() || is_resumed(object, &job);
    if is_fresh && !job.is_suspended {
        job.started_s = Some(now_s);
    }
    job
}

/// What it was seen to come to.
fn target(job: &Object) -> Option<Target> {
    let names = [("SuccessCriteriaMet", true), ("FailureTarget", false)];
    let mut found = names.into_iter().filter(|(name, _)| is_true(job, name));
    let (name, is_success) = found.next()?;
    let condition = job.condition(name)?;
    Some(Target {
        is_success,
        reason: text(&condition["reason"]),
        message: text(&condition["message"]),
    })
}

/// What a job says of failures.
pub(super) fn rules(job: &Object) -> Vec<Rule> {
    let rules = job.at(&["spec", "podFailurePolicy", "rules"]);
    rules
        .map(|rules| list(rules).map(rule).collect())
        .unwrap_or_default()
}

fn rule(rule: &Value) -> Rule {
    let codes = &rule["onExitCodes"];
    Rule {
        action: match rule["action"].as_str() {
            Some("Ignore") => Action::Ignore,
            Some("FailIndex") => Action::FailIndex,
            Some("FailJob") => Action::FailJob,
            _ => Action::Count,
        },
        when: match codes.is_null() {
            false => When::Codes {
                container: codes["containerName"].as_str().map(str::to_owned),
                is_in: codes["operator"] == "In",
                codes: list(&codes["values"]).filter_map(Value::as_i64).collect(),
            },
            true => {
                let all = list(&rule["onPodConditions"]);
                When::Conditions(all.map(kind_and_status).collect())
            }
        },
    }
}

fn kind_and_status(condition: &Value) -> (String, String) {
    (text(&condition["type"]), text(&condition["status"]))
}

/// Statuses of its containers; those that begin it last.
fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    let lists = ["containerStatuses", "initContainerStatuses"].into_iter();
    let lists = lists.filter_map(|name| pod.at(&["status", name])?.as_array());
    lists.flatten()
}

pub(super) fn worker(pod: &Object, rules: &[Rule], job: &Job) -> Worker {
    let written = |name: &str| pod.meta().annotation(name)?.parse::<u32>().ok();
    let end = match pod.text(&["status", "phase"]) {
        Some("Succeeded") => End::Succeeded,
        Some("Failed") => End::Failed,
        _ => End::Not,
    };
    let restarts = containers(pod).filter_map(|one| number(&one["restartCount"]));
    let has_failed = match end {
        End::Failed => true,
        End::Succeeded => false,
        End::Not => pod.meta().is_deleting() && !job.only_failed,
    };
    Worker {
        pod: pods::replica(pod, None, 0),
        end,
        is_going: pod.meta().is_deleting(),
        is_tracked: is_tracked(pod),
        index: written(INDEX),
        before: (
            written(FAILURES).unwrap_or(0),
            written(IGNORED).unwrap_or(0),
        ),
        restarts: restarts.fold(0, u32::saturating_add),
        ended_s: ended_s(pod),
        verdict: match has_failed && !rules.is_empty() {
            true => verdict(rules, &failure(pod)),
            false => None,
        },
    }
}

fn failure(pod: &Object) -> Failure {
    let meta = pod.meta();
    let code = |one: &Value| {
        let code = one["state"]["terminated"]["exitCode"].as_i64()?;
        Some((text(&one["name"]), code))
    };
    let conditions = pod.at(&["status", "conditions"]).into_iter();
    Failure {
        pod: format!("{}/{}", meta.namespace(), meta.name()),
        codes: containers(pod).filter_map(code).collect(),
        conditions: conditions.flat_map(list).map(kind_and_status).collect(),
    }
}

/// When it ended, as far as it is known: by its containers, by when it was not ready any more, by
/// when it was told to go.
fn ended_s(pod: &Object) -> i64 {
    let time = |value: &Value| value.as_str().and_then(pods::seconds);
    let ended = containers(pod).map(|one| time(&one["state"]["terminated"]["finishedAt"]));
    let ended: Option<Vec<i64>> = ended.collect();
    let last = ended.and_then(|all| all.into_iter().max());
    let unready = || {
        let ready = pod.condition("Ready")?;
        time(&ready["lastTransitionTime"]).filter(|_| ready["status"] == "False")
    };
    let going = || {
        let at = pods::seconds(pod.meta().text("deletionTimestamp"))?;
        let grace = pod.at(&["metadata", "deletionGracePeriodSeconds"]);
        Some(at - grace.and_then(Value::as_i64).unwrap_or(0))
    };
    let made = || pods::seconds(pod.meta().text("creationTimestamp")).unwrap_or(0);
    last.or_else(unready).or_else(going).unwrap_or_else(made)
}
