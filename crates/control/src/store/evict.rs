//! Evictions: a pod goes if its budget lets it (policy/v1, `Eviction`).
//!
//! ```text
//!   pod ─► its budget ─► one less may go, and this one is about to ─► why it goes ─► deleted
//!            └── none may go: 429
//! ```
//!
//! Whoever counts a budget's pods does not count those that are about to go. Where all stops before
//! one is deleted, it is counted again after a while.

use serde_json::{Value, json};

use super::write::{TRIES, Way};
use super::{
    DeleteOptions, ListOptions, Store, WriteOptions, conflict, now, object, set_condition,
};
use crate::failure::{Cause, Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Labels;

/// Most pods of a budget that are about to go, as upstream.
const GOING_MAX: usize = 2000;
const TOO_MANY: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// Says in a budget's status whether one of its pods may go.
pub(crate) fn say_allowed(status: &mut Value, generation: &Value, why_not: Option<&str>) {
    let is_allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0) > 0;
    let (is_true, reason) = match (why_not, is_allowed) {
        (Some(_), _) => ("False", "SyncFailed"),
        (None, true) => ("True", "SufficientPods"),
        (None, false) => ("False", "InsufficientPods"),
    };
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|one| one["type"] == "DisruptionAllowed");
    let since = found.find(|one| one["status"] == is_true);
    let since = since.map_or_else(|| now().into(), |one| one["lastTransitionTime"].clone());
    let condition = json!({
        "type": "DisruptionAllowed", "status": is_true, "reason": reason,
        "message": why_not.unwrap_or_default(), "lastTransitionTime": since,
        "observedGeneration": generation,
    });
    set_condition(status, condition);
}

/// The pods a budget means; nothing: none.
pub(crate) fn budget_selector(budget: &Object) -> Option<Labels> {
    Labels::of(budget.at(&["spec", "selector"])?).ok()
}

/// Whether no budget counts it.
fn is_uncounted(pod: &Object) -> bool {
    let phase = pod.text(&["status", "phase"]).unwrap_or("Pending");
    pod.meta().is_deleting() || matches!(phase, "Pending" | "Succeeded" | "Failed")
}

fn number(budget: &Object, path: &[&str]) -> i64 {
    budget.at(path).and_then(Value::as_i64).unwrap_or(0)
}

fn too_many(message: String) -> Failure {
    let mut failure = Failure::new(Reason::TooManyRequests, TOO_MANY);
    failure.about.causes = vec![Cause {
        reason: "DisruptionBudget",
        field: String::new(),
        message,
    }];
    failure
}

impl Store {
    /// Deletes a pod, if its budget lets it go.
    ///
    /// # Errors
    /// It is not there, or is another; it has more than one budget, or its budget does not let it.
    pub async fn evict(
        &self,
        pods: &Kind,
        (namespace, name): (&str, &str),
        options: &DeleteOptions,
        write: &WriteOptions,
    ) -> Result<(), Failure> {
        let mut last = None;
        for _ in 0..TRIES {
            let pod = object(&*self.get(pods, namespace, name).await?)?;
            let is_other = |wanted: &Option<String>, field: &str| {
                let found = pod.meta().text(field);
                wanted.as_deref().is_some_and(|wanted| wanted != found)
            };
            if is_other(&options.uid, "uid") || is_other(&options.version, "resourceVersion") {
                // It says what is wrong with it.
                return self.delete(pods, namespace, name, options).await.map(drop);
            }
            let is_sure = match is_uncounted(&pod) {
                // One that waits may begin to run at any time.
                true => pod.text(&["status", "phase"]).unwrap_or("Pending") != "Pending",
                false => self.spend(&pod, write).await?,
            };
            match self.end(pods, &pod, is_sure, options, write).await {
                Err(failure) if failure.reason == Reason::Conflict && !is_sure => {
                    last = Some(failure);
                }
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| conflict(pods, name, "it is changed all the time; try again")))
    }

    /// One pod less may go now. Whether it may go whatever becomes of it meanwhile.
    async fn spend(&self, pod: &Object, write: &WriteOptions) -> Result<bool, Failure> {
        let (namespace, name) = (pod.meta().namespace(), pod.meta().name());
        let kinds = self.kinds();
        let Some(kind) = kinds.at("policy", "poddisruptionbudgets") else {
            return Ok(true);
        };
        let mut found = Vec::new();
        for item in &self
            .list(kind, namespace, &ListOptions::default())
            .await?
            .items
        {
            let budget = object(item)?;
            let labels = budget_selector(&budget);
            if labels.is_some_and(|labels| labels.matches(|name| pod.meta().label(name))) {
                found.push(budget);
            }
        }
        let budget = match &found[..] {
            [] => return Ok(true),
            [one] => one,
            _ => {
                let why = "This pod has more than one PodDisruptionBudget, which the eviction \
                           subresource does not support.";
                return Err(Failure::new(Reason::InternalError, why));
            }
        };
        let desired = number(budget, &["status", "desiredHealthy"]);
        let healthy = number(budget, &["status", "currentHealthy"]);
        let policy = budget.text(&["spec", "unhealthyPodEvictionPolicy"]);
        let is_spare = policy == Some("AlwaysAllow") || (healthy >= desired && desired > 0);
        if !pod.has_condition("Ready") && is_spare {
            return Ok(false);
        }
        let options = WriteOptions {
            subresource: "status",
            admit: None,
            ..write.clone()
        };
        let spent = |old: &Object| spent(old, name);
        let budget_name = budget.meta().name();
        self.change(kind, namespace, budget_name, &options, Way::Update, spent)
            .await?;
        Ok(true)
    }

    /// Says why it goes, and deletes it; if it is not `is_sure`, only as it was seen.
    async fn end(
        &self,
        pods: &Kind,
        pod: &Object,
        is_sure: bool,
        options: &DeleteOptions,
        write: &WriteOptions,
    ) -> Result<(), Failure> {
        let (namespace, name) = (pod.meta().namespace(), pod.meta().name());
        let mut options = options.clone();
        options.uid = Some(pod.meta().text("uid").to_owned());
        let is_changed = |found: &Object| {
            let (found, seen) = (found.meta(), pod.meta());
            let field = if is_sure { "uid" } else { "resourceVersion" };
            found.text(field) != seen.text(field)
        };
        if !options.is_dry_run {
            let write = WriteOptions {
                subresource: "status",
                ..write.clone()
            };
            let say = |old: &Object| {
                if is_changed(old) {
                    return Err(conflict(pods, name, "it has changed meanwhile"));
                }
                let mut new = old.clone();
                let condition = json!({
                    "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                    "message": "Eviction API: evicting", "lastProbeTime": null,
                    "lastTransitionTime": now(),
                });
                set_condition(new.0.entry("status").or_insert(Value::Null), condition);
                Ok(new)
            };
            let said = self.change(pods, namespace, name, &write, Way::Update, say);
            let said = object(&*said.await?)?;
            if !is_sure || options.version.is_some() {
                options.version = Some(said.meta().text("resourceVersion").to_owned());
            }
        }
        self.delete(pods, namespace, name, &options).await.map(drop)
    }
}

/// The budget with one pod less that may go: this one is about to.
fn spent(budget: &Object, pod: &str) -> Result<Object, Failure> {
    let name = budget.meta().name();
    let generation = number(budget, &["metadata", "generation"]);
    if number(budget, &["status", "observedGeneration"]) < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(too_many(why));
    }
    let going = budget
        .at(&["status", "disruptedPods"])
        .and_then(Value::as_object);
    if going.is_some_and(|going| going.len() > GOING_MAX) {
        let why = format!(
            "poddisruptionbudget.policy {name:?} is forbidden: DisruptedPods map too big - too many \
             evictions not confirmed by PDB controller"
        );
        let failure = Failure::new(Reason::Forbidden, why);
        return Err(failure.about("policy", "poddisruptionbudget", name));
    }
    let allowed = number(budget, &["status", "disruptionsAllowed"]);
    if allowed <= 0 {
        let desired = number(budget, &["status", "desiredHealthy"]);
        let healthy = number(budget, &["status", "currentHealthy"]);
        return Err(too_many(format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        )));
    }
    let mut next = budget.clone();
    let generation = budget.at(&["metadata", "generation"]).cloned();
    let status = &mut next.0["status"];
    status["disruptionsAllowed"] = (allowed - 1).into();
    if !status["disruptedPods"].is_object() {
        status["disruptedPods"] = json!({});
    }
    status["disruptedPods"][pod] = now().into();
    if allowed == 1 {
        say_allowed(status, &generation.unwrap_or_default(), None);
    }
    Ok(next)
}
