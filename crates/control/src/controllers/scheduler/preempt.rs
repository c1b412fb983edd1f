//! A pod takes the place of less important ones: they are told, and deleted with the time they have.
//!
//! Never decides whose: the planner does.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weft_planner::{Budget, Preemption};

use super::super::tell::{self, Told};
use super::{Id, NAME, Scheduler, lower, unless_raced};
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::store::{
    DeleteOptions, ListOptions, Patch, WriteOptions, now, object, object_once, set_condition,
};

impl Scheduler<'_> {
    /// Makes room for a pod that found no node, if somebody less important can go.
    pub(super) async fn make_room(&mut self, id: &Id) -> Result<(), Failure> {
        let Some(waiting) = self.waiting.get(id) else {
            return Ok(());
        };
        let priority = waiting.pod.priority;
        let least = self.priorities.keys().next();
        let is_above = least.is_some_and(|least| *least < priority);
        // Who has sent others away waits until they are gone.
        if !is_above || !waiting.victims.is_empty() {
            return Ok(());
        }
        let budgets = self.budgets().await?;
        let Some(waiting) = self.waiting.get(id) else {
            return Ok(());
        };
        let Preemption::Node { node, victims } = self.cluster.preempt(&waiting.pod, &budgets)
        else {
            return Ok(());
        };
        let pod = std::sync::Arc::clone(&waiting.object);
        let mut going = BTreeSet::new();
        for victim in victims {
            if self.send_away(&victim, &pod, &node).await? {
                going.insert(victim);
            }
        }
        if let Some(waiting) = self.waiting.get_mut(id) {
            waiting.victims = going;
        }
        self.nominate(&pod, &node).await
    }

    async fn budgets(&self) -> Result<Vec<Budget>, Failure> {
        let kinds = self.store.kinds();
        let Some(kind) = kinds.find("policy", "v1", "poddisruptionbudgets") else {
            return Ok(Vec::new());
        };
        let listed = self.store.list(kind, "", &ListOptions::default()).await?;
        let budgets = listed.items.iter();
        let lowered = budgets.map(|item| object_once(item).map(|budget| lower::budget(&budget)));
        lowered.collect()
    }

    /// Whether it goes now.
    async fn send_away(&self, victim: &Id, by: &Object, node: &str) -> Result<bool, Failure> {
        let (namespace, name) = victim.split_once('/').unwrap_or_default();
        let item = match self.store.get(&self.pods, namespace, name).await {
            Err(failure) if failure.reason == Reason::NotFound => return Ok(false),
            item => item?,
        };
        let mut there = object(&item)?;
        let why = format!("{NAME}: preempting to accommodate a higher priority pod");
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            "message": why, "lastTransitionTime": now(),
        });
        let (uid, before) = (there.meta().text("uid").to_owned(), there.clone());
        set_condition(there.0.entry("status").or_insert(Value::Null), condition);
        let options = options();
        let told = self
            .store
            .replace(&self.pods, namespace, name, there, &options);
        if !unless_raced(told.await.map(drop))? {
            return Ok(false);
        }
        let deletion = DeleteOptions {
            uid: Some(uid),
            ..DeleteOptions::default()
        };
        let deleted = self.store.delete(&self.pods, namespace, name, &deletion);
        if !unless_raced(deleted.await.map(drop))? {
            return Ok(false);
        }
        let message = format!("Preempted by pod {} on node {node}", by.meta().text("uid"));
        let told = Told {
            by: NAME,
            host: "",
            field: "",
            kind: "Normal",
            reason: "Preempted",
            message: &message,
        };
        tell::tell(self.store, &self.pods, &before, &told).await?;
        Ok(true)
    }

    /// Says where the pod will be when there is room.
    async fn nominate(&self, pod: &Object, node: &str) -> Result<(), Failure> {
        let meta = pod.meta();
        let patch = Patch::Merge(json!({
            "metadata": { "uid": meta.text("uid") },
            "status": { "nominatedNodeName": node },
        }));
        let options = options();
        let (namespace, name) = (meta.namespace(), meta.name());
        let patched = self
            .store
            .patch(&self.pods, namespace, name, &patch, &options);
        unless_raced(patched.await.map(drop)).map(drop)
    }

    /// A pod is gone: who waited for that is looked at at once, before others find the room.
    pub(super) fn is_gone(&mut self, gone: &Id) {
        let mut freed = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if waiting.victims.remove(gone) && waiting.victims.is_empty() {
                freed.push(id.clone());
            }
        }
        self.fresh.extend(freed);
    }
}

fn options() -> WriteOptions {
    WriteOptions {
        manager: NAME.to_owned(),
        subresource: "status",
        ..WriteOptions::default()
    }
}
