//! What `kubectl get pods` says of a pod's state.
//!
//! ```text
//!   phase ─► init containers, in order: the first that is not done says it
//!         ─► containers, last to first: the first one's state wins
//!         ─► Terminating, while it is being deleted
//! ```

use jiff::Timestamp;
use serde_json::Value;

use super::has_ended;
use crate::age::age;
use crate::object::Object;

/// State of a pod.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) reason: String,
    pub(super) ready: usize,
    pub(super) total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    /// `3 (5m ago)`
    pub(super) fn restarts(&self, now: Timestamp) -> String {
        match (self.restarts, self.last_restart) {
            (restarts, Some(last)) if restarts > 0 => {
                let ago = age(now.duration_since(last).as_secs());
                format!("{restarts} ({ago} ago)")
            }
            (restarts, _) => restarts.to_string(),
        }
    }

    fn count(&mut self, container: &Value) {
        self.restarts += number(container, "restartCount");
        let last = container.pointer("/lastState/terminated/finishedAt");
        let last = last
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok());
        self.last_restart = self.last_restart.max(last);
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn is_true(value: &Value, name: &str) -> bool {
    value.get(name) == Some(&Value::Bool(true))
}

fn list<'a>(pod: &'a Object, path: &[&str]) -> &'a [Value] {
    pod.at(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether a condition holds.
pub(super) fn holds(pod: &Object, condition: &str) -> bool {
    let conditions = list(pod, &["status", "conditions"]).iter();
    let mut of_type = conditions.filter(|one| text(one, "type") == condition);
    of_type.any(|one| text(one, "status") == "True")
}

/// What state a pod is in.
pub(super) fn summary(pod: &Object) -> Summary {
    let said = |name| pod.text(&["status", name]).unwrap_or_default();
    let mut summary = Summary {
        reason: match said("reason") {
            "" => said("phase").to_owned(),
            reason => reason.to_owned(),
        },
        total: list(pod, &["spec", "containers"]).len(),
        ..Summary::default()
    };
    let gated = |one: &Value| {
        text(one, "type") == "PodScheduled" && text(one, "reason") == "SchedulingGated"
    };
    if list(pod, &["status", "conditions"]).iter().any(gated) {
        summary.reason = "SchedulingGated".to_owned();
    }
    let beside = initial(pod, &mut summary);
    if let Some(beside) = beside {
        (summary.restarts, summary.last_restart) = (beside.restarts, beside.last_restart);
        main(pod, &mut summary);
    }
    if pod.meta().is_deleting() {
        if said("reason") == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !has_ended(pod) {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

/// Init containers. Once they are done, the answer is what those that stay beside the others had of
/// restarts.
fn initial(pod: &Object, summary: &mut Summary) -> Option<Summary> {
    let specs = list(pod, &["spec", "initContainers"]);
    let stays = |name: &str| {
        let mut named = specs.iter().filter(|spec| text(spec, "name") == name);
        named.any(|spec| text(spec, "restartPolicy") == "Always")
    };
    let staying = specs
        .iter()
        .filter(|spec| text(spec, "restartPolicy") == "Always");
    summary.total += staying.count();
    let mut beside = Summary::default();
    for (at, container) in list(pod, &["status", "initContainerStatuses"])
        .iter()
        .enumerate()
    {
        summary.count(container);
        let stays = stays(text(container, "name"));
        if stays {
            beside.count(container);
        }
        let ended = container.pointer("/state/terminated");
        let waits = container
            .pointer("/state/waiting/reason")
            .and_then(Value::as_str);
        match (ended, waits) {
            (Some(ended), _) if number(ended, "exitCode") == 0 => continue,
            _ if stays && is_true(container, "started") => {
                summary.ready += usize::from(is_true(container, "ready"));
                continue;
            }
            (Some(ended), _) => summary.reason = format!("Init:{}", end(ended)),
            (None, Some(reason)) if !matches!(reason, "" | "PodInitializing") => {
                summary.reason = format!("Init:{reason}");
            }
            _ => summary.reason = format!("Init:{at}/{}", specs.len()),
        }
        // One is not done: the others do not count, unless the pod says that they are.
        return holds(pod, "Initialized").then_some(beside);
    }
    Some(beside)
}

fn main(pod: &Object, summary: &mut Summary) {
    let mut is_running = false;
    for container in list(pod, &["status", "containerStatuses"]).iter().rev() {
        summary.count(container);
        let waits = container
            .pointer("/state/waiting/reason")
            .and_then(Value::as_str);
        let ended = container.pointer("/state/terminated");
        match (waits, ended) {
            (Some(reason), _) if !reason.is_empty() => summary.reason = reason.to_owned(),
            (_, Some(ended)) => summary.reason = end(ended),
            _ if is_true(container, "ready") && container.pointer("/state/running").is_some() => {
                is_running = true;
                summary.ready += 1;
            }
            _ => {}
        }
    }
    if summary.reason == "Completed" && is_running {
        let reason = if holds(pod, "Ready") {
            "Running"
        } else {
            "NotReady"
        };
        summary.reason = reason.to_owned();
    }
}

/// How a container ended: `Error`, `Signal:9`, `ExitCode:1`.
fn end(ended: &Value) -> String {
    match (text(ended, "reason"), number(ended, "signal")) {
        ("", 0) => format!("ExitCode:{}", number(ended, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}
