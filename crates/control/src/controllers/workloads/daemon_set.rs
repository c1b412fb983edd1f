//! DaemonSet: a pod on each node that is meant.

mod place;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use weft_planner::workloads::{self, Daemon, Do, End, Fit, Spot};

use self::place::Nodes;
use super::super::mirror::{Changed, Id, Mirror};
use super::acts::{Hand, Say, each, reference, slowly, why_not};
use super::claim::Claim;
use super::revisions::{self, Kept, LABEL};
use super::{Worked, deployment, pods};
use crate::Store;
use crate::failure::Failure;
use crate::object::Object;
use crate::selector::Labels;
use crate::store;

/// How old a pod is at least that ended and is replaced: one that always fails does not keep everybody busy.
const RESTED_S: i64 = 5;

/// What is to be looked after.
pub(super) struct Work {
    claim: Claim,
    kept: Kept,
    nodes: Nodes,
}

/// Whether a node has become another for those whose pods may be on it.
pub(super) fn is_other(changed: &Changed) -> bool {
    let parts = |node: &Option<Arc<Object>>| {
        let node = node.as_ref()?;
        let part = |path: &[&str]| node.at(path).cloned();
        Some((part(&["metadata", "labels"]), part(&["spec"])))
    };
    parts(&changed.old) != parts(&changed.new)
}

pub(super) fn look(mirror: &Mirror, id: &Id, selector: Option<&Arc<Labels>>) -> Option<Work> {
    let claim = Claim::look(mirror, id, "pods", selector)?;
    Some(Work {
        nodes: Nodes::of(mirror, &claim.owner),
        kept: Kept::look(mirror, id, selector)?,
        claim,
    })
}

/// The nodes, with their pods.
struct Seen {
    names: Vec<String>,
    spots: Vec<Spot>,
    pods: Vec<Vec<Arc<Object>>>,
    /// Those that wait for a node that is not there.
    lost: Vec<Arc<Object>>,
    next_s: Option<u64>,
}

impl Work {
    pub(super) async fn run(mut self, store: Store) -> Worked {
        let hand = Hand {
            store,
            name: "daemonset-controller",
        };
        let owner = Arc::clone(&self.claim.owner);
        let own = self.claim.settle(&hand, |_| true).await?;
        let mut collisions = pods::number(&owner, &["status", "collisionCount"]);
        if owner.meta().is_deleting() {
            return Ok(None);
        }
        let settled = self.kept.settle(&hand, &mut collisions).await;
        let revisions = match settled {
            Ok(revisions) => revisions,
            Err(failure) => {
                let mut status = owner.at(&["status"]).cloned().unwrap_or_default();
                if collisions > 0 {
                    status["collisionCount"] = collisions.into();
                }
                hand.set_status(&self.claim.kind, &owner, status).await?;
                return Err(failure);
            }
        };
        let letters = revisions::letters(&revisions.newest).to_owned();
        let seen = seen(&owner, self.nodes, &own, &letters);
        let desired = seen
            .spots
            .iter()
            .filter(|spot| spot.fit == Fit::Runs)
            .count();
        let acts = workloads::daemons(&seen.spots, rolling(&owner, desired));
        let turn = Turn {
            hand: &hand,
            claim: &self.claim,
            owner: &owner,
            letters: &letters,
        };
        let (says, failure, rests_s) = turn.carry_out(&seen, acts).await;
        let status = turn.status(&seen, collisions);
        hand.set_status(&self.claim.kind, &owner, status).await?;
        hand.say(&self.claim.kind, &owner, says).await;
        let used = revisions::used(own.iter());
        let is_used = |one: &Object| used.contains(revisions::letters(one));
        revisions.forget_old(&hand, is_used).await?;
        match failure {
            Some(failure) => Err(failure),
            None => {
                let next_s = [seen.next_s, rests_s].into_iter().flatten().min();
                Ok(next_s.map(Duration::from_secs))
            }
        }
    }
}

/// How many nodes may have two pods, and how many none; nothing: old pods stay.
fn rolling(owner: &Object, desired: usize) -> Option<(u32, u32)> {
    let strategy = owner.at(&["spec", "updateStrategy"])?;
    if strategy["type"] != "RollingUpdate" {
        return None;
    }
    let all = u32::try_from(desired).unwrap_or(u32::MAX);
    let of = |name: &str| deployment::share(strategy["rollingUpdate"].get(name)).up(all);
    match (of("maxSurge"), of("maxUnavailable")) {
        (0, 0) => Some((0, 1)),
        both => Some(both),
    }
}

fn seen(owner: &Object, nodes: Nodes, own: &[Arc<Object>], letters: &str) -> Seen {
    let now_s = weft_stdx::clock::unix_s();
    let min_ready_s = i64::from(pods::number(owner, &["spec", "minReadySeconds"]));
    let mut seen = Seen {
        spots: Vec::with_capacity(nodes.fits.len()),
        names: Vec::with_capacity(nodes.fits.len()),
        pods: Vec::with_capacity(nodes.fits.len()),
        lost: Vec::new(),
        next_s: None,
    };
    for (name, fit) in nodes.fits {
        seen.names.push(name);
        seen.pods.push(Vec::new());
        seen.spots.push(Spot {
            fit,
            pods: Vec::new(),
        });
    }
    for pod in own {
        let target = place::target(pod).unwrap_or_default();
        let Ok(at) = seen
            .names
            .binary_search_by(|name| name.as_str().cmp(target))
        else {
            // Who is on a node that is gone is that node's to lose.
            if pods::node(pod).is_none() && !pod.meta().is_deleting() {
                seen.lost.push(Arc::clone(pod));
            }
            continue;
        };
        let replica = pods::replica(pod, None, 0);
        let left = replica.available_in_s(min_ready_s, now_s);
        if let Some(left) = left.filter(|left| *left > 0) {
            seen.next_s = Some(seen.next_s.map_or(left, |next| next.min(left)));
        }
        seen.spots[at].pods.push(Daemon {
            uid: replica.uid,
            created_s: replica.created_s,
            end: match pod.text(&["status", "phase"]) {
                Some("Failed") => End::Failed,
                Some("Succeeded") => End::Succeeded,
                _ => End::Not,
            },
            is_going: pod.meta().is_deleting(),
            is_new: pod.meta().label(LABEL) == Some(letters),
            is_available: left == Some(0) && !pods::is_over(pod),
        });
        seen.pods[at].push(Arc::clone(pod));
    }
    seen
}

/// What is done in one go.
struct Turn<'a> {
    hand: &'a Hand,
    claim: &'a Claim,
    owner: &'a Arc<Object>,
    letters: &'a str,
}

impl Turn<'_> {
    /// Says what was done, what failed, and when to look again at what has ended.
    async fn carry_out(
        &self,
        seen: &Seen,
        acts: Vec<Do>,
    ) -> (Vec<Say>, Option<Failure>, Option<u64>) {
        let now_s = weft_stdx::clock::unix_s();
        let (mut says, mut failure, mut rests_s) = (Vec::new(), None, None);
        let (mut make, mut go) = (Vec::new(), seen.lost.clone());
        for act in acts {
            match act {
                Do::Make(at) => make.push(seen.names[at].clone()),
                Do::Delete(at, number) => {
                    let (pod, daemon) = (&seen.pods[at][number], &seen.spots[at].pods[number]);
                    let age_s = now_s.saturating_sub(daemon.created_s);
                    if daemon.end != End::Not {
                        if (0..RESTED_S).contains(&age_s) {
                            rests_s = Some(RESTED_S.unsigned_abs());
                            continue;
                        }
                        says.push(ended(pod, daemon.end, &seen.names[at]));
                    }
                    go.push(Arc::clone(pod));
                }
            }
        }
        for made in self.make(make).await {
            match made {
                Ok(name) => says.push(Say::normal(
                    "SuccessfulCreate",
                    format!("Created pod: {name}"),
                )),
                Err(one) if one.is_of_ending() => break,
                Err(one) => {
                    says.push(Say::warning(
                        "FailedCreate",
                        format!("Error creating: {one}"),
                    ));
                    failure = Some(one);
                }
            }
        }
        let deleted = each(go, |pod| {
            let (hand, kind) = (self.hand.clone(), Arc::clone(&self.claim.controlled));
            async move { (pod.meta().name().to_owned(), hand.delete(&kind, &pod).await) }
        });
        for (name, done) in deleted.await {
            match done {
                Ok(()) => says.push(Say::normal(
                    "SuccessfulDelete",
                    format!("Deleted pod: {name}"),
                )),
                Err(one) => {
                    says.push(Say::warning(
                        "FailedDelete",
                        format!("Error deleting: {one}"),
                    ));
                    failure = Some(one);
                }
            }
        }
        (says, failure, rests_s)
    }

    async fn make(&self, nodes: Vec<String>) -> Vec<Result<String, Failure>> {
        let reference = reference(&self.claim.kind, self.owner);
        let mut pod = pods::of_template(self.owner, reference);
        pod.meta_mut()["labels"][LABEL] = self.letters.into();
        place::tolerate(&mut pod);
        slowly(nodes, |node| {
            let (hand, kind) = (self.hand.clone(), Arc::clone(&self.claim.controlled));
            let mut pod = pod.clone();
            place::bind(&mut pod, &node);
            async move {
                let namespace = pod.meta().namespace().to_owned();
                let item = hand.create(&kind, &namespace, pod.clone()).await;
                let item = item.map_err(|failure| Failure {
                    message: why_not(&failure, &pod),
                    ..failure
                })?;
                let made = store::object_once(&item)?;
                Ok(made.meta().name().to_owned())
            }
        })
        .await
    }

    fn status(&self, seen: &Seen, collisions: u32) -> Value {
        let (mut desired, mut current, mut wrong) = (0u32, 0u32, 0u32);
        let (mut ready, mut updated, mut available) = (0u32, 0u32, 0u32);
        for (spot, objects) in seen.spots.iter().zip(&seen.pods) {
            let has_some = !spot.pods.is_empty();
            if spot.fit != Fit::Runs {
                wrong += u32::from(has_some && spot.fit == Fit::Goes);
                continue;
            }
            desired += 1;
            current += u32::from(has_some);
            let all = spot
                .pods
                .iter()
                .zip(objects)
                .filter(|(pod, _)| !pod.is_going);
            let is_ready = |object: &Object| pods::ready_since(object).is_some();
            ready += u32::from(all.clone().any(|(_, object)| is_ready(object)));
            available += u32::from(all.clone().any(|(pod, _)| pod.is_available));
            updated += u32::from(all.clone().any(|(pod, _)| pod.is_new));
        }
        let mut status = Map::new();
        let mut set = |name: &str, count: u32, is_always: bool| {
            if count > 0 || is_always {
                status.insert(name.to_owned(), count.into());
            }
        };
        set("currentNumberScheduled", current, true);
        set("numberMisscheduled", wrong, true);
        set("desiredNumberScheduled", desired, true);
        set("numberReady", ready, true);
        set("updatedNumberScheduled", updated, false);
        set("numberAvailable", available, false);
        set(
            "numberUnavailable",
            desired.saturating_sub(available),
            false,
        );
        set("collisionCount", collisions, false);
        if let Some(generation) = self.owner.at(&["metadata", "generation"]) {
            status.insert("observedGeneration".to_owned(), generation.clone());
        }
        status.into()
    }
}

fn ended(pod: &Object, end: End, node: &str) -> Say {
    let (namespace, name) = (pod.meta().namespace(), pod.meta().name());
    let (reason, how) = match end {
        End::Failed => ("FailedDaemonPod", "failed"),
        _ => ("SucceededDaemonPod", "succeeded"),
    };
    let message =
        format!("Found {how} daemon pod {namespace}/{name} on node {node}, will try to delete it");
    match end {
        End::Failed => Say::warning(reason, message),
        _ => Say::normal(reason, message),
    }
}
