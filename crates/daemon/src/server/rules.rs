//! What the stored roles and bindings say, at hand for every decision.
//!
//! Owns: the copy in memory, made anew and swapped at every change; the rules of roles that are
//! made of others.
//! Never: reads the store for a decision.
//!
//! ```text
//!   defaults ─► store ─► list and watch ─► Rules ─► swapped in ─► decisions
//!                 ▲                          └ aggregated roles that have changed ┐
//!                 └───────────────────────────────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use weft_control::selector::Labels;
use weft_control::store::{self, ChangeKind, Changes, ListOptions, Patch, WriteOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_identity::rbac::{GROUP, Rules};

use super::{defaults, roles};

/// Pause after the watch broke.
const PAUSE: Duration = Duration::from_secs(1);
/// A role may be made of roles that are made of others, so many times over.
const DEPTH: usize = 16;

/// The rules as they are now.
#[derive(Debug, Default)]
pub(super) struct Current(RwLock<Arc<Rules>>);

impl Current {
    pub(super) fn now(&self) -> Arc<Rules> {
        // A writer only swaps: what is there is whole even if one has panicked.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }
}

/// Keeps the rules as the store has them.
#[derive(Debug)]
pub(super) struct Follower {
    store: Store,
    kinds: [Arc<Kind>; 4],
    current: Arc<Current>,
}

/// By where they are stored.
type Objects = BTreeMap<Bytes, Object>;

/// The objects of one kind.
#[derive(Debug)]
struct View {
    objects: Objects,
    changes: Changes,
}

impl Follower {
    /// Nothing: a kind is missing.
    pub(super) fn new(store: &Store) -> Option<Follower> {
        let kind = |plural: &str| store.kinds().find(GROUP, "v1", plural).cloned();
        let kinds = [
            kind("clusterroles")?,
            kind("roles")?,
            kind("clusterrolebindings")?,
            kind("rolebindings")?,
        ];
        Some(Follower {
            store: store.clone(),
            kinds,
            current: Arc::default(),
        })
    }

    /// Makes what every cluster begins with, and reads everything once.
    pub(super) async fn begin(&self) -> Result<Arc<Current>, Failure> {
        defaults::ensure(&self.store, &self.kinds[0], &self.kinds[2]).await?;
        for _ in 0..DEPTH {
            let views = self.views().await?;
            self.publish(&views);
            if !self.aggregate(&views[0].objects).await {
                break;
            }
        }
        Ok(Arc::clone(&self.current))
    }

    /// Follows all changes, for ever. While the store cannot be watched, the last rules hold.
    pub(super) async fn follow(&self) -> Infallible {
        loop {
            let Err(error) = self.try_follow().await;
            tracing::warn!(%error, "could not watch roles and bindings; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_follow(&self) -> Result<Infallible, Failure> {
        let mut views = self.views().await?;
        loop {
            self.publish(&views);
            self.aggregate(&views[0].objects).await;
            advance(&mut views).await?;
            // What has happened meanwhile is one change.
            loop {
                tokio::select! {
                    biased;
                    more = advance(&mut views) => more?,
                    () = std::future::ready(()) => break,
                }
            }
        }
    }

    async fn views(&self) -> Result<[View; 4], Failure> {
        let [a, b, c, d] = &self.kinds;
        Ok([
            self.view(a).await?,
            self.view(b).await?,
            self.view(c).await?,
            self.view(d).await?,
        ])
    }

    async fn view(&self, kind: &Arc<Kind>) -> Result<View, Failure> {
        let all = ListOptions::default();
        let listed = self.store.list(kind, "", &all).await?;
        let changes = self.store.watch(kind, "", listed.revision, all).await?;
        let mut objects = Objects::new();
        for item in &listed.items {
            objects.insert(item.key.clone(), store::object(item)?);
        }
        Ok(View { objects, changes })
    }

    fn publish(&self, [cluster_roles, roles, cluster_bindings, bindings]: &[View; 4]) {
        let both = |a: &View, b: &View| -> Vec<Object> {
            let all = a.objects.values().chain(b.objects.values());
            all.cloned().collect()
        };
        let roles = both(cluster_roles, roles);
        let roles = roles.iter().map(roles::role).collect();
        let bindings = both(cluster_bindings, bindings);
        let bindings = bindings.iter().filter_map(roles::binding).collect();
        self.current.swap(Rules::new(roles, bindings));
    }

    /// Writes the rules of roles that are made of others; whether there was something to write.
    async fn aggregate(&self, cluster_roles: &Objects) -> bool {
        let mut changed = false;
        for object in cluster_roles.values() {
            let Some(rules) = aggregated(object, cluster_roles) else {
                continue;
            };
            if object.at(&["rules"]).unwrap_or(&json!([])) == &rules {
                continue;
            }
            changed = true;
            let name = object.meta().name();
            // A role that was made to be something else in between is looked at again.
            let version = object.meta().text("resourceVersion");
            let patch = json!({ "metadata": { "resourceVersion": version }, "rules": rules });
            let (patch, options) = (Patch::Merge(patch), WriteOptions::default());
            let written = self.store.patch(&self.kinds[0], "", name, &patch, &options);
            match written.await {
                Err(error) if !matches!(error.reason, Reason::Conflict | Reason::NotFound) => {
                    tracing::warn!(%error, name, "could not write the rules of a cluster role");
                }
                _ => {}
            }
        }
        changed
    }
}

/// Waits for a change of any.
async fn advance([a, b, c, d]: &mut [View; 4]) -> Result<(), Failure> {
    // What waits has lost nothing when it is dropped.
    tokio::select! {
        next = a.advance() => next,
        next = b.advance() => next,
        next = c.advance() => next,
        next = d.advance() => next,
    }
}

impl View {
    async fn advance(&mut self) -> Result<(), Failure> {
        loop {
            let changes = self.changes.next().await?;
            for change in &changes {
                let key = change.item.key.clone();
                if change.kind == ChangeKind::Deleted {
                    self.objects.remove(&key);
                } else {
                    self.objects.insert(key, store::object(&change.item)?);
                }
            }
            if !changes.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The rules of all roles that a role is made of; nothing, if it is made of none.
fn aggregated(object: &Object, all: &Objects) -> Option<Value> {
    let selectors = object.at(&["aggregationRule", "clusterRoleSelectors"]);
    let selectors = selectors.and_then(Value::as_array)?;
    // A selector that cannot be read selects nothing.
    let selectors: Vec<Labels> = selectors.iter().flat_map(Labels::of).collect();
    let name = object.meta().name();
    let mut rules: Vec<Value> = Vec::new();
    let others = all.values();
    for other in others.filter(|other| other.meta().name() != name) {
        let meta = other.meta();
        let is_meant = |labels: &Labels| labels.matches(|label| meta.label(label));
        if !selectors.iter().any(is_meant) {
            continue;
        }
        let given = other.at(&["rules"]).and_then(Value::as_array);
        for rule in given.into_iter().flatten() {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules.into())
}
