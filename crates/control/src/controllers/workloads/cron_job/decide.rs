//! What is to be done for a cron job now, as a value: the clock is one too.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use weft_planner::workloads::cron::{self, Cron, Past};

use super::super::acts::Say;
use super::super::{job, pods};
use crate::cron::Schedule;
use crate::object::Object;

/// The time that a job is for.
pub(in super::super) const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub(in super::super) struct Plan {
    /// What is in the way; it need not be said each time.
    pub(super) complaints: Vec<Say>,
    /// Jobs that make room for another.
    pub(super) stop: Vec<Arc<Object>>,
    /// The job that is made, and its time.
    pub(super) make: Option<(i64, Object)>,
    /// The next status, without that job.
    pub(super) status: Value,
    /// What is told once that is written.
    pub(super) says: Vec<Say>,
    /// Jobs that have ended and are not kept.
    pub(super) forget: Vec<Arc<Object>>,
    /// In how many seconds a time comes.
    pub(super) again_s: Option<u64>,
}

fn time(object: &Object, path: &[&str]) -> Option<i64> {
    object.text(path).and_then(pods::seconds)
}

fn utc(at_s: i64) -> Option<Timestamp> {
    Timestamp::from_second(at_s).ok()
}

pub(in super::super) fn decide(cron: &Object, own: &[Arc<Object>], now_s: i64) -> Plan {
    let mut plan = Plan {
        status: cron.at(&["status"]).cloned().unwrap_or_else(|| json!({})),
        ..Plan::default()
    };
    if cron.meta().is_deleting() {
        return plan;
    }
    let known = time(cron, &["status", "lastScheduleTime"]);
    let made = own.iter().filter_map(|job| scheduled(job, now_s));
    let last_s = made.chain(known).max();
    if let Some(at) = last_s.filter(|last| known != Some(*last)).and_then(utc) {
        plan.status["lastScheduleTime"] = at.to_string().into();
    }
    let active = follow(cron, own, now_s, &mut plan);
    forget(cron, own, &mut plan);
    if cron.at(&["spec", "suspend"]) != Some(&Value::Bool(true)) {
        start(cron, &active, (last_s, now_s), &mut plan);
    }
    plan
}

/// The time a job was made for.
fn scheduled(job: &Object, now_s: i64) -> Option<i64> {
    let at = job.meta().annotation(SCHEDULED).and_then(pods::seconds);
    at.filter(|at| *at <= now_s)
}

/// Which of its jobs run, and when one last ended well.
fn follow(cron: &Object, own: &[Arc<Object>], now_s: i64, plan: &mut Plan) -> Vec<Arc<Object>> {
    let listed = cron.at(&["status", "active"]).and_then(Value::as_array);
    let listed = listed.cloned().unwrap_or_default();
    let uid = |one: &Value| one["uid"].as_str().unwrap_or_default().to_owned();
    let (mut active, mut references) = (Vec::new(), Vec::new());
    let mut success = time(cron, &["status", "lastSuccessfulTime"]);
    for job in own {
        let meta = job.meta();
        let found = listed.iter().find(|one| uid(one) == meta.text("uid"));
        match (job::ended(job), found) {
            (Some((how, _)), is_listed) => {
                if is_listed.is_some() {
                    let (name, why) = (meta.name(), "SawCompletedJob");
                    let message = format!("Saw completed job: {name}, condition: {how}");
                    plan.says.push(Say::normal(why, message));
                }
                let at = time(job, &["status", "completionTime"]).filter(|_| how == "Complete");
                success = success.max(at);
            }
            (None, Some(reference)) => {
                active.push(Arc::clone(job));
                references.push(reference.clone());
            }
            // It was made, and all stopped before that was written.
            (None, None) if scheduled(job, now_s).is_some() => {
                active.push(Arc::clone(job));
                references.push(refer(job));
            }
            (None, None) => {
                let message = format!(
                    "Saw a job that the controller did not create or forgot: {}",
                    meta.name()
                );
                plan.complaints.push(Say::warning("UnexpectedJob", message));
            }
        }
    }
    for gone in &listed {
        if !own.iter().any(|job| job.meta().text("uid") == uid(gone)) {
            let name = gone["name"].as_str().unwrap_or_default();
            let message = format!("Active job went missing: {name}");
            plan.says.push(Say::normal("MissingJob", message));
        }
    }
    put_active(&mut plan.status, references);
    if let Some(at) = success.and_then(utc) {
        plan.status["lastSuccessfulTime"] = at.to_string().into();
    }
    active
}

fn put_active(status: &mut Value, active: Vec<Value>) {
    match (status.as_object_mut(), active.is_empty()) {
        (Some(status), true) => drop(status.remove("active")),
        (Some(status), false) => drop(status.insert("active".to_owned(), active.into())),
        (None, _) => {}
    }
}

fn refer(job: &Object) -> Value {
    let meta = job.meta();
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "namespace": meta.namespace(), "name": meta.name(),
        "uid": meta.text("uid"), "resourceVersion": meta.text("resourceVersion"),
    })
}

/// A job was made for this time.
pub(super) fn note(status: &mut Value, at_s: i64, job: &Object) {
    let mut active = status["active"].as_array().cloned().unwrap_or_default();
    let uid = job.meta().text("uid");
    if job::ended(job).is_none() && active.iter().all(|one| one["uid"] != uid) {
        active.push(refer(job));
    }
    put_active(status, active);
    if let Some(at) = utc(at_s) {
        status["lastScheduleTime"] = at.to_string().into();
    }
}

/// Jobs that have ended, and of which enough newer ones are kept.
fn forget(cron: &Object, own: &[Arc<Object>], plan: &mut Plan) {
    for (end, limit) in [
        ("Complete", "successfulJobsHistoryLimit"),
        ("Failed", "failedJobsHistoryLimit"),
    ] {
        let limit = cron.at(&["spec", limit]).and_then(Value::as_u64);
        let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else {
            continue;
        };
        let is_past = |job: &&Arc<Object>| job::ended(job).is_some_and(|(how, _)| how == end);
        let is_there = |job: &&Arc<Object>| !job.meta().is_deleting();
        let ended: Vec<_> = own.iter().filter(is_past).filter(is_there).collect();
        let past: Vec<Past> = ended
            .iter()
            .map(|job| Past {
                started_s: time(job, &["status", "startTime"]),
                name: job.meta().name().to_owned(),
            })
            .collect();
        let gone = cron::forgotten(&past, limit).into_iter();
        plan.forget.extend(gone.map(|at| Arc::clone(ended[at])));
    }
}

/// The job of the time that has come.
fn start(
    cron: &Object,
    active: &[Arc<Object>],
    (last_s, now_s): (Option<i64>, i64),
    plan: &mut Plan,
) {
    let (schedule, zone) = match when(cron) {
        Ok(when) => when,
        Err(complaint) => return plan.complaints.push(complaint),
    };
    let created_s = time(cron, &["metadata", "creationTimestamp"]).unwrap_or(now_s);
    let deadline = cron
        .at(&["spec", "startingDeadlineSeconds"])
        .and_then(Value::as_u64);
    let known = Cron {
        created_s,
        last_s,
        deadline_s: deadline.map(|deadline| u32::try_from(deadline).unwrap_or(u32::MAX)),
        now_s,
    };
    let since_s = last_s.unwrap_or(created_s);
    let due = cron::due(&known, |at| schedule.next(at, &zone, since_s));
    let left = due.next_s.map(|next| next.saturating_sub(now_s).max(1));
    plan.again_s = left.and_then(|left| u64::try_from(left).ok());
    if due.next_s.is_none() && due.at_s.is_none() {
        let text = cron.text(&["spec", "schedule"]).unwrap_or_default();
        let message = format!("schedule {text:?} never comes");
        plan.complaints.push(Say::warning("UnmetSchedule", message));
    }
    if due.are_many {
        let why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or \
                   check clock skew";
        let say = Say::warning("TooManyMissedTimes", why.to_owned());
        plan.complaints.push(say);
    }
    if let Some(at) = due.missed_s.and_then(utc) {
        let at = at.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let message = format!("Missed scheduled time to start a job: {at}");
        plan.complaints.push(Say::warning("MissSchedule", message));
    }
    let Some(at_s) = due.at_s else { return };
    match cron.text(&["spec", "concurrencyPolicy"]) {
        Some("Forbid") if !active.is_empty() => {
            let why = "Not starting job because prior execution is running and concurrency policy \
                       is Forbid";
            let say = Say::normal("JobAlreadyActive", why.to_owned());
            plan.complaints.push(say);
            return;
        }
        Some("Replace") => {
            plan.stop = active.to_vec();
            put_active(&mut plan.status, Vec::new());
        }
        _ => {}
    }
    plan.make = Some((at_s, job(cron, at_s, &zone)));
}

/// Its schedule, and the clocks that it goes by: this machine's, if it names none.
fn when(cron: &Object) -> Result<(Schedule, TimeZone), Say> {
    let text = cron.text(&["spec", "schedule"]).unwrap_or_default();
    let schedule = Schedule::parse(text).map_err(|why| {
        let message = format!("unparseable schedule: {text:?} : {why}");
        Say::warning("UnparseableSchedule", message)
    })?;
    let zone = match cron.text(&["spec", "timeZone"]) {
        None => TimeZone::system(),
        Some(zone) => TimeZone::get(zone).map_err(|why| {
            let message = format!("invalid timeZone: {zone:?}: {why}");
            Say::warning("UnknownTimeZone", message)
        })?,
    };
    Ok((schedule, zone))
}

fn job(cron: &Object, at_s: i64, zone: &TimeZone) -> Object {
    let template = cron.at(&["spec", "jobTemplate"]).unwrap_or(&Value::Null);
    let mut meta = Map::new();
    // The minute is enough to tell it from others, as upstream.
    let name = format!("{}-{}", cron.meta().name(), at_s.div_euclid(60));
    meta.insert("name".to_owned(), name.into());
    meta.insert("namespace".to_owned(), cron.meta().namespace().into());
    for field in ["labels", "annotations"] {
        if let Some(value) = template["metadata"].get(field) {
            meta.insert(field.to_owned(), value.clone());
        }
    }
    let annotations = meta.entry("annotations").or_insert_with(|| json!({}));
    if let Some(at) = utc(at_s) {
        let at = at.to_zoned(zone.clone());
        let shown = at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        annotations[SCHEDULED] = match at.offset().seconds() {
            0 => shown.replace("+00:00", "Z").into(),
            _ => shown.into(),
        };
    }
    let mut job = Object::default();
    job.0.insert("metadata".to_owned(), meta.into());
    job.0.insert("spec".to_owned(), template["spec"].clone());
    job
}
