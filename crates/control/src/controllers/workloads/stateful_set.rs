//! StatefulSet: pods with names, numbers and claims of their own.
//!
//! Never: two pods of one number; the old one's name is free when it is gone.

mod claims;
mod identity;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use weft_planner::workloads::{self, Act, Line, Member};

use self::claims::Claims;
use super::super::mirror::{Id, Mirror};
use super::acts::{Hand, Say, reference};
use super::claim::Claim;
use super::revisions::{self, Kept, LABEL, Revisions};
use super::{Worked, deployment, pods};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::selector::Labels;

/// Most numbers without a pod that are looked at at once.
const BURST: usize = 500;
/// How soon it is looked again whether what is in the way is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to be looked after.
pub(super) struct Work {
    claim: Claim,
    kept: Kept,
    claims: Claims,
}

pub(super) fn look(mirror: &Mirror, id: &Id, selector: Option<&Arc<Labels>>) -> Option<Work> {
    let claim = Claim::look(mirror, id, "pods", selector)?;
    let ordinals = claim
        .all()
        .filter_map(|pod| identity::ordinal(&claim.owner, pod));
    let mut ordinals: BTreeSet<u32> = ordinals.collect();
    let missing = wanted(&claim.owner).filter(|ordinal| !ordinals.contains(ordinal));
    let missing: Vec<u32> = missing.take(BURST).collect();
    ordinals.extend(missing);
    Some(Work {
        claims: Claims::look(mirror, &claim.owner, &ordinals)?,
        kept: Kept::look(mirror, id, selector)?,
        claim,
    })
}

fn first(owner: &Object) -> u32 {
    pods::number(owner, &["spec", "ordinals", "start"])
}

fn wanted(owner: &Object) -> std::ops::Range<u32> {
    let (first, count) = (first(owner), pods::number(owner, &["spec", "replicas"]));
    first..first.saturating_add(count)
}

/// What is done in one go.
struct Turn {
    hand: Hand,
    claim: Claim,
    claims: Claims,
    owner: Arc<Object>,
    revisions: Revisions,
    /// Name of the revision that was complete last.
    current: String,
    members: BTreeMap<u32, Arc<Object>>,
    says: Vec<Say>,
    next_s: Option<u64>,
}

impl Work {
    pub(super) async fn run(mut self, store: Store) -> Worked {
        let hand = Hand {
            store,
            name: "statefulset-controller",
        };
        let owner = Arc::clone(&self.claim.owner);
        let is_member = |pod: &Object| identity::ordinal(&owner, pod).is_some();
        let own = self.claim.settle(&hand, is_member).await?;
        if owner.meta().is_deleting() {
            return Ok(None);
        }
        let mut collisions = pods::number(&owner, &["status", "collisionCount"]);
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
        let newest = revisions.newest.meta().name();
        let said = owner
            .text(&["status", "currentRevision"])
            .unwrap_or_default();
        let current = revisions
            .find(said)
            .map_or(newest, |one| one.meta().name())
            .to_owned();
        let numbered = own
            .into_iter()
            .filter_map(|pod| Some((identity::ordinal(&owner, &pod)?, pod)));
        let mut turn = Turn {
            members: numbered.collect(),
            hand,
            claim: self.claim,
            claims: self.claims,
            owner,
            revisions,
            current,
            says: Vec::new(),
            next_s: None,
        };
        turn.go(collisions).await
    }
}

impl Turn {
    async fn go(&mut self, collisions: u32) -> Worked {
        let line = self.line();
        let mut failure = None;
        let mut waits = None;
        let wanted = line.wanted();
        for ordinal in self
            .members
            .keys()
            .filter(|ordinal| wanted.contains(ordinal))
        {
            let (hand, owner, kind) = (&self.hand, &self.owner, &self.claim.kind);
            let claims = self.claims.keep(hand, (kind, owner), *ordinal, None);
            claims.await?;
        }
        for act in workloads::act(&line) {
            match self.carry_out(act).await {
                Ok(None) => {}
                Ok(Some(wait)) => waits = Some(wait),
                Err(one) if one.is_of_ending() => break,
                Err(one) => {
                    failure = Some(one);
                    break;
                }
            }
        }
        let status = self.status(collisions);
        let (kind, owner) = (&self.claim.kind, &self.owner);
        self.hand.set_status(kind, owner, status).await?;
        self.hand
            .say(kind, owner, std::mem::take(&mut self.says))
            .await;
        let used = revisions::used(self.members.values());
        let is_used =
            |one: &Object| used.contains(one.meta().name()) || one.meta().name() == self.current;
        self.revisions.forget_old(&self.hand, is_used).await?;
        match failure {
            Some(failure) => Err(failure),
            None => {
                let next = self.next_s.map(Duration::from_secs);
                Ok([next, waits].into_iter().flatten().min())
            }
        }
    }

    fn newest(&self) -> &str {
        self.revisions.newest.meta().name()
    }

    fn line(&mut self) -> Line {
        let owner = Arc::clone(&self.owner);
        let now_s = weft_stdx::clock::unix_s();
        let min_ready_s = i64::from(pods::number(&owner, &["spec", "minReadySeconds"]));
        let mut members = Vec::with_capacity(self.members.len());
        for (ordinal, pod) in &self.members {
            let replica = pods::replica(pod, None, 0);
            let left = replica.available_in_s(min_ready_s, now_s);
            if let Some(left) = left.filter(|left| *left > 0) {
                self.next_s = Some(self.next_s.map_or(left, |next| next.min(left)));
            }
            let is_running = pod.text(&["status", "phase"]) == Some("Running");
            members.push(Member {
                ordinal: *ordinal,
                is_over: pods::is_over(pod),
                is_going: pod.meta().is_deleting(),
                is_well: is_running && left == Some(0) && !pod.meta().is_deleting(),
                is_new: pod.meta().label(LABEL) == Some(self.newest()),
            });
        }
        let strategy = owner.at(&["spec", "updateStrategy"]);
        let rolling = strategy.and_then(|strategy| strategy.get("rollingUpdate"));
        let replicas = pods::number(&owner, &["spec", "replicas"]);
        let missing = rolling.and_then(|rolling| rolling.get("maxUnavailable"));
        Line {
            first: first(&owner),
            replicas,
            is_ordered: owner.text(&["spec", "podManagementPolicy"]) != Some("Parallel"),
            partition: self.partition(),
            missing: missing.map_or(1, |said| deployment::share(Some(said)).up(replicas)),
            members,
        }
    }

    /// So many keep the old template; nothing: all do, until somebody deletes them.
    fn partition(&self) -> Option<u32> {
        let strategy = self.owner.at(&["spec", "updateStrategy"])?;
        if strategy["type"] != "RollingUpdate" {
            return None;
        }
        Some(pods::number(
            &self.owner,
            &["spec", "updateStrategy", "rollingUpdate", "partition"],
        ))
    }

    async fn carry_out(&mut self, act: Act) -> Result<Option<Duration>, Failure> {
        let (ordinal, is_removed) = match act {
            Act::Make(ordinal) => return self.make(ordinal).await,
            Act::Remove(ordinal) => (ordinal, true),
            Act::Replace(ordinal) | Act::Renew(ordinal) => (ordinal, false),
        };
        let Some(pod) = self.members.get(&ordinal).cloned() else {
            return Ok(None);
        };
        let set = self.owner.meta().name();
        let (name, namespace) = (pod.meta().name(), pod.meta().namespace());
        if is_removed {
            let (hand, owner, kind) = (&self.hand, &self.owner, &self.claim.kind);
            self.claims
                .keep(hand, (kind, owner), ordinal, Some(&pod))
                .await?;
        }
        if let Act::Replace(_) = act {
            let message = format!("StatefulSet {namespace}/{set} is recreating failed Pod {name}");
            self.says.push(Say::warning("RecreatingFailedPod", message));
        }
        match self.hand.delete(&self.claim.controlled, &pod).await {
            Ok(()) => {
                let message = format!("delete Pod {name} in StatefulSet {set} successful");
                self.says.push(Say::normal("SuccessfulDelete", message));
                Ok(None)
            }
            Err(failure) => {
                let message =
                    format!("delete Pod {name} in StatefulSet {set} failed error: {failure}");
                self.says.push(Say::warning("FailedDelete", message));
                Err(failure)
            }
        }
    }

    async fn make(&mut self, ordinal: u32) -> Result<Option<Duration>, Failure> {
        // Those that a partition keeps have the old template.
        let is_old = self
            .partition()
            .is_some_and(|count| ordinal < first(&self.owner).saturating_add(count));
        let revision = match is_old {
            true => self
                .revisions
                .find(&self.current)
                .unwrap_or(&self.revisions.newest),
            false => &self.revisions.newest,
        };
        let reference = reference(&self.claim.kind, &self.owner);
        let pod = identity::pod(&self.owner, revision, ordinal, reference);
        let (name, namespace) = (
            pod.meta().name().to_owned(),
            pod.meta().namespace().to_owned(),
        );
        let set = self.owner.meta().name().to_owned();
        let (hand, kind) = (&self.hand, &self.claim.kind);
        match self
            .claims
            .make(hand, (kind, &self.owner), ordinal, &mut self.says)
            .await
        {
            Ok(true) => {}
            // What is in the way goes by itself.
            Ok(false) => return Ok(Some(AGAIN)),
            Err(failure) => return self.not_made(&name, &set, failure),
        }
        match self
            .hand
            .create(&self.claim.controlled, &namespace, pod)
            .await
        {
            Ok(_) => {
                let message = format!("create Pod {name} in StatefulSet {set} successful");
                self.says.push(Say::normal("SuccessfulCreate", message));
                Ok(None)
            }
            Err(failure) => self.not_made(&name, &set, failure),
        }
    }

    fn not_made(
        &mut self,
        name: &str,
        set: &str,
        failure: Failure,
    ) -> Result<Option<Duration>, Failure> {
        if !failure.is_of_ending() && failure.reason != Reason::Conflict {
            let message = format!("create Pod {name} in StatefulSet {set} failed error: {failure}");
            self.says.push(Say::warning("FailedCreate", message));
        }
        Err(failure)
    }

    fn status(&mut self, collisions: u32) -> Value {
        let line = self.line();
        let count = |is: &dyn Fn(&Object) -> bool| {
            let found = self.members.values().filter(|pod| is(pod)).count();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        let of = |name: &str| {
            count(&|pod| pods::is_active(pod) && pod.meta().label(LABEL) == Some(name))
        };
        let is_ready = |pod: &Object| {
            let is_running = pod.text(&["status", "phase"]) == Some("Running");
            is_running && pods::ready_since(pod).is_some()
        };
        let (all, ready) = (count(&|_| true), count(&is_ready));
        let well = line.members.iter().filter(|member| member.is_well).count();
        let (updated, mut current) = (of(self.newest()), self.current.as_str());
        let is_complete = (updated, ready, all) == (line.replicas, line.replicas, line.replicas);
        if line.partition.is_some() && is_complete {
            current = self.newest();
        }
        let mut status = Map::new();
        let mut set = |name: &str, value: Value, is_always: bool| {
            if is_always || value != 0 {
                status.insert(name.to_owned(), value);
            }
        };
        set("replicas", all.into(), true);
        set("availableReplicas", well.into(), true);
        set("readyReplicas", ready.into(), false);
        set("currentReplicas", of(current).into(), false);
        set("updatedReplicas", updated.into(), false);
        set("collisionCount", collisions.into(), false);
        set("currentRevision", current.into(), true);
        set("updateRevision", self.newest().into(), true);
        let generation = self.owner.at(&["metadata", "generation"]);
        set(
            "observedGeneration",
            generation.cloned().unwrap_or_default(),
            true,
        );
        status.into()
    }
}
