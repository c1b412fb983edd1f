//! `kubectl debug`: containers that are put into pods that run, to look around.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use weft_testkit::wait::{SOON, until};
use weft_testkit::{Ran, Weft};

use crate::server_kubectl::{apply, cluster, kubectl, kubectl_with_input};

const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: { name: app, labels: { app: app } }
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - { name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '4711'] }
---
apiVersion: v1
kind: Pod
metadata: { name: late }
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - { name: first, image: busybox, imagePullPolicy: IfNotPresent, command: ['false'] }
  containers:
  - { name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '1000'] }
";
const PART: &str = "/api/v1/namespaces/default/pods/app/ephemeralcontainers";

fn debug(words: &str) -> String {
    format!("debug --image=busybox --image-pull-policy=IfNotPresent {words}")
}

#[track_caller]
fn pod(weft: &Weft, name: &str) -> Value {
    let shown = kubectl(weft, &format!("get pod {name} -o json"));
    serde_json::from_str(shown.ok()).unwrap()
}

/// Where one that was put in stands.
#[track_caller]
fn state(weft: &Weft, name: &str, container: &str) -> Value {
    let pod = pod(weft, name);
    let told = pod["status"]["ephemeralContainerStatuses"].as_array();
    let mut told = told.into_iter().flatten();
    let one = told.find(|one| one["name"] == container);
    one.cloned().unwrap_or_default()
}

#[track_caller]
fn runs(weft: &Weft, name: &str, container: &str) {
    until(SOON, &format!("{container} runs"), || {
        state(weft, name, container)["state"]["running"].is_object()
    });
}

#[track_caller]
fn put(weft: &Weft, object: &Value) -> Ran {
    let line = format!("replace --raw {PART} -f -");
    kubectl_with_input(weft, &line, &object.to_string())
}

#[test]
fn who_looks_around_sees_what_a_container_does() {
    let Some(mut weft) = cluster() else { return };
    apply(&weft, PODS).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/app --timeout=60s").ok();
    let looks = debug("app --target=main -c looks -- sh -c ps;exec\u{a0}sleep\u{a0}1000");
    let looks: Vec<String> = looks
        .split(' ')
        .map(|word| word.replace('\u{a0}', " "))
        .collect();
    let looks: Vec<&str> = looks.iter().map(String::as_str).collect();
    weft.kubectl(&looks, "").unwrap().ok();
    runs(&weft, "app", "looks");
    let seen = kubectl(&weft, "logs app -c looks");
    assert!(seen.ok().contains("sleep 4711"), "{seen}");
    let seen = kubectl(&weft, "exec app -c looks -- cat /proc/1/cmdline");
    assert_eq!(seen.ok(), "sleep\x004711\0");
    // Of the pod nothing has become another.
    let now = pod(&weft, "app");
    assert_eq!(now["status"]["containerStatuses"][0]["restartCount"], 0);
    assert_eq!(now["status"]["phase"], "Running");
    let told = state(&weft, "app", "looks");
    assert_eq!(told["ready"], false);
    assert_eq!(told.get("started"), None);
    assert_eq!(told["restartCount"], 0);
    let shown = kubectl(&weft, "describe pod app");
    assert!(shown.ok().contains("Ephemeral Containers:"), "{shown}");
    assert!(shown.ok().contains("Started container looks"), "{shown}");

    // Without a target it sees itself; it runs once.
    let own = debug("app -c own -- sh -c ps");
    kubectl(&weft, &own).ok();
    until(SOON, "it has ended", || {
        state(&weft, "app", "own")["state"]["terminated"]["exitCode"] == 0
    });
    let seen = kubectl(&weft, "logs app -c own");
    assert!(!seen.ok().contains("sleep 4711"), "{seen}");
    // What is typed comes in.
    let line = debug("-i app --target=main -c typed -- cat");
    let typed = kubectl_with_input(&weft, &line, "hello\n");
    assert!(typed.ok().contains("hello"), "{typed}");

    // It goes on over a restart of the server, and who has ended is not started again.
    weft.kill_daemon();
    weft.start_daemon();
    runs(&weft, "app", "looks");
    let own = state(&weft, "app", "own");
    assert!(own["state"]["terminated"].is_object(), "{own}");
    kubectl(&weft, "delete pod app late").ok();
}

#[test]
fn what_was_put_in_stays_and_nothing_else_is_changed_there() {
    let Some(weft) = cluster() else { return };
    apply(&weft, PODS).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/app --timeout=60s").ok();
    kubectl(&weft, &debug("app --target=nobody -c looks -- sleep 1000")).fails_saying(&[
        "targetContainerName",
        "Not found",
        "nobody",
    ]);
    kubectl(&weft, &debug("app -c main -- sleep 1000")).fails_saying(&["main"]);
    kubectl(&weft, &debug("app -c looks -- sleep 1000")).ok();
    runs(&weft, "app", "looks");

    let now = pod(&weft, "app");
    let mut other = now.clone();
    other["spec"]["ephemeralContainers"][0]["image"] = "other".into();
    put(&weft, &other)
        .fails_saying(&["existing ephemeral containers \"looks\" may not be changed"]);
    other["spec"]["ephemeralContainers"] = Value::Null;
    put(&weft, &other)
        .fails_saying(&["existing ephemeral containers \"looks\" may not be removed"]);
    let mut other = now.clone();
    other["metadata"]["labels"]["app"] = "other".into();
    other["spec"]["containers"][0]["image"] = "other".into();
    put(&weft, &other).ok();
    let same = pod(&weft, "app");
    for field in ["/metadata/labels", "/spec"] {
        assert_eq!(same.pointer(field), now.pointer(field));
    }
    let more = serde_json::json!({ "name": "more", "image": "busybox", "ports": [{ "containerPort": 1 }] });
    let mut other = now.clone();
    let list = other["spec"]["ephemeralContainers"].as_array_mut().unwrap();
    list.push(more.clone());
    put(&weft, &other).fails_saying(&["ports", "cannot be set for an Ephemeral Container"]);
    // The pod itself is not the way.
    let patch = serde_json::json!({ "spec": { "ephemeralContainers": [more] } }).to_string();
    let words = ["patch", "pod", "app", "-p", &patch];
    weft.kubectl(&words, "")
        .unwrap()
        .fails_saying(&["pod updates may not change fields other than"]);
    // Who may change pods may not do this by that alone.
    let refused = kubectl(&weft, &format!("replace --raw {PART} -f - --as=ann"));
    refused.fails_saying(&["pods/ephemeralcontainers"]);

    // A pod that does not come to run is looked at all the same; its containers are waited for.
    kubectl(&weft, &debug("late -c looks -- sleep 1000")).ok();
    runs(&weft, "late", "looks");
    kubectl(&weft, &debug("late --target=main -c waits -- sleep 1000")).ok();
    until(SOON, "it waits for its target", || {
        let told = state(&weft, "late", "waits");
        let why = told["state"]["waiting"]["message"].as_str();
        why.is_some_and(|why| why.contains("unable to find target container"))
    });
    kubectl(&weft, "delete pod app late").ok();
}
