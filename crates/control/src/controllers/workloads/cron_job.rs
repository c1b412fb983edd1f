//! CronJob: jobs at times.
//!
//! ```text
//!   the job of a time, by its name ─► the time in the status ─► old jobs are forgotten
//! ```
//!
//! A job is called by its time and says it: where all stops before the status is written, whoever
//! looks next finds it, and makes none again. Never: which times a schedule means.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use super::super::mirror::{Id, Mirror, controller};
use super::Worked;
use super::acts::{Hand, Say, each, reference};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store;

#[cfg(test)]
pub(super) use self::decide::SCHEDULED;
use self::decide::{Plan, decide};

const NAME: &str = "cronjob-controller";

/// What is to be looked after.
pub(super) struct Work {
    kind: Arc<Kind>,
    owner: Arc<Object>,
    jobs: Arc<Kind>,
    plan: Plan,
}

pub(super) fn look(mirror: &Mirror, id: &Id) -> Option<Work> {
    let owner = Arc::clone(mirror.get(id)?);
    let own = mirror.controlled("jobs", owner.meta().text("uid"));
    let own = own.filter(|one| one.meta().namespace() == id.namespace);
    let own: Vec<Arc<Object>> = own.cloned().collect();
    let plan = decide(&owner, &own, weft_stdx::clock::unix_s());
    Some(Work {
        kind: Arc::clone(mirror.kind(id.plural)?),
        owner,
        jobs: Arc::clone(mirror.kind("jobs")?),
        plan,
    })
}

impl Work {
    /// What keeps it from its times, in one text; empty: nothing.
    pub(super) fn complaint(&self) -> String {
        let all = self.plan.complaints.iter();
        let all: Vec<&str> = all.map(|one| one.message.as_str()).collect();
        all.join("\n")
    }

    /// That is said already.
    pub(super) fn is_known(&mut self) {
        self.plan.complaints.clear();
    }

    pub(super) async fn run(mut self, store: Store) -> Worked {
        let hand = Hand { store, name: NAME };
        let complaints = std::mem::take(&mut self.plan.complaints);
        hand.say(&self.kind, &self.owner, complaints).await;
        let stopped = std::mem::take(&mut self.plan.stop);
        self.delete(&hand, stopped).await?;
        self.make(&hand).await?;
        let status = std::mem::take(&mut self.plan.status);
        hand.set_status(&self.kind, &self.owner, status).await?;
        let says = std::mem::take(&mut self.plan.says);
        hand.say(&self.kind, &self.owner, says).await;
        let forgotten = std::mem::take(&mut self.plan.forget);
        self.delete(&hand, forgotten).await?;
        Ok(self.plan.again_s.map(Duration::from_secs))
    }

    /// Makes the job of its time, if there is to be one, and notes it in the status.
    async fn make(&mut self, hand: &Hand) -> Result<(), Failure> {
        let Some((at_s, mut job)) = self.plan.make.take() else {
            return Ok(());
        };
        let owners = vec![reference(&self.kind, &self.owner)];
        job.set_meta("ownerReferences", Some(owners.into()));
        let (namespace, name) = (job.meta().namespace(), job.meta().name());
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let made = match hand.create(&self.jobs, &namespace, job).await {
            Ok(item) => {
                let message = format!("Created job {name}");
                self.plan
                    .says
                    .push(Say::normal("SuccessfulCreate", message));
                store::object_once(&item)?
            }
            Err(failure) if failure.is_of_ending() => return Ok(()),
            Err(failure) if failure.reason == Reason::AlreadyExists => {
                let item = hand.store.get(&self.jobs, &namespace, &name).await?;
                let found = store::object_once(&item)?;
                let owner = controller(&found).map(|owner| owner.uid);
                if owner != Some(self.owner.meta().text("uid")) {
                    return Ok(());
                }
                found
            }
            Err(failure) => {
                let message = format!("Error creating job: {failure}");
                let says = vec![Say::warning("FailedCreate", message)];
                hand.say(&self.kind, &self.owner, says).await;
                return Err(failure);
            }
        };
        decide::note(&mut self.plan.status, at_s, &made);
        Ok(())
    }

    async fn delete(&self, hand: &Hand, all: Vec<Arc<Object>>) -> Result<(), Failure> {
        let deleted = each(all, |job| {
            let (hand, kind) = (hand.clone(), Arc::clone(&self.jobs));
            async move {
                let done = hand.delete(&kind, &job).await;
                (job.meta().name().to_owned(), done)
            }
        });
        let (mut says, mut all) = (Vec::new(), Ok(()));
        for (name, done) in deleted.await {
            match done {
                Ok(()) => {
                    let message = format!("Deleted job {name}");
                    says.push(Say::normal("SuccessfulDelete", message));
                }
                Err(failure) => {
                    let message = format!("Deleted job: {failure}");
                    says.push(Say::warning("FailedDelete", message));
                    all = Err(failure);
                }
            }
        }
        hand.say(&self.kind, &self.owner, says).await;
        all
    }
}
