//! Objects as a server has them, and what is said of each.

mod objects;

use serde_json::{Value, json};

use super::cause::{Seen, State};
use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().expect("a time")
}

const EARLIER: &str = "2026-01-01T00:55:00Z";

/// An object, with `more` merged over its metadata, spec and status.
fn object(kind: &str, name: &str, more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": { "name": name, "namespace": "default", "uid": name },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        match (object.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                old.extend(new.clone());
            }
            _ => object[key] = value.clone(),
        }
    }
    object
}

fn alone(object: Value) -> Seen {
    Seen {
        object,
        ..Seen::default()
    }
}

fn over(object: Value, below: Vec<Seen>) -> Seen {
    Seen {
        object,
        below,
        ..Seen::default()
    }
}

fn with_event(mut seen: Seen, reason: &str, message: &str) -> Seen {
    seen.events.push(json!({
        "kind": "Event", "type": "Warning", "reason": reason, "message": message,
        "involvedObject": { "fieldPath": "spec.containers{app}" },
    }));
    seen
}

/// The same an hour ago.
fn with_old_event(seen: Seen, reason: &str, message: &str) -> Seen {
    let mut seen = with_event(seen, reason, message);
    seen.events[0]["lastTimestamp"] = "2026-01-01T00:00:00Z".into();
    seen
}

/// A pod on node n with one container and this status of it.
fn pod(container: Value, status: Value) -> Seen {
    let mut spec = json!({ "name": "app", "image": "img:1" });
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), container.as_object()) {
        spec.extend(more.clone());
    }
    let mut told = json!({ "name": "app", "restartCount": 0, "ready": false });
    if let (Some(told), Some(more)) = (told.as_object_mut(), status.as_object()) {
        told.extend(more.clone());
    }
    let ready = if told["ready"] == true {
        "True"
    } else {
        "False"
    };
    alone(object(
        "Pod",
        "web-1",
        json!({
            "spec": { "nodeName": "n", "restartPolicy": "Always", "containers": [spec] },
            "status": {
                "phase": "Running",
                "containerStatuses": [told],
                "conditions": [
                    { "type": "Ready", "status": ready, "lastTransitionTime": EARLIER },
                    { "type": "Initialized", "status": "True" },
                ],
            },
        }),
    ))
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({ "state": { "waiting": { "reason": reason, "message": message } } })
}

fn crashing(ended: Value) -> Value {
    json!({
        "restartCount": 5,
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 1m20s" } },
        "lastState": { "terminated": ended },
    })
}

fn ready_pod() -> Seen {
    pod(
        json!({}),
        json!({ "ready": true, "state": { "running": {} } }),
    )
}

fn unplaced(spec: Value, message: &str) -> Seen {
    let mut spec = spec;
    spec["containers"] = json!([{ "name": "app", "resources": { "requests": { "cpu": "4" } } }]);
    let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message });
    alone(object(
        "Pod",
        "web-1",
        json!({ "spec": spec, "status": { "phase": "Pending", "conditions": [condition] } }),
    ))
}

fn deployment(ready: i64, more: Value) -> Value {
    let mut value = object(
        "Deployment",
        "web",
        json!({
            "metadata": { "generation": 1 },
            "spec": { "replicas": 3 },
            "status": {
                "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3,
                "readyReplicas": ready, "availableReplicas": ready,
            },
        }),
    );
    for (key, fields) in more.as_object().into_iter().flatten() {
        for (field, what) in fields.as_object().into_iter().flatten() {
            value[key][field] = what.clone();
        }
    }
    value
}

#[track_caller]
fn check(table: Vec<(Seen, State, &str, &str)>) {
    for (seen, state, sentence, next) in table {
        let found = finding(&seen, now());
        assert_eq!(found.sentence(), sentence);
        assert_eq!(found.state, state, "{sentence}");
        assert!(
            found.next.contains(next),
            "{sentence}: next: {}",
            found.next
        );
        assert!(!found.chain.is_empty(), "{sentence}");
    }
}

#[test]
fn pods_that_no_node_takes() {
    check(vec![
        (
            unplaced(json!({}), "0/1 nodes are available: 1 Insufficient cpu."),
            State::Wrong,
            "no node takes pod web-1: the only one has too little cpu left (it asks for 4).",
            "ask for less cpu",
        ),
        (
            unplaced(
                json!({ "nodeSelector": { "disk": "ssd" } }),
                "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
            ),
            State::Wrong,
            "no node takes pod web-1: 1 of 3 is cordoned, 2 of 3 lack the labels that its nodeSelector wants (disk=ssd).",
            "weft label node NODE disk=ssd",
        ),
        (
            unplaced(
                json!({}),
                "0/2 nodes are available: 2 node(s) had untolerated taint {only: gpu}.",
            ),
            State::Wrong,
            "no node takes pod web-1: each of 2 has the taint {only: gpu}, which it does not tolerate.",
            "toleration",
        ),
        (
            unplaced(json!({}), "no nodes available to schedule pods"),
            State::Wrong,
            "no node takes pod web-1: there are no nodes.",
            "weft server",
        ),
        (
            alone(object(
                "Pod",
                "web-1",
                json!({ "spec": { "schedulerName": "mine" }, "status": {} }),
            )),
            State::Wrong,
            "pod web-1 waits for a scheduler called \"mine\", and none has looked at it.",
            "schedulerName",
        ),
        (
            over(
                unplaced(
                    json!({ "volumes": [{ "persistentVolumeClaim": { "claimName": "data" } }] }),
                    "pod has unbound immediate PersistentVolumeClaims",
                )
                .object,
                vec![alone(object(
                    "PersistentVolumeClaim",
                    "data",
                    json!({ "spec": { "resources": { "requests": { "storage": "1Gi" } } }, "status": { "phase": "Pending" } }),
                ))],
            ),
            State::Wrong,
            "pod web-1 is on no node, because claim data waits for a volume of 1Gi without a class, and none fits.",
            "storageClassName",
        ),
    ]);
    for (reason, words) in [
        ("didn't match the requested node name", "nodeName"),
        (
            "didn't have free ports for the requested pod ports",
            "hostPort",
        ),
        ("didn't match pod topology spread constraints", "maxSkew"),
        (
            "didn't match pod topology spread constraints (missing required label)",
            "spread",
        ),
        ("didn't match pod affinity rules", "affinity wants"),
        ("didn't match pod anti-affinity rules", "keeps away"),
        (
            "didn't satisfy existing pods anti-affinity rules",
            "keeps it away",
        ),
    ] {
        let message = format!("0/1 nodes are available: 1 node(s) {reason}.");
        let found = finding(&unplaced(json!({}), &message), now());
        assert!(found.says.contains(words), "{reason}: {}", found.says);
        assert!(
            !found.says.contains("says:") && !found.next.is_empty(),
            "{reason}"
        );
    }
    let many = finding(
        &unplaced(json!({}), "0/1 nodes are available: 1 Too many pods."),
        now(),
    );
    assert!(
        many.says.contains("as many pods as it may"),
        "{}",
        many.says
    );
}

#[test]
fn containers_that_do_not_start() {
    let pulled = |message: &str| {
        with_event(
            pod(
                json!({}),
                waiting("ImagePullBackOff", "Back-off pulling image \"img:1\""),
            ),
            "Failed",
            message,
        )
    };
    check(vec![
        (
            pulled("Failed to pull image \"img:1\": manifest unknown"),
            State::Wrong,
            "container app of pod web-1 cannot start: image img:1 does not exist.",
            "name or tag",
        ),
        (
            pulled("Failed to pull image \"img:1\": 401 unauthorized"),
            State::Wrong,
            "container app of pod web-1 cannot start: the registry does not give image img:1 to us.",
            "imagePullSecrets",
        ),
        (
            pulled("Failed to pull image \"img:1\": dial tcp: lookup x: timed out"),
            State::Wrong,
            "container app of pod web-1 cannot start: the registry of image img:1 cannot be reached.",
            "network",
        ),
        (
            pod(json!({}), waiting("ErrImageNeverPull", "")),
            State::Wrong,
            "container app of pod web-1 cannot start: image img:1 is not on the node, and imagePullPolicy: Never forbids to pull it.",
            "IfNotPresent",
        ),
        (
            pod(json!({}), waiting("InvalidImageName", "")),
            State::Wrong,
            "container app of pod web-1 cannot start: \"img:1\" is no name of an image.",
            "correct the image",
        ),
        (
            pod(
                json!({}),
                waiting("CreateContainerConfigError", "configmap \"x\" not found"),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: configmap \"x\" not found.",
            "create what is missing",
        ),
        (
            pod(
                json!({ "command": ["nope"] }),
                crashing(
                    json!({ "reason": "StartError", "exitCode": 128, "message": "nope: executable file not found in $PATH" }),
                ),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: its command \"nope\" is not in image img:1.",
            "command or args",
        ),
        (
            pod(
                json!({ "command": ["sh"] }),
                crashing(
                    json!({ "reason": "StartError", "exitCode": 128, "message": "cannot run sh: open mount source /v: No such file or directory (os error 2)" }),
                ),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: cannot run sh: open mount source /v: No such file or directory (os error 2).",
            "template",
        ),
        (
            pod(
                json!({ "command": ["sh"] }),
                crashing(
                    json!({ "reason": "StartError", "exitCode": 128, "message": "cannot run sh: prepare the start program /bin/sh: Argument list too long (os error 7)" }),
                ),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: its command, args and env are longer than the kernel takes (128 KiB each).",
            "a volume of a configMap",
        ),
        (
            pod(
                json!({}),
                waiting(
                    "CreateContainerConfigError",
                    "container app has no port called \"web\", which a probe or hook names",
                ),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: container app has no port called \"web\", which a probe or hook names.",
            "name the port",
        ),
        (
            pod(
                json!({}),
                waiting("RunContainerError", "the device is busy"),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: the device is busy.",
            "template",
        ),
    ]);
}

#[test]
fn containers_that_end() {
    let limit = json!({ "resources": { "limits": { "memory": "64Mi" } } });
    check(vec![
        (
            pod(
                json!({}),
                crashing(json!({ "exitCode": 1, "reason": "Error", "message": "no database\n" })),
            ),
            State::Wrong,
            "container app of pod web-1 exits each time with code 1: no database.",
            "`weft logs pod/web-1 -c app --previous`",
        ),
        (
            pod(
                json!({}),
                crashing(json!({ "exitCode": 137, "reason": "Error" })),
            ),
            State::Wrong,
            "container app of pod web-1 exits each time with code 137, killed by signal 9.",
            "--previous",
        ),
        (
            pod(
                limit,
                crashing(json!({ "exitCode": 137, "reason": "OOMKilled" })),
            ),
            State::Wrong,
            "container app of pod web-1 is killed for its memory (OOMKilled): it needs more than its limit of 64Mi.",
            "resources.limits.memory",
        ),
        (
            with_event(
                pod(
                    json!({}),
                    crashing(json!({ "exitCode": 137, "reason": "Error" })),
                ),
                "Unhealthy",
                "Liveness probe failed: HTTP probe failed with statuscode: 500",
            ),
            State::Wrong,
            "container app of pod web-1 is restarted again and again: its liveness probe fails: HTTP probe failed with statuscode: 500.",
            "livenessProbe",
        ),
        (
            with_event(
                pod(json!({}), crashing(json!({ "exitCode": 137 }))),
                "Unhealthy",
                "Startup probe failed: no",
            ),
            State::Wrong,
            "container app of pod web-1 is restarted again and again: its startup probe fails: no.",
            "startupProbe",
        ),
        (
            // It failed an hour ago; now it is something else.
            with_old_event(
                pod(
                    json!({}),
                    crashing(json!({ "exitCode": 1, "startedAt": EARLIER })),
                ),
                "Unhealthy",
                "Liveness probe failed: no",
            ),
            State::Wrong,
            "container app of pod web-1 exits each time with code 1.",
            "--previous",
        ),
        (
            with_event(
                pod(
                    json!({ "lifecycle": { "postStart": {} } }),
                    waiting("ContainerCreating", ""),
                ),
                "Started",
                "Started container app",
            ),
            State::Waiting,
            "container app of pod web-1 has started, and its postStart hook has not returned yet.",
            "lifecycle.postStart",
        ),
        (
            pod(
                json!({}),
                waiting(
                    "RunContainerError",
                    "run /app: Exec format error (os error 8)",
                ),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: its command (the image's own) is no program, or one of another architecture.",
            "architecture",
        ),
        (
            pod(
                json!({}),
                waiting(
                    "CreateContainerConfigError",
                    "container has runAsNonRoot and image will run as root",
                ),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: container has runAsNonRoot and image will run as root.",
            "runAsUser",
        ),
        (
            pod(
                json!({ "image": "r:4040/a:401" }),
                waiting("ErrImagePull", "pull r:4040/a:401: lookup r: no such host"),
            ),
            State::Wrong,
            "container app of pod web-1 cannot start: the registry of image r:4040/a:401 cannot be reached.",
            "name server",
        ),
        (
            with_event(
                pod(json!({}), crashing(json!({ "exitCode": 137 }))),
                "FailedPostStartHook",
                "it said no",
            ),
            State::Wrong,
            "container app of pod web-1 is stopped again after each start: its postStart hook fails: it said no.",
            "lifecycle.postStart",
        ),
        (
            with_event(
                pod(
                    json!({ "readinessProbe": {} }),
                    json!({ "state": { "running": {} } }),
                ),
                "Unhealthy",
                "Readiness probe failed: connection refused",
            ),
            State::Wrong,
            "container app of pod web-1 runs, but its readiness probe fails: connection refused.",
            "readinessProbe",
        ),
        (
            pod(
                json!({ "startupProbe": {} }),
                json!({ "started": false, "state": { "running": {} } }),
            ),
            State::Waiting,
            "container app of pod web-1 runs, and its startup probe has not succeeded yet.",
            "wait",
        ),
        (
            pod(
                json!({}),
                json!({
                    "ready": true, "restartCount": 2, "state": { "running": { "startedAt": EARLIER } },
                    "lastState": { "terminated": { "exitCode": 1 } },
                }),
            ),
            State::Waiting,
            "container app of pod web-1 runs again, for 5m, but ended last with code 1.",
            "--previous",
        ),
        (
            ready_pod(),
            State::Well,
            "pod web-1 runs and has been ready for 5m.",
            "",
        ),
    ]);
}

#[test]
fn pods_that_wait_or_have_ended() {
    let init = |state: Value| {
        let mut seen = pod(json!({}), waiting("PodInitializing", ""));
        seen.object["spec"]["initContainers"] = json!([{ "name": "setup", "image": "i" }]);
        seen.object["status"]["initContainerStatuses"] =
            json!([{ "name": "setup", "state": state }]);
        seen.object["status"]["conditions"] = json!([]);
        seen
    };
    let failed = |reason: &str, message: &str| {
        let mut seen = pod(json!({}), json!({}));
        seen.object["status"] = json!({ "phase": "Failed", "reason": reason, "message": message });
        seen
    };
    let mut lost = ready_pod();
    lost.beside = vec![object(
        "Node",
        "n",
        json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown", "message": "stopped posting" }] } }),
    )];
    let mut going = ready_pod();
    going.object["metadata"]["deletionTimestamp"] = EARLIER.into();
    going.object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    check(vec![
        (
            init(json!({ "running": { "startedAt": EARLIER } })),
            State::Waiting,
            "init container setup of pod web-1 still runs (for 5m), and the others wait for its end.",
            "weft logs pod/web-1 -c setup",
        ),
        (
            init(json!({ "terminated": { "exitCode": 2 } })),
            State::Wrong,
            "init container setup of pod web-1 ended with code 2.",
            "weft logs pod/web-1 -c setup",
        ),
        (
            with_event(
                pod(json!({}), waiting("ContainerCreating", "")),
                "FailedMount",
                "secret \"x\" not found",
            ),
            State::Wrong,
            "pod web-1 cannot start: a volume of it cannot be had: secret \"x\" not found.",
            "create what the volume names",
        ),
        (
            failed("Evicted", "The node was low on memory."),
            State::Wrong,
            "pod web-1 was evicted from its node: The node was low on memory.",
            "resources.requests",
        ),
        (
            failed("DeadlineExceeded", ""),
            State::Wrong,
            "pod web-1 took longer than its activeDeadlineSeconds.",
            "activeDeadlineSeconds",
        ),
        (
            lost,
            State::Wrong,
            "pod web-1 is on node n, which does not answer.",
            "weft why node/n",
        ),
        (
            going,
            State::Wrong,
            "pod web-1 was deleted 5m ago and stays until the finalizer example.com/hold is taken away.",
            "weft patch pod/web-1",
        ),
    ]);
}
