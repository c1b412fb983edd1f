//! Stateful sets: what they become, what is refused, and what is shown.

use serde_json::{Value, json};

use super::super::testing::{
    cells, each_is_refused, headings, made, template, with, wrong, wrong_change,
};
use super::kind;

fn stateful_set() -> Value {
    json!({
        "metadata": { "name": "db" },
        "spec": {
            "serviceName": "db",
            "selector": { "matchLabels": { "app": "web" } },
            "template": template(),
            "volumeClaimTemplates": [{
                "metadata": { "name": "data" },
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": "1024Mi" } },
                },
            }],
        },
    })
}

#[test]
fn defaults_are_kubernetes() {
    let object = made(&kind(), stateful_set());
    let mut spec = object.0["spec"].clone();
    spec.as_object_mut().unwrap().remove("template");
    let expected = json!({
        "serviceName": "db",
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "selector": { "matchLabels": { "app": "web" } },
        "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
        "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": "Retain" },
        "volumeClaimTemplates": [{
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": "data" },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
                "volumeMode": "Filesystem",
            },
            "status": { "phase": "Pending" },
        }],
    });
    assert_eq!(spec, expected);
}

#[test]
fn rules_and_columns() {
    let claim = "/spec/volumeClaimTemplates/0/spec";
    each_is_refused(
        &kind(),
        &stateful_set(),
        &[
            (
                "/spec/podManagementPolicy",
                json!("Any"),
                "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                "/spec/updateStrategy",
                json!({ "type": "OnDelete", "rollingUpdate": {} }),
                "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for",
            ),
            (
                "/spec/updateStrategy",
                json!({ "rollingUpdate": { "partition": -1 } }),
                "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1",
            ),
            (
                "/spec/updateStrategy",
                json!({ "type": "X" }),
                "spec.updateStrategy: Invalid value",
            ),
            (
                "/spec/persistentVolumeClaimRetentionPolicy",
                json!({ "whenScaled": "Keep" }),
                "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value",
            ),
            (
                claim,
                json!({ "accessModes": [], "resources": { "requests": { "storage": "1" } } }),
                "spec.volumeClaimTemplates[0].spec.accessModes: Required value",
            ),
            (
                claim,
                json!({ "accessModes": ["ReadWriteOnce"] }),
                "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("OnFailure"),
                "spec.template.spec.restartPolicy: Unsupported value",
            ),
        ],
    );
    let mounts = json!([{ "name": "data", "mountPath": "/data" }]);
    let pointer = "/spec/template/spec/containers/0/volumeMounts";
    let mounted = with(&stateful_set(), pointer, mounts);
    assert_eq!(
        wrong(&kind(), mounted),
        [""; 0],
        "claims are volumes of its pods"
    );
    let other = with(&stateful_set(), "/spec/serviceName", json!("x"));
    let told = wrong_change(&kind(), stateful_set(), other);
    assert!(
        told[0].starts_with("spec: Forbidden: updates to statefulset spec for fields other"),
        "{told:?}"
    );
    let more = with(&stateful_set(), "/spec/replicas", json!(5));
    assert_eq!(wrong_change(&kind(), stateful_set(), more), [""; 0]);
    assert_eq!(headings(&kind()), "Name Ready Age (Containers) (Images)");
    let object = made(&kind(), stateful_set());
    assert_eq!(cells(&kind(), &object), ["db", "0/1", "web", "nginx:1.27"]);
}
