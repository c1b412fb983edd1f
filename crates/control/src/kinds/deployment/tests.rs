//! Deployments: what they become, what is refused, and what is shown.

use serde_json::{Value, json};

use super::super::testing::{
    ID, cells, each_is_refused, headings, made, object, template, with, wrong, wrong_change,
};
use super::kind;
use crate::store::Patch;

fn deployment() -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": template() },
    })
}

#[test]
fn a_minimal_one_becomes_what_kubernetes_makes_of_it() {
    let expected = json!({
        "metadata": { "name": "web", "uid": ID },
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "selector": { "matchLabels": { "app": "web" } },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" },
            },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": {
                    "containers": [{
                        "name": "web",
                        "image": "nginx:1.27",
                        "imagePullPolicy": "IfNotPresent",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    }],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
        },
    });
    assert_eq!(Value::Object(made(&kind(), deployment()).0), expected);
}

#[test]
fn what_is_wrong_is_refused_by_its_path() {
    let pod = "/spec/template/spec";
    let at = |field: &str| format!("{pod}/{field}");
    let (restart, deadline, port) = (
        at("restartPolicy"),
        at("activeDeadlineSeconds"),
        at("containers/0/ports"),
    );
    let rolling = |away: Value, more: Value| json!({ "rollingUpdate": { "maxUnavailable": away, "maxSurge": more } });
    each_is_refused(
        &kind(),
        &deployment(),
        &[
            (
                "/spec/replicas",
                json!(-1),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/selector",
                json!({}),
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ),
            (
                "/spec/selector/matchLabels/app",
                json!("db"),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
            ),
            (
                "/spec/selector/matchLabels/app",
                json!("-"),
                "spec.selector.matchLabels: Invalid value: \"-\"",
            ),
            (
                "/spec/selector/matchExpressions",
                json!([{ "key": "app", "operator": "In" }]),
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator`",
            ),
            (
                "/spec/template/metadata/labels/x",
                json!("a b"),
                "spec.template.metadata.labels: Invalid value: \"a b\"",
            ),
            (
                "/spec/strategy",
                rolling(json!(0), json!("0%")),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ),
            (
                "/spec/strategy",
                rolling(json!("101%"), json!(1)),
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                "/spec/strategy",
                rolling(json!(1), json!("half")),
                "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"half\": a valid percent string",
            ),
            (
                "/spec/strategy",
                json!({ "type": "Recreate", "rollingUpdate": {} }),
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ),
            (
                "/spec/strategy",
                json!({ "type": "Slow" }),
                "spec.strategy.type: Unsupported value: \"Slow\"",
            ),
            (
                "/spec/progressDeadlineSeconds",
                json!(0),
                "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds",
            ),
            (
                &restart,
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                &deadline,
                json!(5),
                "spec.template.spec.activeDeadlineSeconds: Forbidden",
            ),
            (
                &port,
                json!([{ "containerPort": 0 }]),
                "spec.template.spec.containers[0].ports[0].containerPort: Required value",
            ),
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let manifest = with(&deployment(), "/spec/replicas", json!(-1));
    let manifest = with(
        &manifest,
        "/spec/template/spec/containers/0/image",
        json!(null),
    );
    let manifest = with(&manifest, "/spec/template/metadata/labels/app", json!("db"));
    let told = wrong(&kind(), manifest);
    let fields: Vec<&str> = told
        .iter()
        .filter_map(|one| one.split(": ").next())
        .collect();
    let expected = [
        "spec.replicas",
        "spec.template.metadata.labels",
        "spec.template.spec.containers[0].image",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn its_selector_stays() {
    let other = with(
        &deployment(),
        "/spec/selector/matchLabels/tier",
        json!("front"),
    );
    let other = with(
        &other,
        "/spec/template/metadata/labels/tier",
        json!("front"),
    );
    let told = wrong_change(&kind(), deployment(), other);
    let expected = "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"web\",\"tier\":\
                    \"front\"}}: field is immutable";
    assert_eq!(told, [expected]);
    let more = with(&deployment(), "/spec/replicas", json!(5));
    assert_eq!(wrong_change(&kind(), deployment(), more), [""; 0]);
}

#[test]
fn columns_are_kubectls() {
    let headings = headings(&kind());
    let expected = "Name Ready Up-to-date Available Age (Containers) (Images) (Selector)";
    assert_eq!(headings, expected);
    let mut object = made(&kind(), deployment());
    let status = json!({ "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1 });
    object.0.insert("status".into(), status);
    let expected = ["web", "1/1", "1", "0", "web", "nginx:1.27", "app=web"];
    assert_eq!(cells(&kind(), &object), expected);
}

#[test]
fn patches_merge_the_lists_of_a_template_as_kubernetes_does() {
    let old = object(json!({ "spec": { "template": { "spec": {
        "containers": [
            { "name": "a", "image": "x", "ports": [{ "containerPort": 80 }, { "containerPort": 81 }],
              "envFrom": [{ "prefix": "p" }], "volumeMounts": [{ "mountPath": "/a", "name": "v" }] },
            { "name": "b", "image": "y" },
        ],
        "volumes": [{ "name": "v", "projected": { "sources": [{ "secret": { "name": "s" } }] } }],
        "tolerations": [{ "key": "k" }],
        "imagePullSecrets": [{ "name": "s" }],
    } } } }));
    let patch = Patch::Strategic(json!({ "spec": { "template": { "spec": {
        "containers": [{
            "name": "a", "ports": [{ "containerPort": 81, "name": "web" }],
            "envFrom": [{ "prefix": "q" }], "volumeMounts": [{ "mountPath": "/b", "name": "v" }],
        }],
        "volumes": [{ "name": "v", "projected": { "sources": [{ "configMap": { "name": "c" } }] } }],
        "tolerations": [{ "key": "l" }],
        "imagePullSecrets": [{ "name": "t" }],
    } } } }));
    let new = patch.apply(kind().schema(), &old).unwrap();
    let expected = json!({
        "containers": [
            { "name": "a", "image": "x",
              "ports": [{ "containerPort": 80 }, { "containerPort": 81, "name": "web" }],
              "envFrom": [{ "prefix": "q" }], "volumeMounts": [
                  { "mountPath": "/a", "name": "v" }, { "mountPath": "/b", "name": "v" },
              ] },
            { "name": "b", "image": "y" },
        ],
        "volumes": [{ "name": "v", "projected": { "sources": [{ "configMap": { "name": "c" } }] } }],
        "tolerations": [{ "key": "l" }],
        "imagePullSecrets": [{ "name": "s" }, { "name": "t" }],
    });
    assert_eq!(new.0["spec"]["template"]["spec"], expected);
}
