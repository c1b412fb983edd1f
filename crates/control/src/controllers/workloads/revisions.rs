//! Templates that there were, kept as objects of their own (ControllerRevision): a history for what
//! has no sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_planner::workloads;

use super::super::mirror::{Id, Mirror};
use super::acts::{Hand, reference};
use super::claim::Claim;
use super::{hash, pods};
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::selector::Labels;
use crate::store;

/// On a pod: of which revision it is.
pub(super) const LABEL: &str = "controller-revision-hash";
const HASH: &str = "controller.kubernetes.io/hash";

/// What is kept of an owner's templates.
pub(super) struct Kept {
    claim: Claim,
}

/// The revision of the newest template, and all there are.
pub(super) struct Revisions {
    pub(super) newest: Arc<Object>,
    pub(super) all: Vec<Arc<Object>>,
    claim: Claim,
}

impl Kept {
    pub(super) fn look(mirror: &Mirror, id: &Id, selector: Option<&Arc<Labels>>) -> Option<Kept> {
        let claim = Claim::look(mirror, id, "controllerrevisions", selector)?;
        Some(Kept { claim })
    }

    /// Keeps the newest template, if it is not kept already; `collisions` counts names that were taken.
    pub(super) async fn settle(
        mut self,
        hand: &Hand,
        collisions: &mut u32,
    ) -> Result<Revisions, Failure> {
        let mut all = self.claim.settle(hand, |_| true).await?;
        all.sort_by_key(|one| (number(one), one.meta().name().to_owned()));
        let owner = &self.claim.owner;
        let mut template = owner
            .at(&["spec", "template"])
            .cloned()
            .unwrap_or(json!({}));
        template["$patch"] = "replace".into();
        let data = json!({ "spec": { "template": template } });
        let kind = &self.claim.controlled;
        let last = all.last().map_or(0, |one| number(one));
        let found = all.iter().rposition(|one| one.0.get("data") == Some(&data));
        let newest = match found {
            Some(at) if number(&all[at]) == last => Arc::clone(&all[at]),
            Some(at) => {
                let next = json!({ "revision": last + 1 });
                let newer = Arc::new(hand.patch(kind, &all[at], next).await?);
                all.remove(at);
                all.push(Arc::clone(&newer));
                newer
            }
            None => {
                let letters = hash::of(&data, *collisions);
                let made = self.made(&letters, data, last + 1);
                let namespace = owner.meta().namespace();
                let made = hand
                    .create(kind, namespace, made)
                    .await
                    .map_err(|failure| {
                        if failure.reason != Reason::AlreadyExists {
                            return failure;
                        }
                        // Somebody else's has that name: another is taken the next time.
                        *collisions += 1;
                        Failure {
                            reason: Reason::Conflict,
                            ..failure
                        }
                    })?;
                let made = Arc::new(store::object_once(&made)?);
                all.push(Arc::clone(&made));
                made
            }
        };
        Ok(Revisions {
            newest,
            all,
            claim: self.claim,
        })
    }

    fn made(&self, letters: &str, data: Value, revision: i64) -> Object {
        let owner = &self.claim.owner;
        let labels = owner.at(&["spec", "template", "metadata", "labels"]);
        let mut labels = labels.cloned().unwrap_or(json!({}));
        labels[HASH] = letters.into();
        let mut made = Object::default();
        let meta = json!({
            "name": format!("{}-{letters}", owner.meta().name()), "namespace": owner.meta().namespace(),
            "labels": labels, "annotations": owner.at(&["metadata", "annotations"]).map(shown),
            "ownerReferences": [reference(&self.claim.kind, owner)],
        });
        made.0.insert("metadata".to_owned(), meta);
        made.0.insert("data".to_owned(), data);
        made.0.insert("revision".to_owned(), revision.into());
        made
    }
}

/// Annotations without what `apply` keeps for itself.
fn shown(annotations: &Value) -> Value {
    let mut annotations = annotations.clone();
    if let Some(map) = annotations.as_object_mut() {
        map.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    annotations
}

pub(super) fn number(revision: &Object) -> i64 {
    revision
        .at(&["revision"])
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// The letters that tell it from others of its owner.
pub(super) fn letters(revision: &Object) -> &str {
    revision.meta().label(HASH).unwrap_or_default()
}

/// The template that is kept in it.
pub(super) fn template(revision: &Object) -> Value {
    let template = revision.at(&["data", "spec", "template"]);
    let mut template = template.cloned().unwrap_or(json!({}));
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    template
}

impl Revisions {
    pub(super) fn find(&self, name: &str) -> Option<&Arc<Object>> {
        self.all.iter().find(|one| one.meta().name() == name)
    }

    /// Deletes old ones that nothing uses.
    pub(super) async fn forget_old(
        &self,
        hand: &Hand,
        is_used: impl Fn(&Object) -> bool,
    ) -> Result<(), Failure> {
        let kept = pods::number(&self.claim.owner, &["spec", "revisionHistoryLimit"]);
        let is_newest = |one: &Object| one.meta().name() == self.newest.meta().name();
        let old = self
            .all
            .iter()
            .filter(|one| !is_newest(one) && !is_used(one));
        let old: Vec<&Arc<Object>> = old.collect();
        let told: Vec<(i64, bool)> = old.iter().map(|one| (number(one), true)).collect();
        for at in workloads::forgotten(&told, kept) {
            hand.delete(&self.claim.controlled, old[at]).await?;
        }
        Ok(())
    }
}

/// What revisions pods are of.
pub(super) fn used<'a>(pods: impl Iterator<Item = &'a Arc<Object>>) -> BTreeSet<&'a str> {
    pods.filter_map(|pod| pod.meta().label(LABEL)).collect()
}
