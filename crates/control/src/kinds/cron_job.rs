//! CronJob: jobs that are made again and again, at times.

use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::CronJob;
use serde_json::Value;

use super::document;
use super::job;
use super::pod_spec::each;
use super::rules::fill::{below, made, set, set_text};
use super::rules::selectors::selector_text;
use super::rules::{Mistakes, Spot};
use crate::age::since;
use crate::cron::Schedule;
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, texts};
use crate::object::Object;

/// Its jobs' names have eleven more, and are to be labels.
const NAME_MAX: usize = 52;
const TEMPLATE: [&str; 5] = ["spec", "jobTemplate", "spec", "template", "spec"];

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["cj"]),
        categories: texts(&["all"]),
        document: document::<CronJob>(),
        check_name: |name| match crate::names::dns_subdomain(name) {
            Ok(()) if name.len() > NAME_MAX => Err("must be no more than 52 characters"),
            other => other,
        },
        default,
        validate,
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        counted: Some(&[]),
        generation: Generation::Content,
        ..Kind::of("batch", "v1", "CronJob", "cronjobs", "cronjob")
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Schedule", "When it makes a job.", |object| {
            object
                .text(&["spec", "schedule"])
                .unwrap_or_default()
                .into()
        }),
        Column::text("Timezone", "Where it is these times.", |object| {
            object
                .text(&["spec", "timeZone"])
                .unwrap_or("<none>")
                .into()
        }),
        Column::text(
            "Suspend",
            "Whether it makes none for now.",
            |object| match object.at(&["spec", "suspend"]) {
                Some(Value::Bool(true)) => "True".into(),
                Some(Value::Bool(false)) => "False".into(),
                _ => "<unset>".into(),
            },
        ),
        Column::text("Active", "How many of its jobs run.", |object| {
            let active = object.at(&["status", "active"]).and_then(Value::as_array);
            active.map_or(0, Vec::len).into()
        })
        .integer(),
        Column::text("Last Schedule", "How long ago it was last due.", |object| {
            let last = object.text(&["status", "lastScheduleTime"]);
            last.and_then(since)
                .unwrap_or_else(|| "<none>".to_owned())
                .into()
        }),
        Column::age(),
        Column::text("Containers", "Names of its containers.", |object| {
            each(object, &TEMPLATE, "name").into()
        })
        .wide(),
        Column::text("Images", "Images of its containers.", |object| {
            each(object, &TEMPLATE, "image").into()
        })
        .wide(),
        Column::text("Selector", "Labels of its pods.", |object| {
            selector_text(object.at(&["spec", "jobTemplate", "spec", "selector"])).into()
        })
        .wide(),
    ]
}

fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set_text(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    if let Some(jobs) = below(spec, "jobTemplate").and_then(|template| made(template, "spec")) {
        job::template(jobs);
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    mistakes.spec(object, old, spec);
    mistakes.into_causes()
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: Option<&Spot<'_, '_>>) {
    let schedule = spec.at("schedule");
    mistakes.must_be(&schedule, "");
    if schedule.text().contains("TZ") {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        mistakes.invalid(&schedule, why);
    } else if let (false, Err(why)) = (schedule.is_empty(), Schedule::parse(schedule.text())) {
        mistakes.invalid(&schedule, &why);
    }
    let zone = spec.at("timeZone");
    // A zone that was known once stays, whatever this machine knows now.
    if old.is_none_or(|old| old.at("timeZone").value() != zone.value()) {
        time_zone(mistakes, &zone);
    }
    for name in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        mistakes.not_negative(&spec.at(name));
    }
    let policy = spec.at("concurrencyPolicy");
    mistakes.must_be_one_of(&policy, &["Allow", "Forbid", "Replace"]);
    let template = spec.at("jobTemplate");
    let meta = template.at("metadata");
    mistakes.labels(&meta.at("labels"));
    mistakes.annotations(&meta.at("annotations"));
    let jobs = template.at("spec");
    job::validate_spec(mistakes, &jobs);
    if jobs.at("selector").is_some() {
        mistakes.invalid(&jobs.at("selector"), "`selector` will be auto-generated");
    }
    if jobs.at("manualSelector").is_true() {
        mistakes.unsupported(&jobs.at("manualSelector"), &["nil", "false"]);
    }
}

fn time_zone(mistakes: &mut Mistakes, zone: &Spot<'_, '_>) {
    if !zone.is_some() {
        return;
    }
    if zone.is_empty() {
        mistakes.invalid(zone, "timeZone must be nil or non-empty string");
    } else if zone.text().eq_ignore_ascii_case("local") {
        let why = "timeZone must be an explicit time zone as defined in \
                   https://www.iana.org/time-zones";
        mistakes.invalid(zone, why);
    } else if TimeZone::get(zone.text()).is_err() {
        mistakes.invalid(zone, &format!("unknown time zone {}", zone.text()));
    }
}

#[cfg(test)]
mod tests;
