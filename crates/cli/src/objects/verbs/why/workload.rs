//! Why a workload has not the pods it asks for. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::cause::{
    Finding, Seen, State, ago, condition, event, int, list, name, text, typed, worst,
};
use super::container::short;
use super::place;

/// What is with a Deployment, ReplicaSet, ReplicationController, StatefulSet or DaemonSet.
pub(super) fn finding(seen: &Seen, now: Timestamp) -> Finding {
    let object = &seen.object;
    let (ready, wanted) = counts(object);
    let found = place::deletion(seen, now).unwrap_or_else(|| judge(seen, now, ready, wanted));
    found.under(typed(object), format!("{ready} of {wanted} pods are ready"))
}

/// How many pods are ready, and how many there are to be.
fn counts(object: &Value) -> (i64, i64) {
    match text(object, "/kind") {
        "DaemonSet" => (
            int(object, "/status/numberReady"),
            int(object, "/status/desiredNumberScheduled"),
        ),
        _ => (
            int(object, "/status/readyReplicas"),
            object["spec"]["replicas"].as_i64().unwrap_or(1),
        ),
    }
}

fn judge(seen: &Seen, now: Timestamp, ready: i64, wanted: i64) -> Finding {
    let object = &seen.object;
    let own = name(object);
    if let Some(found) = refused(seen) {
        return found;
    }
    if wanted == 0 {
        return none(object);
    }
    let below = worst(seen.below.iter().map(|one| super::finding(one, now)));
    let below = below.filter(|found| found.state != State::Well);
    let is_rolling = rolling(object);
    let head = format!("{own} has {ready} of {wanted} pods ready");
    if let Some(mut found) = below {
        let late = late(object);
        let how = match (ready >= wanted, late) {
            (true, Some(_)) => format!("{own} runs as before, and its change came to nothing"),
            (true, None) if is_rolling => format!("{own} is being changed and not done"),
            (true, None) => format!("{own} runs, but one of its pods does not"),
            (false, _) => head,
        };
        found.says = format!("{how}, because {}", found.cause);
        if let Some(rolled) = rolled_back(seen) {
            found.says = format!("{} ({rolled})", found.says);
        }
        return found;
    }
    without_culprit(seen, ready, wanted)
}

/// No pod says why.
fn without_culprit(seen: &Seen, ready: i64, wanted: i64) -> Finding {
    let object = &seen.object;
    let own = name(object);
    let is_rolling = rolling(object);
    let head = format!("{own} has {ready} of {wanted} pods ready");
    if object["spec"]["paused"] == true && (is_rolling || ready < wanted) {
        return Finding::wrong(
            format!("{head}, and changes wait: it is paused"),
            format!("`weft rollout resume {}` goes on", typed(object)),
        );
    }
    if let Some(late) = late(object) {
        return Finding::wrong(
            format!("{head}, and it was not done within its progressDeadlineSeconds"),
            format!("`weft rollout undo {}` goes back", typed(object)),
        )
        .then("Progressing", short(text(late, "/message")));
    }
    if let Some(rolled) = rolled_back(seen) {
        return Finding::wrong(
            format!("{own} runs as it did before its last change: {rolled}"),
            format!(
                "`weft rollout history {}` has both; correct the template and apply it again",
                typed(object)
            ),
        );
    }
    if ready >= wanted && !is_rolling {
        return Finding::well(format!("{own} runs: {ready} of {wanted} pods are ready"));
    }
    if ready >= wanted && int(object, "/spec/minReadySeconds") > 0 {
        let seconds = int(object, "/spec/minReadySeconds");
        return Finding::waiting(
            format!(
                "{own} is being changed: new pods are ready, and count only {seconds} s later (minReadySeconds)"
            ),
            format!("`weft rollout status {}` waits for the end", typed(object)),
        );
    }
    let unheard = object["metadata"]["generation"] != object["status"]["observedGeneration"];
    let next = match unheard {
        true => {
            "is the server's controller at work? `weft get events` shows what it does".to_owned()
        }
        false => "wait a little".to_owned(),
    };
    Finding::waiting(format!("{head}, and the others are being made"), next)
}

/// It asks for no pods.
fn none(object: &Value) -> Finding {
    let own = name(object);
    let what = match text(object, "/kind") {
        "DaemonSet" => format!("{own} has no pods: no node is meant by it"),
        _ => format!("{own} has no pods, because it asks for none (replicas: 0)"),
    };
    let next = match text(object, "/kind") {
        "DaemonSet" => {
            "compare its nodeSelector and tolerations with `weft get nodes --show-labels`"
                .to_owned()
        }
        _ => format!("`weft scale --replicas=1 {}` starts one", typed(object)),
    };
    Finding::new(State::Well, what, next)
}

/// Whether a new template takes the place of the old one.
fn rolling(object: &Value) -> bool {
    let generation = object["metadata"]["generation"].as_i64();
    if generation.is_some() && generation != object["status"]["observedGeneration"].as_i64() {
        return true;
    }
    let all = int(object, "/status/replicas");
    match text(object, "/kind") {
        "Deployment" => {
            let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
            int(object, "/status/updatedReplicas") < wanted
                || int(object, "/status/availableReplicas") < wanted
                || all > wanted
        }
        "StatefulSet" => {
            text(object, "/status/currentRevision") != text(object, "/status/updateRevision")
        }
        "DaemonSet" => {
            int(object, "/status/updatedNumberScheduled")
                < int(object, "/status/desiredNumberScheduled")
        }
        _ => false,
    }
}

/// The condition that says that a change took too long.
fn late(object: &Value) -> Option<&Value> {
    condition(object, "Progressing")
        .filter(|one| text(one, "/reason") == "ProgressDeadlineExceeded")
}

/// That it went back by itself.
fn rolled_back(seen: &Seen) -> Option<String> {
    let told = event(seen, &["DeploymentRollback", "RolledBack"])?;
    let is_now = late(&seen.object).is_some() || text(told, "/type") == "Warning";
    is_now.then(|| short(text(told, "/message")))
}

/// Pods that may not be made.
fn refused(seen: &Seen) -> Option<Finding> {
    let object = &seen.object;
    let told = condition(object, "ReplicaFailure").filter(|one| text(one, "/status") == "True");
    let message = match told {
        Some(told) => text(told, "/message"),
        None => {
            // Only if nothing was made since.
            let last = seen.events.last()?;
            match text(last, "/reason") {
                "FailedCreate" => text(last, "/message"),
                _ => return None,
            }
        }
    };
    let next = match () {
        () if message.contains("exceeded quota") => {
            "raise the quota, or ask for less: `weft describe quota` tells what is used"
        }
        () if message.contains("forbidden") => {
            "what forbids it is named: change that, or the template"
        }
        () => "correct the pod's template",
    };
    let found = Finding::wrong(
        format!("{} cannot make its pods: {}", name(object), short(message)),
        next,
    );
    Some(found.then("FailedCreate", short(message)))
}

/// What is with a job.
pub(super) fn job(seen: &Seen, now: Timestamp) -> Finding {
    let job = &seen.object;
    let own = name(job);
    let done = int(job, "/status/succeeded");
    let wanted = job["spec"]["completions"].as_i64().unwrap_or(1);
    let failures = int(job, "/status/failed");
    let found = place::deletion(seen, now).unwrap_or_else(|| judge_job(seen, now, done, wanted));
    let failures = match failures {
        0 => String::new(),
        failures => format!(", {failures} failed"),
    };
    found.under(
        format!("job/{own}"),
        format!("{done} of {wanted} done{failures}"),
    )
}

fn judge_job(seen: &Seen, now: Timestamp, done: i64, wanted: i64) -> Finding {
    let job = &seen.object;
    let own = name(job);
    let said = |kind: &str| condition(job, kind).filter(|one| text(one, "/status") == "True");
    if said("Complete").is_some() {
        return Finding::well(format!("job {own} is done: {done} of {wanted}"));
    }
    // The pods that failed say most of why.
    let below = worst(seen.below.iter().map(|one| super::finding(one, now)));
    let below = below.filter(|found| found.state == State::Wrong);
    if let Some(failed) = said("Failed").or_else(|| said("FailureTarget")) {
        return failed_job(job, failed, below);
    }
    if job["spec"]["suspend"] == true {
        return Finding::wrong(
            format!("job {own} does nothing: it is suspended"),
            format!("weft patch job {own} -p '{{\"spec\":{{\"suspend\":false}}}}' starts it"),
        );
    }
    if let Some(found) = refused(seen) {
        return found;
    }
    if let Some(mut found) = below {
        found.says = format!("job {own} is not done, because {}", found.says);
        return found;
    }
    let waiting = worst(seen.below.iter().map(|one| super::finding(one, now)));
    match waiting.filter(|found| found.state == State::Waiting) {
        Some(mut found) => {
            found.says = format!("job {own} is not done yet: {}", found.says);
            found
        }
        None => Finding::new(
            State::Well,
            format!("job {own} is at work: {done} of {wanted} done"),
            format!("`weft logs -f job/{own}` shows what it does"),
        ),
    }
}

/// A job that is given up; `below` is what its pods say.
fn failed_job(job: &Value, failed: &Value, below: Option<Finding>) -> Finding {
    let own = name(job);
    let (reason, message) = (text(failed, "/reason"), text(failed, "/message"));
    let (what, next) = match reason {
        "BackoffLimitExceeded" => {
            let limit = job["spec"]["backoffLimit"].as_i64().unwrap_or(6);
            (
                format!("its pods failed more than {limit} times (backoffLimit)"),
                "correct what fails, delete the job and make it anew",
            )
        }
        "DeadlineExceeded" => {
            let limit = int(job, "/spec/activeDeadlineSeconds");
            (
                format!("it took longer than {limit} s (activeDeadlineSeconds)"),
                "raise activeDeadlineSeconds, delete the job and make it anew",
            )
        }
        "PodFailurePolicy" => (
            format!(
                "a rule of its podFailurePolicy ended it: {}",
                short(message)
            ),
            "correct what fails, delete the job and make it anew",
        ),
        _ => (short(message), "delete the job and make it anew"),
    };
    let text = format!("job {own} has failed: {what}");
    match below {
        Some(mut found) => {
            found.says = format!("{text}; {}", found.says);
            found
        }
        None => Finding::wrong(text, next).then(reason, short(message)),
    }
}

/// What is with a cronjob.
pub(super) fn cron_job(seen: &Seen, now: Timestamp) -> Finding {
    let cron = &seen.object;
    let own = name(cron);
    let schedule = text(cron, "/spec/schedule");
    let last = ago(text(cron, "/status/lastScheduleTime"), now);
    let newest = seen
        .below
        .iter()
        .max_by_key(|job| text(&job.object, "/metadata/creationTimestamp"));
    let told = event(
        seen,
        &[
            "FailedNeedsStart",
            "TooManyMissedTimes",
            "UnparseableSchedule",
            "UnmetSchedule",
            "MissSchedule",
            "UnknownTimeZone",
        ],
    );
    let found = place::deletion(seen, now).unwrap_or_else(|| {
        if cron["spec"]["suspend"] == true {
            return Finding::wrong(
                format!("cronjob {own} starts nothing: it is suspended"),
                format!("weft patch cronjob {own} -p '{{\"spec\":{{\"suspend\":false}}}}' lets it"),
            );
        }
        if let Some(newest) = newest {
            let mut found = super::finding(newest, now);
            if found.state != State::Well {
                let when = match last.is_empty() {
                    true => "has not run by its schedule yet".to_owned(),
                    false => format!("ran {last} ago"),
                };
                found.says = format!("cronjob {own} {when}: {}", found.says);
                return found;
            }
        }
        if let Some(told) = told {
            let message = short(text(told, "/message"));
            return Finding::wrong(
                format!("cronjob {own} does not start its jobs: {message}"),
                "correct schedule, timeZone or startingDeadlineSeconds",
            )
            .then("event", format!("{}: {message}", text(told, "/reason")));
        }
        match last.is_empty() {
            true => Finding::new(
                State::Well,
                format!("cronjob {own} has not run yet: its time ({schedule}) has not come"),
                format!("`weft create job {own}-now --from=cronjob/{own}` runs it now"),
            ),
            false => Finding::well(format!("cronjob {own} works: it ran {last} ago")),
        }
    });
    let last = match last.is_empty() {
        true => "never ran".to_owned(),
        false => format!("ran {last} ago"),
    };
    found.under(format!("cronjob/{own}"), format!("{schedule}, {last}"))
}

/// What is with an autoscaler.
pub(super) fn autoscaler(seen: &Seen, now: Timestamp) -> Finding {
    let scaler = &seen.object;
    let own = name(scaler);
    let target = format!(
        "{}/{}",
        text(scaler, "/spec/scaleTargetRef/kind").to_lowercase(),
        text(scaler, "/spec/scaleTargetRef/name")
    );
    let wrong = |kind: &str| condition(scaler, kind).filter(|one| text(one, "/status") == "False");
    let (now_, wanted) = (
        int(scaler, "/status/currentReplicas"),
        int(scaler, "/status/desiredReplicas"),
    );
    let found = place::deletion(seen, now).unwrap_or_else(|| {
        if let Some(one) = wrong("AbleToScale") {
            return Finding::wrong(
                format!(
                    "autoscaler {own} cannot scale {target}: {}",
                    short(text(one, "/message"))
                ),
                "does what scaleTargetRef names exist?",
            );
        }
        if let Some(one) = wrong("ScalingActive") {
            let is_off = text(one, "/reason") == "ScalingDisabled";
            let next = match is_off {
                true => format!("`weft scale --replicas=1 {target}` lets it begin again"),
                false => {
                    "its pods need resources.requests for what it measures, and a source of metrics"
                        .to_owned()
                }
            };
            return Finding::wrong(
                format!(
                    "autoscaler {own} does not know how busy {target} is: {}",
                    short(text(one, "/message"))
                ),
                next,
            )
            .then("ScalingActive", short(text(one, "/message")));
        }
        if list(scaler, "/status/conditions").is_empty() {
            return Finding::wrong(
                format!("autoscaler {own} does nothing: nobody has looked at it"),
                "does this server scale by itself? Else: `weft scale`",
            );
        }
        let limited =
            condition(scaler, "ScalingLimited").filter(|one| text(one, "/status") == "True");
        match limited {
            Some(one) if text(one, "/reason") == "TooManyReplicas" => Finding::new(
                State::Waiting,
                format!(
                    "autoscaler {own} would make more pods of {target} than its maxReplicas allows"
                ),
                "raise maxReplicas",
            ),
            _ => Finding::well(format!(
                "autoscaler {own} works: {target} has {now_} of {wanted} pods"
            )),
        }
    });
    found.under(
        format!("horizontalpodautoscaler/{own}"),
        format!("{target}: {now_} pods now, {wanted} wanted"),
    )
}
