//! Pods that are held for a job that is no more: nobody counts them, and they are let go.

use std::sync::Arc;

use serde_json::json;

use super::super::super::mirror::{Changed, Id, Mirror, controller};
use super::super::Worked;
use super::super::acts::Hand;
use super::{NAME, finalizers, is_tracked};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;

/// What is to be let go.
pub(in super::super) struct Work {
    pod: Arc<Object>,
    pods: Arc<Kind>,
    jobs: Arc<Kind>,
}

/// Whether nobody counts it.
fn is_one(mirror: &Mirror, pod: &Object) -> bool {
    if !is_tracked(pod) {
        return false;
    }
    let Some(owner) = controller(pod) else {
        return true;
    };
    if (owner.kind, owner.api_version) != ("Job", "batch/v1") {
        return false;
    }
    let job = mirror.get(&Id::new("jobs", pod.meta().namespace(), owner.name));
    job.is_none_or(|job| job.meta().text("uid") != owner.uid)
}

fn id(pod: &Object) -> Id {
    Id::new("pods", pod.meta().namespace(), pod.meta().name())
}

/// All there are.
pub(in super::super) fn all(mirror: &Mirror) -> Vec<Id> {
    let all = mirror.all("pods").filter(|(_, pod)| is_one(mirror, pod));
    all.map(|(id, _)| id.clone()).collect()
}

/// Those that a change makes.
pub(in super::super) fn of(mirror: &Mirror, changed: &Changed) -> Vec<Id> {
    match (changed.id.plural, &changed.old, &changed.new) {
        ("pods", _, Some(pod)) if is_one(mirror, pod) => vec![changed.id.clone()],
        ("jobs", Some(job), None) => {
            let all = mirror.controlled("pods", job.meta().text("uid"));
            let all = all.filter(|pod| is_one(mirror, pod));
            all.map(|pod| id(pod)).collect()
        }
        _ => Vec::new(),
    }
}

pub(in super::super) fn look(mirror: &Mirror, id: &Id) -> Option<Work> {
    let pod = mirror.get(id).filter(|pod| is_one(mirror, pod))?;
    Some(Work {
        pod: Arc::clone(pod),
        pods: Arc::clone(mirror.kind("pods")?),
        jobs: Arc::clone(mirror.kind("jobs")?),
    })
}

impl Work {
    pub(in super::super) async fn run(self, store: Store) -> Worked {
        let hand = Hand { store, name: NAME };
        if let Some(owner) = controller(&self.pod) {
            let namespace = self.pod.meta().namespace();
            // What is known of jobs may be older than the pod.
            match hand.store.get(&self.jobs, namespace, owner.name).await {
                Ok(item) => {
                    let found = crate::store::object_once(&item)?;
                    if found.meta().text("uid") == owner.uid {
                        return Ok(None);
                    }
                }
                Err(failure) if failure.reason == Reason::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        release(&hand, &self.pods, &self.pod).await.map(|()| None)
    }
}

/// It need not be held any more; one that is gone is not.
pub(super) async fn release(hand: &Hand, kind: &Kind, pod: &Object) -> Result<(), Failure> {
    let left = finalizers(pod, super::FINALIZER, false);
    let patch = json!({ "metadata": { "finalizers": left } });
    match hand.patch(kind, pod, patch).await {
        Err(failure) if failure.reason == Reason::NotFound => Ok(()),
        done => done.map(drop),
    }
}
