//! Which pod of several is the one: an order of pods, as kubectl has it. Pure.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value;

/// What a pod is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// To read its log: of those that run as well, the one that was restarted more often has more
    /// to tell.
    Log,
    /// To reach into it: the one that was restarted less often stays.
    Session,
}

impl Preference {
    /// The pod to take.
    pub fn best(self, mut pods: Vec<Value>) -> Option<Value> {
        pods.sort_by(|a, b| self.order(a, b));
        pods.into_iter().next()
    }

    /// What comes first is better.
    fn order(self, a: &Value, b: &Value) -> Ordering {
        let is_placed = |pod: &Value| {
            pod["spec"]["nodeName"]
                .as_str()
                .is_some_and(|node| !node.is_empty())
        };
        let restarts = restarts(a).cmp(&restarts(b));
        let restarts = match self {
            Preference::Log => restarts.reverse(),
            Preference::Session => restarts,
        };
        is_placed(b)
            .cmp(&is_placed(a))
            .then_with(|| phase(a).cmp(&phase(b)))
            .then_with(|| is_ready(b).cmp(&is_ready(a)))
            .then_with(|| earliest(ready_since(a), ready_since(b)))
            .then(restarts)
            .then_with(|| earliest(made(a), made(b)))
    }
}

fn phase(pod: &Value) -> u8 {
    match pod["status"]["phase"].as_str() {
        Some("Pending") => 2,
        Some("Unknown") => 1,
        _ => 0,
    }
}

/// The condition that says whether it is ready.
fn condition(pod: &Value) -> Option<&Value> {
    let all = pod["status"]["conditions"].as_array()?;
    all.iter().find(|one| one["type"] == "Ready")
}

fn is_ready(pod: &Value) -> bool {
    condition(pod).is_some_and(|one| one["status"] == "True")
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn ready_since(pod: &Value) -> Option<Timestamp> {
    let found = condition(pod).filter(|one| one["status"] == "True")?;
    time(&found["lastTransitionTime"])
}

fn made(pod: &Value) -> Option<Timestamp> {
    time(&pod["metadata"]["creationTimestamp"])
}

/// The earlier first, what has no time last.
fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Of the container that was restarted most.
fn restarts(pod: &Value) -> u64 {
    let all = pod["status"]["containerStatuses"].as_array();
    let counts = all.into_iter().flatten();
    let counts = counts.map(|one| one["restartCount"].as_u64().unwrap_or(0));
    counts.max().unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_one_that_runs_longest_is_taken() {
        let pod = |name: &str, node: &str, phase: &str, ready: &str, restarts: u64| {
            let status = if ready.is_empty() { "False" } else { "True" };
            json!({
                "metadata": { "name": name },
                "spec": { "nodeName": node },
                "status": {
                    "phase": phase,
                    "conditions": [{ "type": "Ready", "status": status, "lastTransitionTime": ready }],
                    "containerStatuses": [{ "restartCount": restarts }],
                },
            })
        };
        let early = "2026-01-01T00:00:00Z";
        let late = "2026-01-02T00:00:00Z";
        let all = [
            pod("nowhere", "", "Pending", "", 0),
            pod("pending", "n", "Pending", "", 0),
            pod("unready", "n", "Running", "", 0),
            pod("late", "n", "Running", late, 0),
            pod("calm", "n", "Running", early, 0),
            pod("often", "n", "Running", early, 3),
        ];
        for (count, log, session) in [
            (1, "nowhere", "nowhere"),
            (2, "pending", "pending"),
            (3, "unready", "unready"),
            (4, "late", "late"),
            (5, "calm", "calm"),
            (6, "often", "calm"),
        ] {
            for (preference, name) in [(Preference::Log, log), (Preference::Session, session)] {
                let best = preference.best(all[..count].to_vec()).unwrap();
                assert_eq!(best["metadata"]["name"], name, "{preference:?} {count}");
            }
        }
        assert_eq!(Preference::Log.best(Vec::new()), None);
    }
}
