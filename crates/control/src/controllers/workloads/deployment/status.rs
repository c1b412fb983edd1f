//! How a deployment is: its counts, whether it is available, complete, or late.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::pods;
use super::Turn;
use super::conditions::{AVAILABLE, COMPLETE, FAILURE, LATE, PROGRESSING};
use crate::object::Object;

/// How it gets on.
pub(super) struct Progress {
    /// How long it may not get on; nothing: as long as it likes.
    pub(super) deadline: Option<Duration>,
    pub(super) stalled: Duration,
}

/// What was found.
pub(super) struct Found {
    pub(super) value: Value,
    /// Whether all its pods are of the newest template and available.
    pub(super) is_complete: bool,
    /// Whether it did not get on for too long.
    pub(super) is_late: bool,
    /// How long it has got until it is late.
    pub(super) left: Option<Duration>,
}

/// Pods, by what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Counts {
    all: u32,
    updated: u32,
    ready: u32,
    available: u32,
}

impl Counts {
    fn of_sets(turn: &Turn) -> Counts {
        let sum = |name| {
            let all = turn.sets.all.iter();
            all.map(|one| pods::number(&one.object, &["status", name]))
                .sum()
        };
        let newest = turn.sets.newest();
        Counts {
            all: sum("replicas"),
            updated: newest.map_or(0, |set| pods::number(set, &["status", "replicas"])),
            ready: sum("readyReplicas"),
            available: sum("availableReplicas"),
        }
    }

    fn of_status(deployment: &Object) -> Counts {
        let number = |name| pods::number(deployment, &["status", name]);
        Counts {
            all: number("replicas"),
            updated: number("updatedReplicas"),
            ready: number("readyReplicas"),
            available: number("availableReplicas"),
        }
    }

    /// Whether there are more of the new or fewer of the old than `before`.
    fn is_further_than(self, before: Counts) -> bool {
        let old = |counts: Counts| counts.all.saturating_sub(counts.updated);
        self.updated > before.updated
            || old(self) < old(before)
            || self.ready > before.ready
            || self.available > before.available
    }
}

pub(super) fn of(turn: &Turn, progress: &Progress) -> Found {
    let deployment = &turn.deployment;
    let counts = Counts::of_sets(turn);
    let mut conditions = turn.conditions.clone();
    let (status, reason, message) = match counts.available >= turn.asked.bounds().fewest {
        true => (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        false => (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    };
    conditions.set(AVAILABLE, status, reason, message);
    let asked = turn.asked.replicas;
    let is_complete = (counts.updated, counts.all, counts.available) == (asked, asked, asked)
        && turn.sets.new.is_some();
    // What was complete stays so while its pods come and go.
    let was_complete = counts.all == counts.updated && conditions.progress() == COMPLETE;
    let newest = turn.sets.newest().map(|set| set.meta().name());
    let about = match newest {
        Some(set) => format!("ReplicaSet {set:?}"),
        None => format!("Deployment {:?}", deployment.meta().name()),
    };
    let mut left = None;
    match progress.deadline {
        None if !deployment.meta().is_deleting() => conditions.remove(PROGRESSING),
        None => {}
        Some(_) if was_complete => {}
        Some(_) if is_complete => {
            let message = format!("{about} has successfully progressed.");
            conditions.set(PROGRESSING, "True", COMPLETE, &message);
        }
        Some(_) if counts.is_further_than(Counts::of_status(deployment)) => {
            let message = format!("{about} is progressing.");
            conditions.renew(PROGRESSING, "True", "ReplicaSetUpdated", &message);
        }
        Some(_) if turn.asked.is_paused => {}
        // What was said is not what is stored: time counts from then on.
        Some(_) if conditions.find(PROGRESSING) != deployment.condition(PROGRESSING) => {}
        Some(deadline) if progress.stalled >= deadline => {
            let message = format!("{about} has timed out progressing.");
            conditions.set(PROGRESSING, "False", LATE, &message);
        }
        Some(deadline) => left = Some(deadline - progress.stalled),
    }
    match failure(turn) {
        Some(said) => {
            let text = |name| said[name].as_str().unwrap_or_default();
            conditions.set(FAILURE, text("status"), text("reason"), text("message"));
        }
        None => conditions.remove(FAILURE),
    }
    let is_late = conditions.progress() == LATE;
    Found {
        value: written(turn, counts, conditions.0),
        is_complete,
        is_late,
        left,
    }
}

/// What keeps a set from making or deleting pods; first that of the newest.
fn failure(turn: &Turn) -> Option<&Value> {
    let newest = turn.sets.newest().into_iter();
    let mut all = newest.chain(turn.sets.old());
    all.find_map(|set: &Arc<Object>| set.condition(FAILURE))
}

fn written(turn: &Turn, counts: Counts, conditions: Vec<Value>) -> Value {
    let wanted = turn.sets.all.iter();
    let wanted: u32 = wanted
        .map(|one| pods::number(&one.object, &["spec", "replicas"]))
        .sum();
    let mut status = Map::new();
    if let Some(generation) = turn.deployment.at(&["metadata", "generation"]) {
        status.insert("observedGeneration".to_owned(), generation.clone());
    }
    for (name, count) in [
        ("replicas", counts.all),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        (
            "unavailableReplicas",
            wanted.saturating_sub(counts.available),
        ),
        ("collisionCount", turn.collisions),
    ] {
        if count > 0 {
            status.insert(name.to_owned(), count.into());
        }
    }
    if !conditions.is_empty() {
        status.insert("conditions".to_owned(), conditions.into());
    }
    status.into()
}
