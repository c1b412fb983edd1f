//! DaemonSet: a pod on each node that is meant.

use k8s_openapi::api::apps::v1::DaemonSet;

use super::document;
use super::pod_spec::{self, Rules, number};
use super::replica_set::counts;
use super::rules::amounts::Share;
use super::rules::fill::{below, made, set, set_text, text};
use super::rules::selectors::labels_text;
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, texts};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["ds"]),
        categories: texts(&["all"]),
        document: document::<DaemonSet>(),
        default,
        validate,
        columns: columns(),
        has_status: true,
        counted: Some(&[
            "currentNumberScheduled",
            "desiredNumberScheduled",
            "numberMisscheduled",
            "numberReady",
        ]),
        is_carried_out: true,
        generation: Generation::Content,
        ..Kind::of("apps", "v1", "DaemonSet", "daemonsets", "daemonset")
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Desired", "On how many nodes its pod is to be.", |object| {
            number(object, &["status", "desiredNumberScheduled"]).into()
        })
        .integer(),
        Column::text("Current", "On how many of them it is.", |object| {
            number(object, &["status", "currentNumberScheduled"]).into()
        })
        .integer(),
        Column::text("Ready", "On how many it is ready.", |object| {
            number(object, &["status", "numberReady"]).into()
        })
        .integer(),
        Column::text(
            "Up-to-date",
            "On how many it is of the newest template.",
            |object| number(object, &["status", "updatedNumberScheduled"]).into(),
        )
        .integer(),
        Column::text(
            "Available",
            "On how many it has been ready for long enough.",
            |object| number(object, &["status", "numberAvailable"]).into(),
        )
        .integer(),
        Column::text(
            "Node Selector",
            "Labels of the nodes that are meant.",
            |object| labels_text(object.at(&["spec", "template", "spec", "nodeSelector"])).into(),
        ),
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
    set(spec, "revisionHistoryLimit", 10);
    pod_spec::default_template(spec);
    if let Some(strategy) = made(spec, "updateStrategy") {
        set_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = made(strategy, "rollingUpdate")
        {
            set(rolling, "maxUnavailable", 1);
            set(rolling, "maxSurge", 0);
        }
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let status = Spot::of(object, "status");
    counts(&mut mistakes, &status, "desiredNumberScheduled", &[]);
    for name in [
        "currentNumberScheduled",
        "numberMisscheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ] {
        mistakes.not_negative(&status.at(name));
    }
    mistakes.spec(object, old, spec);
    mistakes.into_causes()
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: Option<&Spot<'_, '_>>) {
    mistakes.not_negative(&spec.at("minReadySeconds"));
    mistakes.not_negative(&spec.at("revisionHistoryLimit"));
    pod_spec::selector(mistakes, spec, old, "daemonset");
    pod_spec::template(mistakes, spec, Rules::RUNNING, [].into_iter());
    let strategy = spec.at("updateStrategy");
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_some() => mistakes.required(&rolling, ""),
        "RollingUpdate" => self::rolling(mistakes, &rolling),
        _ => mistakes.must_be_one_of(&strategy.at("type"), &["RollingUpdate", "OnDelete"]),
    }
}

/// Either pods go before others come, or they come first: exactly one of both.
fn rolling(mistakes: &mut Mistakes, rolling: &Spot<'_, '_>) {
    let (away, more) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
    let is_zero = |share: Option<Share>| share.is_none_or(Share::is_zero);
    let missing = mistakes.share_of_all(&away);
    let surplus = mistakes.share_of_all(&more);
    match (is_zero(missing), is_zero(surplus)) {
        (true, true) if missing.is_some() => {
            mistakes.invalid(&away, "cannot be 0 when maxSurge is 0");
        }
        (false, false) => {
            mistakes.invalid(&more, "may not be set when maxUnavailable is non-zero");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
