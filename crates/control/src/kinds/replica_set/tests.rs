//! Replica sets: what they become, what is refused, and what is shown.

use serde_json::{Value, json};

use super::super::testing::{cells, each_is_refused, headings, made, template, with, wrong_change};
use super::kind;

fn replica_set() -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": template() },
    })
}

#[test]
fn rules_and_columns() {
    each_is_refused(
        &kind(),
        &replica_set(),
        &[
            (
                "/spec/replicas",
                json!(-1),
                "spec.replicas: Invalid value: -1",
            ),
            (
                "/spec/minReadySeconds",
                json!(-1),
                "spec.minReadySeconds: Invalid value: -1",
            ),
            (
                "/spec/selector",
                json!({}),
                "spec.selector: Invalid value: {}: empty selector",
            ),
            (
                "/status",
                json!({ "replicas": 1, "readyReplicas": 2 }),
                "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
            ),
        ],
    );
    let other = with(
        &replica_set(),
        "/spec/selector/matchExpressions",
        json!([{ "key": "app", "operator": "Exists" }]),
    );
    let told = wrong_change(&kind(), replica_set(), other);
    assert!(
        told.len() == 1 && told[0].ends_with("field is immutable"),
        "{told:?}"
    );
    let expected = "Name Desired Current Ready Age (Containers) (Images) (Selector)";
    assert_eq!(headings(&kind()), expected);
    let object = made(&kind(), replica_set());
    assert_eq!(
        cells(&kind(), &object),
        ["web", "1", "0", "0", "web", "nginx:1.27", "app=web"]
    );
    assert_eq!(kind().field(&object, "status.replicas"), "0");
}
