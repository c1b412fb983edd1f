//! ReplicaSet: so many pods that are alike.

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::document;
use super::pod_spec::{self, Rules, number};
use super::rules::fill::{below, set};
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, Scale, texts};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["rs"]),
        categories: texts(&["all"]),
        document: document::<ReplicaSet>(),
        default,
        validate,
        selectable: &[("status.replicas", &["status", "replicas"])],
        absent: &[("status.replicas", "0")],
        columns: columns(),
        has_status: true,
        counted: Some(&["replicas"]),
        scale: Some(Scale::usual()),
        is_carried_out: true,
        generation: Generation::Content,
        ..Kind::of("apps", "v1", "ReplicaSet", "replicasets", "replicaset")
    }
}

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Desired", "How many pods there are to be.", |object| {
            number(object, &["spec", "replicas"]).into()
        })
        .integer(),
        Column::text("Current", "How many there are.", |object| {
            number(object, &["status", "replicas"]).into()
        })
        .integer(),
        Column::text("Ready", "How many of them are ready.", |object| {
            number(object, &["status", "readyReplicas"]).into()
        })
        .integer(),
        Column::age(),
        pod_spec::containers(),
        pod_spec::images(),
        pod_spec::shown_selector(),
    ]
}

fn default(object: &mut Object) {
    if let Some(spec) = below(&mut object.0, "spec") {
        set(spec, "replicas", 1);
        pod_spec::default_template(spec);
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    counts(
        &mut mistakes,
        &Spot::of(object, "status"),
        "replicas",
        &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
    );
    mistakes.spec(object, old, |mistakes, spec, old| {
        mistakes.not_negative(&spec.at("replicas"));
        mistakes.not_negative(&spec.at("minReadySeconds"));
        pod_spec::selector(mistakes, spec, old, "replicaset");
        pod_spec::template(mistakes, spec, Rules::RUNNING, [].into_iter());
    });
    mistakes.into_causes()
}

/// Numbers of a status: none is negative, and `parts` are not more than the `whole`.
pub(super) fn counts(mistakes: &mut Mistakes, status: &Spot<'_, '_>, whole: &str, parts: &[&str]) {
    let all = status.at(whole);
    mistakes.not_negative(&all);
    mistakes.not_negative(&status.at("observedGeneration"));
    for name in parts {
        let part = status.at(name);
        mistakes.not_negative(&part);
        // Those that are missing are not there.
        let is_part = *name != "unavailableReplicas";
        if is_part && part.number() > Some(all.number().unwrap_or(0)) {
            mistakes.invalid(&part, &format!("cannot be greater than status.{whole}"));
        }
    }
}

#[cfg(test)]
mod tests;
