//! Role and ClusterRole: what may be done.

use k8s_openapi::api::rbac::v1::{ClusterRole, Role};

use super::GROUP;
use crate::failure::Cause;
use crate::kind::{Column, Kind};
use crate::kinds::document;
use crate::kinds::rules::{Mistakes, Spot};
use crate::names;
use crate::object::Object;

pub(in crate::kinds) fn role() -> Kind {
    Kind {
        document: document::<Role>(),
        check_name: names::path_segment,
        validate: |role, _| check(role, true),
        columns: columns(),
        is_carried_out: true,
        is_made_by_put: true,
        ..Kind::of(GROUP, "v1", "Role", "roles", "role")
    }
}

pub(in crate::kinds) fn cluster_role() -> Kind {
    Kind {
        is_namespaced: false,
        document: document::<ClusterRole>(),
        validate: |role, _| cluster_check(role),
        ..Kind {
            kind: "ClusterRole".into(),
            plural: "clusterroles".into(),
            singular: "clusterrole".into(),
            ..role()
        }
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Created At", "Since when it is there.", |role| {
            role.meta().text("creationTimestamp").into()
        }),
    ]
}

fn check(role: &Object, is_namespaced: bool) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    rules(&mut mistakes, role, is_namespaced);
    mistakes.into_causes()
}

fn cluster_check(role: &Object) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    rules(&mut mistakes, role, false);
    let aggregation = Spot::of(role, "aggregationRule");
    if aggregation.is_some() {
        let selectors = aggregation.at("clusterRoleSelectors");
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        mistakes.must_be(&selectors, why);
        for selector in selectors.items() {
            mistakes.label_selector(&selector);
        }
    }
    mistakes.into_causes()
}

fn rules(mistakes: &mut Mistakes, role: &Object, is_namespaced: bool) {
    for rule in Spot::of(role, "rules").items() {
        let verbs = rule.at("verbs");
        mistakes.must_be(&verbs, "verbs must contain at least one value");
        let paths = rule.at("nonResourceURLs");
        let (groups, resources) = (rule.at("apiGroups"), rule.at("resources"));
        if paths.is_empty() {
            let why = "resource rules must supply at least one api group";
            mistakes.must_be(&groups, why);
            let why = "resource rules must supply at least one resource";
            mistakes.must_be(&resources, why);
            continue;
        }
        if is_namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            mistakes.invalid(&paths, why);
        }
        let of_resources = [groups, resources, rule.at("resourceNames")];
        if !of_resources.iter().all(Spot::is_empty) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            mistakes.invalid(&paths, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{refuses, shows};

    #[test]
    fn rules_are_about_resources_or_paths() {
        let base = json!({
            "metadata": { "name": "system:reader", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }],
        });
        let rule = |rule: Value| json!({ "rules": [rule] });
        let both =
            rule(json!({ "verbs": ["get"], "nonResourceURLs": ["/a"], "resourceNames": ["x"] }));
        let path = rule(json!({ "verbs": ["get"], "nonResourceURLs": ["/a"] }));
        let common: [(Value, &[&str]); 2] = [
            (
                rule(json!({ "verbs": [] })),
                &[
                    "rules[0].verbs: Required value: verbs must contain at least one value",
                    "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                    "rules[0].resources: Required value",
                ],
            ),
            (
                rule(json!({ "apiGroups": [""], "resources": ["pods"] })),
                &["rules[0].verbs: Required value"],
            ),
        ];
        refuses(&role(), &base, &common);
        refuses(&cluster_role(), &base, &common);
        refuses(
            &role(),
            &base,
            &[
                (
                    path.clone(),
                    &[
                        "rules[0].nonResourceURLs: Invalid value: [\"/a\"]: namespaced rules cannot apply",
                    ],
                ),
                (
                    both.clone(),
                    &[
                        "rules[0].nonResourceURLs: Invalid",
                        "rules[0].nonResourceURLs: Invalid",
                    ],
                ),
            ],
        );
        refuses(
            &cluster_role(),
            &base,
            &[
                (path, &[]),
                (
                    both,
                    &[
                        "rules[0].nonResourceURLs: Invalid value: [\"/a\"]: rules cannot apply to both",
                    ],
                ),
                (
                    json!({ "aggregationRule": {} }),
                    &[
                        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required",
                    ],
                ),
                (
                    json!({ "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": { "-": "" } }] } }),
                    &["aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid"],
                ),
            ],
        );
        assert!((role().check_name)("system:reader").is_ok());
        assert!((cluster_role().check_name)("a/b").is_err());
        shows(
            &role(),
            base,
            &[
                ("NAME", "system:reader"),
                ("CREATED AT", "2026-01-01T00:00:00Z"),
            ],
        );
    }
}
