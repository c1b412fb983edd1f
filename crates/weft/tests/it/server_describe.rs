//! `weft describe`, held against the real kubectl byte for byte.
#![allow(clippy::unwrap_used)]

use weft_testkit::wait::{SOON, until};
use weft_testkit::{Background, Weft};

use crate::server_kubectl::{self, kubectl};

/// Objects with many fields set.
const OBJECTS: [&str; 3] = [
    include_str!("server_describe/rest.yaml"),
    include_str!("server_describe/workloads.yaml"),
    include_str!("server_describe/pods.yaml"),
];
/// Kind, name and status, a line each.
const STATUSES: &str = include_str!("server_describe/status.txt");
/// What happened to the pod.
const EVENTS: &str = include_str!("server_describe/events.yaml");
/// How often it is looked again for a second that does not end between two commands.
const LOOKS: usize = 20;

/// A server with all of them.
fn server() -> Option<Weft> {
    let weft = server_kubectl::server()?;
    for objects in OBJECTS {
        create(&weft, objects);
    }
    for line in STATUSES.lines() {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let patch = format!("{{\"status\":{}}}", words[2]);
        let words = [
            "patch",
            words[0],
            words[1],
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ];
        weft.kubectl(&words, "").unwrap().ok();
    }
    let uid = kubectl(&weft, "get pod full -o jsonpath={.metadata.uid}");
    create(&weft, &EVENTS.replace("@UID@", uid.ok()));
    // Its sets: of this template, and of one before.
    let sets = "get rs -l app=web -o name";
    until(SOON, "web has a set", || {
        kubectl(&weft, sets).stdout.lines().count() == 1
    });
    kubectl(&weft, "set image deployment/web web=nginx:2").ok();
    until(SOON, "web has two sets", || {
        kubectl(&weft, sets).stdout.lines().count() == 2
    });
    Some(weft)
}

fn create(weft: &Weft, objects: &str) {
    weft.kubectl(&["create", "-f", "-"], objects).unwrap().ok();
}

/// The same of both, in a second in which kubectl says the same twice.
fn same(weft: &Weft, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    for _ in 0..LOOKS {
        let before = kubectl(weft, line);
        let mut command = weft.command(&words);
        command.env("KUBECONFIG", weft.kubeconfig("admin", "system:masters"));
        let ours = Background::start(command).finish(SOON);
        if kubectl(weft, line).stdout != before.stdout {
            continue;
        }
        assert_eq!(ours.stdout, before.stdout, "{line}\n{ours}");
        assert_eq!(ours.code, before.code, "{line}\n{ours}");
        return ours.stdout;
    }
    panic!("{line}: kubectl never said the same twice");
}

#[test]
fn every_kind_is_told_as_kubectl_tells_it() {
    let Some(weft) = server() else { return };
    let kinds = kubectl(&weft, "api-resources --verbs=list --no-headers -o name");
    for kind in kinds.ok().lines() {
        same(&weft, &format!("describe {kind}"));
    }
    let told = same(&weft, "describe pod full");
    assert!(told.contains("(x7 over"), "{told}");
    let told = same(&weft, "describe rs set");
    assert!(told.contains("0 Running / 2 Waiting"), "{told}");
    let told = same(&weft, "describe rc old");
    assert!(told.contains("0 Running / 0 Waiting"), "{told}");
    assert!(told.contains("ReplicaFailure"), "{told}");
    let told = same(&weft, "describe deploy web");
    assert!(told.contains("OldReplicaSets:  web-"), "{told}");
    assert!(told.contains("NewReplicaSet:   web-"), "{told}");
    let told = same(&weft, "describe pod full --show-events=false");
    assert!(!told.contains("Events:"), "{told}");
    for line in [
        // How names begin, and names that nobody has.
        "describe pod ful",
        "describe rs web-",
        "describe deploy no",
        "describe pod/ful",
        "describe pod/small svc/web node/one",
        "describe secret registry",
        "describe deploy -A",
        "describe pods -l app=web",
    ] {
        same(&weft, line);
    }
}
