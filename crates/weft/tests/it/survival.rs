//! kill -9 of the daemon, the spawner or both: no container notices, and the next daemon has all
//! of them, with their logs, exit codes, restarts and terminals.

use rustix::process::{Signal, kill_process};
use weft_testkit::engine::{CROWD, alive};
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, until};

use crate::{WEB, idle, shell, weft};

fn pid(weft: &Weft, name: &str) -> i32 {
    let pid = weft.inspect(name)["State"]["Pid"]
        .as_i64()
        .unwrap_or_default();
    i32::try_from(pid).expect("process ids are small")
}

fn kill(pid: rustix::process::Pid) {
    kill_process(pid, Signal::KILL).expect("the process is there");
}

#[test]
fn a_daemon_that_dies_takes_nothing_along() {
    let Some(mut weft) = weft() else { return };
    let script = "i=0; while :; do echo tick-$i; i=$((i+1)); sleep 0.02; done";
    shell(&weft, "one", script);
    let before = pid(&weft, "one");
    weft.kill_daemon();
    assert!(alive(before));
    weft.start_daemon();
    assert_eq!(pid(&weft, "one"), before);
    // The log has no hole: the monitor kept writing while nobody was there.
    let ticks = || {
        weft.ok(&["logs", "one"])
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let so_far = ticks().len();
    until(SOON, "it still ticks", || ticks().len() > so_far);
    for (index, line) in ticks().iter().enumerate() {
        assert_eq!(*line, format!("tick-{index}"));
    }
    weft.ok(&["exec", "one", "true"]);
    weft.ok(&["stop", "--time", "0", "one"]);
    assert_eq!(weft.inspect("one")["State"]["ExitCode"], 137);
}

#[test]
fn an_exit_while_nobody_watched_is_known_afterwards() {
    let Some(mut weft) = weft() else { return };
    let go = weft.scratch().join("go");
    let bind = format!("{}:/go", weft.scratch().display());
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "one",
        "--volume",
        &bind,
        "busybox",
        "sh",
        "-c",
        "while ! test -f /go/go; do sleep 0.02; done; echo done; exit 42",
    ]);
    let pid = pid(&weft, "one");
    weft.kill_daemon();
    std::fs::write(&go, "").unwrap();
    until(SOON, "it ended", || !alive(pid));
    weft.start_daemon();
    until(SOON, "the exit is known", || {
        weft.inspect("one")["State"]["Status"] == "exited"
    });
    assert_eq!(weft.inspect("one")["State"]["ExitCode"], 42);
    assert_eq!(weft.ok(&["logs", "one"]), "done");
}

#[test]
fn a_restart_policy_holds_across_the_daemons_death() {
    let Some(mut weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "one",
        "--restart",
        "always",
        "busybox",
        "sleep",
        "3600",
    ]);
    let before = pid(&weft, "one");
    weft.kill_daemon();
    kill(rustix::process::Pid::from_raw(before).unwrap());
    until(SOON, "it ended", || !alive(before));
    weft.start_daemon();
    until(SOON, "it is back", || {
        pid(&weft, "one") != before && weft.inspect("one")["State"]["Running"] == true
    });
}

#[test]
fn the_spawner_is_replaced() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    let (one, spawner) = (pid(&weft, "one"), weft.spawner_pid());
    kill(spawner);
    // The next container needs a spawner, and gets one.
    weft.weft(&["run", "--rm", "busybox", "true"]).code(0);
    assert_eq!(pid(&weft, "one"), one);
    assert!(alive(one));
    weft.ok(&["exec", "one", "true"]);
    assert_ne!(weft.spawner_pid(), spawner);
}

#[test]
fn an_attached_terminal_is_there_again() {
    let Some(mut weft) = weft() else { return };
    let mut terminal = weft.terminal(&["run", "-it", "--name", "shell", "busybox", "sh"]);
    terminal.shows("# ");
    terminal.types("MARK=kept\n");
    terminal.shows("# ");
    weft.kill_daemon();
    drop(terminal);
    weft.start_daemon();
    let mut again = weft.terminal(&["attach", "shell"]);
    again.types("echo $MARK-is-here\n");
    again.shows("kept-is-here");
    again.types("exit 3\n");
    assert_eq!(again.ends(), 3);
}

#[test]
fn published_ports_and_names_work_without_and_after_the_daemon() {
    let Some(mut weft) = weft() else { return };
    weft.ok(&["network", "create", "red"]);
    let server = ["busybox", "httpd", "-f", "-p", "8080", "-h", "/etc"];
    weft.ok(&[&WEB[..], &["127.0.0.1::8080"], &server].concat());
    let port = weft
        .ok(&["port", "web", "8080"])
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let reaches = || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok();
    until(SOON, "the port is served", reaches);
    weft.kill_daemon();
    assert!(reaches());
    weft.start_daemon();
    assert!(reaches());
    weft.ok(&[
        "run",
        "--rm",
        "--network",
        "red",
        "busybox",
        "timeout",
        "5",
        "wget",
        "-qO-",
        "http://web:8080/passwd",
    ]);
}

#[test]
fn a_hundred_containers_do_not_notice() {
    let Some(mut weft) = weft() else { return };
    let names: Vec<String> = (0..100).map(|index| format!("c{index}")).collect();
    for name in &names {
        weft.ok(&[
            "run",
            "--detach",
            "--network",
            "none",
            "--name",
            name,
            "busybox",
            "sh",
            "-c",
            "echo up; exec sleep 3600",
        ]);
    }
    let pids: Vec<i32> = names.iter().map(|name| pid(&weft, name)).collect();
    for round in ["daemon", "spawner", "both"] {
        let spawner = weft.spawner_pid();
        if round != "daemon" {
            kill(spawner);
        }
        if round != "spawner" {
            weft.kill_daemon();
            weft.start_daemon();
        }
        assert!(
            pids.iter().all(|pid| alive(*pid)),
            "after kill -9 of {round}"
        );
        until(CROWD, "all are adopted", || {
            weft.ok(&["ps", "--quiet"]).lines().count() == 100
        });
        for (name, expected) in names.iter().zip(&pids).step_by(9) {
            assert_eq!(
                pid(&weft, name),
                *expected,
                "{name} after kill -9 of {round}"
            );
            assert_eq!(weft.ok(&["logs", name]), "up");
            weft.ok(&["exec", name, "true"]);
        }
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    weft.ok(&[&["kill"][..], &all].concat());
    until(CROWD, "all have ended", || {
        weft.ok(&["ps", "--quiet"]).is_empty()
    });
    assert_eq!(weft.inspect("c50")["State"]["ExitCode"], 137);
    weft.ok(&[&["rm"][..], &all].concat());
}

#[test]
fn the_daemon_dies_at_any_moment_of_many_starts() {
    let Some(mut weft) = weft() else { return };
    let host = format!("unix://{}", weft.socket().display());
    for round in 0..10 {
        // With a host named, a client does not start an engine by itself.
        let run = ["--host", &host, "run", "--rm", "busybox", "true"];
        let mut clients: Vec<_> = (0..4).map(|_| weft.background(&run)).collect();
        // A different point of the start each time: after as many polls as the round says.
        for _ in 0..round * 3 {
            weft_testkit::wait::pause();
        }
        weft.kill_daemon();
        for client in &mut clients {
            until(SOON, "the client notices", || !client.running());
        }
        weft.start_daemon();
        let ids = weft.ok(&["ps", "--all", "--quiet"]);
        if !ids.is_empty() {
            weft.ok(&[&["rm", "--force"][..], &ids.lines().collect::<Vec<_>>()].concat());
        }
        assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    }
    weft.weft(&["run", "--rm", "busybox", "true"]).code(0);
}

#[test]
fn a_daemon_waits_for_the_end_of_the_one_before() {
    let Some(mut weft) = weft() else { return };
    idle(&weft, "one");
    let before = pid(&weft, "one");
    weft.replace_daemon();
    assert_eq!(pid(&weft, "one"), before);
}

#[test]
fn a_second_daemon_in_the_same_place_is_refused() {
    let Some(weft) = weft() else { return };
    let second = weft_testkit::command::run(weft.daemon_command(), b"", SOON);
    second.fails_saying(&["another engine"]);
    weft.weft(&["run", "--rm", "busybox", "true"]).code(0);
}
