//! The selector of a job's pods: made of its id, unless somebody wants to care for it.

use serde_json::{Map, Value, json};

use super::super::pod_spec;
use super::super::rules::fill::{Fields, below, made, set};
use super::super::rules::{Mistakes, Spot};
use crate::object::Object;

const ID: &str = "batch.kubernetes.io/controller-uid";
const NAME: &str = "batch.kubernetes.io/job-name";
const OLD_ID: &str = "controller-uid";
const OLD_NAME: &str = "job-name";

fn is_manual(spec: &Fields) -> bool {
    spec.get("manualSelector") == Some(&Value::Bool(true))
}

/// Makes selector and labels. What is there stays, to be refused if it is not what it must be.
pub(super) fn generate(job: &mut Object) {
    let id = job.meta().text("uid").to_owned();
    let name = job.meta().name().to_owned();
    let Some(spec) = below(&mut job.0, "spec").filter(|spec| !is_manual(spec)) else {
        return;
    };
    let labels = made(spec, "template")
        .and_then(|template| made(template, "metadata"))
        .and_then(|meta| made(meta, "labels"));
    if let Some(labels) = labels {
        for (key, value) in [(ID, &id), (OLD_ID, &id), (NAME, &name), (OLD_NAME, &name)] {
            set(labels, key, value.as_str());
        }
    }
    if let Some(wanted) = made(spec, "selector").and_then(|one| made(one, "matchLabels")) {
        set(wanted, ID, id);
    }
}

/// A job without labels has its pods'.
pub(super) fn label(job: &mut Object) {
    let labels = job.at(&["spec", "template", "metadata", "labels"]);
    let Some(labels) = labels
        .and_then(Value::as_object)
        .filter(|one| !one.is_empty())
        .cloned()
    else {
        return;
    };
    let meta = job.meta_mut();
    if meta.get("labels").is_none_or(|found| *found == json!({})) {
        meta.remove("labels");
    }
    set(meta, "labels", labels);
}

/// It finds the job's pods, and no others if it was made here.
pub(super) fn validate(mistakes: &mut Mistakes, job: &Object, spec: &Spot<'_, '_>, is_new: bool) {
    let selector = spec.at("selector");
    if !selector.is_some() {
        mistakes.required(&selector, "");
        return;
    }
    mistakes.label_selector(&selector);
    pod_spec::matches_template(mistakes, spec);
    if !is_new || spec.at("manualSelector").is_true() {
        return;
    }
    let template = spec.at("template");
    let meta = template.at("metadata");
    let labels = meta.at("labels");
    let (id, name) = (job.meta().text("uid"), job.meta().name());
    for (key, value) in [(ID, id), (OLD_ID, id), (NAME, name), (OLD_NAME, name)] {
        if labels.at(key).text() != value {
            let why = format!("must be '{value}'");
            mistakes.invalid(&labels.key(key), &why);
        }
    }
    let wanted: Map<String, Value> = [(ID.to_owned(), id.into())].into_iter().collect();
    let labels = selector.at("matchLabels");
    let is_ours = labels.value() == Some(&Value::Object(wanted.clone()));
    if !is_ours || selector.at("matchExpressions").is_some() {
        mistakes.invalid(&selector, "`selector` not auto-generated");
    }
}
