//! RoleBinding and ClusterRoleBinding: who may do it.

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};

use super::GROUP;
use crate::failure::Cause;
use crate::kind::{Column, Kind};
use crate::kinds::document;
use crate::kinds::rules::fill::{below, each, set_text, text};
use crate::kinds::rules::{Mistakes, Spot};
use crate::names;
use crate::object::Object;

pub(in crate::kinds) fn role_binding() -> Kind {
    Kind {
        document: document::<RoleBinding>(),
        check_name: names::path_segment,
        default,
        validate: |binding, old| rules(binding, old, &["ClusterRole", "Role"], true),
        columns: columns(),
        is_carried_out: true,
        is_made_by_put: true,
        ..Kind::of(GROUP, "v1", "RoleBinding", "rolebindings", "rolebinding")
    }
}

pub(in crate::kinds) fn cluster_role_binding() -> Kind {
    Kind {
        is_namespaced: false,
        document: document::<ClusterRoleBinding>(),
        validate: |binding, old| rules(binding, old, &["ClusterRole"], false),
        ..Kind {
            kind: "ClusterRoleBinding".into(),
            plural: "clusterrolebindings".into(),
            singular: "clusterrolebinding".into(),
            ..role_binding()
        }
    }
}

fn default(object: &mut Object) {
    if let Some(role) = below(&mut object.0, "roleRef") {
        set_text(role, "apiGroup", GROUP);
    }
    for subject in each(&mut object.0, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            set_text(subject, "apiGroup", GROUP);
        }
    }
}

fn rules(
    binding: &Object,
    old: Option<&Object>,
    kinds: &[&str],
    is_namespaced: bool,
) -> Vec<Cause> {
    let role = Spot::of(binding, "roleRef");
    let mut mistakes = Mistakes::default();
    mistakes.must_be_one_of(&role.at("apiGroup"), &[GROUP]);
    mistakes.must_be_one_of(&role.at("kind"), kinds);
    mistakes.must_be_name(&role.at("name"), names::path_segment);
    for subject in Spot::of(binding, "subjects").items() {
        check_subject(&mut mistakes, &subject, is_namespaced);
    }
    if old.is_some_and(|old| Spot::of(old, "roleRef").value() != role.value()) {
        mistakes.invalid(&role, "cannot change roleRef");
    }
    mistakes.into_causes()
}

fn check_subject(mistakes: &mut Mistakes, subject: &Spot<'_, '_>, is_namespaced: bool) {
    let (kind, name) = (subject.at("kind"), subject.at("name"));
    let group = subject.at("apiGroup");
    mistakes.must_be(&name, "");
    match kind.text() {
        "ServiceAccount" => {
            mistakes.name(&name, names::dns_subdomain);
            if !group.is_empty() {
                mistakes.unsupported(&group, &[""]);
            }
            // In a namespace, an account that names none is of that.
            if !is_namespaced {
                mistakes.must_be(&subject.at("namespace"), "");
            }
        }
        "User" | "Group" => mistakes.one_of(&group, &[GROUP]),
        _ => mistakes.unsupported(&kind, &["Group", "ServiceAccount", "User"]),
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Role", "What they may do.", |binding| {
            let role = Spot::of(binding, "roleRef");
            let part = |name| role.at(name).text();
            format!("{}/{}", part("kind"), part("name")).into()
        }),
        Column::age(),
        Column::text("Users", "Users who may.", |binding| {
            subjects(binding, "User").into()
        })
        .wide(),
        Column::text("Groups", "Groups who may.", |binding| {
            subjects(binding, "Group").into()
        })
        .wide(),
        Column::text("ServiceAccounts", "Accounts who may.", |binding| {
            subjects(binding, "ServiceAccount").into()
        })
        .wide(),
    ]
}

fn subjects(binding: &Object, kind: &str) -> String {
    let subjects = Spot::of(binding, "subjects");
    let of_kind = subjects.items().filter(|one| one.at("kind").text() == kind);
    let shown = of_kind.map(|one| {
        let name = one.at("name").text();
        match kind {
            "ServiceAccount" => format!("{}/{name}", one.at("namespace").text()),
            _ => name.to_owned(),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    fn base() -> Value {
        json!({
            "metadata": { "name": "system:b" },
            "roleRef": { "kind": "ClusterRole", "name": "view" },
            "subjects": [
                { "kind": "User", "name": "a" },
                { "kind": "User", "name": "b" },
                { "kind": "Group", "name": "g" },
                { "kind": "ServiceAccount", "name": "s", "namespace": "n" },
            ],
        })
    }

    #[test]
    fn groups_are_filled_in() {
        let found = defaulted(&role_binding(), base());
        assert_eq!(found["roleRef"]["apiGroup"], GROUP);
        assert_eq!(found["subjects"][0]["apiGroup"], GROUP);
        assert_eq!(found["subjects"][2]["apiGroup"], GROUP);
        assert!(found["subjects"][3].get("apiGroup").is_none());
    }

    #[test]
    fn mistakes_are_told() {
        let role = |role: Value| json!({ "roleRef": role });
        let subject = |subject: Value| json!({ "subjects": [subject] });
        let lone = subject(json!({ "kind": "ServiceAccount", "name": "s" }));
        let common: [(Value, &[&str]); 5] = [
            (
                role(json!({ "apiGroup": "x", "kind": "Pod", "name": "a/b" })),
                &[
                    "roleRef.apiGroup: Unsupported value: \"x\"",
                    "roleRef.kind: Unsupported value: \"Pod\"",
                    "roleRef.name: Invalid",
                ],
            ),
            (role(json!({ "name": "" })), &["roleRef.name: Required"]),
            (
                subject(json!({ "kind": "Robot", "name": "" })),
                &[
                    "subjects[0].name: Required",
                    "subjects[0].kind: Unsupported value: \"Robot\"",
                ],
            ),
            (
                subject(
                    json!({ "kind": "ServiceAccount", "name": "A", "namespace": "n", "apiGroup": GROUP }),
                ),
                &[
                    "subjects[0].name: Invalid",
                    "subjects[0].apiGroup: Unsupported",
                ],
            ),
            (
                subject(json!({ "kind": "User", "name": "a", "apiGroup": "x" })),
                &["subjects[0].apiGroup: Unsupported"],
            ),
        ];
        refuses(&role_binding(), &base(), &common);
        refuses(&cluster_role_binding(), &base(), &common);
        refuses(
            &role_binding(),
            &base(),
            &[(lone.clone(), &[]), (role(json!({ "kind": "Role" })), &[])],
        );
        refuses(
            &cluster_role_binding(),
            &base(),
            &[
                (lone, &["subjects[0].namespace: Required"]),
                (
                    role(json!({ "kind": "Role" })),
                    &[
                        "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
                    ],
                ),
            ],
        );
        refuses_change(
            &role_binding(),
            &base(),
            &[
                (json!({ "subjects": null }), &[]),
                (
                    role(json!({ "name": "edit" })),
                    &[
                        "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"edit\"}: cannot change roleRef",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn columns_are_kubectls() {
        shows(
            &cluster_role_binding(),
            base(),
            &[
                ("NAME", "system:b"),
                ("ROLE", "ClusterRole/view"),
                ("USERS", "a, b"),
                ("GROUPS", "g"),
                ("SERVICEACCOUNTS", "n/s"),
            ],
        );
    }
}
