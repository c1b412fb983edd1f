//! ResourceQuota: how much a namespace may use in all.

use k8s_openapi::api::core::v1::ResourceQuota;

use super::document;
use super::rules::amounts::shown;
use super::rules::fill::{below, resource_list};
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

/// Which pods count.
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// Those that cannot both be meant.
const OPPOSITES: [(&str, &str); 2] = [
    ("BestEffort", "NotBestEffort"),
    ("Terminating", "NotTerminating"),
];

/// What of pods is held by those that choose among them.
const OF_PODS: [&str; 7] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.memory",
];
/// The same of volumes.
const OF_VOLUMES: [&str; 2] = ["persistentvolumeclaims", "requests.storage"];

/// What there is of everything that is not somebody's own (`example.com/gpu`).
const STANDARD: [&str; 19] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// The same, of pages of a size.
const PAGES: [&str; 2] = ["hugepages-", "requests.hugepages-"];

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["quota"]),
        document: document::<ResourceQuota>(),
        default,
        validate,
        columns: columns(),
        has_status: true,
        counted: Some(&[]),
        ..Kind::core("ResourceQuota", "resourcequotas", "resourcequota")
    }
}

fn default(object: &mut Object) {
    if let Some(spec) = below(&mut object.0, "spec") {
        resource_list(spec, "hard");
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let hard = spec.at("hard");
    let mut mistakes = Mistakes::default();
    for (name, amount) in hard.entries() {
        if let Err(why) = names::label_key(name) {
            mistakes.invalid_as(&amount, name, why);
        } else if !is_known(name) {
            let why = "must be a standard resource for quota";
            mistakes.invalid_as(&amount, name, why);
        }
        mistakes.amount(&amount);
    }
    let scopes = spec.at("scopes");
    let list: Vec<Spot<'_, '_>> = scopes.items().collect();
    for scope in &list {
        mistakes.one_of(scope, &SCOPES);
    }
    let selector = spec.at("scopeSelector");
    let terms = selector.at("matchExpressions");
    let all: Vec<Spot<'_, '_>> = terms.items().collect();
    let named: Vec<Spot<'_, '_>> = all.iter().map(|term| term.at("scopeName")).collect();
    together(&mut mistakes, &scopes, &list, &hard);
    together(&mut mistakes, &terms, &named, &hard);
    for one in &all {
        term(&mut mistakes, one);
    }
    if let Some(old) = old {
        mistakes.same(&scopes, &Spot::of(old, "spec").at("scopes"));
    }
    mistakes.into_causes()
}

/// Scopes that can be meant at once, and that hold what is counted.
fn together(
    mistakes: &mut Mistakes,
    whole: &Spot<'_, '_>,
    scopes: &[Spot<'_, '_>],
    hard: &Spot<'_, '_>,
) {
    let has = |name: &str| scopes.iter().any(|scope| scope.text() == name);
    for (one, other) in OPPOSITES {
        if has(one) && has(other) {
            mistakes.invalid(whole, "conflicting scopes");
        }
    }
    for scope in scopes {
        holds_all(mistakes, scope, hard);
    }
}

/// A scope holds pods or volumes: what is counted otherwise has none.
fn holds_all(mistakes: &mut Mistakes, scope: &Spot<'_, '_>, hard: &Spot<'_, '_>) {
    let held: &[&str] = match scope.text() {
        "BestEffort" => &["pods"],
        "VolumeAttributesClass" => &OF_VOLUMES,
        known if SCOPES.contains(&known) => &OF_PODS,
        _ => return,
    };
    let counted = hard.entries().map(|(name, _)| name);
    let other: Vec<&str> = counted
        .filter(|name| is_standard(name) && !held.contains(name))
        .collect();
    if !other.is_empty() {
        let why = format!("unsupported scope applied to resource {}", other.join(", "));
        mistakes.invalid(scope, &why);
    }
}

fn term(mistakes: &mut Mistakes, term: &Spot<'_, '_>) {
    let (scope, operator) = (term.at("scopeName"), term.at("operator"));
    let values = term.at("values");
    mistakes.must_be_one_of(&scope, &SCOPES);
    let takes_values = matches!(scope.text(), "PriorityClass" | "VolumeAttributesClass");
    if SCOPES.contains(&scope.text()) && !takes_values && operator.text() != "Exists" {
        let why = format!("must be 'Exists' when the scope is {}", scope.text());
        mistakes.invalid(&operator, &why);
        return;
    }
    match operator.text() {
        "In" | "NotIn" => {
            let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope \
                       selector";
            mistakes.must_be(&values, why);
        }
        "Exists" | "DoesNotExist" if values.is_empty() => {}
        "Exists" | "DoesNotExist" => {
            let why = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope \
                       selector";
            mistakes.invalid(&values, why);
        }
        _ => mistakes.invalid(&operator, "not a valid selector operator"),
    }
}

fn is_known(name: &str) -> bool {
    name.contains('/') || is_standard(name)
}

fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || PAGES.iter().any(|start| name.starts_with(start))
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::age(),
        Column::text("Request", "What is asked for, of what may be.", |quota| {
            used(quota, false).into()
        }),
        Column::text("Limit", "What is given, of what may be.", |quota| {
            used(quota, true).into()
        }),
    ]
}

/// `cpu: 1/2, memory: 1Gi/4Gi`
fn used(quota: &Object, of_limits: bool) -> String {
    let status = Spot::of(quota, "status");
    let (hard, used) = (status.at("hard"), status.at("used"));
    let mut wanted: Vec<_> = hard
        .entries()
        .filter(|(name, _)| name.contains("limits") == of_limits)
        .collect();
    wanted.sort_by_key(|(name, _)| *name);
    let terms = wanted.iter().map(|(name, most)| {
        let used = shown(used.at(name).value());
        let used = if used.is_empty() { "0" } else { &used };
        format!("{name}: {used}/{}", shown(most.value()))
    });
    terms.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    #[test]
    fn it_is_checked_and_shown() {
        let base = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "cpu": "1000m", "pods": 5 } } });
        let found = defaulted(&kind(), base.clone());
        assert_eq!(found["spec"]["hard"], json!({ "cpu": "1", "pods": "5" }));
        let spec = |spec: Value| json!({ "spec": spec });
        let term =
            |term: Value| json!({ "spec": { "scopeSelector": { "matchExpressions": [term] } } });
        refuses(
            &kind(),
            &base,
            &[
                (
                    spec(json!({ "hard": { "a b": "-1" } })),
                    &[
                        "spec.hard[a b]: Invalid value: \"a b\"",
                        "spec.hard[a b]: Invalid value: \"-1\"",
                    ],
                ),
                (
                    spec(json!({ "hard": { "bogus": 1, "count/x.y": 1, "hugepages-2Mi": 1 } })),
                    &["spec.hard[bogus]: Invalid value: \"bogus\": must be a standard resource"],
                ),
                (
                    spec(json!({ "scopes": ["Terminating", "NotTerminating", "Odd"] })),
                    &["spec.scopes[2]: Unsupported", "spec.scopes: Invalid"],
                ),
                (
                    spec(json!({ "scopes": ["BestEffort", "NotTerminating"] })),
                    &[
                        "spec.scopes[0]: Invalid value: \"BestEffort\": unsupported scope applied to resource cpu",
                    ],
                ),
                (
                    spec(json!({
                        "scopes": ["NotBestEffort", "CrossNamespacePodAffinity"],
                        "hard": { "pods": 1, "secrets": 1, "hugepages-2Mi": 1, "example.com/x": 1 },
                    })),
                    &[
                        "spec.scopes[0]: Invalid value: \"NotBestEffort\": unsupported scope applied to \
                         resource hugepages-2Mi, secrets",
                        "spec.scopes[1]: Invalid",
                    ],
                ),
                (
                    json!({ "spec": {
                        "hard": { "cpu": null, "pods": null, "requests.storage": "1Gi" },
                        "scopes": ["VolumeAttributesClass"],
                        "scopeSelector": { "matchExpressions": [
                            { "scopeName": "PriorityClass", "operator": "In", "values": ["a"] },
                            { "scopeName": "VolumeAttributesClass", "operator": "Exists" },
                        ] },
                    } }),
                    &[
                        "spec.scopeSelector.matchExpressions[0].scopeName: Invalid value: \"PriorityClass\"",
                    ],
                ),
                (
                    json!({ "spec": {
                        "scopeSelector": { "matchExpressions": [
                            { "scopeName": "Terminating", "operator": "Exists" },
                            { "scopeName": "NotTerminating", "operator": "In", "values": ["a"] },
                        ] },
                    } }),
                    &[
                        "spec.scopeSelector.matchExpressions: Invalid",
                        "spec.scopeSelector.matchExpressions[1].operator: Invalid value: \"In\": must be 'Exists'",
                    ],
                ),
                (
                    term(json!({ "scopeName": "Odd", "operator": "In" })),
                    &[
                        "spec.scopeSelector.matchExpressions[0].scopeName: Unsupported",
                        "spec.scopeSelector.matchExpressions[0].values: Required",
                    ],
                ),
                (
                    term(
                        json!({ "scopeName": "PriorityClass", "operator": "Exists", "values": ["x"] }),
                    ),
                    &["spec.scopeSelector.matchExpressions[0].values: Invalid"],
                ),
                (
                    term(json!({ "scopeName": "PriorityClass", "operator": "Like" })),
                    &["spec.scopeSelector.matchExpressions[0].operator: Invalid"],
                ),
            ],
        );
        refuses_change(
            &kind(),
            &base,
            &[
                (spec(json!({ "hard": { "pods": 6 } })), &[]),
                (
                    spec(json!({ "hard": { "bogus": 6 } })),
                    &["spec.hard[bogus]: Invalid value"],
                ),
                (
                    spec(json!({ "scopes": ["Terminating"] })),
                    &["spec.scopes: Invalid value: [\"Terminating\"]: field is immutable"],
                ),
            ],
        );
        let mut quota = found;
        quota["status"] = json!({ "hard": { "pods": "5", "cpu": "1", "limits.cpu": "2" }, "used": { "cpu": "500m" } });
        shows(
            &kind(),
            quota,
            &[
                ("NAME", "q"),
                ("REQUEST", "cpu: 500m/1, pods: 0/5"),
                ("LIMIT", "limits.cpu: 0/2"),
            ],
        );
    }
}
