//! Job: pods that run to their end, each counted once.
//!
//! Never: a pod that is let go before what became of it is written, or one more at once than is
//! asked for. Jobs that somebody else manages are left alone, but for their time to live.

mod make;
pub(super) mod orphans;
mod read;
mod status;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weft_planner::workloads::jobs::{self, Plan};

use super::super::mirror::{Id, Mirror};
use super::acts::{Hand, Say, each};
use super::claim::Claim;
use super::{Worked, pods};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::selector::Labels;
use crate::store::{DeleteOptions, Propagation};

/// Holds a pod until it is counted.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Who manages a job, if it does not say so.
const MANAGER: &str = "kubernetes.io/job-controller";
const NAME: &str = "job-controller";

/// What is to be looked after.
pub(super) struct Work {
    claim: Claim,
}

pub(super) fn look(mirror: &Mirror, id: &Id, selector: Option<&Arc<Labels>>) -> Option<Work> {
    let mut claim = Claim::look(mirror, id, "pods", selector)?;
    claim.finalizer = Some(FINALIZER);
    Some(Work { claim })
}

/// How a job ended, and when that was written.
pub(super) fn ended(job: &Object) -> Option<(&'static str, &Value)> {
    let mut all = ["Complete", "Failed"].into_iter();
    all.find_map(|name| {
        let found = job.condition(name).filter(|one| one["status"] == "True")?;
        Some((name, found))
    })
}

/// Whether it is held until it is counted.
fn is_tracked(pod: &Object) -> bool {
    pod.meta().finalizers().any(|one| one == FINALIZER)
}

impl Work {
    pub(super) async fn run(mut self, store: Store) -> Worked {
        let hand = Hand { store, name: NAME };
        let job = Arc::clone(&self.claim.owner);
        let manager = job.text(&["spec", "managedBy"]).unwrap_or(MANAGER);
        if manager != MANAGER {
            return self.forget_in_time(&hand).await;
        }
        if ended(&job).is_some() {
            let held = self
                .claim
                .all()
                .filter(|pod| is_own(&job, pod) && is_tracked(pod));
            let held: Vec<Arc<Object>> = held.cloned().collect();
            self.release(&hand, held).await?;
            return self.forget_in_time(&hand).await;
        }
        let own = self.claim.settle(&hand, |_| true).await?;
        let now_s = weft_stdx::clock::unix_s();
        let asked = read::job(&job, now_s);
        let rules = read::rules(&job);
        let workers: Vec<_> = own
            .iter()
            .map(|pod| read::worker(pod, &rules, &asked))
            .collect();
        let plan = jobs::plan(&asked, &workers, now_s);
        let (status, says) = status::status(&job, &asked, &plan);
        hand.set_status(&self.claim.kind, &job, status).await?;
        hand.say(&self.claim.kind, &job, says).await;
        self.act(&hand, &own, &plan).await?;
        Ok(plan.again_s.map(Duration::from_secs))
    }

    /// What is written is done: one failure does not keep from the rest.
    async fn act(&self, hand: &Hand, own: &[Arc<Object>], plan: &Plan) -> Result<(), Failure> {
        let of = |which: &[usize]| -> Vec<Arc<Object>> {
            which.iter().map(|at| Arc::clone(&own[*at])).collect()
        };
        let held = of(&plan.surplus);
        let held = held.into_iter().filter(|pod| is_tracked(pod));
        let held = of(&plan.release).into_iter().chain(held).collect();
        let released = self.release(hand, held).await;
        // Who could not be let go would be counted as failed.
        let surplus = match &released {
            Ok(()) => of(&plan.surplus),
            Err(_) => Vec::new(),
        };
        let go = of(&plan.end).into_iter().chain(surplus).collect();
        let deleted = self.delete(hand, go).await;
        let made = make::make(&self.claim, hand, &plan.make).await;
        released.and(deleted).and(made)
    }

    /// They need not be held any more.
    async fn release(&self, hand: &Hand, all: Vec<Arc<Object>>) -> Result<(), Failure> {
        let released = each(all, |pod| {
            let (hand, kind) = (hand.clone(), Arc::clone(&self.claim.controlled));
            async move { orphans::release(&hand, &kind, &pod).await }
        });
        released.await.into_iter().collect()
    }

    async fn delete(&self, hand: &Hand, all: Vec<Arc<Object>>) -> Result<(), Failure> {
        let deleted = each(all, |pod| {
            let (hand, kind) = (hand.clone(), Arc::clone(&self.claim.controlled));
            async move {
                let done = hand.delete(&kind, &pod).await;
                (pod.meta().name().to_owned(), done)
            }
        });
        let (mut says, mut all) = (Vec::new(), Ok(()));
        for (name, done) in deleted.await {
            match done {
                Ok(()) => says.push(Say::normal(
                    "SuccessfulDelete",
                    format!("Deleted pod: {name}"),
                )),
                Err(failure) => {
                    let message = format!("Error deleting: {failure}");
                    says.push(Say::warning("FailedDelete", message));
                    all = Err(failure);
                }
            }
        }
        hand.say(&self.claim.kind, &self.claim.owner, says).await;
        all
    }

    /// A job that has ended goes when its time is over, with its pods.
    async fn forget_in_time(&self, hand: &Hand) -> Worked {
        let job = &self.claim.owner;
        let lives = job.at(&["spec", "ttlSecondsAfterFinished"]);
        let lives = lives.and_then(Value::as_i64);
        let (Some(lives), Some((_, ended)), false) = (lives, ended(job), job.meta().is_deleting())
        else {
            return Ok(None);
        };
        let Some(ended_s) = ended["lastTransitionTime"].as_str().and_then(pods::seconds) else {
            return Ok(None);
        };
        let left = ended_s.saturating_add(lives) - weft_stdx::clock::unix_s();
        if let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) {
            return Ok(Some(Duration::from_secs(left)));
        }
        let meta = job.meta();
        let options = DeleteOptions {
            uid: Some(meta.text("uid").to_owned()),
            // Somebody may have given it more time.
            version: Some(meta.text("resourceVersion").to_owned()),
            propagation: Propagation::Foreground,
            ..DeleteOptions::default()
        };
        let (kind, namespace) = (&self.claim.kind, meta.namespace());
        match hand
            .store
            .delete(kind, namespace, meta.name(), &options)
            .await
        {
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            done => done.map(|_| None),
        }
    }
}

fn is_own(job: &Object, pod: &Object) -> bool {
    let owner = super::super::mirror::controller(pod);
    owner.is_some_and(|owner| owner.uid == job.meta().text("uid"))
}

/// An object's finalizers with or without this one, as a patch says it.
pub(super) fn finalizers(object: &Object, name: &str, is_held: bool) -> Value {
    let mut all: Vec<&str> = object
        .meta()
        .finalizers()
        .filter(|one| *one != name)
        .collect();
    if is_held {
        all.push(name);
    }
    match all.is_empty() {
        true => Value::Null,
        false => json!(all),
    }
}
