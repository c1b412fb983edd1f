//! What is said of all that is no pod, and how it is shown.

use super::*;

#[test]
fn workloads() {
    let set = |below| {
        over(
            object("ReplicaSet", "web-a", json!({ "spec": { "replicas": 3 } })),
            below,
        )
    };
    let crash = || pod(json!({}), crashing(json!({ "exitCode": 1 })));
    let quota = json!([{ "type": "ReplicaFailure", "status": "True", "message": "pods \"x\" is forbidden: exceeded quota: q" }]);
    let late = json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "has timed out" }]);
    check(vec![
        (
            over(deployment(3, json!({})), vec![]),
            State::Well,
            "web runs: 3 of 3 pods are ready.",
            "",
        ),
        (
            over(deployment(0, json!({})), vec![set(vec![crash()])]),
            State::Wrong,
            "web has 0 of 3 pods ready, because container app of pod web-1 exits each time with code 1.",
            "--previous",
        ),
        (
            over(deployment(0, json!({ "spec": { "replicas": 0 } })), vec![]),
            State::Well,
            "web has no pods, because it asks for none (replicas: 0).",
            "weft scale",
        ),
        (
            over(
                deployment(
                    3,
                    json!({ "spec": { "paused": true }, "status": { "updatedReplicas": 0 } }),
                ),
                vec![],
            ),
            State::Wrong,
            "web has 3 of 3 pods ready, and changes wait: it is paused.",
            "weft rollout resume deployment/web",
        ),
        (
            over(
                deployment(1, json!({ "status": { "conditions": late } })),
                vec![],
            ),
            State::Wrong,
            "web has 1 of 3 pods ready, and it was not done within its progressDeadlineSeconds.",
            "weft rollout undo",
        ),
        (
            over(
                deployment(1, json!({ "status": { "conditions": quota } })),
                vec![],
            ),
            State::Wrong,
            "web cannot make its pods: pods \"x\" is forbidden: exceeded quota: q.",
            "raise the quota",
        ),
        (
            over(
                deployment(
                    3,
                    json!({ "spec": { "minReadySeconds": 30 }, "status": { "availableReplicas": 2 } }),
                ),
                vec![],
            ),
            State::Waiting,
            "web is being changed: new pods are ready, and count only 30 s later (minReadySeconds).",
            "weft rollout status",
        ),
    ]);
}

#[test]
fn jobs() {
    let job =
        |spec: Value, status: Value| object("Job", "j", json!({ "spec": spec, "status": status }));
    let failed = |reason: &str| json!({ "conditions": [{ "type": "Failed", "status": "True", "reason": reason }] });
    let cron = |spec: Value, status: Value| {
        object("CronJob", "c", json!({ "spec": spec, "status": status }))
    };
    check(vec![
        (
            alone(job(
                json!({ "backoffLimit": 2 }),
                failed("BackoffLimitExceeded"),
            )),
            State::Wrong,
            "job j has failed: its pods failed more than 2 times (backoffLimit).",
            "make it anew",
        ),
        (
            alone(job(
                json!({ "activeDeadlineSeconds": 60 }),
                failed("DeadlineExceeded"),
            )),
            State::Wrong,
            "job j has failed: it took longer than 60 s (activeDeadlineSeconds).",
            "activeDeadlineSeconds",
        ),
        (
            alone(job(json!({ "suspend": true }), json!({}))),
            State::Wrong,
            "job j does nothing: it is suspended.",
            "weft patch job j",
        ),
        (
            alone(job(
                json!({}),
                json!({ "succeeded": 1, "conditions": [{ "type": "Complete", "status": "True" }] }),
            )),
            State::Well,
            "job j is done: 1 of 1.",
            "",
        ),
        (
            alone(cron(
                json!({ "schedule": "* * * * *", "suspend": true }),
                json!({}),
            )),
            State::Wrong,
            "cronjob c starts nothing: it is suspended.",
            "weft patch cronjob c",
        ),
        (
            alone(cron(json!({ "schedule": "0 0 1 1 *" }), json!({}))),
            State::Well,
            "cronjob c has not run yet: its time (0 0 1 1 *) has not come.",
            "--from=cronjob/c",
        ),
        (
            alone(cron(
                json!({ "schedule": "* * * * *" }),
                json!({ "lastScheduleTime": EARLIER }),
            )),
            State::Well,
            "cronjob c works: it ran 5m ago.",
            "",
        ),
    ]);
}

#[test]
fn services() {
    let service = |target: Value| {
        object(
            "Service",
            "shop",
            json!({ "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": target }] } }),
        )
    };
    let slice = |ready: bool| {
        json!({
            "kind": "EndpointSlice", "ports": [{ "port": 80 }],
            "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": ready } }],
        })
    };
    let with = |target: Value, below: Vec<Seen>, beside: Vec<Value>| Seen {
        object: service(target),
        below,
        beside,
        ..Seen::default()
    };
    let unready = || {
        with_event(
            pod(
                json!({ "readinessProbe": {} }),
                json!({ "state": { "running": {} } }),
            ),
            "Unhealthy",
            "Readiness probe failed: no",
        )
    };
    check(vec![
        (
            with(json!(80), vec![], vec![]),
            State::Wrong,
            "service shop leads nowhere: its selector app=web matches no pod.",
            "--show-labels",
        ),
        (
            with(json!("http"), vec![ready_pod()], vec![]),
            State::Wrong,
            "service shop leads nowhere: its targetPort \"http\" is no named port of its pods (none has a name).",
            "targetPort",
        ),
        (
            with(json!(80), vec![unready()], vec![slice(false)]),
            State::Wrong,
            "service shop leads nowhere, because its only pod is not ready: container app of pod web-1 runs, but its readiness probe fails: no.",
            "readinessProbe",
        ),
        (
            with(json!(80), vec![ready_pod()], vec![slice(true)]),
            State::Well,
            "service shop leads to 1 ready endpoint.",
            "",
        ),
    ]);
}

#[test]
fn services_of_which_a_node_serves_a_part() {
    const TAKEN: &str = "port 30080/tcp on 0.0.0.0 is already in use by process web (pid 7)";
    let event = |node: &str, reason: &str, time: &str, version: u64, why: &str| {
        json!({
            "kind": "Event", "metadata": { "resourceVersion": version.to_string() },
            "reason": reason, "lastTimestamp": time, "source": { "host": node },
            "message": format!("node {node} does not serve all of it: {why}"),
        })
    };
    let failed = |node: &str, why: &str| event(node, "FailedToServe", EARLIER, 9, why);
    let with = |events: Vec<Value>| Seen {
        object: object(
            "Service",
            "shop",
            json!({ "spec": {
                "type": "NodePort", "selector": { "app": "web" },
                "ports": [{ "port": 80, "targetPort": 80, "nodePort": 30080 }],
            } }),
        ),
        below: vec![ready_pod()],
        beside: vec![json!({
            "kind": "EndpointSlice", "ports": [{ "port": 80 }],
            "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }],
        })],
        events,
    };
    let leads = "service shop leads to 1 ready endpoint.";
    check(vec![
        (
            with(vec![failed("one", TAKEN)]),
            State::Wrong,
            "node one does not serve all of service shop: port 30080/tcp on 0.0.0.0 is already in use by process web (pid 7).",
            "end what has port 30080 on node one, or give the service another nodePort",
        ),
        (
            with(vec![
                failed("two", TAKEN),
                failed("one", "endpoint 127.0.0.1 is a loopback address"),
            ]),
            State::Wrong,
            "node one and 1 other do not serve all of service shop: endpoint 127.0.0.1 is a loopback address.",
            "weft get endpointslices -l kubernetes.io/service-name=shop",
        ),
        // It was told in the same second, and before it.
        (
            with(vec![
                event("one", "ServedAgain", EARLIER, 10, ""),
                failed("one", TAKEN),
            ]),
            State::Well,
            leads,
            "",
        ),
        (
            with(vec![
                failed("one", TAKEN),
                event("one", "ServedAgain", EARLIER, 8, ""),
            ]),
            State::Wrong,
            "node one does not serve all of service shop: port 30080/tcp on 0.0.0.0 is already in use by process web (pid 7).",
            "another nodePort",
        ),
        // Nobody has said so for long.
        (
            with(vec![event(
                "one",
                "FailedToServe",
                "2026-01-01T00:45:00Z",
                9,
                TAKEN,
            )]),
            State::Well,
            leads,
            "",
        ),
        // Who leads nowhere has other worries.
        (
            Seen {
                below: Vec::new(),
                ..with(vec![failed("one", TAKEN)])
            },
            State::Wrong,
            "service shop leads nowhere: its selector app=web matches no pod.",
            "--show-labels",
        ),
    ]);
}

#[test]
fn claims_nodes_and_namespaces() {
    let claim = |class: &str| {
        let spec =
            json!({ "storageClassName": class, "resources": { "requests": { "storage": "5Gi" } } });
        alone(object(
            "PersistentVolumeClaim",
            "data",
            json!({ "spec": spec, "status": { "phase": "Pending" } }),
        ))
    };
    let class = object(
        "StorageClass",
        "local",
        json!({ "volumeBindingMode": "WaitForFirstConsumer" }),
    );
    let beside = |mut seen: Seen| {
        seen.beside.push(class.clone());
        seen
    };
    let node = |spec: Value, status: &str| {
        let condition = json!({ "type": "Ready", "status": status, "message": "m", "lastHeartbeatTime": EARLIER });
        alone(object(
            "Node",
            "n",
            json!({ "spec": spec, "status": { "conditions": [condition] } }),
        ))
    };
    let namespace = object(
        "Namespace",
        "shop",
        json!({
            "metadata": { "deletionTimestamp": EARLIER },
            "status": { "phase": "Terminating", "conditions": [{
                "type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: pods. has 1 resource instances",
            }] },
        }),
    );
    check(vec![
        (
            beside(claim("nope")),
            State::Wrong,
            "claim data asks for class nope, which does not exist.",
            "weft get storageclass",
        ),
        (
            beside(claim("local")),
            State::Waiting,
            "claim data waits for the first pod that uses it: its class local says so.",
            "start a pod",
        ),
        (
            with_event(
                claim("local"),
                "ProvisioningFailed",
                "5Gi is more than there is",
            ),
            State::Wrong,
            "claim data gets no volume of 5Gi: 5Gi is more than there is.",
            "make it anew",
        ),
        (
            with_event(
                beside(claim("")),
                "ProvisioningFailed",
                "leave volumeMode out",
            ),
            State::Wrong,
            "claim data gets no volume of 5Gi: leave volumeMode out.",
            "make it anew",
        ),
        (
            with_event(
                Seen {
                    below: vec![beside(claim("nope"))],
                    ..pod(json!({}), waiting("ContainerCreating", ""))
                },
                "FailedMount",
                "persistentvolumeclaim \"data\" is not bound to a volume yet",
            ),
            State::Wrong,
            "pod web-1 cannot start, because claim data asks for class nope, which does not exist.",
            "weft get storageclass",
        ),
        (node(json!({}), "True"), State::Well, "node n is ready.", ""),
        (
            node(json!({ "unschedulable": true }), "True"),
            State::Wrong,
            "node n is ready, but cordoned: no new pods come to it.",
            "weft uncordon n",
        ),
        (
            node(json!({}), "Unknown"),
            State::Wrong,
            "node n does not answer for 5m.",
            "is the machine up",
        ),
        (
            alone(namespace),
            State::Wrong,
            "namespace shop was deleted 5m ago and stays while it is not empty: Some resources are remaining: pods. has 1 resource instances.",
            "-n shop",
        ),
        (
            alone(object("ConfigMap", "x", json!({}))),
            State::Well,
            "configmap x is there, and nothing is known to be wrong.",
            "",
        ),
    ]);
}

#[test]
fn budgets_say_whom_they_keep() {
    let budget = |pods: i64, healthy: i64, wanted: i64, reason: &str| {
        let condition =
            json!({ "type": "DisruptionAllowed", "reason": reason, "message": "no scale" });
        alone(object(
            "PodDisruptionBudget",
            "web",
            json!({
                "spec": { "selector": { "matchLabels": { "app": "web" } } },
                "status": {
                    "expectedPods": pods, "currentHealthy": healthy, "desiredHealthy": wanted,
                    "disruptionsAllowed": (healthy - wanted).max(0), "conditions": [condition],
                },
            }),
        ))
    };
    check(vec![
        (
            budget(3, 3, 2, "SufficientPods"),
            State::Well,
            "budget web lets 1 of 3 pods be evicted now.",
            "",
        ),
        (
            budget(0, 0, 1, "InsufficientPods"),
            State::Wrong,
            "budget web keeps nothing: its selector app=web matches no pod.",
            "--show-labels",
        ),
        (
            budget(1, 1, 1, "InsufficientPods"),
            State::Waiting,
            "budget web lets no pod be evicted: 1 of 1 are healthy, and 1 have to be.",
            "a drain waits for ever",
        ),
        (
            budget(3, 2, 2, "InsufficientPods"),
            State::Waiting,
            "budget web lets no pod be evicted: 2 of 3 are healthy, and 2 have to be.",
            "weft get pods -l app=web",
        ),
        (
            budget(1, 1, 0, "SyncFailed"),
            State::Wrong,
            "budget web lets no pod be evicted: no scale.",
            "owner",
        ),
    ]);
}

#[test]
fn a_chain_fits_narrow_terminals() {
    let seen = over(
        deployment(0, json!({})),
        vec![over(
            object("ReplicaSet", "web-a", json!({ "spec": { "replicas": 3 } })),
            vec![pod(json!({}), crashing(json!({ "exitCode": 1 })))],
        )],
    );
    let found = finding(&seen, now());
    let objects: Vec<(usize, &str)> = found
        .chain
        .iter()
        .map(|link| (link.depth, link.object.as_str()))
        .collect();
    assert_eq!(
        objects,
        [
            (0, "deployment/web"),
            (1, "replicaset/web-a"),
            (2, "pod/web-1"),
            (3, "container app"),
            (4, "restart"),
        ]
    );
    for width in [0, 20, 40, 80] {
        let text = told(&found, width);
        let longest = text.lines().map(|line| line.chars().count()).max();
        // A word is never broken.
        assert!(longest <= Some(width.max(31)), "{width}: {text}");
    }
    assert!(told(&found, 80).starts_with("web has 0 of 3 pods ready"));
    let value = found.value("deployment/web");
    assert_eq!(
        (&value["state"], &value["chain"][1]["object"]),
        (&json!("Wrong"), &json!("replicaset/web-a"))
    );
}
