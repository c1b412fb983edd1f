//! Pods get their nodes.
//!
//! ```text
//!   what happens ─► cluster (planner) ─► pods that wait, the most important first
//!                                            ├─ a node ─► bound to it
//!                                            └─ none ──► told why, in status and event
//! ```
//!
//! Owns: when a pod is looked at again: a new one at once, those that found no node when nodes or pods
//! have changed since. Never decides where a pod goes: the planner does.

pub(super) mod lower;
mod preempt;
mod volumes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;
use weft_keyspace::EventKind;
use weft_planner::{Cluster, Node, Pod};

use super::AGAIN;
use super::tell::{self, Told};
use super::workloads::pods::is_over;
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, Happened, ListOptions, WriteOptions, now, set_condition};
use volumes::Volumes;

/// Who it is, as owner of fields, and to pods that name who is to find them a node.
const NAME: &str = "default-scheduler";

/// Pods are the last: what is said of them depends on the others.
const FOLLOWED: [&str; 5] = [
    "namespaces",
    "nodes",
    "persistentvolumes",
    "persistentvolumeclaims",
    "pods",
];

/// `namespace/name`
type Id = String;

struct Scheduler<'a> {
    store: &'a Store,
    pods: Arc<Kind>,
    cluster: Cluster,
    volumes: Volumes,
    /// As the planner was told of them, to know what is new.
    nodes: HashMap<String, Node>,
    /// Pods without a node. Bound by what the store holds.
    waiting: BTreeMap<Id, Waiting>,
    /// Those of them that were not looked at yet.
    fresh: BTreeSet<Id>,
    /// How important those are that have a node, and how many are so important. Bound likewise.
    placed: HashMap<Id, i32>,
    priorities: BTreeMap<i32, usize>,
    /// When the others are looked at again, if something has changed for them.
    again: Option<Instant>,
}

/// A pod without a node.
struct Waiting {
    object: Arc<Object>,
    pod: Pod,
    /// What was said of it last.
    told: String,
    /// Those that are going for its sake.
    victims: BTreeSet<Id>,
}

pub(super) async fn run(store: &Store) -> Infallible {
    super::anew("finding nodes for pods", || try_run(store)).await
}

async fn try_run(store: &Store) -> Result<Infallible, Failure> {
    let kinds = store.kinds();
    let Some(pods) = kinds.find("", "v1", "pods") else {
        return std::future::pending().await;
    };
    let mut scheduler = Scheduler {
        store,
        pods: Arc::clone(pods),
        cluster: Cluster::new(),
        volumes: Volumes::default(),
        nodes: HashMap::new(),
        waiting: BTreeMap::new(),
        placed: HashMap::new(),
        priorities: BTreeMap::new(),
        fresh: BTreeSet::new(),
        again: None,
    };
    let seen = store.revision().await?;
    for plural in FOLLOWED {
        let Some(kind) = kinds.find("", "v1", plural) else {
            continue;
        };
        let listed = store.list(kind, "", &ListOptions::default()).await?;
        for item in &listed.items {
            scheduler.set(plural, store::object(item)?);
        }
    }
    let mut happenings = store.watch_all(seen).await?;
    loop {
        scheduler.place_fresh().await?;
        let again = scheduler.again;
        let wait = async {
            match again {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            happened = happenings.next() => {
                for happened in happened? {
                    scheduler.take(&happened)?;
                }
            }
            () = wait => {
                scheduler.again = None;
                scheduler.fresh.extend(scheduler.waiting.keys().cloned());
            }
        }
    }
}

/// Whether it is to be found a node, and may have one.
fn is_ours(pod: &Object) -> bool {
    let by = pod.text(&["spec", "schedulerName"]).unwrap_or(NAME);
    let gates = pod
        .at(&["spec", "schedulingGates"])
        .and_then(Value::as_array);
    by == NAME && !pod.meta().is_deleting() && gates.is_none_or(Vec::is_empty)
}

/// What its status says of why it has no node.
fn said(pod: &Object) -> String {
    let conditions = pod.at(&["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|one| one["reason"] == "Unschedulable");
    let said = found.and_then(|one| one["message"].as_str());
    said.unwrap_or_default().to_owned()
}

impl Scheduler<'_> {
    fn take(&mut self, happened: &Happened) -> Result<(), Failure> {
        let kind = &happened.kind;
        if !kind.group.is_empty() || !FOLLOWED.contains(&&*kind.plural) {
            return Ok(());
        }
        let object = store::object(&happened.item)?;
        match happened.what {
            EventKind::Deleted => self.forget(&kind.plural, &object),
            _ => self.set(&kind.plural, object),
        }
        Ok(())
    }

    fn set(&mut self, plural: &str, object: Object) {
        match plural {
            "nodes" => {
                let node = lower::node(&object);
                if self.nodes.get(&node.name) != Some(&node) {
                    self.nodes.insert(node.name.clone(), node.clone());
                    self.cluster.set_node(node);
                    self.look_again();
                }
            }
            "pods" => self.set_pod(object),
            "persistentvolumes" | "persistentvolumeclaims" => {
                self.set_stored(plural, &object, false);
            }
            _ => {
                let labels = object.meta().map("labels");
                let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
                self.cluster
                    .set_namespace(object.meta().name(), &labels.collect());
                self.look_again();
            }
        }
    }

    fn set_pod(&mut self, object: Object) {
        let id = id(&object);
        if is_over(&object) {
            self.forget("pods", &object);
            return;
        }
        let pod = lower::pod(&object, &id);
        match object
            .text(&["spec", "nodeName"])
            .filter(|node| !node.is_empty())
        {
            Some(node) => {
                self.leave(&id);
                self.cluster.set_pod(&pod, node);
                self.set_placed(id, pod.priority);
                self.look_again();
            }
            None if is_ours(&object) => {
                let (told, victims) = match self.waiting.remove(&id) {
                    Some(one) => (one.told, one.victims),
                    None => (said(&object), BTreeSet::new()),
                };
                let waiting = Waiting {
                    object: Arc::new(object),
                    pod,
                    told,
                    victims,
                };
                self.waiting.insert(id.clone(), waiting);
                self.fresh.insert(id);
            }
            None => self.leave(&id),
        }
    }

    fn forget(&mut self, plural: &str, object: &Object) {
        let name = object.meta().name();
        match plural {
            "nodes" => {
                self.nodes.remove(name);
                self.cluster.remove_node(name);
            }
            "pods" => {
                let id = id(object);
                self.leave(&id);
                self.cluster.remove_pod(&id);
                self.forget_placed(&id);
                self.is_gone(&id);
            }
            "persistentvolumes" | "persistentvolumeclaims" => {
                self.set_stored(plural, object, true);
                return;
            }
            _ => self.cluster.set_namespace(name, &BTreeMap::new()),
        }
        self.look_again();
    }

    fn set_stored(&mut self, plural: &str, object: &Object, is_gone: bool) {
        let is_new = match plural {
            "persistentvolumes" => self.volumes.set_volume(object, is_gone),
            _ => self.volumes.set_claim(object, is_gone),
        };
        if is_new {
            self.look_again();
        }
    }

    fn set_placed(&mut self, id: Id, priority: i32) {
        self.forget_placed(&id);
        self.placed.insert(id, priority);
        *self.priorities.entry(priority).or_default() += 1;
    }

    fn forget_placed(&mut self, id: &Id) {
        let Some(priority) = self.placed.remove(id) else {
            return;
        };
        if let Some(count) = self.priorities.get_mut(&priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&priority);
            }
        }
    }

    fn leave(&mut self, id: &Id) {
        self.waiting.remove(id);
        self.fresh.remove(id);
    }

    /// Something may have changed for those who wait: many changes are one reason.
    fn look_again(&mut self) {
        if !self.waiting.is_empty() && self.again.is_none() {
            self.again = Some(Instant::now() + AGAIN);
        }
    }

    async fn place_fresh(&mut self) -> Result<(), Failure> {
        let fresh = std::mem::take(&mut self.fresh);
        let mut order: Vec<(Reverse<i32>, String, Id)> = Vec::new();
        for id in fresh {
            if let Some(one) = self.waiting.get(&id) {
                let created = one.object.meta().text("creationTimestamp").to_owned();
                order.push((Reverse(one.pod.priority), created, id));
            }
        }
        order.sort();
        for (_, _, id) in order {
            self.place(&id).await?;
        }
        Ok(())
    }

    async fn place(&mut self, id: &Id) -> Result<(), Failure> {
        let Some(waiting) = self.waiting.get_mut(id) else {
            return Ok(());
        };
        self.volumes.place(&waiting.object, &mut waiting.pod);
        match self.cluster.place(&waiting.pod) {
            Ok(placement) => {
                let (object, pod) = (Arc::clone(&waiting.object), waiting.pod.clone());
                self.leave(id);
                if self.bind(&object, &placement.node).await? {
                    self.cluster.set_pod(&pod, &placement.node);
                    self.set_placed(id.clone(), pod.priority);
                    self.look_again();
                }
            }
            Err(refusals) => {
                let why = match self.nodes.is_empty() {
                    true => "no nodes available to schedule pods".to_owned(),
                    false => refusals.to_string(),
                };
                if waiting.told != why {
                    let object = Arc::clone(&waiting.object);
                    let is_told = self.refuse(&object, &why).await?;
                    if let Some(waiting) = self.waiting.get_mut(id).filter(|_| is_told) {
                        waiting.told = why;
                    }
                }
                self.make_room(id).await?;
            }
        }
        Ok(())
    }

    /// Whether it could be bound; else what has happened to it is heard of.
    async fn bind(&self, pod: &Object, node: &str) -> Result<bool, Failure> {
        let meta = pod.meta();
        let (namespace, name) = (meta.namespace(), meta.name());
        let options = WriteOptions {
            manager: NAME.to_owned(),
            subresource: "binding",
            ..WriteOptions::default()
        };
        let this = (namespace, name, meta.text("uid"));
        let bound = self.store.bind(&self.pods, this, node, &options).await;
        if !unless_raced(bound.map(drop))? {
            return Ok(false);
        }
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        let told = Told {
            by: NAME,
            host: "",
            field: "",
            kind: "Normal",
            reason: "Scheduled",
            message: &message,
        };
        tell::tell(self.store, &self.pods, pod, &told).await?;
        Ok(true)
    }

    /// Says why there is no node for it; whether it could be said.
    async fn refuse(&self, pod: &Object, why: &str) -> Result<bool, Failure> {
        let meta = pod.meta();
        let (namespace, name) = (meta.namespace(), meta.name());
        let mut told = pod.clone();
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
            "lastProbeTime": null, "lastTransitionTime": now(),
        });
        set_condition(told.0.entry("status").or_insert(Value::Null), condition);
        let options = WriteOptions {
            manager: NAME.to_owned(),
            subresource: "status",
            ..WriteOptions::default()
        };
        let replaced = self
            .store
            .replace(&self.pods, namespace, name, told, &options);
        if !unless_raced(replaced.await.map(drop))? {
            return Ok(false);
        }
        let told = Told {
            by: NAME,
            host: "",
            field: "",
            kind: "Warning",
            reason: "FailedScheduling",
            message: why,
        };
        tell::tell(self.store, &self.pods, pod, &told).await?;
        Ok(true)
    }
}

fn id(object: &Object) -> Id {
    let meta = object.meta();
    format!("{}/{}", meta.namespace(), meta.name())
}

/// Whether it was done; not, if somebody else changed or removed the object: that is heard of.
fn unless_raced(done: Result<(), Failure>) -> Result<bool, Failure> {
    match done {
        Ok(()) => Ok(true),
        Err(failure) if matches!(failure.reason, Reason::Conflict | Reason::NotFound) => Ok(false),
        // One pod that cannot be written does not keep the others from their nodes.
        Err(failure) if failure.reason == Reason::Invalid => {
            tracing::warn!(%failure, "could not say of a pod what becomes of it");
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}
