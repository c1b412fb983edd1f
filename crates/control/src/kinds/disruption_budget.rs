//! PodDisruptionBudget: how many of some pods may be taken away at a time.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::document;
use super::pod_spec::number;
use super::rules::amounts::shown;
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, texts};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["pdb"]),
        document: document::<PodDisruptionBudget>(),
        validate,
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        is_seen_first: true,
        counted: Some(&[
            "currentHealthy",
            "desiredHealthy",
            "disruptionsAllowed",
            "expectedPods",
        ]),
        generation: Generation::Content,
        ..Kind::of(
            "policy",
            "v1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            "poddisruptionbudget",
        )
    }
}

fn validate(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let (least, most) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
    let mut mistakes = Mistakes::default();
    if least.is_some() && most.is_some() {
        mistakes.invalid(&spec, "minAvailable and maxUnavailable cannot be both set");
    }
    mistakes.share_of_all(&least);
    mistakes.share_of_all(&most);
    mistakes.label_selector(&spec.at("selector"));
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    mistakes.one_of(&spec.at("unhealthyPodEvictionPolicy"), &policies);
    mistakes.into_causes()
}

fn columns() -> Vec<Column> {
    fn number_or_part(budget: &Object, name: &str) -> String {
        match shown(budget.at(&["spec", name])) {
            none if none.is_empty() => "N/A".to_owned(),
            some => some,
        }
    }
    vec![
        Column::name(),
        Column::text("Min Available", "How many have to stay.", |budget| {
            number_or_part(budget, "minAvailable").into()
        }),
        Column::text("Max Unavailable", "How many may be missing.", |budget| {
            number_or_part(budget, "maxUnavailable").into()
        }),
        Column::text("Allowed Disruptions", "How many may go now.", |budget| {
            number(budget, &["status", "disruptionsAllowed"]).into()
        })
        .integer(),
        Column::age(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{refuses, shows};

    #[test]
    fn it_is_checked_and_shown() {
        let base = json!({
            "metadata": { "name": "web" },
            "spec": { "minAvailable": "50%", "selector": { "matchLabels": { "app": "web" } } },
        });
        let spec = |spec: Value| json!({ "spec": spec });
        refuses(
            &kind(),
            &base,
            &[
                (
                    spec(json!({ "maxUnavailable": 1 })),
                    &["spec: Invalid value: {\"maxUnavailable\":1,"],
                ),
                (
                    spec(json!({ "minAvailable": -1 })),
                    &["spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"],
                ),
                (
                    spec(json!({ "minAvailable": "half" })),
                    &["spec.minAvailable: Invalid value: \"half\": a valid percent string"],
                ),
                (
                    spec(json!({ "minAvailable": "101%" })),
                    &["spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%"],
                ),
                (
                    spec(json!({ "minAvailable": null, "maxUnavailable": "%" })),
                    &["spec.maxUnavailable: Invalid value: \"%\""],
                ),
                (
                    spec(json!({ "selector": { "matchLabels": { "-": "" } } })),
                    &["spec.selector.matchLabels: Invalid value: \"-\""],
                ),
                (
                    spec(json!({ "unhealthyPodEvictionPolicy": "Never" })),
                    &["spec.unhealthyPodEvictionPolicy: Unsupported"],
                ),
            ],
        );
        let mut budget = base;
        budget["status"] = json!({ "disruptionsAllowed": 2 });
        shows(
            &kind(),
            budget,
            &[
                ("NAME", "web"),
                ("MIN AVAILABLE", "50%"),
                ("MAX UNAVAILABLE", "N/A"),
                ("ALLOWED DISRUPTIONS", "2"),
            ],
        );
    }
}
