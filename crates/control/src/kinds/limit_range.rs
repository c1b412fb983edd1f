//! LimitRange: how much one pod, container or claim of a namespace may ask for.

use k8s_openapi::api::core::v1::LimitRange;

use super::document;
use super::rules::fill::{Fields, below, each, made, resource_list, set, text};
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::object::Object;
use crate::quantity::Quantity;

/// Amounts of a limit.
const LISTS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];
/// What has limits.
const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["limits"]),
        document: document::<LimitRange>(),
        default,
        validate,
        is_made_by_put: true,
        columns: vec![
            Column::name(),
            Column::text("Created At", "Since when it is there.", |range| {
                range.meta().text("creationTimestamp").into()
            }),
        ],
        ..Kind::core("LimitRange", "limitranges", "limitrange")
    }
}

/// A container that says nothing gets the most, and asks for what it gets.
fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    for limit in each(spec, "limits") {
        for name in LISTS {
            resource_list(limit, name);
        }
        if text(limit, "type") == "Container" {
            take_over(limit, "max", "default");
            take_over(limit, "default", "defaultRequest");
            take_over(limit, "min", "defaultRequest");
        }
    }
}

fn take_over(limit: &mut Fields, from: &str, to: &str) {
    let amounts = below(limit, from).cloned().unwrap_or_default();
    if amounts.is_empty() {
        return;
    }
    if let Some(target) = made(limit, to) {
        for (name, amount) in amounts {
            set(target, &name, amount);
        }
    }
}

fn validate(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let mut seen = Vec::new();
    for limit in Spot::of(object, "spec").at("limits").items() {
        let kind = limit.at("type");
        mistakes.must_be_one_of(&kind, &TYPES);
        if seen.contains(&kind.text()) {
            mistakes.duplicate(&kind);
        }
        seen.push(kind.text());
        for name in LISTS {
            for (_, amount) in limit.at(name).entries() {
                mistakes.amount(&amount);
            }
        }
        for name in ["default", "defaultRequest"] {
            let list = limit.at(name);
            if kind.text() == "Pod" && !list.is_empty() {
                mistakes.forbidden(&list, "may not be specified when `type` is 'Pod'");
            }
        }
        if kind.text() == "PersistentVolumeClaim" {
            let has_size = |name| limit.at(name).at("storage").is_some();
            if !has_size("min") && !has_size("max") {
                let why = "either minimum or maximum storage value is required, but neither was \
                           provided";
                mistakes.required(&limit, why);
            }
        }
        for (_, ratio) in limit.at("maxLimitRequestRatio").entries() {
            let one = Quantity::parse("1").ok();
            if size(&ratio)
                .zip(one)
                .is_some_and(|(ratio, one)| ratio < one)
            {
                mistakes.invalid(&ratio, "must be at least 1");
            }
        }
        order(&mut mistakes, &limit);
    }
    mistakes.into_causes()
}

/// The least, what is asked for by default, what is given by default, the most: none is larger
/// than one that follows.
fn order(mistakes: &mut Mistakes, limit: &Spot<'_, '_>) {
    let names = ["min", "defaultRequest", "default", "max"];
    for (at, smaller) in names.iter().enumerate() {
        for (resource, amount) in limit.at(smaller).entries() {
            for larger in &names[at + 1..] {
                let both = size(&amount).zip(size(&limit.at(larger).at(resource)));
                if both.is_some_and(|(less, more)| less > more) {
                    let why = format!("{smaller} value is greater than {larger} value");
                    mistakes.invalid(&amount, &why);
                }
            }
        }
    }
}

fn size(spot: &Spot<'_, '_>) -> Option<Quantity> {
    Quantity::of(spot.value()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, shows};

    fn limits(limits: Value) -> Value {
        json!({ "metadata": { "name": "a", "creationTimestamp": "2026-01-01T00:00:00Z" }, "spec": { "limits": limits } })
    }

    #[test]
    fn a_container_gets_the_most_and_asks_for_it() {
        let given = limits(json!([
            { "type": "Container", "max": { "cpu": "2000m" }, "min": { "memory": "1024Ki" } },
            { "type": "Pod", "max": { "cpu": 4 } },
        ]));
        let wanted = json!([
            {
                "type": "Container",
                "max": { "cpu": "2" },
                "min": { "memory": "1Mi" },
                "default": { "cpu": "2" },
                "defaultRequest": { "cpu": "2", "memory": "1Mi" },
            },
            { "type": "Pod", "max": { "cpu": "4" } },
        ]);
        assert_eq!(defaulted(&kind(), given.clone())["spec"]["limits"], wanted);
        shows(
            &kind(),
            given,
            &[("NAME", "a"), ("CREATED AT", "2026-01-01T00:00:00Z")],
        );
    }

    #[test]
    fn mistakes_are_told() {
        let base = limits(json!([{ "type": "Pod", "max": { "cpu": 1 } }]));
        let one = |limit: Value| json!({ "spec": { "limits": [limit] } });
        refuses(
            &kind(),
            &base,
            &[
                (
                    one(json!({ "type": "Cat" })),
                    &["spec.limits[0].type: Unsupported value: \"Cat\""],
                ),
                (
                    json!({ "spec": { "limits": [{ "type": "Pod" }, { "type": "Pod" }] } }),
                    &["spec.limits[1].type: Duplicate value: \"Pod\""],
                ),
                (
                    one(json!({ "type": "Pod", "max": { "cpu": "x" } })),
                    &["spec.limits[0].max[cpu]: Invalid"],
                ),
                (
                    one(json!({ "type": "Pod", "default": { "cpu": 1 } })),
                    &[
                        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                    ],
                ),
                (
                    one(json!({ "type": "Pod", "maxLimitRequestRatio": { "cpu": "500m" } })),
                    &["spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\""],
                ),
                (
                    one(json!({ "type": "PersistentVolumeClaim" })),
                    &["spec.limits[0]: Required value: either minimum or maximum storage"],
                ),
                (
                    one(json!({ "type": "Pod", "min": { "cpu": 2 }, "max": { "cpu": "1" } })),
                    &[
                        "spec.limits[0].min[cpu]: Invalid value: \"2\": min value is greater than max value",
                    ],
                ),
                (
                    one(
                        json!({ "type": "Container", "default": { "cpu": 3 }, "max": { "cpu": 1 } }),
                    ),
                    &[
                        "spec.limits[0].defaultRequest[cpu]: Invalid value: \"3\": defaultRequest value is greater than max value",
                        "spec.limits[0].default[cpu]: Invalid value: \"3\": default value is greater than max value",
                    ],
                ),
            ],
        );
    }
}
