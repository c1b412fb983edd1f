//! Back to what worked: a deployment that asks for it takes the last template that was complete when
//! a newer one misses its deadline.
//!
//! Never: goes back from a template that was complete once, so that it goes back at most once for
//! each template that somebody gave it.

use serde_json::{Value, json};

use super::sets::{self, COMPLETED};
use super::{Say, Turn};
use crate::failure::Failure;
use crate::kinds::deployment::ROLLBACK;
use crate::object::Object;

impl Turn {
    /// Keeps in mind that all pods of the newest template were available.
    pub(super) async fn note_complete(&mut self) -> Result<(), Failure> {
        let Some(at) = self.sets.new else {
            return Ok(());
        };
        let set = &self.sets.all[at].object;
        let revision = sets::revision(set).to_string();
        if set.meta().annotation(COMPLETED) == Some(&revision) {
            return Ok(());
        }
        let patch = json!({ "metadata": { "annotations": { COMPLETED: revision } } });
        self.hand.patch(&self.claim.controlled, set, patch).await?;
        Ok(())
    }

    /// Takes the last template that was complete, if that is asked for and there is one.
    pub(super) async fn go_back(&mut self) -> Result<(), Failure> {
        let is_asked = self.deployment.meta().annotation(ROLLBACK) == Some("true");
        let Some(newest) = self
            .sets
            .newest()
            .filter(|_| is_asked && !self.asked.is_paused)
        else {
            return Ok(());
        };
        if completed(newest).is_some() {
            return Ok(());
        }
        let old = self
            .sets
            .old()
            .filter_map(|set| Some((completed(set)?, set)));
        let Some((_, set)) = old.max_by_key(|(revision, _)| *revision) else {
            return Ok(());
        };
        let message = format!(
            "Rolled back deployment {:?} to revision {}: revision {} missed its progress deadline",
            self.deployment.meta().name(),
            sets::revision(set),
            sets::revision(newest),
        );
        let mut back = Object::clone(&self.deployment);
        let mut annotations = sets::annotations_back(&self.deployment, set);
        annotations.insert(ROLLBACK.to_owned(), "true".into());
        back.set_meta("annotations", Some(annotations.into()));
        if let Some(spec) = back.0.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("template".to_owned(), sets::bare(set));
        }
        self.hand.replace(&self.claim.kind, back).await?;
        self.says.push(Say::warning("DeploymentRollback", message));
        Ok(())
    }
}

/// Under which revision it was complete last.
fn completed(set: &Object) -> Option<i64> {
    set.meta().annotation(COMPLETED)?.parse().ok()
}
