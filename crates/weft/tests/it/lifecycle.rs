//! Containers through their states: create, start, stop, kill, restart, pause, rename, remove.

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, until};

use crate::{idle, shell, told, weft};

fn state(weft: &Weft, name: &str) -> Value {
    weft.inspect(name)["State"].clone()
}

#[test]
fn create_start_wait_remove() {
    let Some(weft) = weft() else { return };
    let id = weft.ok(&[
        "create",
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "echo hello; exit 3",
    ]);
    assert_eq!(state(&weft, "one")["Status"], "created");
    assert_eq!(weft.ok(&["start", "one"]), "one");
    assert_eq!(weft.ok(&["wait", &id]), "3");
    assert_eq!(state(&weft, "one")["Status"], "exited");
    assert_eq!(weft.ok(&["logs", "one"]), "hello");
    // It can be started again, and attached to from its first byte.
    let again = weft.weft(&["start", "--attach", "one"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (3, "hello\n"),
        "{again}"
    );
    assert_eq!(weft.ok(&["rm", "one"]), "one");
    weft.weft(&["inspect", "one"])
        .fails_saying(&["no such", "one"]);
}

#[test]
fn stop_asks_waits_and_then_kills() {
    let Some(weft) = weft() else { return };
    let polite = "trap 'exit 21' TERM; echo up; while :; do sleep 0.05; done";
    shell(&weft, "polite", polite);
    let deaf = "trap '' TERM; echo up; while :; do sleep 1; done";
    shell(&weft, "deaf", deaf);
    for name in ["polite", "deaf"] {
        until(SOON, "the trap is set", || {
            weft.ok(&["logs", name]).contains("up")
        });
    }
    weft.ok(&["stop", "polite"]);
    assert_eq!(state(&weft, "polite")["ExitCode"], 21);
    weft.ok(&["stop", "--time", "1", "deaf"]);
    assert_eq!(state(&weft, "deaf")["ExitCode"], 137);
    // Stopping what is stopped is no error.
    weft.ok(&["stop", "deaf"]);
}

#[test]
fn kill_sends_the_signal_that_was_named() {
    let Some(weft) = weft() else { return };
    let script = "trap 'echo usr1' USR1; trap 'exit 4' HUP; echo up; while :; do sleep 0.05; done";
    shell(&weft, "one", script);
    until(SOON, "the traps are set", || {
        weft.ok(&["logs", "one"]).contains("up")
    });
    weft.ok(&["kill", "--signal", "SIGUSR1", "one"]);
    until(SOON, "USR1 arrives", || {
        weft.ok(&["logs", "one"]).contains("usr1")
    });
    weft.ok(&["kill", "--signal", "1", "one"]);
    assert_eq!(weft.ok(&["wait", "one"]), "4");
    weft.weft(&["kill", "one"]).fails_saying(&["not running"]);
    weft.weft(&["kill", "--signal", "NOSUCH", "one"])
        .fails_saying(&["NOSUCH"]);
}

#[test]
fn restart_makes_a_new_process_of_the_same_container() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    weft.ok(&["exec", "one", "sh", "-c", "echo kept > /file"]);
    let before = state(&weft, "one")["Pid"].clone();
    weft.ok(&["restart", "--time", "0", "one"]);
    assert_ne!(state(&weft, "one")["Pid"], before);
    assert_eq!(weft.ok(&["exec", "one", "cat", "/file"]), "kept");
}

#[test]
fn restart_policies_restart_what_failed_and_give_up() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "failing",
        "--restart",
        "on-failure:2",
        "busybox",
        "sh",
        "-c",
        "echo run; exit 1",
    ]);
    until(SOON, "the policy gives up", || {
        weft.inspect("failing")["RestartCount"] == 2
            && state(&weft, "failing")["Status"] == "exited"
    });
    assert_eq!(weft.ok(&["logs", "failing"]).matches("run").count(), 3);

    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "done",
        "--restart",
        "on-failure",
        "busybox",
        "true",
    ]);
    weft.ok(&["wait", "done"]);
    assert_eq!(state(&weft, "done")["Status"], "exited");

    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "always",
        "--restart",
        "always",
        "busybox",
        "sh",
        "-c",
        "sleep 0.1",
    ]);
    until(SOON, "it comes back", || {
        weft.inspect("always")["RestartCount"].as_u64() >= Some(1)
    });
    // A stop by hand is the last word.
    weft.ok(&["stop", "--time", "0", "always"]);
    assert_eq!(state(&weft, "always")["Status"], "exited");
}

#[test]
fn pause_freezes_and_unpause_thaws() {
    let Some(weft) = weft() else { return };
    shell(&weft, "one", "while :; do echo tick; sleep 0.02; done");
    let ticks = || weft.ok(&["logs", "one"]).lines().count();
    until(SOON, "it ticks", || ticks() > 0);
    weft.ok(&["pause", "one"]);
    assert_eq!(state(&weft, "one")["Status"], "paused");
    let frozen = ticks();
    weft.weft(&["exec", "one", "true"])
        .fails_saying(&["paused"]);
    assert_eq!(ticks(), frozen);
    weft.ok(&["unpause", "one"]);
    until(SOON, "it ticks again", || ticks() > frozen);
    weft.weft(&["unpause", "one"]).fails_saying(&["not paused"]);
    // A paused container can be removed, and does not hang.
    weft.ok(&["pause", "one"]);
    weft.ok(&["rm", "--force", "one"]);
}

#[test]
fn names_are_taken_given_and_changed() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    weft.weft(&["create", "--name", "one", "busybox"])
        .fails_saying(&["one", "already"]);
    weft.ok(&["rename", "one", "two"]);
    assert_eq!(weft.inspect("two")["Name"], "/two");
    weft.weft(&["inspect", "one"]).fails_saying(&["one"]);
    idle(&weft, "one");
    weft.weft(&["rename", "one", "two"])
        .fails_saying(&["two", "already"]);
    weft.weft(&["rm", "one"]).fails_saying(&["running"]);
    weft.ok(&["rm", "--force", "one", "two"]);
    weft.weft(&["rm", "one"])
        .fails_saying(&["no such container", "one"]);
}

#[test]
fn ps_filters_and_formats() {
    let Some(weft) = weft() else { return };
    idle(&weft, "running");
    weft.weft(&[
        "run",
        "--name",
        "ended",
        "--label",
        "kind=short",
        "busybox",
        "sh",
        "-c",
        "exit 3",
    ])
    .code(3);
    let names = |filter: &str| {
        let mut names: Vec<String> = weft
            .ok(&["ps", "--all", "--filter", filter, "--format", "{{.Names}}"])
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("status=running"), ["running"]);
    assert_eq!(names("exited=3"), ["ended"]);
    assert_eq!(names("label=kind=short"), ["ended"]);
    assert_eq!(names("name=run"), ["running"]);
    assert_eq!(names("ancestor=busybox"), ["ended", "running"]);
    weft.weft(&["ps", "--filter", "weather=fine"])
        .fails_saying(&["weather"]);
    let table = weft.ok(&["ps", "--all"]);
    assert!(table.starts_with("CONTAINER ID"), "{table}");
    assert!(
        table.contains("Exited (3)") && table.contains("Up "),
        "{table}"
    );
}

#[test]
fn top_and_stats_see_the_processes() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    assert!(weft.ok(&["top", "one"]).contains("sleep 3600"));
    let stats = weft.ok(&["stats", "--no-stream", "one"]);
    assert!(stats.contains("one") && stats.contains('%'), "{stats}");
}

#[test]
fn events_tell_the_story_in_order() {
    let Some(weft) = weft() else { return };
    weft.ok(&["run", "--rm", "--name", "told", "busybox", "true"]);
    let story = told(&weft, &["container=told"]);
    let position = |action: &str| {
        story
            .iter()
            .position(|event| event["Action"] == action)
            .unwrap_or_else(|| panic!("{action} in {story:?}"))
    };
    assert!(
        position("create") < position("start")
            && position("start") < position("die")
            && position("die") < position("destroy")
    );
}

#[test]
fn prune_removes_what_has_ended_and_nothing_else() {
    let Some(weft) = weft() else { return };
    idle(&weft, "running");
    weft.ok(&["run", "--name", "ended", "busybox", "true"]);
    assert!(
        weft.ok(&["container", "prune", "--force"])
            .contains("Total reclaimed space")
    );
    assert_eq!(
        weft.ok(&["ps", "--all", "--format", "{{.Names}}"]),
        "running"
    );
}
