//! What is told of objects that are wrong in more than one way.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::Kinds;

fn kind(group: &str, version: &str, plural: &str) -> Arc<Kind> {
    Arc::clone(Kinds::built_in().find(group, version, plural).unwrap())
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        other => panic!("{other} is no object"),
    }
}

/// What is said of a new object.
fn told(kind: &Kind, value: Value) -> Vec<String> {
    let mut object = object(value);
    kind.complete(&mut object);
    let causes = of(kind, &mut object, None);
    causes.iter().map(ToString::to_string).collect()
}

fn deployment() -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "web" }] },
            },
        },
    })
}

/// A deployment with other values at these pointers.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut value = deployment();
    for (pointer, other) in changes {
        let (above, name) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(above).unwrap()[name] = other.clone();
    }
    value
}

#[test]
fn types_and_values_are_told_at_once_and_nothing_that_follows_from_a_wrong_type() {
    let kind = kind("apps", "v1", "deployments");
    let container = "spec.template.spec.containers[0]";
    let number = "Invalid value: number: must be of type";
    assert_eq!(told(&kind, deployment()), [""; 0]);
    for (changes, expected) in [
        (
            vec![
                ("/metadata/name", json!("Web")),
                ("/spec/replicas", json!("three")),
                (
                    "/spec/template/spec/containers",
                    json!([{ "name": "A", "image": 7 }]),
                ),
                ("/spec/template/spec/restartPolicy", json!("Never")),
            ],
            vec![
                "spec.replicas: Invalid value: string: must be of type int32".to_owned(),
                format!("{container}.image: {number} string"),
                "metadata.name: ".to_owned(),
                format!("{container}.name: "),
                "spec.template.spec.restartPolicy: Unsupported value".to_owned(),
            ],
        ),
        // The name is there, and the labels may well have been meant to match.
        (
            vec![
                (
                    "/spec/template/spec/containers",
                    json!([{ "name": 5, "image": "a" }]),
                ),
                ("/spec/template/metadata/labels", json!("app=web")),
            ],
            vec![
                "spec.template.metadata.labels: Invalid value: string: must be of type object"
                    .to_owned(),
                format!("{container}.name: {number} string"),
            ],
        ),
        (
            vec![("/spec/selector", json!({ "matchLabels": { "app": 1 } }))],
            vec![format!("spec.selector.matchLabels.app: {number} string")],
        ),
        // A kind of volume is named, if wrongly.
        (
            vec![(
                "/spec/template/spec/volumes",
                json!([{ "name": "a", "emptyDir": 5 }, 1, { "name": "C", "emptyDir": {} }]),
            )],
            vec![
                format!("spec.template.spec.volumes[0].emptyDir: {number} object"),
                format!("spec.template.spec.volumes[1]: {number} object"),
                "spec.template.spec.volumes[2].name: ".to_owned(),
            ],
        ),
        // What is missing, and what is wrong elsewhere.
        (
            vec![
                ("/spec/template/spec/containers", json!([{ "image": "a" }])),
                ("/spec/replicas", json!(-1)),
            ],
            vec![
                format!("{container}.name: Required value"),
                "spec.replicas: Invalid value: -1".to_owned(),
            ],
        ),
        (
            vec![("/spec", json!(5))],
            vec![format!("spec: {number} object")],
        ),
        (
            vec![("/metadata", json!(5))],
            vec![format!("metadata: {number} object")],
        ),
    ] {
        let found = told(&kind, with(&changes));
        let fits = found.len() == expected.len()
            && expected
                .iter()
                .all(|wanted| found.iter().any(|found| found.starts_with(wanted)));
        assert!(fits, "{changes:?}\nfound {found:#?}\nwanted {expected:#?}");
    }
}

#[test]
fn rules_of_all_kinds_bear_what_is_missing_and_what_is_mistyped() {
    for kind in Kinds::built_in().iter() {
        for spec in [json!({}), json!([]), json!(1), json!([[]])] {
            let mut object = object(json!({ "metadata": { "name": "a" } }));
            let fields = kind.document()["properties"].clone();
            for (name, _) in fields.as_object().into_iter().flatten() {
                if name != "metadata" {
                    object.0.insert(name.clone(), spec.clone());
                }
            }
            let mistyped = of(kind, &mut object.clone(), None);
            let paths: Vec<&String> = mistyped.iter().map(|cause| &cause.field).collect();
            let mut once = paths.clone();
            once.dedup();
            assert_eq!(paths, once, "{kind:?}");
        }
    }
}
