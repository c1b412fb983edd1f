//! HorizontalPodAutoscalers: how many of some pods there are to be, by what they use.
//!
//! ```text
//!   every 15 s, while there are any ─► measure once ─► each: its target's scale and pods ─► wish
//!                                          (planner) ─► decide ─► scale, status, events
//! ```
//! Owns: when, and what is said of it. Never: how many; the planner decides that.

mod lower;
mod rivals;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use weft_planner::workloads::autoscale::{self, Bound, Decision, Memory, Rules};

use super::mirror::{Id, Mirror};
use super::tell::{self, Told};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Labels;
use crate::store::{self, ListOptions, Patch, ScaleChange, WriteOptions, now};
use crate::usage::{Measured, Meter};

use lower::Metric;
use said::Said;

/// Who it is, as owner of fields and in events.
const NAME: &str = "horizontal-pod-autoscaler";
const SCALERS: &str = "horizontalpodautoscalers";
const FOLLOWED: [(&str, &str); 1] = [("autoscaling", SCALERS)];
/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(15);

struct Autoscaler<'a> {
    store: &'a Store,
    meter: Option<&'a dyn Meter>,
    mirror: Mirror,
    began: Instant,
    /// By the scaler's uid. Bounded by the scalers there are.
    memories: BTreeMap<String, Memory>,
    /// What was found wrong last, by uid: it is told once. Bounded likewise.
    told: BTreeMap<String, BTreeSet<String>>,
}

pub(super) async fn run(store: &Store, meter: Option<&dyn Meter>) -> Infallible {
    super::anew("scaling by use", || try_run(store, meter)).await
}

async fn try_run(store: &Store, meter: Option<&dyn Meter>) -> Result<Infallible, Failure> {
    let mut all = Autoscaler {
        store,
        meter,
        mirror: Mirror::begin(store, &FOLLOWED).await?,
        began: Instant::now(),
        memories: BTreeMap::new(),
        told: BTreeMap::new(),
    };
    let mut due: BTreeSet<Id> = all.mirror.all(SCALERS).map(|(id, _)| id.clone()).collect();
    let mut round = Instant::now() + PERIOD;
    loop {
        all.see_to(&std::mem::take(&mut due)).await?;
        let is_idle = all.mirror.all(SCALERS).next().is_none();
        tokio::select! {
            changed = all.mirror.next() => {
                for changed in changed? {
                    let spec = |object: &Option<Arc<Object>>| {
                        object.as_ref().and_then(|object| object.0.get("spec").cloned())
                    };
                    if changed.new.is_none() {
                        all.forget(changed.old.as_deref());
                    } else if spec(&changed.old) != spec(&changed.new) {
                        due.insert(changed.id);
                    }
                }
            }
            () = tokio::time::sleep_until(round), if !is_idle => {
                round = Instant::now() + PERIOD;
                due = all.mirror.all(SCALERS).map(|(id, _)| id.clone()).collect();
            }
        }
    }
}

/// What a scaler acts on.
struct Target {
    kind: Arc<Kind>,
    name: String,
    scale: Object,
}

impl Target {
    fn number(&self, path: &[&str]) -> u32 {
        let found = self.scale.at(path).and_then(Value::as_u64).unwrap_or(0);
        u32::try_from(found).unwrap_or(u32::MAX)
    }

    /// How many there are to be.
    fn replicas(&self) -> u32 {
        self.number(&["spec", "replicas"])
    }
}

impl Autoscaler<'_> {
    fn forget(&mut self, gone: Option<&Object>) {
        if let Some(gone) = gone {
            self.memories.remove(gone.meta().text("uid"));
            self.told.remove(gone.meta().text("uid"));
        }
    }

    async fn see_to(&mut self, due: &BTreeSet<Id>) -> Result<(), Failure> {
        if due.is_empty() {
            return Ok(());
        }
        let measured = match self.meter {
            Some(meter) => meter.read().await,
            None => Err(Failure::new(
                Reason::ServiceUnavailable,
                "nothing is measured: this server runs no pods",
            )),
        };
        for id in due {
            let Some(scaler) = self.mirror.get(id).cloned() else {
                continue;
            };
            match self.see_to_one(&scaler, &measured).await {
                // It is heard of, and looked at again.
                Err(failure) if matches!(failure.reason, Reason::Conflict | Reason::NotFound) => {}
                // Of a namespace that is going nothing is written any more.
                Err(failure) if matches!(failure.reason, Reason::Forbidden | Reason::Invalid) => {
                    tracing::debug!(%failure, "a scaler could not be seen to");
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn see_to_one(
        &mut self,
        scaler: &Object,
        measured: &Result<Measured, Failure>,
    ) -> Result<(), Failure> {
        let mut said = Said::of(scaler);
        match self.target(scaler).await {
            Err(failure) => {
                let why = format!(
                    "the HPA controller was unable to get the target's current scale: {}",
                    failure.message
                );
                said.set("AbleToScale", false, "FailedGetScale", &why);
                self.warn(scaler, "FailedGetScale", &failure.message)
                    .await?;
            }
            Ok(target) => {
                said.set(
                    "AbleToScale",
                    true,
                    "SucceededGetScale",
                    "the HPA controller was able to get the target's current scale",
                );
                let all = self.mirror.within(SCALERS, scaler.meta().namespace());
                match rivals::contested(scaler, all.map(|(_, other)| &**other)) {
                    Some(why) => {
                        said.desired(target.replicas());
                        said.set("ScalingActive", false, "AmbiguousSelector", &why);
                        self.warn(scaler, "AmbiguousSelector", &why).await?;
                    }
                    None => self.scale(scaler, &target, measured, &mut said).await?,
                }
            }
        }
        self.write(scaler, said).await
    }

    async fn target(&self, scaler: &Object) -> Result<Target, Failure> {
        let text = |name: &str| {
            let found = scaler.text(&["spec", "scaleTargetRef", name]);
            found.unwrap_or_default().to_owned()
        };
        let (version, kind, name) = (text("apiVersion"), text("kind"), text("name"));
        let kinds = self.store.kinds();
        let found = kinds.called(&version, &kind).ok_or_else(|| {
            let message = format!("no matches for kind {kind:?} in version {version:?}");
            Failure::new(Reason::Invalid, message)
        })?;
        let scale = self.store.scale(found, scaler.meta().namespace(), &name);
        Ok(Target {
            scale: scale.await?,
            kind: Arc::clone(found),
            name,
        })
    }

    async fn scale(
        &mut self,
        scaler: &Object,
        target: &Target,
        measured: &Result<Measured, Failure>,
        said: &mut Said,
    ) -> Result<(), Failure> {
        let now = target.replicas();
        said.current(target.number(&["status", "replicas"]));
        let rules = lower::rules(scaler);
        let uid = scaler.meta().text("uid").to_owned();
        if now == 0 && rules.least > 0 {
            said.desired(0);
            said.set(
                "ScalingActive",
                false,
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            );
            return Ok(());
        }
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (decision, why) = if now > rules.most {
            let why = "Current number of replicas above Spec.MaxReplicas".to_owned();
            (to_bound(rules.most, Bound::Most), why)
        } else if now < rules.least {
            let why = "Current number of replicas below Spec.MinReplicas".to_owned();
            (to_bound(rules.least, Bound::Least), why)
        } else {
            let found = self.wish((scaler, &rules), target, now, measured, said);
            let found = found.await;
            let (wanted, why) = match found {
                Ok(found) => found,
                Err((reason, message)) => {
                    said.desired(now);
                    let told =
                        format!("the HPA was unable to compute the replica count: {message}");
                    said.set("ScalingActive", false, reason, &told);
                    return self.warn(scaler, reason, &message).await;
                }
            };
            self.told.remove(&uid);
            let memory = self.memories.entry(uid.clone()).or_default();
            let decision = autoscale::decide(&rules, memory, at_ms, now, wanted);
            said.able(&decision, now);
            (decision, why)
        };
        said.limited(&decision, now);
        said.desired(decision.count);
        if decision.count == now {
            return Ok(());
        }
        self.rescale(scaler, target, decision.count, &why, said)
            .await?;
        let memory = self.memories.entry(uid).or_default();
        memory.changed(at_ms, i64::from(decision.count) - i64::from(now));
        Ok(())
    }

    /// How many all metrics together want, and why; or what is wrong, in a word and a sentence.
    async fn wish(
        &self,
        (scaler, rules): (&Object, &Rules),
        target: &Target,
        now: u32,
        measured: &Result<Measured, Failure>,
        said: &mut Said,
    ) -> Result<(u32, String), (&'static str, String)> {
        let pods = self.pods(target).await;
        let pods = pods.map_err(|failure| ("InvalidSelector", failure.message))?;
        let tolerance = (rules.up.tolerance_m, rules.down.tolerance_m);
        let (mut best, mut wrong, mut shown) = (None::<(u32, String)>, None, Vec::new());
        for metric in lower::metrics(scaler) {
            let found = metric.and_then(|metric: Metric| {
                let measured = measured.as_ref().map_err(|failure| {
                    let message = format!(
                        "failed to get {} usage: unable to get metrics for resource {}: {}",
                        metric.resource, metric.resource, failure.message
                    );
                    (metric.reason(), message)
                })?;
                let samples = lower::samples(&metric, &pods, measured)?;
                let wish = autoscale::wish(now, metric.goal, &samples, tolerance);
                let wish = wish.ok_or_else(|| metric.unknown())?;
                Ok((metric, wish))
            });
            match found {
                Ok((metric, wish)) => {
                    shown.push(metric.status(&wish));
                    if best.as_ref().is_none_or(|(count, _)| wish.count > *count) {
                        best = Some((wish.count, metric.about()));
                    }
                }
                Err(told) => {
                    shown.push(json!({ "type": "" }));
                    wrong = wrong.or(Some(told));
                }
            }
        }
        said.metrics(shown);
        match (best, wrong) {
            // What is not known might want more.
            (Some((count, _)), Some(wrong)) if count < now => Err(wrong),
            (None, Some(wrong)) => Err(wrong),
            (Some((count, about)), _) => {
                let message = format!(
                    "the HPA was able to successfully calculate a replica count from {about}"
                );
                said.set("ScalingActive", true, "ValidMetricFound", &message);
                let why = match count < now {
                    true => "All metrics below target".to_owned(),
                    false => format!("{about} above target"),
                };
                Ok((count, why))
            }
            (None, None) => Err(("InvalidMetricSourceType", "there is no metric".to_owned())),
        }
    }

    async fn pods(&self, target: &Target) -> Result<Vec<Object>, Failure> {
        let selector = target
            .scale
            .text(&["status", "selector"])
            .unwrap_or_default();
        if selector.is_empty() {
            let message = "the HPA target's scale is missing a selector";
            return Err(Failure::bad_request(message));
        }
        let kinds = self.store.kinds();
        let Some(kind) = kinds.find("", "v1", "pods") else {
            return Ok(Vec::new());
        };
        let options = ListOptions {
            labels: Labels::parse(selector).map_err(Failure::bad_request)?,
            ..ListOptions::default()
        };
        let namespace = target.scale.meta().namespace();
        let listed = self.store.list(kind, namespace, &options).await?;
        listed
            .items
            .iter()
            .map(|item| store::object_once(item))
            .collect()
    }

    async fn rescale(
        &self,
        scaler: &Object,
        target: &Target,
        count: u32,
        why: &str,
        said: &mut Said,
    ) -> Result<(), Failure> {
        let namespace = scaler.meta().namespace();
        let version = target.scale.meta().text("resourceVersion");
        let patch = ScaleChange::Patch(Patch::Merge(json!({
            "metadata": { "resourceVersion": version },
            "spec": { "replicas": count },
        })));
        let options = options("");
        let changed =
            self.store
                .change_scale(&target.kind, namespace, &target.name, &patch, &options);
        match changed.await {
            Ok(_) => {
                let message =
                    format!("the HPA controller was able to update the target scale to {count}");
                said.set("AbleToScale", true, "SucceededRescale", &message);
                said.scaled(&now());
                let message = format!("New size: {count}; reason: {why}");
                self.tell(scaler, "Normal", "SuccessfulRescale", &message)
                    .await
            }
            Err(failure) if failure.reason == Reason::Conflict => Err(failure),
            Err(failure) => {
                let message = format!(
                    "the HPA controller was unable to update the target scale: {}",
                    failure.message
                );
                said.set("AbleToScale", false, "FailedUpdateScale", &message);
                let message = format!(
                    "New size: {count}; reason: {why}; error: {}",
                    failure.message
                );
                self.tell(scaler, "Warning", "FailedRescale", &message)
                    .await
            }
        }
    }

    /// Tells what is wrong, once.
    async fn warn(&mut self, scaler: &Object, reason: &str, message: &str) -> Result<(), Failure> {
        let uid = scaler.meta().text("uid").to_owned();
        let told = self.told.entry(uid).or_default();
        if told.len() > 16 {
            told.clear();
        }
        if !told.insert(format!("{reason} {message}")) {
            return Ok(());
        }
        self.tell(scaler, "Warning", reason, message).await
    }

    async fn tell(
        &self,
        scaler: &Object,
        kind: &'static str,
        reason: &str,
        message: &str,
    ) -> Result<(), Failure> {
        let Some(scalers) = self.mirror.kind(SCALERS) else {
            return Ok(());
        };
        let told = Told {
            by: NAME,
            host: "",
            field: "",
            kind,
            reason,
            message,
        };
        tell::tell(self.store, scalers, scaler, &told).await
    }

    /// Writes the status, if it is another.
    async fn write(&self, scaler: &Object, said: Said) -> Result<(), Failure> {
        let Some(kind) = self.mirror.kind(SCALERS) else {
            return Ok(());
        };
        let Some(status) = said.changed() else {
            return Ok(());
        };
        let meta = scaler.meta();
        let patch = Patch::Merge(json!({
            "metadata": { "uid": meta.text("uid") },
            "status": status,
        }));
        let options = options("status");
        let written = self
            .store
            .patch(kind, meta.namespace(), meta.name(), &patch, &options);
        written.await.map(drop)
    }
}

fn options(subresource: &'static str) -> WriteOptions {
    WriteOptions {
        manager: NAME.to_owned(),
        subresource,
        ..WriteOptions::default()
    }
}

fn to_bound(count: u32, bound: Bound) -> Decision {
    Decision {
        count,
        is_held: false,
        bound: Some(bound),
    }
}
