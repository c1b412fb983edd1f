//! Sets of fields, with a Deployment.

use serde_json::json;

use super::*;
use crate::schema::Schema;

fn deployments() -> Schema {
    let document = schemars::schema_for!(k8s_openapi::api::apps::v1::Deployment);
    Schema::compile(&document.to_value())
}

fn config() -> Value {
    json!({
        "metadata": { "labels": { "app": "web" }, "finalizers": ["a/b"] },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "spec": { "containers": [
                { "name": "a", "image": "x", "ports": [{ "containerPort": 80 }], "args": ["1"] },
            ] } },
        },
    })
}

fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

#[test]
fn a_configuration_owns_its_leaves_and_the_elements_of_its_lists() {
    let set = of(&deployments(), map(&config()));
    let written = set.write();
    assert_eq!(
        written,
        json!({
            "f:metadata": { "f:labels": { "f:app": {} }, "f:finalizers": { "v:\"a/b\"": {} } },
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"a\"}": {
                    ".": {},
                    "f:args": {},
                    "f:image": {},
                    "f:name": {},
                    "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                        ".": {}, "f:containerPort": {},
                    } },
                } } } },
            },
        })
    );
    assert_eq!(Set::read(&written), Some(set.clone()));
    assert!(
        set.paths().contains(
            &".spec.template.spec.containers[name=\"a\"].ports[containerPort=80,protocol=\"TCP\"]"
                .to_owned()
        )
    );
    for wrong in [
        json!({ "x:a": {} }),
        json!({ "k:{": {} }),
        json!({ "f:a": 1 }),
    ] {
        assert_eq!(Set::read(&wrong), None, "{wrong}");
    }
}

#[test]
fn what_differs_is_told_by_parts() {
    let old = config();
    let mut new = old.clone();
    new["spec"]["replicas"] = 3.into();
    new["metadata"]["labels"] = json!({ "tier": "front" });
    let containers = &mut new["spec"]["template"]["spec"]["containers"];
    *containers = json!([
        { "name": "b" },
        { "name": "a", "image": "x", "ports": [{ "containerPort": 80 }], "args": ["2"] },
    ]);
    let found = difference(&deployments(), map(&old), map(&new));
    let at = ".spec.template.spec.containers";
    assert_eq!(
        found.changed.paths(),
        [
            ".metadata.labels.tier".to_owned(),
            ".spec.replicas".to_owned(),
            format!("{at}[name=\"a\"].args"),
            format!("{at}[name=\"b\"]"),
            format!("{at}[name=\"b\"].name"),
        ]
    );
    assert_eq!(found.removed.paths(), [".metadata.labels.app"]);
    let same = difference(&deployments(), map(&old), map(&old));
    assert!(same.changed.is_empty() && same.removed.is_empty());
}

#[test]
fn a_configuration_changes_what_it_names_and_nothing_else() {
    let mut live = config();
    live["spec"]["paused"] = true.into();
    let more = json!({
        "metadata": { "finalizers": ["c/d", "a/b"] },
        "spec": {
            "selector": { "matchLabels": { "b": "c" } },
            "template": { "spec": { "containers": [
                { "name": "z", "image": "z" },
                { "name": "a", "image": "y", "args": ["3"] },
            ] } },
        },
    });
    overlay(&deployments(), &mut live, &more);
    assert_eq!(live["metadata"]["finalizers"], json!(["a/b", "c/d"]));
    assert_eq!(
        live["spec"]["selector"],
        json!({ "matchLabels": { "b": "c" } })
    );
    assert_eq!(
        (&live["spec"]["replicas"], &live["spec"]["paused"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        live["spec"]["template"]["spec"]["containers"],
        json!([
            { "name": "a", "image": "y", "ports": [{ "containerPort": 80 }], "args": ["3"] },
            { "name": "z", "image": "z" },
        ])
    );
}

#[test]
fn only_what_nobody_else_owns_is_taken_out() {
    let schema = deployments();
    let mine = of(&schema, map(&config()));
    let theirs = json!({ "spec": { "replicas": 1, "template": { "spec": { "containers": [
        { "name": "a", "image": "x" },
    ] } } } });
    let theirs = of(&schema, map(&theirs));
    let mut object = config();
    remove(&schema, &mut object, &mine, &theirs);
    assert_eq!(
        object,
        json!({ "spec": { "replicas": 2, "template": { "spec": { "containers": [
            { "name": "a", "image": "x" },
        ] } } } })
    );
    let mut object = config();
    remove(&schema, &mut object, &mine, &Set::default());
    assert_eq!(object, json!({}));
}
