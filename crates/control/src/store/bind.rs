//! A pod gets its node: what is written to `pods/NAME/binding`.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_keyspace::{CommitError, Expect, Guard, Item};

use super::write::{TRIES, unwritten};
use super::{Store, WriteOptions, conflict, managed, not_found, now};
use crate::failure::Failure;
use crate::kind::Kind;

impl Store {
    /// Gives the pod with this uid its node; it has none, waits for nothing and is not being deleted.
    ///
    /// # Errors
    /// It is not there, is another, or has its node already.
    pub async fn bind(
        &self,
        kind: &Kind,
        (namespace, name, uid): (&str, &str, &str),
        node: &str,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, Failure> {
        for _ in 0..TRIES {
            let item = self.get(kind, namespace, name).await?;
            let old = super::object(&item)?;
            let refuse = |why: String| Err(conflict(kind, name, &why));
            let on = old.text(&["spec", "nodeName"]).unwrap_or_default();
            let gates = old
                .at(&["spec", "schedulingGates"])
                .and_then(Value::as_array);
            if !uid.is_empty() && old.meta().text("uid") != uid {
                let found = old.meta().text("uid");
                return refuse(format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
                ));
            }
            if old.meta().is_deleting() {
                return refuse(format!(
                    "pod {name} is being deleted, cannot be assigned to a host"
                ));
            }
            if !on.is_empty() {
                return refuse(format!("pod {name} is already assigned to node {on:?}"));
            }
            if gates.is_some_and(|gates| !gates.is_empty()) {
                return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
            }
            let mut new = old.clone();
            new.0["spec"]["nodeName"] = node.into();
            let told = json!({
                "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now(),
            });
            set_condition(new.0.entry("status").or_insert(Value::Null), told);
            managed::update(kind, Some(&old), &mut new, options);
            options.admitted(Some(&old), &new)?;
            let guards = vec![Guard {
                key: item.key.clone(),
                expect: Expect::Modified(item.modified),
            }];
            match self.put(kind, namespace, &new, guards, options).await {
                Err(CommitError::Conflict { found: None, .. }) => {
                    return Err(not_found(kind, name));
                }
                Err(CommitError::Conflict { .. }) => {}
                other => return other.map_err(unwritten),
            }
        }
        Err(conflict(kind, name, "it changes all the time"))
    }
}

/// Puts a condition into a status, in the place of the one of its type.
pub(crate) fn set_condition(status: &mut Value, condition: Value) {
    if !status.is_object() {
        *status = json!({});
    }
    let conditions = &mut status["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(list) = conditions.as_array_mut() else {
        return;
    };
    match list.iter_mut().find(|one| one["type"] == condition["type"]) {
        Some(one) => *one = condition,
        None => list.push(condition),
    }
}
