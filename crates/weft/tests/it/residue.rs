//! Nothing stays: not after success, not after failure, not after a crash, and the host's own
//! device nodes are as they were.

use std::fs;
use std::os::unix::fs::MetadataExt;

use weft_testkit::wait::SOON;
use weft_testkit::{Weft, leftovers, until};

use crate::{WEFT, idle, weft};

/// Links that are made ahead for containers to come.
const LINKS_WAITING: usize = 4;

fn device_nodes() -> Vec<String> {
    let describe = |name: &&str| {
        let meta = fs::metadata(format!("/dev/{name}")).expect("the host has it");
        format!(
            "{name} {:o} {}:{} {:x}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.rdev()
        )
    };
    ["null", "zero", "full", "random", "urandom", "tty", "ptmx"]
        .iter()
        .map(describe)
        .collect()
}

#[test]
fn removed_containers_leave_no_trace() {
    let Some(weft) = weft() else { return };
    // What an engine without containers has: its spawner, bridge, table and cgroup.
    weft.weft(&["run", "--rm", "busybox", "true"]).code(0);
    let rest = |weft: &Weft| weft.leftovers().len();
    let mut base = 0;
    until(
        SOON,
        "the first one is gone, and links wait for others",
        || {
            let is_gone = weft.ok(&["ps", "--all", "--quiet"]).is_empty();
            let found = weft.leftovers();
            base = found.len();
            let waiting = found.iter().filter(|line| line.starts_with("link wv"));
            is_gone && waiting.count() == LINKS_WAITING
        },
    );
    let devices = device_nodes();
    for index in 0..5 {
        idle(&weft, &format!("c{index}"));
        weft.weft(&[
            "run",
            "--rm",
            "--publish",
            "8080",
            "--volume",
            "/data",
            "busybox",
            "sh",
            "-c",
            "exit 1",
        ])
        .code(1);
        weft.weft(&["run", "--rm", "busybox", "no-such-command"])
            .code(127);
        weft.weft(&[
            "run",
            "--rm",
            "--privileged",
            "busybox",
            "sh",
            "-c",
            "chmod 600 /dev/null; chown 1:1 /dev/null",
        ]);
    }
    weft.ok(&["rm", "--force", "c0", "c1", "c2", "c3", "c4"]);
    until(SOON, "nothing more than before is left", || {
        rest(&weft) <= base
    });
    assert_eq!(
        fs::read_dir(weft.data_dir().join("containers"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(weft.ok(&["volume", "ls", "--quiet"]), "");
    assert_eq!(device_nodes(), devices);
}

#[test]
fn an_engine_that_stops_without_containers_takes_everything_along() {
    let Some(mut weft) = Weft::empty(WEFT) else {
        return;
    };
    weft.stop_daemon().code(0);
    weft.leaves_nothing();
}

#[test]
fn an_engine_that_stops_leaves_its_containers_running() {
    let Some(mut weft) = weft() else { return };
    idle(&weft, "one");
    let pid = weft.inspect("one")["State"]["Pid"].clone();
    weft.stop_daemon().code(0);
    weft.start_daemon();
    assert_eq!(weft.inspect("one")["State"]["Pid"], pid);
}

#[test]
fn others_may_not_look_into_the_directories() {
    let Some(weft) = weft() else { return };
    for dir in [weft.data_dir(), weft.run_dir()] {
        let meta = fs::metadata(&dir).unwrap();
        assert_eq!(
            meta.mode() & 0o077,
            0,
            "{} has mode {:o}",
            dir.display(),
            meta.mode()
        );
    }
    let socket = fs::metadata(weft.socket()).unwrap();
    assert_eq!(
        socket.mode() & 0o007,
        0,
        "the socket has mode {:o}",
        socket.mode()
    );
}

#[test]
fn a_test_that_fails_beside_its_pods_leaves_nothing() {
    let Some(weft) = crate::server_kubectl::cluster() else {
        return;
    };
    let pod = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  \
             volumes: [{{ name: v, emptyDir: {{ medium: Memory }} }}]\n  containers:\n  - name: main\n    \
             image: busybox\n    imagePullPolicy: IfNotPresent\n    command: [sleep, '1000']\n    \
             volumeMounts: [{{ name: v, mountPath: /v }}]\n"
        )
    };
    crate::server_kubectl::apply(&weft, &(pod("one") + &pod("two"))).ok();
    let ready = "wait --for=condition=Ready pod/one pod/two --timeout=60s";
    crate::server_kubectl::kubectl(&weft, ready).ok();
    let (instance, bridge) = (weft.instance().to_owned(), weft.bridge().to_owned());
    let run_dir = weft.run_dir();
    let dir = run_dir.parent().expect("it is in the test's directory");
    let links = leftovers::links(&instance, &bridge);
    assert!(!links.is_empty(), "nothing is looked for");
    let failing = std::thread::spawn(move || {
        let _weft = weft;
        panic!("as a test that fails");
    });
    assert!(failing.join().is_err());
    until(SOON, "nothing is left", || {
        let has_gone = |link: &String| !std::path::Path::new("/sys/class/net").join(link).exists();
        leftovers::of(&instance, &bridge, dir).is_empty() && links.iter().all(has_gone)
    });
    assert!(!dir.exists(), "its directory");
}
