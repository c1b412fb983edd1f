//! The claims of a StatefulSet's pods: made before the pod, and kept after it, as far as that is
//! asked for.
//!
//! Never: deletes one. What nobody is to keep gets an owner, and goes with it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::super::mirror::{Id, Mirror};
use super::super::acts::{Hand, Say};
use super::identity;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;

const PLURAL: &str = "persistentvolumeclaims";

/// Those of all numbers there are or are to be.
pub(super) struct Claims {
    kind: Arc<Kind>,
    /// By name.
    found: HashMap<String, Arc<Object>>,
}

pub(super) fn templates(owner: &Object) -> impl Iterator<Item = &Value> {
    let list = owner.at(&["spec", "volumeClaimTemplates"]);
    list.and_then(Value::as_array).into_iter().flatten()
}

/// The volume that a template is for.
pub(super) fn volume(template: &Value) -> &str {
    template["metadata"]["name"].as_str().unwrap_or_default()
}

pub(super) fn name(template: &Value, owner: &Object, ordinal: u32) -> String {
    format!("{}-{}", volume(template), identity::name(owner, ordinal))
}

impl Claims {
    pub(super) fn look(
        mirror: &Mirror,
        owner: &Object,
        ordinals: &BTreeSet<u32>,
    ) -> Option<Claims> {
        let mut found = HashMap::new();
        for ordinal in ordinals {
            for template in templates(owner) {
                let name = name(template, owner, *ordinal);
                let id = Id::new(PLURAL, owner.meta().namespace(), &name);
                if let Some(claim) = mirror.get(&id) {
                    found.insert(name, Arc::clone(claim));
                }
            }
        }
        Some(Claims {
            kind: Arc::clone(mirror.kind(PLURAL)?),
            found,
        })
    }

    /// Makes those of a number that are missing; whether all are there to be used.
    pub(super) async fn make(
        &self,
        hand: &Hand,
        (_, owner): (&Arc<Kind>, &Arc<Object>),
        ordinal: u32,
        says: &mut Vec<Say>,
    ) -> Result<bool, Failure> {
        let set = owner.meta().name();
        for template in templates(owner) {
            let name = name(template, owner, ordinal);
            if let Some(found) = self.found.get(&name) {
                // It goes with the pod of that number that there was: another comes after it.
                if found.meta().is_deleting()
                    || owners(found).iter().any(|one| one["kind"] == "Pod")
                {
                    return Ok(false);
                }
                continue;
            }
            let pod = identity::name(owner, ordinal);
            let claim = made(template, owner, &name);
            match hand
                .create(&self.kind, owner.meta().namespace(), claim)
                .await
            {
                Ok(_) => {
                    let message =
                        format!("create Claim {name} Pod {pod} in StatefulSet {set} success");
                    says.push(Say::normal("SuccessfulCreate", message));
                }
                Err(failure) if failure.reason == Reason::AlreadyExists => {}
                Err(failure) => {
                    if !failure.is_of_ending() {
                        let message = format!(
                            "create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {failure}"
                        );
                        says.push(Say::warning("FailedCreate", message));
                    }
                    return Err(failure);
                }
            }
        }
        Ok(true)
    }

    /// Lets those of a number have the owners they are to have; `leaving` is their pod, if it goes
    /// because fewer are asked for.
    pub(super) async fn keep(
        &self,
        hand: &Hand,
        (kind, owner): (&Arc<Kind>, &Arc<Object>),
        ordinal: u32,
        leaving: Option<&Arc<Object>>,
    ) -> Result<(), Failure> {
        let policy = |name: &str| {
            let path = ["spec", "persistentVolumeClaimRetentionPolicy", name];
            owner.text(&path) == Some("Delete")
        };
        let pod = leaving.filter(|_| policy("whenScaled"));
        let with_set = policy("whenDeleted") && pod.is_none();
        for template in templates(owner) {
            let Some(claim) = self.found.get(&name(template, owner, ordinal)) else {
                continue;
            };
            let before = owners(claim);
            let is_ours = |one: &Value| {
                let is_pod = one["kind"] == "Pod" && one["name"] == identity::name(owner, ordinal);
                one["uid"] == owner.meta().text("uid") || is_pod
            };
            let mut after: Vec<Value> =
                before.iter().filter(|one| !is_ours(one)).cloned().collect();
            if with_set {
                let (version, kind) = (kind.api_version(), &*kind.kind);
                after.push(reference(&version, kind, owner));
            }
            if let Some(pod) = pod {
                after.push(reference("v1", "Pod", pod));
            }
            if before == after || claim.meta().is_deleting() {
                continue;
            }
            let after = if after.is_empty() {
                Value::Null
            } else {
                after.into()
            };
            let patch = json!({ "metadata": { "ownerReferences": after } });
            hand.patch(&self.kind, claim, patch).await?;
        }
        Ok(())
    }
}

/// It owns, and controls nothing.
fn reference(version: &str, kind: &str, object: &Object) -> Value {
    let (name, uid) = (object.meta().name(), object.meta().text("uid"));
    json!({ "apiVersion": version, "kind": kind, "name": name, "uid": uid })
}

fn owners(claim: &Object) -> Vec<Value> {
    let list = claim.at(&["metadata", "ownerReferences"]);
    list.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn made(template: &Value, owner: &Object, name: &str) -> Object {
    let mut labels = template["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let selected = owner.at(&["spec", "selector", "matchLabels"]);
    let selected = selected.and_then(Value::as_object).into_iter().flatten();
    labels.extend(selected.map(|(name, value)| (name.clone(), value.clone())));
    let mut meta = json!({ "name": name, "namespace": owner.meta().namespace(), "labels": labels });
    if let Some(annotations) = template["metadata"].get("annotations") {
        meta["annotations"] = annotations.clone();
    }
    let mut claim = Object::default();
    claim.0.insert("metadata".to_owned(), meta);
    claim.0.insert("spec".to_owned(), template["spec"].clone());
    claim
}
