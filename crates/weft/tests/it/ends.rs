//! What somebody asks for at the very moment something ends, or begins again.

use std::process::Command;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use weft_testkit::command::Background;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, until};

use crate::{idle, shell, weft};

fn state(weft: &Weft, name: &str) -> Value {
    let answer = weft.api("GET", &format!("/containers/{name}/json"), "");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["State"].clone()
}

#[track_caller]
fn post(weft: &Weft, path: &str) {
    let answer = weft.api("POST", path, "");
    assert!(matches!(answer.status, 200 | 204), "{path}: {answer:?}");
}

/// The daemon, with some calls of its slowed down.
fn slowed(weft: &Weft, inject: &str) -> Background {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-p"]);
    strace.arg(weft.daemon_pid().as_raw_nonzero().to_string());
    strace.args(["-e", &format!("inject={inject}")]);
    let strace = Background::start(strace);
    until(SOON, "strace has attached", || {
        strace.stderr().contains("attached")
    });
    strace
}

#[test]
fn exit_codes_of_many_execs_at_once() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    let weft = &weft;
    thread::scope(|scope| {
        for code in 3..7 {
            let script = format!("exit {code}");
            scope.spawn(move || {
                for _ in 0..15 {
                    weft.weft(&["exec", "one", "sh", "-c", &script]).code(code);
                    if let Some(ran) = weft.docker(&["exec", "one", "sh", "-c", &script]) {
                        ran.code(code);
                    }
                }
            });
        }
    });
}

/// A client that looked a moment ago attaches to what has ended since; the engine is still busy
/// putting it away.
#[test]
fn attach_to_what_has_just_ended_is_a_conflict() {
    let peers = ["strace", "docker"].map(weft_testkit::peer);
    let (Some(weft), true) = (weft(), peers.iter().all(Option::is_some)) else {
        return;
    };
    let id = idle(&weft, "one");
    let socket = weft
        .run_dir()
        .join("c")
        .join(&id[..12])
        .join("monitor.sock");
    for _ in 0..10 {
        until(SOON, "its monitor listens", || socket.exists());
        let strace = slowed(&weft, "unlinkat:delay_enter=3000000:when=1");
        let pid = state(&weft, "one")["Pid"].as_i64().unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        until(SOON, "its monitor says good-bye", || !socket.exists());
        let docker = weft.docker(&["attach", "--no-stdin", "one"]).unwrap();
        docker.fails_saying(&[]);
        assert!(!docker.stderr.contains("500"), "{docker}");
        strace.signal(Signal::KILL);
        let _ = strace.finish(SOON);
        until(SOON, "the end is recorded", || {
            state(&weft, "one")["Status"] == "exited"
        });
        // On a busy machine the end may be recorded before docker has looked.
        if docker.stderr.contains("409") {
            return;
        }
        post(&weft, "/containers/one/start");
    }
    panic!("docker never came in time");
}

#[test]
fn a_start_that_is_to_wait_for_a_client_does_not_go_without() {
    let Some(weft) = weft() else { return };
    weft.ok(&["create", "--name", "one", "busybox", "true"]);
    let answer = weft.api("POST", "/containers/one/wait?start=attached", "");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("nobody has attached"), "{answer:?}");
    assert_eq!(weft.inspect("one")["State"]["Status"], "created");
}

#[test]
fn attach_to_what_is_paused_is_a_conflict() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    weft.ok(&["pause", "one"]);
    let answer = weft.api("POST", "/containers/one/attach?stream=1&stdout=1", "");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("unpause"), "{answer:?}");
    weft.ok(&["unpause", "one"]);
}

const POLITE: &str = "trap 'exit 5' TERM; echo up; while :; do sleep 0.02; done";

/// Nothing of the last run is left to undo the next: it has its address, its signals, its cgroup.
#[track_caller]
fn is_whole(weft: &Weft, starts: usize) {
    let shown = weft.inspect("one");
    assert_eq!(shown["State"]["Status"], "running", "start {starts}");
    let address = shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str();
    assert!(
        address.is_some_and(|a| !a.is_empty()),
        "start {starts}: {shown}"
    );
    until(SOON, "the trap is set", || {
        let logs = weft.api("GET", "/containers/one/logs?stdout=1", "");
        logs.body.matches("up").count() >= starts
    });
}

#[test]
fn stop_start_restart_and_kill_without_a_pause() {
    let Some(weft) = weft() else { return };
    shell(&weft, "one", POLITE);
    for round in 0..12 {
        let starts = round * 3 + 1;
        is_whole(&weft, starts);
        post(&weft, "/containers/one/stop?t=60");
        // The signal was heard: a session of the last run has not taken it away.
        assert_eq!(state(&weft, "one")["ExitCode"], 5);
        post(&weft, "/containers/one/start");
        is_whole(&weft, starts + 1);
        post(&weft, "/containers/one/restart?t=60");
        is_whole(&weft, starts + 2);
        post(&weft, "/containers/one/kill");
        post(&weft, "/containers/one/start");
    }
}

#[test]
fn docker_stops_and_starts_without_a_pause() {
    let Some(weft) = weft() else { return };
    if weft.docker(&["version"]).is_none() {
        return;
    }
    let docker = |args: &[&str]| weft.docker(args).unwrap().ok().to_owned();
    idle(&weft, "one");
    for _ in 0..8 {
        docker(&["stop", "--time", "0", "one"]);
        docker(&["start", "one"]);
        docker(&["restart", "--time", "0", "one"]);
        docker(&["kill", "one"]);
        docker(&["start", "one"]);
    }
    assert_eq!(state(&weft, "one")["Status"], "running");
}

#[test]
fn start_at_the_moment_the_end_is_seen() {
    let Some(weft) = weft() else { return };
    shell(&weft, "one", POLITE);
    is_whole(&weft, 1);
    for starts in 2..22 {
        let pid = state(&weft, "one")["Pid"].as_i64().unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        until(SOON, "its end is seen", || {
            state(&weft, "one")["Status"] == "exited"
        });
        post(&weft, "/containers/one/start");
        is_whole(&weft, starts);
    }
    post(&weft, "/containers/one/stop?t=60");
    assert_eq!(state(&weft, "one")["ExitCode"], 5);
}
