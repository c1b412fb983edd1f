//! Deployment: pods that are alike, replaced step by step when their template changes.

use k8s_openapi::api::apps::v1::Deployment;

use super::document;
use super::pod_spec::{self, Rules, number};
use super::replica_set::counts;
use super::rules::amounts::Share;
use super::rules::fill::{below, made, set, set_text, text};
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, Scale, texts};
use crate::object::Object;

/// What a deployment says that is to go back by itself.
pub(crate) const ROLLBACK: &str = "nanocloud.io/rollback-on-failure";

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["deploy"]),
        categories: texts(&["all"]),
        document: document::<Deployment>(),
        default,
        validate,
        warn: Some(warn),
        columns: columns(),
        has_status: true,
        counted: Some(&[]),
        scale: Some(Scale::usual()),
        is_carried_out: true,
        generation: Generation::ContentAndAnnotations,
        ..Kind::of("apps", "v1", "Deployment", "deployments", "deployment")
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Ready", "How many of its pods are ready.", |object| {
            let ready = number(object, &["status", "readyReplicas"]);
            format!("{ready}/{}", number(object, &["spec", "replicas"])).into()
        }),
        Column::text(
            "Up-to-date",
            "How many are of the newest template.",
            |object| number(object, &["status", "updatedReplicas"]).into(),
        )
        .integer(),
        Column::text(
            "Available",
            "How many have been ready for long enough.",
            |object| number(object, &["status", "availableReplicas"]).into(),
        )
        .integer(),
        Column::age(),
        pod_spec::containers(),
        pod_spec::images(),
        pod_spec::shown_selector(),
    ]
}

fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    pod_spec::default_template(spec);
    let Some(strategy) = made(spec, "strategy") else {
        return;
    };
    set_text(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate"
        && let Some(rolling) = made(strategy, "rollingUpdate")
    {
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
}

/// An annotation cannot be refused: who wrote another word has to be told.
fn warn(object: &Object) -> Vec<String> {
    let said = object.meta().annotation(ROLLBACK);
    let odd = said.filter(|said| !["true", "false"].contains(said));
    let told = odd.map(|said| {
        format!(
            "metadata.annotations[{ROLLBACK}]: {said:?} is neither \"true\" nor \"false\", and taken for \"false\""
        )
    });
    told.into_iter().collect()
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    counts(
        &mut mistakes,
        &Spot::of(object, "status"),
        "replicas",
        &[
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
        ],
    );
    mistakes.spec(object, old, spec);
    mistakes.into_causes()
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: Option<&Spot<'_, '_>>) {
    let deadline = spec.at("progressDeadlineSeconds");
    let ready = spec.at("minReadySeconds");
    mistakes.not_negative(&spec.at("replicas"));
    mistakes.not_negative(&ready);
    mistakes.not_negative(&spec.at("revisionHistoryLimit"));
    mistakes.not_negative(&deadline);
    if deadline
        .number()
        .is_some_and(|deadline| deadline <= ready.number().unwrap_or(0))
    {
        mistakes.invalid(&deadline, "must be greater than minReadySeconds");
    }
    pod_spec::selector(mistakes, spec, old, "deployment");
    pod_spec::template(mistakes, spec, Rules::RUNNING, [].into_iter());
    let strategy = spec.at("strategy");
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "Recreate" if rolling.is_some() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            mistakes.forbidden(&rolling, why);
        }
        "Recreate" => {}
        "RollingUpdate" => self::rolling(mistakes, &rolling),
        _ => mistakes.must_be_one_of(&strategy.at("type"), &["Recreate", "RollingUpdate"]),
    }
}

fn rolling(mistakes: &mut Mistakes, rolling: &Spot<'_, '_>) {
    if !rolling.is_some() {
        mistakes.required(rolling, "this should be defaulted and never be nil");
        return;
    }
    let away = rolling.at("maxUnavailable");
    let missing = mistakes.share_of_all(&away);
    let more = mistakes.share(&rolling.at("maxSurge"));
    if missing.is_some_and(Share::is_zero) && more.is_some_and(Share::is_zero) {
        mistakes.invalid(&away, "may not be 0 when `maxSurge` is 0");
    }
}

#[cfg(test)]
mod tests;
