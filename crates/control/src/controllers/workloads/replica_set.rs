//! ReplicaSet, and ReplicationController, which differs in name: so many pods that are alike.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weft_planner::workloads::{self, Counts, Replica};

use super::super::mirror::{Id, Mirror, controller};
use super::acts::{Hand, Say, each, reference, slowly, why_not};
use super::claim::Claim;
use super::{Worked, pods};
use crate::Store;
use crate::failure::Failure;
use crate::object::Object;
use crate::selector::Labels;
use crate::store::{self, now};

/// Most pods that are made or deleted before it is looked at again, as upstream.
const BURST: usize = 500;
const FAILURE: &str = "ReplicaFailure";

/// What is to be looked after.
pub(super) struct Work {
    claim: Claim,
    name: &'static str,
    /// How many pods of its kin there are, by node.
    beside: HashMap<String, u32>,
}

/// What came of making or deleting.
#[derive(Default)]
struct Tried {
    says: Vec<Say>,
    failure: Option<(&'static str, Failure)>,
}

pub(super) fn look(mirror: &Mirror, id: &Id, selector: Option<&Arc<Labels>>) -> Option<Work> {
    let claim = Claim::look(mirror, id, "pods", selector)?;
    let mut beside = HashMap::new();
    for pod in kin(mirror, &claim.owner).filter(|pod| pods::is_active(pod)) {
        if let Some(node) = pods::node(pod) {
            *beside.entry(node.to_owned()).or_default() += 1;
        }
    }
    Some(Work {
        claim,
        name: match id.plural {
            "replicasets" => "replicaset-controller",
            _ => "replication-controller",
        },
        beside,
    })
}

/// Its pods, and those of all with the same controller.
fn kin<'a>(mirror: &'a Mirror, owner: &'a Object) -> impl Iterator<Item = &'a Arc<Object>> {
    let own = owner.meta().text("uid");
    let siblings: Vec<&str> = match controller(owner) {
        Some(above) => {
            let all = mirror.controlled("replicasets", above.uid);
            all.map(|one| one.meta().text("uid")).collect()
        }
        None => vec![own],
    };
    siblings
        .into_iter()
        .flat_map(|uid| mirror.controlled("pods", uid))
}

impl Work {
    pub(super) async fn run(mut self, store: Store) -> Worked {
        let hand = Hand {
            store,
            name: self.name,
        };
        let own = self.claim.settle(&hand, pods::is_active).await?;
        let owner = Arc::clone(&self.claim.owner);
        let now_s = weft_stdx::clock::unix_s();
        let labels = owner.at(&["spec", "template", "metadata", "labels"]);
        let labels = labels.and_then(Value::as_object);
        let beside = |pod: &Object| {
            pods::node(pod)
                .and_then(|node| self.beside.get(node))
                .copied()
        };
        let replicas: Vec<Replica> = own
            .iter()
            .map(|pod| pods::replica(pod, labels, beside(pod).unwrap_or(0)))
            .collect();
        let min_ready_s = i64::from(pods::number(&owner, &["spec", "minReadySeconds"]));
        let counts = workloads::counts(&replicas, min_ready_s, now_s);
        let wanted = pods::number(&owner, &["spec", "replicas"]) as usize;
        let tried = match owner.meta().is_deleting() {
            true => Tried::default(),
            false if own.len() < wanted => self.make(&hand, wanted - own.len()).await,
            false => {
                let count = (own.len() - wanted).min(BURST);
                let go = workloads::victims(&replicas, count, now_s);
                let go = go.into_iter().map(|at| Arc::clone(&own[at])).collect();
                self.delete(&hand, go).await
            }
        };
        let failure = tried.failure.as_ref();
        let status = self.status(counts, failure.map(|(reason, why)| (*reason, why)));
        let kind = &self.claim.kind;
        let (said, set) = tokio::join!(
            hand.say(kind, &owner, tried.says),
            hand.set_status(kind, &owner, status)
        );
        () = said;
        set?;
        match tried.failure {
            Some((_, failure)) => Err(failure),
            None => Ok(counts.next_s.map(Duration::from_secs)),
        }
    }

    async fn make(&self, hand: &Hand, count: usize) -> Tried {
        let owner = &self.claim.owner;
        let reference = reference(&self.claim.kind, owner);
        let pod = Arc::new(pods::of_template(owner, reference));
        let made = slowly(vec![(); count.min(BURST)], |()| {
            let (hand, kind) = (hand.clone(), Arc::clone(&self.claim.controlled));
            let pod = Arc::clone(&pod);
            async move {
                let namespace = pod.meta().namespace().to_owned();
                let item = hand.create(&kind, &namespace, Object::clone(&pod)).await?;
                let made = store::object_once(&item)?;
                Ok(made.meta().name().to_owned())
            }
        });
        let mut tried = Tried::default();
        for one in made.await {
            match one {
                Ok(name) => tried.says.push(Say::normal(
                    "SuccessfulCreate",
                    format!("Created pod: {name}"),
                )),
                Err(failure) if failure.is_of_ending() => return Tried::default(),
                Err(failure) => {
                    let message = why_not(&failure, &pod);
                    let failure = Failure { message, ..failure };
                    let message = format!("Error creating: {failure}");
                    tried.says.push(Say::warning("FailedCreate", message));
                    tried.failure = Some(("FailedCreate", failure));
                }
            }
        }
        tried
    }

    async fn delete(&self, hand: &Hand, all: Vec<Arc<Object>>) -> Tried {
        let deleted = each(all, |pod| {
            let (hand, kind) = (hand.clone(), Arc::clone(&self.claim.controlled));
            async move {
                let done = hand.delete(&kind, &pod).await;
                (pod.meta().name().to_owned(), done)
            }
        });
        let mut tried = Tried::default();
        for (name, done) in deleted.await {
            match done {
                Ok(()) => tried.says.push(Say::normal(
                    "SuccessfulDelete",
                    format!("Deleted pod: {name}"),
                )),
                Err(failure) => {
                    let message = format!("Error deleting: {failure}");
                    tried.says.push(Say::warning("FailedDelete", message));
                    tried.failure = Some(("FailedDelete", failure));
                }
            }
        }
        tried
    }

    fn status(&self, counts: Counts, failure: Option<(&'static str, &Failure)>) -> Value {
        let owner = &self.claim.owner;
        let mut status = Map::new();
        status.insert("replicas".to_owned(), counts.all.into());
        for (name, count) in [
            ("fullyLabeledReplicas", counts.labelled),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
        ] {
            if count > 0 {
                status.insert(name.to_owned(), count.into());
            }
        }
        if let Some(generation) = owner.at(&["metadata", "generation"]) {
            status.insert("observedGeneration".to_owned(), generation.clone());
        }
        let old = owner.at(&["status", "conditions"]);
        let mut conditions = old.and_then(Value::as_array).cloned().unwrap_or_default();
        let has_one = conditions.iter().any(|one| one["type"] == FAILURE);
        match failure {
            None => conditions.retain(|one| one["type"] != FAILURE),
            Some(_) if has_one => {}
            Some((reason, why)) => conditions.push(json!({
                "type": FAILURE, "status": "True", "lastTransitionTime": now(),
                "reason": reason, "message": why.to_string(),
            })),
        }
        if !conditions.is_empty() {
            status.insert("conditions".to_owned(), conditions.into());
        }
        status.into()
    }
}
