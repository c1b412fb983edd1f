//! Job: pods that run to their end, so and so often.

mod selector;
mod spec;
mod update;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::pod_spec::{self, number};
use super::rules::fill::{Fields, below, each, set, set_text};
use super::rules::{Mistakes, Spot};
use super::{document, is_new};
use crate::age::age;
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, texts};
use crate::object::Object;

pub(super) use spec::validate as validate_spec;

/// Conditions that are shown as the job's status, before and after it is seen to be deleted.
const ENDED: [(&str, &str); 2] = [("Complete", "Complete"), ("Failed", "Failed")];
const OTHERWISE: [(&str, &str); 3] = [
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
];

pub(super) fn kind() -> Kind {
    Kind {
        categories: texts(&["all"]),
        document: document::<Job>(),
        default,
        validate,
        selectable: &[("status.successful", &["status", "succeeded"])],
        absent: &[("status.successful", "0")],
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        counted: Some(&[]),
        generation: Generation::Content,
        ..Kind::of("batch", "v1", "Job", "jobs", "job")
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Status", "What state it is in.", |job| state(job).into()),
        Column::text(
            "Completions",
            "How many pods ended well, of how many.",
            |job| completions(job).into(),
        ),
        Column::text(
            "Duration",
            "How long it took, or takes until now.",
            duration,
        ),
        Column::age(),
        pod_spec::containers(),
        pod_spec::images(),
        pod_spec::shown_selector(),
    ]
}

fn state(job: &Object) -> &'static str {
    let conditions = job.at(&["status", "conditions"]).and_then(Value::as_array);
    let holds = |name: &str| {
        conditions.into_iter().flatten().any(|one| {
            one.get("type").and_then(Value::as_str) == Some(name)
                && one.get("status").and_then(Value::as_str) == Some("True")
        })
    };
    let first = |list: &[(&str, &'static str)]| {
        let mut held = list.iter().filter(|(name, _)| holds(name));
        held.next().map(|(_, shown)| *shown)
    };
    match first(&ENDED) {
        Some(ended) => ended,
        None if job.meta().is_deleting() => "Terminating",
        None => first(&OTHERWISE).unwrap_or("Running"),
    }
}

fn completions(job: &Object) -> String {
    let done = number(job, &["status", "succeeded"]);
    let wanted = job.at(&["spec", "completions"]).and_then(Value::as_i64);
    match (wanted, number(job, &["spec", "parallelism"])) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, at_once) if at_once > 1 => format!("{done}/1 of {at_once}"),
        (None, _) => format!("{done}/1"),
    }
}

fn duration(job: &Object) -> Value {
    let time = |name| {
        job.text(&["status", name])
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    let Some(begin) = time("startTime") else {
        return "".into();
    };
    let end = time("completionTime").unwrap_or_else(Timestamp::now);
    age(end.duration_since(begin).as_secs()).into()
}

fn default(job: &mut Object) {
    let is_new = is_new(job);
    if let Some(spec) = below(&mut job.0, "spec") {
        set(spec, "suspend", false);
        set_text(spec, "completionMode", "NonIndexed");
        if spec.get("completions").is_none_or(Value::is_null)
            && spec.get("parallelism").is_none_or(Value::is_null)
        {
            set(spec, "completions", 1);
        }
        set(spec, "parallelism", 1);
        let per_index = spec
            .get("backoffLimitPerIndex")
            .is_some_and(|limit| !limit.is_null());
        set(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
        let by_policy = spec
            .get("podFailurePolicy")
            .is_some_and(|policy| !policy.is_null());
        let replaced = if by_policy {
            "Failed"
        } else {
            "TerminatingOrFailed"
        };
        set_text(spec, "podReplacementPolicy", replaced);
        set(spec, "manualSelector", false);
        template(spec);
    }
    if is_new {
        selector::generate(job);
        selector::label(job);
    }
}

/// What jobs and the jobs of cron jobs have.
pub(super) fn template(spec: &mut Fields) {
    pod_spec::default_template(spec);
    let rules = below(spec, "podFailurePolicy").into_iter();
    for rule in rules.flat_map(|policy| each(policy, "rules")) {
        for condition in each(rule, "onPodConditions") {
            set_text(condition, "status", "True");
        }
    }
}

fn validate(job: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let status = Spot::of(job, "status");
    for name in ["active", "succeeded", "failed", "ready", "terminating"] {
        mistakes.not_negative(&status.at(name));
    }
    mistakes.spec(job, old, |mistakes, spec, _| {
        spec::validate(mistakes, spec);
        spec::host_names(mistakes, &Spot::of(job, "metadata"), spec);
        selector::validate(mistakes, job, spec, old.is_none());
        if let Some(old) = old {
            update::update(mistakes, spec, old);
        }
    });
    mistakes.into_causes()
}

#[cfg(test)]
mod tests;
