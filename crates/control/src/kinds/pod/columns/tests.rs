//! What `kubectl get pods` shows of pods in all their states.

use serde_json::{Value, json};

use crate::kinds::pod::{kind, status};
use crate::kinds::testing::{cells, headings, object};

fn state(name: &str, state: Value) -> Value {
    json!({ "name": name, "state": state, "restartCount": 0 })
}

#[test]
fn columns_say_what_kubectl_says() {
    assert_eq!(
        headings(&kind()),
        "Name Ready Status Restarts Age (IP) (Node) (Nominated Node) (Readiness Gates)"
    );
    let running =
        json!({ "name": "a", "ready": true, "restartCount": 0, "state": { "running": {} } });
    let ended = |reason: &str, code: i64| {
        state(
            "a",
            json!({ "terminated": { "reason": reason, "exitCode": code } }),
        )
    };
    let one = json!([{ "name": "a" }]);
    let gate = json!([{ "conditionType": "x/y" }]);
    let table = [
        (
            json!({ "containers": one }),
            json!({ "phase": "Pending" }),
            "0/1",
            "Pending",
            "0",
        ),
        (
            json!({ "containers": one, "readinessGates": gate }),
            json!({ "phase": "Running", "containerStatuses": [running] }),
            "1/1",
            "Running",
            "0",
        ),
        (
            json!({ "containers": one }),
            json!({ "phase": "Running", "containerStatuses": [{
            "name": "a", "restartCount": 7, "state": { "waiting": { "reason": "CrashLoopBackOff" } },
        }] }),
            "0/1",
            "CrashLoopBackOff",
            "7",
        ),
        (
            json!({ "containers": one }),
            json!({ "phase": "Succeeded", "containerStatuses": [ended("Completed", 0)] }),
            "0/1",
            "Completed",
            "0",
        ),
        (
            json!({ "containers": one }),
            json!({ "phase": "Failed", "containerStatuses": [ended("", 3)] }),
            "0/1",
            "ExitCode:3",
            "0",
        ),
        (
            json!({ "containers": one }),
            json!({ "phase": "Failed", "containerStatuses": [state("a", json!({ "terminated": { "signal": 9 } }))] }),
            "0/1",
            "Signal:9",
            "0",
        ),
        (
            json!({ "containers": one }),
            json!({ "phase": "Failed", "reason": "Evicted" }),
            "0/1",
            "Evicted",
            "0",
        ),
        (
            json!({ "containers": one, "initContainers": [{ "name": "i" }, { "name": "j" }] }),
            json!({ "phase": "Pending",
                "initContainerStatuses": [state("i", json!({ "terminated": { "exitCode": 0 } })), state("j", json!({ "running": {} }))],
                "containerStatuses": [state("a", json!({ "waiting": { "reason": "PodInitializing" } }))],
            }),
            "0/1",
            "Init:1/2",
            "0",
        ),
        (
            json!({ "containers": one, "initContainers": [{ "name": "i" }] }),
            json!({ "phase": "Pending",
                "initContainerStatuses": [state("i", json!({ "terminated": { "exitCode": 1, "reason": "Error" } }))],
            }),
            "0/1",
            "Init:Error",
            "0",
        ),
        (
            json!({ "containers": one, "initContainers": [{ "name": "i" }] }),
            json!({ "phase": "Pending",
                "initContainerStatuses": [state("i", json!({ "waiting": { "reason": "ImagePullBackOff" } }))],
            }),
            "0/1",
            "Init:ImagePullBackOff",
            "0",
        ),
        (
            json!({ "containers": one, "initContainers": [{ "name": "i", "restartPolicy": "Always" }] }),
            json!({ "phase": "Running",
                "initContainerStatuses": [{ "name": "i", "started": true, "ready": true, "restartCount": 2, "state": { "running": {} } }],
                "containerStatuses": [running],
            }),
            "2/2",
            "Running",
            "2",
        ),
        (
            json!({ "containers": [{ "name": "a" }, { "name": "b" }] }),
            json!({ "phase": "Running",
                "containerStatuses": [ended("Completed", 0), running],
            }),
            "1/2",
            "NotReady",
            "0",
        ),
    ];
    for (spec, status, ready, said, restarts) in table {
        let pod = object(json!({ "metadata": { "name": "p" }, "spec": spec, "status": status }));
        let cells = cells(&kind(), &pod);
        assert_eq!(cells[1..4], [ready, said, restarts], "{pod:?}");
        let gates = if spec.get("readinessGates").is_some() {
            "0/1"
        } else {
            "<none>"
        };
        assert_eq!(cells[4..], ["<none>", "<none>", "<none>", gates]);
    }
}

#[test]
fn a_pod_that_goes_and_one_that_came_again_say_so() {
    let pod = |status: Value| {
        object(json!({
            "metadata": { "name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "containers": [{ "name": "a" }], "nodeName": "n" }, "status": status,
        }))
    };
    let going = pod(json!({ "phase": "Running", "podIPs": [{ "ip": "10.0.0.7" }] }));
    let expected = [
        "p",
        "0/1",
        "Terminating",
        "0",
        "10.0.0.7",
        "n",
        "<none>",
        "<none>",
    ];
    assert_eq!(cells(&kind(), &going), expected);
    assert_eq!(
        cells(
            &kind(),
            &pod(json!({ "phase": "Running", "reason": "NodeLost" }))
        )[2],
        "Unknown"
    );
    assert_eq!(
        cells(&kind(), &pod(json!({ "phase": "Succeeded" })))[2],
        "Succeeded"
    );
    let again = pod(json!({ "phase": "Running", "containerStatuses": [{
        "name": "a", "restartCount": 3, "state": { "running": {} },
        "lastState": { "terminated": { "finishedAt": "2026-01-01T00:00:00Z" } },
    }] }));
    let now = "2026-01-01T00:05:30Z".parse().unwrap();
    assert_eq!(status::summary(&again).restarts(now), "3 (5m30s ago)");
}
