//! Pods get nodes, and are told why they get none.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{kubectl, kubectl_with_input, server};

fn node(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{ name: {name}, labels: {{ disk: {name} }} }}\n{more}\
         status: {{ allocatable: {{ cpu: \"2\", memory: 4Gi, pods: \"3\" }} }}\n"
    )
}

fn pod(name: &str, cpu: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  containers:\n  - name: c\n    \
         image: x\n    resources: {{ requests: {{ cpu: {cpu} }} }}\n{more}"
    )
}

#[track_caller]
fn make(weft: &Weft, manifest: &str) {
    kubectl_with_input(weft, "create -f -", manifest).ok();
}

fn told(weft: &Weft, line: &str) -> String {
    kubectl(weft, line).ok().to_owned()
}

#[track_caller]
fn is_on(weft: &Weft, pod: &str, node: &str) {
    let line = format!("get pod {pod} -o jsonpath={{.spec.nodeName}}");
    until(SOON, &format!("{pod} is on {node}"), || {
        told(weft, &line) == node
    });
}

#[track_caller]
fn waits(weft: &Weft, pod: &str, why: &str) {
    let line = format!("get pod {pod} -o jsonpath={{.status.conditions[*].message}}");
    until(SOON, &format!("{pod} waits: {why}"), || {
        told(weft, &line) == why
    });
}

fn remove(weft: &Weft, pod: &str) {
    kubectl(weft, &format!("delete pod {pod} --force --grace-period=0")).ok();
}

#[test]
fn a_pod_goes_where_it_fits_and_waits_where_it_does_not() {
    let Some(weft) = server() else { return };
    make(&weft, &pod("early", "100m", ""));
    waits(&weft, "early", "no nodes available to schedule pods");
    make(&weft, &node("one", ""));
    is_on(&weft, "early", "one");
    make(&weft, &pod("big", "1500m", ""));
    is_on(&weft, "big", "one");
    make(&weft, &pod("more", "500m", ""));
    let short = "0/1 nodes are available: 1 Insufficient cpu.";
    waits(&weft, "more", short);
    let events = told(
        &weft,
        "get events --field-selector involvedObject.name=more",
    );
    assert!(
        events.contains("FailedScheduling") && events.contains(short),
        "{events}"
    );
    let events = told(&weft, "describe pod big");
    assert!(
        events.contains("Successfully assigned default/big to one"),
        "{events}"
    );
    assert!(events.contains("PodScheduled"), "{events}");
    // What has gone makes room.
    remove(&weft, "big");
    is_on(&weft, "more", "one");
    // What has ended, too.
    make(&weft, &pod("last", "1900m", ""));
    waits(&weft, "last", short);
    let over =
        r#"patch pod more --subresource=status --type=merge -p {"status":{"phase":"Succeeded"}}"#;
    kubectl(&weft, over).ok();
    remove(&weft, "early");
    is_on(&weft, "last", "one");
}

#[test]
fn a_pod_goes_to_the_node_it_names_and_not_where_it_is_kept_away() {
    let Some(weft) = server() else { return };
    let taint = "spec: { taints: [{ key: only, value: gpu, effect: NoSchedule }] }\n";
    make(
        &weft,
        &(node("one", taint) + &node("two", "spec: { unschedulable: true }\n")),
    );
    make(&weft, &pod("p", "1", ""));
    let why = "0/2 nodes are available: 1 node(s) had untolerated taint {only: gpu}, 1 node(s) were unschedulable.";
    waits(&weft, "p", why);
    make(
        &weft,
        &pod(
            "q",
            "1",
            "  tolerations: [{ key: only, operator: Exists }]\n",
        ),
    );
    is_on(&weft, "q", "one");
    kubectl(&weft, "uncordon two").ok();
    is_on(&weft, "p", "two");
    make(&weft, &pod("r", "1", "  nodeSelector: { disk: three }\n"));
    make(&weft, &node("three", ""));
    is_on(&weft, "r", "three");
    // Who has another scheduler, or waits for somebody, is left alone.
    make(&weft, &pod("s", "1", "  schedulerName: mine\n"));
    make(
        &weft,
        &pod(
            "t",
            "1",
            "  schedulingGates: [{ name: example.com/wait }]\n",
        ),
    );
    make(&weft, &pod("u", "1", ""));
    let on = |pod: &str| {
        told(
            &weft,
            &format!("get pod {pod} -o jsonpath={{.spec.nodeName}}"),
        )
    };
    until(SOON, "u is on a node", || !on("u").is_empty());
    assert_eq!((on("s"), on("t")), (String::new(), String::new()));
}

#[test]
fn pods_that_wait_do_so_over_a_kill() {
    let Some(mut weft) = server() else { return };
    make(
        &weft,
        &(node("one", "") + &pod("a", "1500m", "") + &pod("b", "1500m", "")),
    );
    let count = |weft: &Weft| {
        let all = told(weft, "get pods -o jsonpath={.items[*].spec.nodeName}");
        all.split_whitespace().count()
    };
    until(SOON, "one is on a node", || count(&weft) == 1);
    weft.kill_daemon();
    weft.start_daemon();
    make(&weft, &node("two", ""));
    until(SOON, "both are on nodes", || count(&weft) == 2);
    let nodes = told(&weft, "get pods -o jsonpath={.items[*].spec.nodeName}");
    assert!(nodes.contains("one") && nodes.contains("two"), "{nodes}");
}

#[test]
fn the_important_take_the_place_of_others_who_are_told() {
    let Some(weft) = server() else { return };
    let class = |name: &str, value: i32, more: &str| {
        format!(
            "---\napiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{ name: {name} }}\nvalue: {value}\n{more}"
        )
    };
    make(
        &weft,
        &(node("one", "")
            + &class("high", 1000, "")
            + &class("low", 10, "")
            + &class("polite", 1000, "preemptionPolicy: Never\n")),
    );
    make(
        &weft,
        &(pod("small", "900m", "  priorityClassName: low\n") + &pod("large", "1", "")),
    );
    is_on(&weft, "small", "one");
    is_on(&weft, "large", "one");
    make(
        &weft,
        &pod("polite", "1500m", "  priorityClassName: polite\n"),
    );
    let short = "0/1 nodes are available: 1 Insufficient cpu.";
    waits(&weft, "polite", short);
    make(&weft, &pod("equal", "1500m", ""));
    waits(&weft, "equal", short);
    let going = |pod: &str| {
        let line = format!("get pod {pod} -o jsonpath={{.metadata.deletionTimestamp}}");
        !told(&weft, &line).is_empty()
    };
    assert!(!going("small") && !going("large"), "nobody goes for those");
    // One is enough, and it is the one that makes room.
    make(&weft, &pod("high", "1", "  priorityClassName: high\n"));
    until(SOON, "the large one goes", || going("large"));
    assert!(!going("small"));
    until(SOON, "it is said where it will be", || {
        told(
            &weft,
            "get pod high -o jsonpath={.status.nominatedNodeName}",
        ) == "one"
    });
    let described = told(&weft, "describe pod large");
    for said in ["Preempted by pod", "DisruptionTarget"] {
        assert!(described.contains(said), "{said}: {described}");
    }
    let reasons = "get pod large -o jsonpath={.status.conditions[*].reason}";
    assert!(told(&weft, reasons).contains("PreemptionByScheduler"));
    remove(&weft, "large");
    is_on(&weft, "high", "one");
    assert!(!going("small"), "nobody else had to go");
}

/// A volume on one node, and a claim that is bound to it.
fn volume(node: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{ name: v }}\nspec:\n  \
         capacity: {{ storage: 1Gi }}\n  accessModes: [ReadWriteOnce]\n  storageClassName: \"\"\n  \
         local: {{ path: /data }}\n  nodeAffinity: {{ required: {{ nodeSelectorTerms: \
         [{{ matchExpressions: [{{ key: disk, operator: In, values: [{node}] }}] }}] }} }}\n\
         ---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: data }}\nspec:\n  \
         storageClassName: \"\"\n  volumeName: v\n  accessModes: [ReadWriteOnce]\n  \
         resources: {{ requests: {{ storage: 1Gi }} }}\n"
    )
}

#[test]
fn a_pod_goes_where_its_volume_is() {
    let Some(mut weft) = server() else { return };
    make(
        &weft,
        &(node("one", "") + &node("two", "") + &volume("two")),
    );
    let line = "get pvc data -o jsonpath={.status.phase}";
    until(SOON, "the claim is bound", || told(&weft, line) == "Bound");
    let with = "  volumes: [{ name: v, persistentVolumeClaim: { claimName: data } }]\n";
    // The second is full once three are there, and the first is no place for the fourth.
    for name in ["a", "b", "c"] {
        make(&weft, &pod(name, "100m", with));
        is_on(&weft, name, "two");
    }
    make(&weft, &pod("d", "100m", with));
    let why =
        "0/2 nodes are available: 1 Too many pods, 1 node(s) had volume node affinity conflict.";
    waits(&weft, "d", why);
    // A server that starts knows of volumes before it places pods.
    weft.kill_daemon();
    weft.start_daemon();
    kubectl(&weft, "cordon two").ok();
    remove(&weft, "a");
    let why = "0/2 nodes are available: 1 node(s) had volume node affinity conflict, 1 node(s) were unschedulable.";
    waits(&weft, "d", why);
    kubectl(&weft, "uncordon two").ok();
    is_on(&weft, "d", "two");
}

#[test]
fn deployments_that_want_one_port_of_the_machine_are_told() {
    let Some(weft) = server() else { return };
    let deployment = |name: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n  \
             selector: {{ matchLabels: {{ app: {name} }} }}\n  template:\n    \
             metadata: {{ labels: {{ app: {name} }} }}\n    spec:\n      containers:\n      - name: c\n        \
             image: x\n        ports: [{{ containerPort: 80, hostPort: 8080 }}]\n"
        )
    };
    make(&weft, &(node("one", "") + &deployment("first")));
    let of = |name: &str, path: &str| {
        let line = format!("get pods -l app={name} -o jsonpath={{.items[*].{path}}}");
        told(&weft, &line)
    };
    until(SOON, "the first has a node", || {
        of("first", "spec.nodeName") == "one"
    });
    make(&weft, &deployment("second"));
    let why =
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    until(SOON, "the second is told why it has none", || {
        of("second", "status.conditions[*].message") == why
    });
    kubectl(&weft, "delete deployment first").ok();
    // No agent is here that would end it.
    kubectl(&weft, "delete pods -l app=first --force --grace-period=0").ok();
    until(SOON, "the second has the port", || {
        of("second", "spec.nodeName") == "one"
    });
}
