//! Deployment: one set of pods for each template, and the newest takes the place of the others.
//!
//! ```text
//!   template ─► its set: found, or made ─► planner: which sets grow and shrink ─► status
//!                                                                                  │ stalled
//!                         the last template that was complete ◄── if it is asked for
//! ```
//!
//! Never: makes pods; sets do.

mod conditions;
mod rollback;
mod sets;
mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weft_planner::workloads::{self, Asked, Replica, Share, Step, Way};

use self::conditions::Conditions;
use self::sets::Sets;
use super::super::mirror::{Id, Mirror};
use super::acts::{Hand, Say};
use super::claim::Claim;
use super::{Worked, pods};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kinds::Share as Said;
use crate::object::Object;
use crate::selector::Labels;
use crate::store;

/// What is to be looked after.
pub(super) struct Work {
    claim: Claim,
    /// By the uid of their set.
    pods: HashMap<String, Pods>,
    /// How long it has not got on.
    stalled: Duration,
}

/// The pods of one set.
#[derive(Clone, Copy, Debug, Default)]
struct Pods {
    available: u32,
    /// Whether any is there that has not ended.
    is_any: bool,
}

pub(super) fn look(
    mirror: &Mirror,
    id: &Id,
    selector: Option<&Arc<Labels>>,
    stalled: Duration,
) -> Option<Work> {
    let claim = Claim::look(mirror, id, "replicasets", selector)?;
    let now_s = weft_stdx::clock::unix_s();
    let pods = claim.all().map(|set| {
        let uid = set.meta().text("uid");
        let all = mirror.controlled("pods", uid);
        let all: Vec<_> = all.filter(|pod| !pods::is_over(pod)).collect();
        let active = all.iter().filter(|pod| pods::is_active(pod));
        let active: Vec<Replica> = active.map(|pod| pods::replica(pod, None, 0)).collect();
        let min_ready_s = i64::from(pods::number(set, &["spec", "minReadySeconds"]));
        let counts = workloads::counts(&active, min_ready_s, now_s);
        let found = Pods {
            available: counts.available,
            is_any: !all.is_empty(),
        };
        (uid.to_owned(), found)
    });
    Some(Work {
        pods: pods.collect(),
        claim,
        stalled,
    })
}

/// What says how far it has got; while it is the same, it does not get on.
pub(super) fn mark(deployment: &Object) -> Option<String> {
    let condition = deployment.condition(conditions::PROGRESSING)?;
    let generation = deployment.at(&["metadata", "generation"]);
    Some(format!("{condition} {generation:?}"))
}

fn asked(deployment: &Object) -> Asked {
    let rolling = |name| {
        let said = deployment.at(&["spec", "strategy", "rollingUpdate", name]);
        share(said)
    };
    Asked {
        replicas: pods::number(deployment, &["spec", "replicas"]),
        way: match deployment.text(&["spec", "strategy", "type"]) {
            Some("Recreate") => Way::Recreate,
            _ => Way::Rolling {
                surge: rolling("maxSurge"),
                missing: rolling("maxUnavailable"),
            },
        },
        is_paused: deployment.at(&["spec", "paused"]) == Some(&Value::Bool(true)),
    }
}

pub(super) fn share(said: Option<&Value>) -> Share {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    match said.and_then(Said::of) {
        Some(Said::Number(number)) => Share::Number(narrow(u64::try_from(number).unwrap_or(0))),
        Some(Said::Percent(percent)) => Share::Percent(narrow(percent)),
        None => Share::Number(0),
    }
}

/// What is done to a deployment in one go.
struct Turn {
    hand: Hand,
    claim: Claim,
    deployment: Arc<Object>,
    asked: Asked,
    sets: Sets,
    conditions: Conditions,
    /// How often a name was taken.
    collisions: u32,
    /// Whether its revision became another.
    has_revision: bool,
    says: Vec<Say>,
}

impl Work {
    pub(super) async fn run(mut self, store: Store) -> Worked {
        let hand = Hand {
            store,
            name: "deployment-controller",
        };
        let all = self.claim.settle(&hand, |_| true).await?;
        let deployment = Arc::clone(&self.claim.owner);
        let mut turn = Turn {
            hand,
            asked: asked(&deployment),
            sets: Sets::of(&deployment, all, &self.pods),
            conditions: Conditions::of(&deployment),
            collisions: pods::number(&deployment, &["status", "collisionCount"]),
            has_revision: false,
            says: Vec::new(),
            claim: self.claim,
            deployment,
        };
        let done = match turn.deployment.meta().is_deleting() {
            true => Ok(()),
            false => turn.go().await,
        };
        let again = turn.finish(done.as_ref().err(), self.stalled).await;
        done.and(again)
    }
}

impl Turn {
    async fn go(&mut self) -> Result<(), Failure> {
        let has_deadline = self.deadline().is_some();
        self.conditions.pause(self.asked.is_paused, has_deadline);
        let sets = self.sets.lowered();
        let step = workloads::step(&self.asked, &sets.all());
        if self.sets.new.is_some() {
            self.keep_new(has_deadline).await?;
        }
        match step {
            Step::None => Ok(()),
            Step::Make(size) => self.make(size).await,
            Step::Resize(sizes) => self.resize(&sizes).await,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let seconds = self.deployment.at(&["spec", "progressDeadlineSeconds"])?;
        // As upstream: that many mean none.
        let seconds = seconds
            .as_u64()
            .filter(|seconds| *seconds < i32::MAX as u64);
        seconds.map(Duration::from_secs)
    }

    /// Lets the set of the newest template be what the deployment says of it.
    async fn keep_new(&mut self, has_deadline: bool) -> Result<(), Failure> {
        let Some(at) = self.sets.new else {
            return Ok(());
        };
        let set = Arc::clone(&self.sets.all[at].object);
        let name = set.meta().name().to_owned();
        let last = sets::revision(&set);
        let revision = last.max(self.sets.last_old_revision() + 1);
        let annotations = sets::annotations(&self.deployment, Some(&set), revision);
        let min_ready = self.deployment.at(&["spec", "minReadySeconds"]);
        let patch = json!({
            "metadata": { "annotations": annotations },
            "spec": { "minReadySeconds": min_ready.cloned().unwrap_or(Value::Null) },
        });
        if is_other(&set, &patch) {
            let set = self.hand.patch(&self.claim.controlled, &set, patch).await?;
            self.sets.all[at].object = Arc::new(set);
        }
        // An old template is the newest again: how it gets on is counted from now on.
        let is_back = revision != last && last > 0;
        if has_deadline && (is_back || !self.conditions.has_progressing()) {
            self.conditions.found(&name);
        }
        self.set_revision(revision);
        Ok(())
    }

    /// It is written with the status.
    fn set_revision(&mut self, revision: i64) {
        let revision = revision.to_string();
        if self.deployment.meta().annotation(sets::REVISION) == Some(&revision) {
            return;
        }
        let mut deployment = Object::clone(&self.deployment);
        let annotations = deployment.meta_mut().entry("annotations");
        let annotations = annotations.or_insert_with(|| json!({}));
        annotations[sets::REVISION] = revision.into();
        self.deployment = Arc::new(deployment);
        self.has_revision = true;
    }

    /// Makes the set of the newest template.
    async fn make(&mut self, size: u32) -> Result<(), Failure> {
        let most = self.asked.bounds().most;
        let revision = self.sets.last_old_revision() + 1;
        let of = &self.claim.kind;
        let set = sets::made(
            of,
            &self.deployment,
            self.collisions,
            (size, most, revision),
        );
        let name = set.meta().name().to_owned();
        let namespace = set.meta().namespace().to_owned();
        let kind = Arc::clone(&self.claim.controlled);
        match self.hand.create(&kind, &namespace, set).await {
            Ok(item) => {
                let set = store::object_once(&item)?;
                self.sets.add(set);
                self.conditions.created(&name, self.deadline().is_some());
                if size > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {size}");
                    self.says.push(Say::normal("ScalingReplicaSet", message));
                }
                self.set_revision(revision);
                Ok(())
            }
            Err(failure) if failure.reason == Reason::AlreadyExists => {
                // Somebody else's has that name: another is taken the next time.
                self.collisions += 1;
                Err(Failure {
                    reason: Reason::Conflict,
                    ..failure
                })
            }
            // The namespace goes, and the deployment with it.
            Err(failure) if failure.is_of_ending() => Ok(()),
            Err(failure) => {
                let message = format!("Failed to create new replica set {name:?}: {failure}");
                self.conditions
                    .not_created(&message, self.deadline().is_some());
                self.says
                    .push(Say::warning("ReplicaSetCreateError", message));
                Err(failure)
            }
        }
    }

    async fn resize(&mut self, sizes: &[(usize, u32)]) -> Result<(), Failure> {
        let most = self.asked.bounds().most;
        for (at, size) in sizes {
            let set = Arc::clone(&self.sets.all[*at].object);
            let patch = json!({
                "metadata": { "annotations": {
                    sets::DESIRED: self.asked.replicas.to_string(), sets::MOST: most.to_string(),
                } },
                "spec": { "replicas": size },
            });
            if !is_other(&set, &patch) {
                continue;
            }
            let before = pods::number(&set, &["spec", "replicas"]);
            let patched = self.hand.patch(&self.claim.controlled, &set, patch).await?;
            self.sets.all[*at].object = Arc::new(patched);
            if before == *size {
                continue;
            }
            let (name, way) = (
                set.meta().name(),
                if *size > before { "up" } else { "down" },
            );
            let message = format!("Scaled {way} replica set {name} from {before} to {size}");
            self.says.push(Say::normal("ScalingReplicaSet", message));
        }
        Ok(())
    }

    /// Says how it is, forgets what is old enough, and goes back if it has to.
    async fn finish(mut self, failure: Option<&Failure>, stalled: Duration) -> Worked {
        if failure.is_some_and(|failure| failure.reason == Reason::NotFound) {
            return Ok(None);
        }
        let deadline = self.deadline();
        let is_going = self.deployment.meta().is_deleting();
        let progress = status::Progress {
            deadline: deadline.filter(|_| !is_going),
            stalled,
        };
        let status = status::of(&self, &progress);
        let is_complete = status.is_complete;
        let left = status.left;
        let is_late = status.is_late;
        let (kind, value) = (&self.claim.kind, status.value);
        let written = match self.has_revision {
            true => self.hand.write_status(kind, &self.deployment, value).await,
            false => self.hand.set_status(kind, &self.deployment, value).await,
        };
        self.deployment = Arc::new(written?);
        if !is_going && failure.is_none() {
            if is_complete {
                self.note_complete().await?;
                self.forget_old().await?;
            } else if is_late {
                self.go_back().await?;
            }
        }
        let says = std::mem::take(&mut self.says);
        self.hand
            .say(&self.claim.kind, &self.deployment, says)
            .await;
        Ok(left)
    }

    /// Deletes the sets of old templates that nobody may want to go back to any more.
    async fn forget_old(&mut self) -> Result<(), Failure> {
        let limit = self.deployment.at(&["spec", "revisionHistoryLimit"]);
        let Some(limit) = limit.and_then(Value::as_u64) else {
            return Ok(());
        };
        let old: Vec<&Arc<Object>> = self.sets.old().collect();
        let told = |set: &&Arc<Object>| (sets::revision(set), sets::is_settled(set));
        let all: Vec<(i64, bool)> = old.iter().map(told).collect();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        for at in workloads::forgotten(&all, limit) {
            self.hand.delete(&self.claim.controlled, old[at]).await?;
        }
        Ok(())
    }
}

/// Whether a merge patch would change anything.
fn is_other(object: &Object, patch: &Value) -> bool {
    fn differs(is: Option<&Value>, patch: &Value) -> bool {
        match (is, patch) {
            (None | Some(Value::Null), Value::Null) => false,
            (Some(Value::Object(is)), Value::Object(patch)) => patch
                .iter()
                .any(|(name, patch)| differs(is.get(name), patch)),
            (None, Value::Object(patch)) => patch.values().any(|patch| differs(None, patch)),
            (Some(is), patch) => is != patch,
            (None, _) => true,
        }
    }
    let empty = Map::new();
    let patch = patch.as_object().unwrap_or(&empty);
    patch
        .iter()
        .any(|(name, patch)| differs(object.0.get(name), patch))
}
