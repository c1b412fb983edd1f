//! Volumes: what is filled in, refused and shown.

use serde_json::{Value, json};

use super::*;
use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

fn base() -> Value {
    json!({
        "metadata": { "name": "disk" },
        "spec": {
            "capacity": { "storage": "1024Mi" },
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": { "path": "/data" },
        },
    })
}

#[test]
fn what_is_left_out_is_filled_in() {
    let found = defaulted(&kind(), base());
    let wanted = json!({
        "capacity": { "storage": "1Gi" },
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "hostPath": { "path": "/data", "type": "" },
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    });
    assert_eq!(found["spec"], wanted);
    assert_eq!(found["status"], json!({ "phase": "Pending" }));
}

#[test]
fn mistakes_are_told() {
    let spec = |spec: Value| json!({ "spec": spec });
    let only = |name: &str, source: Value| {
        let mut spec = json!({ "hostPath": null });
        spec[name] = source;
        json!({ "spec": spec })
    };
    let term = |key: &str| json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [{ "key": key, "operator": "Gt", "values": ["x"] }] }] } });
    refuses(
        &kind(),
        &base(),
        &[
            (
                spec(json!({ "accessModes": [] })),
                &["spec.accessModes: Required value"],
            ),
            (
                spec(json!({ "accessModes": ["Any", "ReadWriteOncePod"] })),
                &[
                    "spec.accessModes[0]: Unsupported value: \"Any\"",
                    "spec.accessModes: Forbidden: may not use ReadWriteOncePod",
                ],
            ),
            (
                spec(json!({ "capacity": null })),
                &["spec.capacity: Required value"],
            ),
            (
                spec(json!({ "capacity": { "cpu": 1 } })),
                &["spec.capacity: Unsupported value: \"cpu, storage\""],
            ),
            (
                spec(json!({ "capacity": { "storage": "0" } })),
                &["spec.capacity[storage]: Invalid value: \"0\": must be greater than zero"],
            ),
            (
                spec(json!({ "capacity": { "storage": "much" } })),
                &["spec.capacity[storage]: Invalid value: \"much\": quantities must match"],
            ),
            (
                spec(json!({ "hostPath": null })),
                &["spec: Required value: must specify a volume type"],
            ),
            (
                spec(json!({ "nfs": { "server": "a", "path": "/" } })),
                &["spec.nfs: Forbidden: may not specify more than 1 volume type"],
            ),
            (
                only("hostPath", json!({ "path": "/a/../b", "type": "Pipe" })),
                &[
                    "spec.hostPath.type: Unsupported",
                    "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
                ],
            ),
            (
                only("nfs", json!({ "server": "", "path": "a" })),
                &[
                    "spec.nfs.server: Required",
                    "spec.nfs.path: Invalid value: \"a\": must be an absolute path",
                ],
            ),
            (
                only("csi", json!({ "driver": "", "volumeHandle": "" })),
                &[
                    "spec.csi.driver: Required",
                    "spec.csi.volumeHandle: Required",
                ],
            ),
            (
                only("local", json!({ "path": "/a" })),
                &["spec.nodeAffinity: Required value: Local volume requires node affinity"],
            ),
            (
                spec(json!({ "nodeAffinity": {} })),
                &["spec.nodeAffinity.required: Required value"],
            ),
            (
                spec(json!({ "nodeAffinity": { "required": { "nodeSelectorTerms": [] } } })),
                &[
                    "spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one",
                ],
            ),
            (
                spec(json!({ "nodeAffinity": term("-") })),
                &[
                    "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: Invalid",
                ],
            ),
            (
                spec(
                    json!({ "persistentVolumeReclaimPolicy": "Burn", "volumeMode": "Tape", "storageClassName": "A", "volumeAttributesClassName": "A" }),
                ),
                &[
                    "spec.persistentVolumeReclaimPolicy: Unsupported",
                    "spec.storageClassName: Invalid",
                    "spec.volumeMode: Unsupported",
                    "spec.volumeAttributesClassName: Invalid",
                ],
            ),
            (
                spec(
                    json!({ "persistentVolumeReclaimPolicy": "Recycle", "hostPath": { "path": "/" } }),
                ),
                &["spec.persistentVolumeReclaimPolicy: Forbidden"],
            ),
        ],
    );
}

#[test]
fn where_it_is_stays() {
    let mut old = base();
    old["spec"]["nodeAffinity"] = json!({ "required": { "nodeSelectorTerms": [{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["a"] }] }] } });
    refuses_change(
        &kind(),
        &old,
        &[
            (json!({ "spec": { "capacity": { "storage": "2Gi" } } }), &[]),
            (
                json!({ "spec": { "hostPath": { "path": "/b" } } }),
                &[
                    "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
                ],
            ),
            (
                json!({ "spec": { "volumeMode": "Block" } }),
                &["spec.volumeMode: Invalid value: \"Block\": field is immutable"],
            ),
            (
                json!({ "spec": { "nodeAffinity": null } }),
                &["spec.nodeAffinity: Invalid value: null: field is immutable"],
            ),
        ],
    );
}

#[test]
fn columns_are_kubectls() {
    let mut volume = defaulted(&kind(), base());
    volume["spec"]["claimRef"] = json!({ "namespace": "a", "name": "b" });
    volume["spec"]["storageClassName"] = "fast".into();
    volume["status"] = json!({ "phase": "Bound", "reason": "why" });
    shows(
        &kind(),
        volume,
        &[
            ("NAME", "disk"),
            ("CAPACITY", "1Gi"),
            ("ACCESS MODES", "RWO,RWX"),
            ("RECLAIM POLICY", "Retain"),
            ("STATUS", "Bound"),
            ("CLAIM", "a/b"),
            ("STORAGECLASS", "fast"),
            ("VOLUMEATTRIBUTESCLASS", "<unset>"),
            ("REASON", "why"),
            ("VOLUMEMODE", "Filesystem"),
        ],
    );
}
