//! Making a job's pods.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_planner::workloads::jobs::New;

use super::super::acts::{Hand, Say, reference, slowly, why_not};
use super::super::claim::Claim;
use super::super::pods;
use super::{FINALIZER, finalizers};
use crate::failure::Failure;
use crate::object::Object;
use crate::store;

/// The number of a pod, as annotation and label.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How many of its number failed before it.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How many more failed that did not count.
pub(super) const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// Where containers find the number.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Longest part of a name before what is made for it: the whole is to be a host's.
const PREFIX_MAX: usize = 58;

/// Makes pods, as many as can be, and says so.
pub(super) async fn make(claim: &Claim, hand: &Hand, all: &[New]) -> Result<(), Failure> {
    let job = &claim.owner;
    let pods: Vec<Arc<Object>> = all
        .iter()
        .map(|new| Arc::new(pod(job, reference(&claim.kind, job), new)))
        .collect();
    let Some(first) = pods.first().cloned() else {
        return Ok(());
    };
    let made = slowly(pods, |pod| {
        let (hand, kind) = (hand.clone(), Arc::clone(&claim.controlled));
        async move {
            let namespace = pod.meta().namespace().to_owned();
            let item = hand.create(&kind, &namespace, Object::clone(&pod)).await?;
            let made = store::object_once(&item)?;
            Ok(made.meta().name().to_owned())
        }
    });
    let (mut says, mut all) = (Vec::new(), Ok(()));
    for one in made.await {
        match one {
            Ok(name) => says.push(Say::normal(
                "SuccessfulCreate",
                format!("Created pod: {name}"),
            )),
            Err(failure) if failure.is_of_ending() => return Ok(()),
            Err(failure) => {
                let message = why_not(&failure, &first);
                let failure = Failure { message, ..failure };
                let message = format!("Error creating: {failure}");
                says.push(Say::warning("FailedCreate", message));
                all = Err(failure);
            }
        }
    }
    hand.say(&claim.kind, job, says).await;
    all
}

fn pod(job: &Object, reference: Value, new: &New) -> Object {
    let mut pod = pods::of_template(job, reference);
    let held = finalizers(&pod, FINALIZER, true);
    pod.set_meta("finalizers", Some(held));
    let Some(index) = new.index else {
        return pod;
    };
    let name = job.meta().name();
    let end = format!("-{index}-");
    let begin: String = name.chars().take(PREFIX_MAX - end.len()).collect();
    pod.set_meta("generateName", Some(format!("{begin}{end}").into()));
    let meta = pod.meta_mut();
    set(meta, "labels", INDEX, index);
    set(meta, "annotations", INDEX, index);
    if let Some((failures, ignored)) = new.before {
        set(meta, "annotations", FAILURES, failures);
        if ignored > 0 {
            set(meta, "annotations", IGNORED, ignored);
        }
    }
    let spec = &mut pod.0["spec"];
    spec["hostname"] = format!("{name}-{index}").into();
    for list in ["containers", "initContainers"] {
        let all = spec.get_mut(list).and_then(Value::as_array_mut);
        all.into_iter().flatten().for_each(tell_index);
    }
    pod
}

fn set(meta: &mut Map<String, Value>, map: &str, name: &str, number: u32) {
    let map = meta.entry(map).or_insert_with(|| json!({}));
    if let Some(map) = map.as_object_mut() {
        map.insert(name.to_owned(), number.to_string().into());
    }
}

/// A container finds its pod's number, if it has not said itself where from.
fn tell_index(container: &mut Value) {
    let Some(container) = container.as_object_mut() else {
        return;
    };
    let all = container.entry("env").or_insert_with(|| json!([]));
    let Some(all) = all.as_array_mut() else {
        return;
    };
    if all.iter().all(|one| one["name"] != VARIABLE) {
        let path = format!("metadata.labels['{INDEX}']");
        let from = json!({ "fieldRef": { "apiVersion": "v1", "fieldPath": path } });
        all.push(json!({ "name": VARIABLE, "valueFrom": from }));
    }
}
