//! What a new user does first: the demo, and a command that starts the engine by itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use weft_testkit::wait::SOON;
use weft_testkit::{command, engine, leftovers, peer, until};

use crate::WEFT;

#[test]
fn the_demo_runs_and_cleans_up() {
    if !peer::root() {
        return;
    }
    let mut demo = Command::new(WEFT);
    demo.arg("demo");
    let ran = command::run(demo, b"", Duration::from_secs(180));
    assert_eq!(ran.code, 0, "{ran}");
    let parts = ["run", "ps", "logs", "stats", "exec", "deploy", "why", "top"];
    for part in parts
        .into_iter()
        .chain(["node demo, mood sunny", "didn't have free ports"])
    {
        assert!(ran.stdout.contains(part), "{part:?}: {ran}");
    }
}

fn scratch() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("weft-first").tempdir().unwrap()
}

/// The pid of the engine that serves `run`.
fn engine_of(run: &Path) -> i32 {
    let pid = std::fs::read_to_string(run.join("engine.pid-lock")).unwrap();
    pid.trim().parse().unwrap()
}

/// Ends the engine `pid`, which has everything in `dir`.
fn stop(pid: i32, dir: &Path) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    until(SOON, "the engine ends", || !engine::alive(pid));
    until(SOON, "nothing is left", || {
        leftovers::processes(dir).is_empty()
    });
}

#[test]
fn the_engine_starts_by_itself() {
    if !peer::root() {
        return;
    }
    let dir = scratch();
    let (data, run) = (dir.path().join("data"), dir.path().join("run"));
    let weft = |args: &[&str]| {
        let mut weft = Command::new(WEFT);
        weft.arg("--data-dir")
            .arg(&data)
            .arg("--run-dir")
            .arg(&run)
            .args(args);
        command::run(weft, b"", command::LIMIT)
    };
    assert!(weft(&["ps"]).ok().starts_with("CONTAINER ID"));
    let pid = engine_of(&run);
    // A second command uses the same engine.
    weft(&["images"]).ok();
    assert_eq!(engine_of(&run), pid);
    stop(pid, dir.path());
}

#[test]
fn the_engine_may_open_more_files_than_its_shell_and_containers_may_not() {
    if !peer::root() {
        return;
    }
    let dir = scratch();
    let run = dir.path().join("run");
    let weft = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -Sn 300; weft() {{ {WEFT} --data-dir {0}/data --run-dir {0}/run \"$@\"; }}; {script}", dir.path().display())]);
        command::run(shell, b"", command::LIMIT)
    };
    weft("weft ps").ok();
    let pid = engine_of(&run);
    let limits = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files"));
        let numbers = line.unwrap().split_whitespace().skip(3).take(2);
        numbers.map(str::to_owned).collect::<Vec<_>>()
    };
    let [soft, hard] = limits(pid).try_into().unwrap();
    assert_eq!(soft, hard);
    assert_ne!(soft, "300");
    let busybox = "cp /bin/busybox $d/; tar -C $d -c busybox | weft import - busybox";
    weft(&format!(
        "d={0}/root; mkdir $d; {busybox}",
        dir.path().display()
    ))
    .ok();
    let inside =
        weft("weft run --rm --network none busybox /busybox sh -c 'ulimit -Sn; ulimit -Hn'");
    assert_eq!(inside.ok(), format!("300\n{hard}"));
    stop(pid, dir.path());
}

#[test]
fn an_engine_that_cannot_start_says_so_at_once() {
    if !peer::root() {
        return;
    }
    let dir = scratch();
    let run = dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    // The socket of an engine that was killed, and data no engine can use.
    drop(std::os::unix::net::UnixListener::bind(run.join("engine.sock")).unwrap());
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("containers"), "no directory").unwrap();
    let mut weft = Command::new(WEFT);
    weft.arg("--data-dir").arg(&data);
    weft.arg("--run-dir").arg(&run).arg("ps");
    let ran = command::run(weft, b"", Duration::from_secs(5));
    ran.fails_saying(&["it ended at once", "containers"]);
    until(SOON, "nothing is left", || {
        leftovers::processes(dir.path()).is_empty()
    });
}

#[test]
fn global_options_come_before_any_command() {
    let mut weft = Command::new(WEFT);
    weft.args(["--data-dir", "/x", "--run-dir=/y", "engine", "--help"]);
    let ran = command::run(weft, b"", command::LIMIT);
    assert!(ran.ok().contains("weft engine"), "{ran}");
}

#[test]
fn without_an_engine_a_named_socket_is_an_error_that_says_so() {
    let ran = command::run(
        {
            let mut weft = Command::new(WEFT);
            weft.args(["--host", "unix:///nonexistent/engine.sock", "ps"]);
            weft
        },
        b"",
        command::LIMIT,
    );
    ran.fails_saying(&["/nonexistent/engine.sock"]);
}
