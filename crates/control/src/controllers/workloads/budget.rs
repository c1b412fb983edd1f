//! PodDisruptionBudget: how many of its pods may be taken away now, said in its status.
//!
//! Whoever evicts a pod takes one from that number and says which is about to go. Never: evicts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weft_planner::workloads::{Keep, Standing, standing};

use super::super::mirror::{Changed, Id, Mirror, controller};
use super::acts::{Hand, Say};
use super::{Worked, deployment, pods};
use crate::Store;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Labels;
use crate::store::{budget_selector, say_allowed};

const NAME: &str = "controllermanager";
/// A pod that was about to go for so long is counted again.
const GOING_S: i64 = 120;

/// Who owns pods, and how many there are to be of them.
#[derive(Debug, Default)]
struct Owners {
    /// By uid.
    known: BTreeMap<String, u32>,
    /// Those that are none of ours, and a pod of each.
    unknown: BTreeMap<String, (Arc<Object>, String)>,
    /// Pods that nobody owns.
    has_free: bool,
}

/// What is to be looked after.
pub(super) struct Work {
    kind: Arc<Kind>,
    budget: Arc<Object>,
    pods_kind: Arc<Kind>,
    pods: Vec<Arc<Object>>,
    owners: Owners,
    /// Whether complaints were said already.
    is_known: bool,
}

/// Whether what changed may change what a budget counts.
pub(super) fn concerned(
    mirror: &Mirror,
    changed: &Changed,
    selectors: &std::collections::HashMap<Id, Arc<Labels>>,
) -> Vec<Id> {
    let id = &changed.id;
    let is_pod = id.plural == "pods";
    let replicas = |object: &Option<Arc<Object>>| {
        let object = object.as_deref()?;
        object.at(&["spec", "replicas"]).cloned()
    };
    if !is_pod && replicas(&changed.old) == replicas(&changed.new) {
        return Vec::new();
    }
    let states = [&changed.old, &changed.new];
    let is_meant = |budget: &Id| {
        let labels = selectors.get(budget);
        let mut states = states.into_iter().flatten();
        !is_pod
            || labels.is_some_and(|labels| {
                states.any(|pod| labels.matches(|name| pod.meta().label(name)))
            })
    };
    let all = mirror.within("poddisruptionbudgets", &id.namespace);
    let all = all.map(|(id, _)| id).filter(|id| is_meant(id));
    all.cloned().collect()
}

pub(super) fn look(mirror: &Mirror, id: &Id) -> Option<Work> {
    let budget = Arc::clone(mirror.get(id)?);
    let labels = budget_selector(&budget);
    let is_meant = |pod: &&Arc<Object>| {
        let labels = labels.as_ref();
        labels.is_some_and(|labels| labels.matches(|name| pod.meta().label(name)))
    };
    let all = mirror.within("pods", &id.namespace).map(|(_, pod)| pod);
    let pods: Vec<Arc<Object>> = all.filter(is_meant).cloned().collect();
    Some(Work {
        kind: Arc::clone(mirror.kind(id.plural)?),
        pods_kind: Arc::clone(mirror.kind("pods")?),
        owners: owners(mirror, &pods),
        budget,
        pods,
        is_known: false,
    })
}

fn owners(mirror: &Mirror, pods: &[Arc<Object>]) -> Owners {
    let mut owners = Owners::default();
    for pod in pods {
        let Some(owner) = controller(pod) else {
            owners.has_free = true;
            continue;
        };
        let plural = match (owner.kind, owner.api_version) {
            ("ReplicationController", "v1") => Some("replicationcontrollers"),
            ("ReplicaSet", "apps/v1") => Some("replicasets"),
            ("StatefulSet", "apps/v1") => Some("statefulsets"),
            _ => None,
        };
        let namespace = pod.meta().namespace();
        let find = |plural, name: &str, uid: &str| {
            let found = mirror.get(&Id::new(plural, namespace, name))?;
            (found.meta().text("uid") == uid).then_some(found)
        };
        let Some(found) = plural.and_then(|plural| find(plural, owner.name, owner.uid)) else {
            let name = pod.meta().name().to_owned();
            let one = (Arc::clone(pod), name);
            owners.unknown.entry(owner.uid.to_owned()).or_insert(one);
            continue;
        };
        let above = controller(found).filter(|above| above.kind == "Deployment");
        let above = above.and_then(|above| find("deployments", above.name, above.uid));
        let found = above.unwrap_or(found);
        let count = pods::number(found, &["spec", "replicas"]);
        owners
            .known
            .insert(found.meta().text("uid").to_owned(), count);
    }
    owners
}

impl Work {
    /// What there is to say of its pods; empty: nothing.
    pub(super) fn complaint(&self) -> String {
        let all = self.complaints().into_iter();
        all.map(|say| say.message).collect()
    }

    /// That is said already.
    pub(super) fn is_known(&mut self) {
        self.is_known = true;
    }

    fn complaints(&self) -> Vec<Say> {
        if self.pods.is_empty() {
            return vec![Say::normal("NoPods", "No matching pods found".to_owned())];
        }
        if !self.needs_owners() || !self.owners.has_free {
            return Vec::new();
        }
        let why = "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a \
                   result, the status of the PDB cannot be calculated correctly, which may result in \
                   undefined behavior. To account for these pods please set \".spec.minAvailable\" \
                   field of the PDB to an integer value.";
        vec![Say::warning("UnmanagedPods", why.to_owned())]
    }

    /// Whether it says a part of all, or how many may be missing of all.
    fn needs_owners(&self) -> bool {
        let at = |name| self.budget.at(&["spec", name]);
        at("maxUnavailable").is_some() || at("minAvailable").is_some_and(Value::is_string)
    }

    pub(super) async fn run(self, store: Store) -> Worked {
        let hand = Hand { store, name: NAME };
        if !self.is_known {
            hand.say(&self.kind, &self.budget, self.complaints()).await;
        }
        let budget = &self.budget;
        let old = budget.at(&["status"]).cloned().unwrap_or_else(|| json!({}));
        let mut status = if old.is_object() { old } else { json!({}) };
        let expected = match self.needs_owners() {
            true => self.expected(&hand).await?,
            false => Ok(narrow(self.pods.len())),
        };
        let expected = match expected {
            Ok(expected) => expected,
            Err(why) => {
                let message = format!("Failed to calculate the number of expected pods: {why}");
                let says = vec![Say::warning("CalculateExpectedPodCountFailed", message)];
                status["disruptionsAllowed"] = 0.into();
                let seen = status["observedGeneration"].clone();
                say_allowed(&mut status, &seen, Some(&why));
                if budget.at(&["status"]) != Some(&status) {
                    hand.say(&self.kind, budget, says).await;
                    hand.set_status(&self.kind, budget, status).await?;
                }
                return Ok(None);
            }
        };
        let now_s = weft_stdx::clock::unix_s();
        let (going, late, again_s) = self.going(now_s);
        self.say_late(&hand, late).await;
        let is_healthy = |pod: &&Arc<Object>| {
            let is_going = pod.meta().is_deleting() || going.contains_key(pod.meta().name());
            !is_going && pods::ready_since(pod).is_some()
        };
        let healthy = narrow(self.pods.iter().filter(is_healthy).count());
        let found = standing(keep(budget), expected, healthy);
        write(&mut status, budget, found, going);
        hand.set_status(&self.kind, budget, status).await?;
        Ok(again_s.map(Duration::from_secs))
    }

    /// How many pods there are to be, or why that is not known.
    async fn expected(&self, hand: &Hand) -> Result<Result<u32, String>, Failure> {
        let mut all = self
            .owners
            .known
            .values()
            .copied()
            .fold(0, u32::saturating_add);
        let kinds = hand.store.kinds();
        for (pod, name) in self.owners.unknown.values() {
            let Some(owner) = controller(pod) else {
                continue;
            };
            let (group, _) = owner.api_version.rsplit_once('/').unwrap_or_default();
            let mut served = kinds.served();
            let kind = served.find(|one| *one.group == *group && *one.kind == *owner.kind);
            let Some(kind) = kind else {
                return Ok(Err(format!("found no controllers for pod {name:?}")));
            };
            if kind.scale.is_none() {
                let resource = kind.resource();
                return Ok(Err(format!(
                    "{resource} does not implement the scale subresource"
                )));
            }
            let scale = hand.store.scale(kind, pod.meta().namespace(), owner.name);
            match scale.await {
                Ok(scale) => {
                    let more = pods::number(&scale, &["spec", "replicas"]);
                    all = all.saturating_add(more);
                }
                Err(failure) if failure.reason == crate::failure::Reason::NotFound => {
                    return Ok(Err(format!("found no controllers for pod {name:?}")));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(Ok(all))
    }

    /// Pods that are about to go, with since when; those that should be gone; and when the next one
    /// should.
    fn going(&self, now_s: i64) -> (Map<String, Value>, Vec<Arc<Object>>, Option<u64>) {
        let said = self.budget.at(&["status", "disruptedPods"]);
        let said = said.and_then(Value::as_object);
        let (mut going, mut late, mut again) = (Map::new(), Vec::new(), None);
        for pod in self.pods.iter().filter(|pod| !pod.meta().is_deleting()) {
            let name = pod.meta().name();
            let Some(since) = said.and_then(|said| said.get(name)) else {
                continue;
            };
            let since_s = since.as_str().and_then(pods::seconds).unwrap_or(0);
            let left = since_s.saturating_add(GOING_S) - now_s;
            match u64::try_from(left).ok().filter(|left| *left > 0) {
                Some(left) => {
                    again = Some(again.map_or(left, |again: u64| again.min(left)));
                    going.insert(name.to_owned(), since.clone());
                }
                None => late.push(Arc::clone(pod)),
            }
        }
        (going, late, again)
    }

    async fn say_late(&self, hand: &Hand, late: Vec<Arc<Object>>) {
        let meta = self.budget.meta();
        let (namespace, name) = (meta.namespace(), meta.name());
        for pod in late {
            let message =
                format!("Pod was expected by PDB {namespace}/{name} to be deleted but it wasn't");
            let says = vec![Say::warning("NotDeleted", message)];
            hand.say(&self.pods_kind, &pod, says).await;
        }
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn keep(budget: &Object) -> Keep {
    let at = |name| budget.at(&["spec", name]);
    match (at("maxUnavailable"), at("minAvailable")) {
        (said @ Some(_), _) => Keep::Unavailable(deployment::share(said)),
        (None, said @ Some(_)) => Keep::Available(deployment::share(said)),
        (None, None) => Keep::Nothing,
    }
}

fn write(status: &mut Value, budget: &Object, found: Standing, going: Map<String, Value>) {
    let generation = budget.at(&["metadata", "generation"]).cloned();
    let generation = generation.unwrap_or_default();
    for (name, count) in [
        ("currentHealthy", found.healthy),
        ("desiredHealthy", found.desired),
        ("disruptionsAllowed", found.allowed),
        ("expectedPods", found.expected),
    ] {
        status[name] = count.into();
    }
    status["observedGeneration"] = generation.clone();
    if let Some(status) = status.as_object_mut() {
        match going.is_empty() {
            true => drop(status.remove("disruptedPods")),
            false => drop(status.insert("disruptedPods".to_owned(), going.into())),
        }
    }
    say_allowed(status, &generation, None);
}
