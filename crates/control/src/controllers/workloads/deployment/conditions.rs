//! What is said of a deployment: whether it is available, and gets on.

use serde_json::{Value, json};

use crate::object::Object;
use crate::store::now;

pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const AVAILABLE: &str = "Available";
pub(super) const FAILURE: &str = "ReplicaFailure";
/// Why it gets on or not.
pub(super) const COMPLETE: &str = "NewReplicaSetAvailable";
pub(super) const LATE: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// The conditions of its status.
#[derive(Clone, Debug)]
pub(super) struct Conditions(pub(super) Vec<Value>);

impl Conditions {
    pub(super) fn of(deployment: &Object) -> Conditions {
        let all = deployment.at(&["status", "conditions"]);
        Conditions(all.and_then(Value::as_array).cloned().unwrap_or_default())
    }

    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|one| one["type"] == name)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|one| one["type"] != name);
    }

    /// Why it gets on or not; empty where nothing is said.
    pub(super) fn progress(&self) -> &str {
        let found = self
            .find(PROGRESSING)
            .and_then(|one| one["reason"].as_str());
        found.unwrap_or_default()
    }

    pub(super) fn has_progressing(&self) -> bool {
        self.find(PROGRESSING).is_some()
    }

    /// Says so, if that is news.
    pub(super) fn set(&mut self, name: &str, status: &str, reason: &str, message: &str) {
        let old = self.find(name);
        let is_same = old.is_some_and(|old| old["status"] == status && old["reason"] == reason);
        if !is_same {
            self.renew(name, status, reason, message);
        }
    }

    /// Says so anew.
    pub(super) fn renew(&mut self, name: &str, status: &str, reason: &str, message: &str) {
        let now = now();
        let old = self.find(name).filter(|old| old["status"] == status);
        let since = old
            .and_then(|old| old["lastTransitionTime"].as_str())
            .unwrap_or(&now);
        let condition = json!({
            "type": name, "status": status, "lastUpdateTime": now, "lastTransitionTime": since,
            "reason": reason, "message": message,
        });
        self.remove(name);
        self.0.push(condition);
    }

    /// While it is paused its deadline does not come nearer.
    pub(super) fn pause(&mut self, is_paused: bool, has_deadline: bool) {
        if !has_deadline || self.progress() == LATE {
            return;
        }
        let was_paused = self.progress() == PAUSED;
        match (is_paused, was_paused) {
            (true, false) => self.set(PROGRESSING, "Unknown", PAUSED, "Deployment is paused"),
            (false, true) => {
                let message = "Deployment is resumed";
                self.set(PROGRESSING, "Unknown", "DeploymentResumed", message);
            }
            _ => {}
        }
    }

    /// A template that was there already is the newest.
    pub(super) fn found(&mut self, set: &str) {
        let message = format!("Found new replica set {set:?}");
        self.renew(PROGRESSING, "True", "FoundNewReplicaSet", &message);
    }

    pub(super) fn created(&mut self, set: &str, has_deadline: bool) {
        if has_deadline {
            let message = format!("Created new replica set {set:?}");
            self.renew(PROGRESSING, "True", "NewReplicaSetCreated", &message);
        }
    }

    pub(super) fn not_created(&mut self, message: &str, has_deadline: bool) {
        if has_deadline {
            self.set(PROGRESSING, "False", "ReplicaSetCreateError", message);
        }
    }
}
