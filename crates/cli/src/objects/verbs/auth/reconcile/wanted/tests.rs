//! Fields that are known and fields that are not, by tables.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn of(kind: &str, rest: &Value) -> Value {
    let mut object = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": { "name": "x", "uid": "u", "resourceVersion": "7" } });
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

#[test]
fn a_field_that_would_be_lost_is_named() {
    let role = |rule: Value| of("Role", &json!({ "rules": [rule] }));
    let aggregated = |selector: Value| {
        let rule = json!({ "clusterRoleSelectors": [selector] });
        of("ClusterRole", &json!({ "aggregationRule": rule }))
    };
    let binding = |subject: Value| {
        let role = json!({ "kind": "Role", "name": "r" });
        of(
            "RoleBinding",
            &json!({ "roleRef": role, "subjects": [subject] }),
        )
    };
    for (object, at) in [
        (of("Role", &json!({ "rulez": [] })), "rulez: "),
        (of("Role", &json!({ "rules": {} })), "rules: "),
        (
            of("Role", &json!({ "aggregationRule": {} })),
            "aggregationRule: ",
        ),
        (role(json!({ "verbs": "get" })), "rules[0].verbs: "),
        (role(json!({ "verbs": [1] })), "rules[0].verbs[0]: "),
        (
            role(json!({ "resourceNmes": ["a"] })),
            "rules[0].resourceNmes: ",
        ),
        (role(json!("get")), "rules[0]: "),
        (
            aggregated(json!({ "matchLabel": { "a": "b" } })),
            "aggregationRule.clusterRoleSelectors[0].matchLabel: ",
        ),
        (
            aggregated(json!({ "matchLabels": { "a": true } })),
            "aggregationRule.clusterRoleSelectors[0].matchLabels.a: ",
        ),
        (
            aggregated(json!({ "matchExpressions": [{ "value": [] }] })),
            "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].value: ",
        ),
        (
            of(
                "ClusterRole",
                &json!({ "aggregationRule": { "selectors": [] } }),
            ),
            "aggregationRule.selectors: ",
        ),
        (
            binding(json!({ "kind": "User", "user": "x" })),
            "subjects[0].user: ",
        ),
        (
            binding(json!({ "kind": "User", "name": 5 })),
            "subjects[0].name: ",
        ),
        (of("RoleBinding", &json!({ "subjects": [] })), "roleRef: "),
        (of("ClusterRoleBinding", &json!({ "rules": [] })), "rules: "),
    ] {
        let why = Rights::read(&object).unwrap_err();
        assert!(why.starts_with(at), "{object}: {why}");
    }
    let marked = json!({ "metadata": { "labels": { "a": 1 } } });
    let why = Wanted::read(&of("Role", &marked), Some("n")).unwrap_err();
    assert!(why.starts_with("metadata.labels.a: "), "{why}");
}

#[test]
fn a_manifest_goes_where_it_is_meant_without_what_the_server_wrote() {
    let read = Wanted::read(&of("Role", &json!({ "rules": null })), Some("n")).unwrap();
    assert_eq!(
        read.object["metadata"],
        json!({ "name": "x", "namespace": "n" })
    );
    let read = Wanted::read(&of("ClusterRole", &json!({})), None).unwrap();
    assert_eq!(read.object["metadata"], json!({ "name": "x" }));
}

#[test]
fn what_the_server_adds_makes_no_difference() {
    let read = |subject: Value| super::subject(&subject, "").unwrap();
    let user = json!({ "kind": "User", "name": "u" });
    let told = json!({ "kind": "User", "name": "u", "apiGroup": GROUP });
    assert_eq!(read(user.clone()), read(told));
    let account = json!({ "kind": "ServiceAccount", "name": "u" });
    assert_ne!(read(account.clone()), read(user));
    let empty = json!({ "kind": "ServiceAccount", "name": "u", "apiGroup": "", "namespace": "" });
    assert_eq!(read(account), read(empty));
    let role = |value: Value| role_ref(&value).unwrap();
    let short = role(json!({ "kind": "Role", "name": "r" }));
    assert_eq!(
        short,
        role(json!({ "kind": "Role", "name": "r", "apiGroup": GROUP }))
    );
    assert_ne!(short, role(json!({ "kind": "ClusterRole", "name": "r" })));
    let selector = |value: Value| super::selector(&value, "").unwrap();
    let labels = selector(json!({ "matchLabels": { "a": "b", "c": "d" } }));
    let same = json!({ "matchLabels": { "c": "d", "a": "b" }, "matchExpressions": [] });
    assert_eq!(labels, selector(same));
    assert_ne!(labels, selector(json!({ "matchLabels": { "a": "b" } })));
}
