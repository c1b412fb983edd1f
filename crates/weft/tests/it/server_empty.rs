//! `weft server`: what is empty, what is counted, and what the server says of an object at its
//! beginning: as Kubernetes' types have it.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_line::{Caller, server};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments";
const REPLICAS: &str = "/apis/apps/v1/namespaces/default/replicasets";

fn path(group: &str, plural: &str) -> String {
    let root = if group == "v1" { "api" } else { "apis" };
    format!("/{root}/{group}/namespaces/default/{plural}")
}

fn template() -> Value {
    json!({
        "metadata": { "labels": { "a": "b" }, "annotations": {} },
        "spec": {
            "hostNetwork": false, "nodeSelector": {}, "tolerations": [], "hostname": "",
            "terminationGracePeriodSeconds": 0,
            "volumes": [{ "name": "v", "emptyDir": {} }],
            "containers": [{ "name": "c", "image": "i", "args": [], "tty": false,
                "env": [{ "name": "E", "value": "" }] }],
        },
    })
}

fn workload(kind: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({ "matchLabels": { "a": "b" }, "matchExpressions": [] });
    spec["template"] = template();
    json!({ "kind": kind, "metadata": { "name": "one", "labels": {}, "selfLink": "/x",
        "annotations": {}, "generation": 7, "finalizers": [] }, "spec": spec })
}

fn made(caller: &Caller, place: &str, object: &Value) -> Value {
    caller.post(place, object).is(201, &[]).json()
}

#[test]
fn what_is_empty_says_nothing_and_what_is_a_pointer_does() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let found = made(
        &caller,
        &path("v1", "configmaps"),
        &json!({
            "metadata": { "name": "one", "labels": {}, "annotations": {}, "selfLink": "/x", "generation": 7 },
            "data": {}, "binaryData": {}, "immutable": false,
        }),
    );
    for gone in ["labels", "annotations", "selfLink", "generation"] {
        assert_eq!(found["metadata"].get(gone), None, "{gone}");
    }
    assert_eq!((found.get("data"), found.get("binaryData")), (None, None));
    assert_eq!(found["immutable"], false);

    let spec = json!({ "replicas": 0, "minReadySeconds": 0, "paused": false });
    let found = made(&caller, DEPLOYMENT, &workload("Deployment", spec));
    assert_eq!(
        (&found["spec"]["replicas"], &found["status"]),
        (&json!(0), &json!({}))
    );
    assert_eq!(found["spec"].get("paused"), None);
    assert_eq!(found["metadata"]["generation"], 1);
    assert_eq!(found["metadata"].get("finalizers"), None);
    assert_eq!(
        found["spec"]["selector"],
        json!({ "matchLabels": { "a": "b" } })
    );
    let pod = &found["spec"]["template"]["spec"];
    for gone in ["hostNetwork", "nodeSelector", "tolerations", "hostname"] {
        assert_eq!(pod.get(gone), None, "{gone}");
    }
    assert_eq!(pod["terminationGracePeriodSeconds"], 0);
    assert_eq!(pod["volumes"][0], json!({ "name": "v", "emptyDir": {} }));
    assert_eq!(pod["containers"][0]["env"], json!([{ "name": "E" }]));
    // Nobody applied what the server began with.
    let owned = found["metadata"]["managedFields"].to_string();
    assert!(!owned.contains("f:status"), "{owned}");

    let claim = json!({ "metadata": { "name": "one" }, "spec": { "storageClassName": "",
        "volumeName": "", "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": "1Gi" }, "limits": {} } } });
    let found = made(&caller, &path("v1", "persistentvolumeclaims"), &claim);
    assert_eq!(found["spec"]["storageClassName"], "");
    assert_eq!(found["spec"].get("volumeName"), None);
    assert_eq!(
        found["spec"]["resources"],
        json!({ "requests": { "storage": "1Gi" } })
    );
    let slice = json!({ "metadata": { "name": "one" }, "addressType": "IPv4",
        "ports": [{ "name": "", "port": 80 }],
        "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "serving": false } }] });
    let found = made(
        &caller,
        &path("discovery.k8s.io/v1", "endpointslices"),
        &slice,
    );
    assert_eq!(
        found["endpoints"][0]["conditions"],
        json!({ "serving": false })
    );
    assert_eq!(found["ports"][0]["name"], "");
    // A change of nothing but that is none.
    let patch = json!({ "spec": { "paused": false }, "metadata": { "labels": {} } });
    let deployment = format!("{DEPLOYMENT}/one");
    let before = caller.get(&deployment).json();
    let media = "application/merge-patch+json";
    let patched = caller.ask("PATCH", &deployment, media, patch.to_string().as_bytes());
    assert_eq!(patched.is(200, &[]).json(), before);
    let annotate = json!({ "metadata": { "annotations": { "a": "b" } } }).to_string();
    let patched = caller.ask("PATCH", &deployment, media, annotate.as_bytes());
    assert_eq!(patched.is(200, &[]).json()["metadata"]["generation"], 2);
}

#[test]
fn objects_begin_as_upstream_begins_them() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let meta = json!({ "name": "one" });
    let target = json!({ "kind": "Deployment", "name": "one", "apiVersion": "apps/v1" });
    let job = json!({ "template": { "spec": { "restartPolicy": "Never",
        "containers": [{ "name": "c", "image": "i" }] } } });
    for (group, plural, object, status, generation) in [
        (
            "apps/v1",
            "replicasets",
            workload("ReplicaSet", json!({})),
            json!({ "replicas": 0 }),
            json!(1),
        ),
        (
            "apps/v1",
            "statefulsets",
            workload("StatefulSet", json!({ "serviceName": "s" })),
            json!({ "availableReplicas": 0, "replicas": 0 }),
            json!(1),
        ),
        (
            "apps/v1",
            "daemonsets",
            workload("DaemonSet", json!({})),
            json!({ "currentNumberScheduled": 0, "desiredNumberScheduled": 0,
                "numberMisscheduled": 0, "numberReady": 0 }),
            json!(1),
        ),
        (
            "batch/v1",
            "jobs",
            json!({ "metadata": meta, "spec": job }),
            json!({}),
            json!(1),
        ),
        (
            "batch/v1",
            "cronjobs",
            json!({ "metadata": meta, "spec": {
            "schedule": "* * * * *", "jobTemplate": { "spec": job } } }),
            json!({}),
            json!(1),
        ),
        (
            "policy/v1",
            "poddisruptionbudgets",
            json!({ "metadata": meta, "spec": {} }),
            json!({ "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0,
                "expectedPods": 0 }),
            json!(1),
        ),
        (
            "autoscaling/v2",
            "horizontalpodautoscalers",
            json!({ "metadata": meta,
            "spec": { "scaleTargetRef": target, "maxReplicas": 2 } }),
            json!({ "desiredReplicas": 0 }),
            Value::Null,
        ),
        (
            "v1",
            "services",
            json!({ "metadata": meta, "spec": { "ports": [{ "port": 80 }] } }),
            json!({ "loadBalancer": {} }),
            Value::Null,
        ),
        (
            "v1",
            "resourcequotas",
            json!({ "metadata": meta, "spec": {} }),
            json!({}),
            Value::Null,
        ),
        (
            "networking.k8s.io/v1",
            "networkpolicies",
            json!({ "metadata": meta, "spec": { "podSelector": {} } }),
            Value::Null,
            json!(1),
        ),
        (
            "v1",
            "pods",
            json!({ "metadata": meta, "spec": template()["spec"] }),
            json!({ "phase": "Pending", "qosClass": "BestEffort" }),
            json!(1),
        ),
        (
            "v1",
            "replicationcontrollers",
            json!({ "metadata": meta, "spec": { "template": template() } }),
            json!({ "replicas": 0 }),
            json!(1),
        ),
    ] {
        let found = made(&caller, &path(group, plural), &object);
        assert_eq!(found["status"], status, "{plural}");
        assert_eq!(found["metadata"]["generation"], generation, "{plural}");
    }
    // The oldest kind selects by labels alone.
    let controllers = path("v1", "replicationcontrollers");
    let scale = format!("{controllers}/one/scale");
    assert_eq!(
        caller.get(&scale).is(200, &[]).json()["status"]["selector"],
        "a=b"
    );
    let two = br#"{"spec":{"replicas":2}}"#;
    let media = "application/merge-patch+json";
    caller.ask("PATCH", &scale, media, two).is(200, &[]);
    let found = caller.get(&format!("{controllers}/one")).json();
    assert_eq!(found["spec"]["replicas"], 2);
    let quota = path("v1", "resourcequotas");
    let bogus = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "bogus": 1 } } });
    caller.post(&quota, &bogus).is(422, &["spec.hard[bogus]"]);
    let bogus = br#"{"spec":{"hard":{"bogus":1}}}"#;
    let refused = caller.ask("PATCH", &format!("{quota}/one"), media, bogus);
    refused.is(422, &["spec.hard[bogus]"]);
}

#[test]
fn a_body_of_wrong_types_is_none_and_every_one_is_told() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let wrong = json!({ "metadata": { "name": "one" }, "spec": { "replicas": "three",
        "template": { "spec": { "hostNetwork": 1, "containers": {} } } } });
    let words = [
        "Deployment in version \\\"v1\\\" cannot be handled as a Deployment",
        "\"reason\":\"BadRequest\"",
        "spec.replicas",
        "spec.template.spec.hostNetwork",
        "spec.template.spec.containers",
    ];
    caller.post(DEPLOYMENT, &wrong).is(400, &words);
    let one = made(&caller, REPLICAS, &workload("ReplicaSet", json!({})));
    let mut one = one;
    one["spec"]["replicas"] = json!(1.5);
    let place = format!("{REPLICAS}/one");
    let media = "application/json";
    let body = one.to_string();
    caller
        .ask("PUT", &place, media, body.as_bytes())
        .is(400, &["spec.replicas"]);
    // What a patch makes of an object is another matter.
    let patch = br#"{"spec":{"replicas":"three"}}"#;
    let media = "application/merge-patch+json";
    caller
        .ask("PATCH", &place, media, patch)
        .is(422, &["spec.replicas"]);
}

#[test]
fn a_pod_has_an_account_that_is_there() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let pod = |name: &str, account: Option<&str>| {
        let mut spec = json!({ "containers": [{ "name": "c", "image": "i" }] });
        if let Some(account) = account {
            spec["serviceAccountName"] = account.into();
        }
        json!({ "metadata": { "name": name }, "spec": spec })
    };
    let pods = path("v1", "pods");
    let told = "pods \\\"lost\\\" is forbidden: error looking up service account default/nobody: \
                serviceaccount \\\"nobody\\\" not found";
    for place in [pods.clone(), format!("{pods}?dryRun=All")] {
        caller
            .post(&place, &pod("lost", Some("nobody")))
            .is(403, &[told]);
    }
    // What comes with a namespace is waited for; where there is none, that is told.
    let nowhere = "/api/v1/namespaces/nowhere/pods";
    caller
        .post(nowhere, &pod("a", None))
        .is(404, &["namespaces", "nowhere"]);
    for name in ["one", "two", "three"] {
        let namespace = json!({ "metadata": { "name": name } });
        caller.post("/api/v1/namespaces", &namespace).is(201, &[]);
        let place = format!("/api/v1/namespaces/{name}/pods");
        let made = caller.post(&place, &pod("a", None)).is(201, &[]).json();
        assert_eq!(made["spec"]["serviceAccountName"], "default");
    }
    let robot = json!({ "metadata": { "name": "robot" }, "imagePullSecrets": [{ "name": "hub" }] });
    caller
        .post(&path("v1", "serviceaccounts"), &robot)
        .is(201, &[]);
    let made = caller
        .post(&pods, &pod("found", Some("robot")))
        .is(201, &[])
        .json();
    assert_eq!(made["spec"]["imagePullSecrets"], robot["imagePullSecrets"]);
}
