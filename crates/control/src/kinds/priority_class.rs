//! PriorityClass: how important a pod is.

use std::sync::Arc;

use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::Value;

use super::pod_spec::number;
use super::rules::fill::set_text;
use super::rules::{Mistakes, Spot};
use super::{document, text};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, Resolve, Wanted, texts};
use crate::object::Object;

/// Most that is not the system's own.
const HIGHEST: i64 = 1_000_000_000;
/// Classes that are always there, with what they are for.
const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "For pods the cluster cannot do without, which may be moved to another node.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "For pods a node cannot do without.",
    ),
];

/// The classes that are always there, as they are made.
pub fn system_priority_classes() -> Vec<Object> {
    let class = |(name, value, about): (&str, i64, &str)| {
        let mut class = Object::default();
        class.set_meta("name", Some(name.into()));
        class.0.insert("value".to_owned(), value.into());
        class.0.insert("description".to_owned(), about.into());
        class
    };
    SYSTEM.into_iter().map(class).collect()
}

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["pc"]),
        is_namespaced: false,
        document: document::<PriorityClass>(),
        default,
        resolve: &[Resolve {
            group: "scheduling.k8s.io",
            plural: "priorityclasses",
            of: |_| Wanted::All,
            is_for_changes: true,
            with: alone,
        }],
        validate,
        columns: columns(),
        is_carried_out: true,
        generation: Generation::Content,
        ..Kind::of(
            "scheduling.k8s.io",
            "v1",
            "PriorityClass",
            "priorityclasses",
            "priorityclass",
        )
    }
}

fn default(object: &mut Object) {
    set_text(&mut object.0, "preemptionPolicy", "PreemptLowerPriority");
    // It is always told: protobuf leaves a zero out.
    object.0.entry("value").or_insert_with(|| 0.into());
}

/// One at most is for all pods.
fn alone(class: &mut Object, classes: &[Arc<Object>]) -> Result<(), String> {
    let is_for_all = |class: &Object| Spot::of(class, "globalDefault").is_true();
    let name = class.meta().name();
    let is_other = |other: &&Arc<Object>| is_for_all(other) && other.meta().name() != name;
    match classes.iter().find(is_other).filter(|_| is_for_all(class)) {
        None => Ok(()),
        Some(other) => Err(format!(
            "PriorityClass {} is already marked as default. Only one default can exist",
            other.meta().name()
        )),
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let name = object.meta().name();
    let value = Spot::of(object, "value");
    let amount = number(object, &["value"]);
    if name.starts_with("system-") {
        let is_global = Spot::of(object, "globalDefault").is_true();
        let is_known = |(known, value, _): &(&str, i64, &str)| (*known, *value) == (name, amount);
        if is_global || !SYSTEM.iter().any(is_known) {
            let why = "priority class names with 'system-' prefix are reserved for system use only";
            mistakes.forbidden(&Spot::of(object, "metadata").at("name"), why);
        }
    } else if amount > HIGHEST {
        let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        mistakes.forbidden(&value, &why);
    }
    let policy = Spot::of(object, "preemptionPolicy");
    mistakes.one_of(&policy, &["Never", "PreemptLowerPriority"]);
    if let Some(old) = old {
        if amount != number(old, &["value"]) {
            mistakes.forbidden(&value, "may not be changed in an update.");
        }
        mistakes.same(&policy, &Spot::of(old, "preemptionPolicy"));
    }
    mistakes.into_causes()
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Value", "How important: more is more.", |class| {
            number(class, &["value"]).into()
        }),
        Column::text(
            "Global-Default",
            "Whether pods without one get it.",
            |class| (class.at(&["globalDefault"]) == Some(&Value::Bool(true))).into(),
        ),
        Column::age(),
        Column::text(
            "PreemptionPolicy",
            "Whether it displaces others.",
            |class| text(class, &["preemptionPolicy"]),
        )
        .wide(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{defaulted, object, refuses, refuses_change, shows};

    #[test]
    fn one_is_for_all_pods() {
        let class = |name: &str, is: bool| {
            object(json!({ "metadata": { "name": name }, "globalDefault": is }))
        };
        let there = [Arc::new(class("a", false)), Arc::new(class("b", true))];
        assert!(
            alone(&mut class("c", true), &there)
                .unwrap_err()
                .contains("PriorityClass b ")
        );
        assert_eq!(alone(&mut class("c", false), &there), Ok(()));
        assert_eq!(alone(&mut class("b", true), &there), Ok(()));
    }

    #[test]
    fn it_is_filled_in_checked_and_shown() {
        let base = json!({ "metadata": { "name": "high" }, "value": 1000 });
        refuses(
            &kind(),
            &base,
            &[
                (
                    json!({ "value": 1_000_000_001 }),
                    &[
                        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
                    ],
                ),
                (
                    json!({ "metadata": { "name": "system-mine" } }),
                    &["metadata.name: Forbidden: priority class names with 'system-'"],
                ),
                (
                    json!({ "metadata": { "name": "system-node-critical" }, "value": 2_000_001_000 }),
                    &[],
                ),
                (
                    json!({ "metadata": { "name": "system-node-critical" }, "value": 2_000_001_000, "globalDefault": true }),
                    &["metadata.name: Forbidden"],
                ),
                (
                    json!({ "preemptionPolicy": "Perhaps" }),
                    &["preemptionPolicy: Unsupported value"],
                ),
            ],
        );
        refuses_change(
            &kind(),
            &base,
            &[
                (json!({ "description": "x" }), &[]),
                (
                    json!({ "value": 5, "preemptionPolicy": "Never" }),
                    &[
                        "value: Forbidden: may not be changed in an update.",
                        "preemptionPolicy: Invalid value: \"Never\": field is immutable",
                    ],
                ),
            ],
        );
        shows(
            &kind(),
            defaulted(&kind(), base),
            &[
                ("NAME", "high"),
                ("VALUE", "1000"),
                ("GLOBAL-DEFAULT", "false"),
                ("PREEMPTIONPOLICY", "PreemptLowerPriority"),
            ],
        );
    }
}
