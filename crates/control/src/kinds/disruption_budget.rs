//! PodDisruptionBudget: how many of some pods may be taken away at a time.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::Value;

use super::{document, label_selector, spot::Spot};
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
    let (least, most) = (spec.field("minAvailable"), spec.field("maxUnavailable"));
    let mut causes = Vec::new();
    if least.is_there() && most.is_there() {
        causes.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
    }
    causes.extend(share(&least));
    causes.extend(share(&most));
    causes.extend(label_selector::check(&spec.field("selector")));
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    causes.extend(spec.field("unhealthyPodEvictionPolicy").one_of(&policies));
    causes
}

/// A number, or a part of all.
fn share(spot: &Spot<'_>) -> Option<Cause> {
    let Value::String(text) = spot.value()? else {
        return spot.at_least(0);
    };
    let digits = text.strip_suffix('%').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(spot.invalid(
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. \
             '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ));
    }
    let is_part = digits.parse::<u32>().is_ok_and(|percent| percent <= 100);
    (!is_part).then(|| spot.invalid("must not be greater than 100%"))
}

fn columns() -> Vec<Column> {
    fn number_or_part(budget: &Object, name: &str) -> String {
        match budget.at(&["spec", name]) {
            None | Some(Value::Null) => "N/A".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
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
            let allowed = Spot::of(budget, "status").field("disruptionsAllowed");
            allowed.number().unwrap_or_default().into()
        })
        .integer(),
        Column::age(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
