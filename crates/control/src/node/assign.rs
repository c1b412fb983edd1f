//! What the node is to run: follows the pods bound to it, and all they refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1 as k8s;
use serde_json::Value;
use tokio::sync::watch;
use weft_api::assignment::{Assignment, Pod, Refusal, VERSION};
use weft_keyspace::EventKind;
use weft_stdx::clock::unix_s;

use super::lower;
use super::refer::{self, References};
use super::tokens::{Purse, Tokens};
use crate::controllers::claims::DISCARD;
use crate::failure::Failure;
use crate::object::Object;
use crate::store::{Happened, ListOptions, Store, held, object};

/// `namespace/name`
type Id = (String, String);

struct Mine {
    object: Arc<Object>,
    wanted: References,
    lowered: Arc<Pod>,
}

struct Assigner<'a> {
    store: &'a Store,
    node: &'a str,
    pods: BTreeMap<Id, Mine>,
    /// The node's.
    labels: BTreeMap<String, String>,
    /// Likewise: what it has for pods.
    allocatable: BTreeMap<String, String>,
    /// Volumes whose data is to be discarded here.
    discarded: BTreeSet<String>,
    purse: Purse,
}

pub(super) async fn run(
    store: &Store,
    node: &str,
    maker: Option<&Arc<dyn Tokens>>,
    assigned: &watch::Sender<Arc<Assignment>>,
) -> Infallible {
    crate::controllers::anew("assigning pods", || try_run(store, node, maker, assigned)).await
}

async fn try_run(
    store: &Store,
    node: &str,
    maker: Option<&Arc<dyn Tokens>>,
    assigned: &watch::Sender<Arc<Assignment>>,
) -> Result<Infallible, Failure> {
    let mut assigner = Assigner {
        store,
        node,
        pods: BTreeMap::new(),
        labels: BTreeMap::new(),
        allocatable: BTreeMap::new(),
        discarded: BTreeSet::new(),
        purse: Purse::new(maker.cloned()),
    };
    let seen = store.revision().await?;
    let kinds = store.kinds();
    if let Some(nodes) = kinds.find("", "v1", "nodes") {
        for item in &store.list(nodes, "", &ListOptions::default()).await?.items {
            assigner.set_node(&object(item)?).await?;
        }
    }
    if let Some(pods) = kinds.find("", "v1", "pods") {
        for item in &store.list(pods, "", &ListOptions::default()).await?.items {
            assigner.set(held(item)?).await?;
        }
    }
    if let Some(volumes) = kinds.find("", "v1", "persistentvolumes") {
        let listed = store.list(volumes, "", &ListOptions::default()).await?;
        for item in &listed.items {
            assigner.set_volume(&object(item)?, false);
        }
    }
    assigner.publish(assigned);
    let mut happenings = store.watch_all(seen).await?;
    loop {
        let mut is_new = false;
        let old_tokens = wait_until(assigner.purse.next_s());
        tokio::select! {
            happened = happenings.next() => {
                for happened in happened? {
                    is_new |= assigner.take(&happened).await?;
                }
            }
            () = old_tokens => is_new = assigner.renew_tokens().await?,
        }
        if is_new {
            assigner.publish(assigned);
        }
    }
}

/// Nothing: for ever.
async fn wait_until(at_s: Option<i64>) {
    let Some(at_s) = at_s else {
        return std::future::pending().await;
    };
    let left = u64::try_from(at_s - unix_s()).unwrap_or(0);
    tokio::time::sleep(Duration::from_secs(left)).await;
}

impl Assigner<'_> {
    async fn renew_tokens(&mut self) -> Result<bool, Failure> {
        let due = self.purse.due();
        let touched = self.pods.values().map(|mine| &mine.object);
        let touched = touched.filter(|pod| due.contains(pod.meta().text("uid")));
        let touched = touched.cloned().collect();
        // What nobody has any more is not made again.
        for uid in &due {
            self.purse.forget(uid);
        }
        self.set_all(touched).await
    }

    fn publish(&self, assigned: &watch::Sender<Arc<Assignment>>) {
        let pods = self.pods.values().map(|mine| Arc::clone(&mine.lowered));
        let pods: Vec<Arc<Pod>> = pods.collect();
        assigned.send_if_modified(|now| {
            // The first one is told even if there is nothing in it: what runs is nobody's then.
            let discarded: Vec<String> = self.discarded.iter().cloned().collect();
            if now.generation > 0 && now.pods == pods && now.discarded == discarded {
                return false;
            }
            *now = Arc::new(Assignment {
                version: VERSION,
                epoch: match now.generation {
                    0 => weft_stdx::id::random_hex(8),
                    _ => now.epoch.clone(),
                },
                generation: now.generation + 1,
                pods,
                discarded,
            });
            true
        });
    }

    /// Whether anything is to be run otherwise.
    async fn take(&mut self, happened: &Happened) -> Result<bool, Failure> {
        let kind = &happened.kind;
        if !kind.group.is_empty() {
            return Ok(false);
        }
        match &*kind.plural {
            "pods" => {
                let object = held(&happened.item)?;
                if happened.what == EventKind::Deleted {
                    self.purse.forget(object.meta().text("uid"));
                    return Ok(self.pods.remove(&id(&object)).is_some());
                }
                self.set(object).await
            }
            "nodes" => {
                let node = object(&happened.item)?;
                self.set_node(&node).await
            }
            "persistentvolumes" => {
                let volume = object(&happened.item)?;
                Ok(self.set_volume(&volume, happened.what == EventKind::Deleted))
            }
            plural @ ("configmaps"
            | "secrets"
            | "services"
            | "persistentvolumeclaims"
            | "serviceaccounts") => {
                if self.pods.is_empty() {
                    return Ok(false);
                }
                let object = crate::store::object(&happened.item)?;
                let (namespace, name) = id(&object);
                let is_api = plural == "services" && (&*namespace, &*name) == refer::API;
                let touched = self.pods.iter();
                let touched: Vec<Arc<Object>> = touched
                    .filter(|(id, mine)| {
                        is_api || id.0 == namespace && mine.wanted.has(plural, &name)
                    })
                    .map(|(_, mine)| mine.object.clone())
                    .collect();
                self.set_all(touched).await
            }
            _ => Ok(false),
        }
    }

    async fn set_all(&mut self, pods: Vec<Arc<Object>>) -> Result<bool, Failure> {
        let mut is_new = false;
        for pod in pods {
            is_new |= self.set(pod).await?;
        }
        Ok(is_new)
    }

    /// Its labels may be shown by templates, what it has by variables and files.
    async fn set_node(&mut self, node: &Object) -> Result<bool, Failure> {
        let labels = node.meta().map("labels");
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels: BTreeMap<String, String> = labels.collect();
        let allocatable = node.at(&["status", "allocatable"]);
        let allocatable = allocatable.and_then(Value::as_object).into_iter().flatten();
        let allocatable = allocatable
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let allocatable: BTreeMap<String, String> = allocatable.collect();
        let is_known = labels == self.labels && allocatable == self.allocatable;
        if node.meta().name() != self.node || is_known {
            return Ok(false);
        }
        self.labels = labels;
        self.allocatable = allocatable;
        let touched = self.pods.values().map(|mine| mine.object.clone());
        let touched = touched.collect();
        self.set_all(touched).await
    }

    /// A volume of this node that nobody has any more, and that is to go with its data.
    fn set_volume(&mut self, volume: &Object, is_gone: bool) -> bool {
        let name = volume.meta().name();
        let finalizers: Vec<&str> = volume.meta().finalizers().collect();
        let terms = volume.at(&["spec", "nodeAffinity", "required", "nodeSelectorTerms"]);
        let is_here = terms.and_then(|terms| terms.pointer("/0/matchExpressions/0/values/0"))
            == Some(&Value::from(self.node));
        // Its own alone holds it: no claim does.
        let is_discarded =
            !is_gone && is_here && volume.meta().is_deleting() && finalizers == [DISCARD];
        match is_discarded {
            true => self.discarded.insert(name.to_owned()),
            false => self.discarded.remove(name),
        }
    }

    async fn set(&mut self, object: Arc<Object>) -> Result<bool, Failure> {
        let id = id(&object);
        if object.text(&["spec", "nodeName"]) != Some(self.node) {
            return Ok(self.pods.remove(&id).is_some());
        }
        let read: Result<k8s::Pod, _> = serde_json::from_value(Value::Object(object.0.clone()));
        let (wanted, lowered) = match read {
            Ok(pod) => {
                let mut wanted = pod.spec.as_ref().map(References::of).unwrap_or_default();
                let mut found = refer::fetch(self.store, &id.0, &mut wanted).await?;
                let account = found.account.as_ref();
                found.tokens = self.purse.give(&object, account, &wanted.tokens);
                found.allocatable.clone_from(&self.allocatable);
                if wanted.templates {
                    found.node_labels.clone_from(&self.labels);
                }
                let lowered = lower::pod(&object, &pod, &found);
                (wanted, lowered)
            }
            Err(error) => {
                let refusal = Refusal {
                    reason: "NotSupported".to_owned(),
                    message: format!("this node cannot read the pod: {error}"),
                };
                let lowered = Pod {
                    id: lower::id(&object),
                    refused: Some(refusal),
                    ..Pod::default()
                };
                (References::default(), lowered)
            }
        };
        let before = self.pods.get(&id).map(|before| &before.lowered);
        let before = before.filter(|before| ***before == lowered);
        let is_new = before.is_none();
        let lowered = before.map_or_else(|| Arc::new(lowered), Arc::clone);
        let mine = Mine {
            object,
            wanted,
            lowered,
        };
        self.pods.insert(id, mine);
        Ok(is_new)
    }
}

fn id(object: &Object) -> Id {
    let meta = object.meta();
    (meta.namespace().to_owned(), meta.name().to_owned())
}
