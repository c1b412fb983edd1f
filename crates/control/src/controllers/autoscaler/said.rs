//! The status of a scaler, as upstream words it.

use serde_json::{Value, json};
use weft_planner::workloads::autoscale::{Bound, Decision};

use crate::object::Object;
use crate::store::{now, set_condition};

/// A status that is being made.
#[derive(Debug)]
pub(super) struct Said {
    old: Value,
    new: Value,
}

impl Said {
    pub(super) fn of(scaler: &Object) -> Said {
        let old = scaler.0.get("status").cloned().unwrap_or_else(|| json!({}));
        let mut new = old.clone();
        if let Some(generation) = scaler.at(&["metadata", "generation"]) {
            new["observedGeneration"] = generation.clone();
        }
        Said { old, new }
    }

    pub(super) fn current(&mut self, count: u32) {
        self.new["currentReplicas"] = count.into();
    }

    pub(super) fn desired(&mut self, count: u32) {
        self.new["desiredReplicas"] = count.into();
    }

    pub(super) fn metrics(&mut self, all: Vec<Value>) {
        self.new["currentMetrics"] = all.into();
    }

    pub(super) fn scaled(&mut self, time: &str) {
        self.new["lastScaleTime"] = time.into();
    }

    /// Sets a condition; since when it is so stays, while it is so.
    pub(super) fn set(&mut self, name: &str, is: bool, reason: &str, message: &str) {
        let status = if is { "True" } else { "False" };
        let all = self.new["conditions"].as_array();
        let mut all = all.into_iter().flatten();
        let before = all.find(|one| one["type"] == name && one["status"] == status);
        let since = before.map_or_else(|| now().into(), |one| one["lastTransitionTime"].clone());
        let condition = json!({
            "type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
        });
        set_condition(&mut self.new, condition);
    }

    pub(super) fn able(&mut self, decision: &Decision, now: u32) {
        let (reason, message) = match (decision.is_held, decision.count >= now) {
            (false, _) => ("ReadyForNewScale", "recommended size matches current size"),
            (true, true) => (
                "ScaleDownStabilized",
                "recent recommendations were higher than current one, applying the highest recent recommendation",
            ),
            (true, false) => (
                "ScaleUpStabilized",
                "recent recommendations were lower than current one, applying the lowest recent recommendation",
            ),
        };
        self.set("AbleToScale", true, reason, message);
    }

    pub(super) fn limited(&mut self, decision: &Decision, now: u32) {
        let (reason, message) = match (decision.bound, decision.count >= now) {
            (None, _) => {
                let message = "the desired count is within the acceptable range";
                self.set("ScalingLimited", false, "DesiredWithinRange", message);
                return;
            }
            (Some(Bound::Most), _) => (
                "TooManyReplicas",
                "the desired replica count is more than the maximum replica count",
            ),
            (Some(Bound::Least), _) => (
                "TooFewReplicas",
                "the desired replica count is less than the minimum replica count",
            ),
            (Some(Bound::Speed), true) => (
                "ScaleUpLimit",
                "the desired replica count is increasing faster than the maximum scale rate",
            ),
            (Some(Bound::Speed), false) => (
                "ScaleDownLimit",
                "the desired replica count is decreasing faster than the maximum scale rate",
            ),
        };
        self.set("ScalingLimited", true, reason, message);
    }

    /// What is to be written; nothing: it is as it was.
    pub(super) fn changed(self) -> Option<Value> {
        (self.new != self.old).then_some(self.new)
    }
}
