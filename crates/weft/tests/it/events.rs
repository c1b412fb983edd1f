//! What `docker events` tells of sessions: who attached, left, resized, executed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Terminal, Weft, until};

use crate::{told, weft};

/// The actions told of `one` so far, with their attributes.
fn told_of_one(weft: &Weft) -> Vec<(String, Value)> {
    let events = told(weft, &["container=one"]).into_iter().map(|event| {
        let action = event["Action"].as_str().unwrap().to_owned();
        (action, event["Actor"]["Attributes"].clone())
    });
    events.collect()
}

#[track_caller]
fn told_of(weft: &Weft, action: &str) -> Value {
    let mut found = Value::Null;
    until(SOON, &format!("{action} is told"), || {
        let event = told_of_one(weft).into_iter().rfind(|(is, _)| is == action);
        found = event.map(|(_, attributes)| attributes).unwrap_or_default();
        !found.is_null()
    });
    found
}

const KEYS: &[u8] = b"\x10\x11";

/// Begins a session as docker's clients do, and leaves it by the detach keys. docker's own command
/// looks for them itself and hangs up, so the engine does not see them.
fn leave(weft: &Weft, path: &str, body: &str) {
    let mut stream = UnixStream::connect(weft.socket()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(KEYS).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
}

#[test]
fn sessions_are_told() {
    let Some(weft) = weft() else { return };
    let Some(run) = weft.docker_command(&["run", "-it", "--name", "one", "busybox", "sh"]) else {
        return;
    };
    let mut terminal = Terminal::start(&run).unwrap();
    terminal.shows("# ");
    until(SOON, "the new size is told", || {
        // docker may not listen for changes yet, and the same size again is none.
        terminal.resize(40, 90);
        terminal.resize(33, 101);
        let resized = told_of(&weft, "resize");
        (resized["height"].as_str(), resized["width"].as_str()) == (Some("33"), Some("101"))
    });
    leave(
        &weft,
        "/containers/one/attach?stream=1&stdin=1&stdout=1",
        "",
    );
    assert_eq!(told_of(&weft, "detach")["name"], "one");

    let config = r#"{"Cmd":["sh"],"Tty":true,"AttachStdin":true,"AttachStdout":true}"#;
    let made = weft.api("POST", "/containers/one/exec", config);
    let made: Value = serde_json::from_str(&made.body).unwrap();
    let id = made["Id"].as_str().unwrap();
    leave(&weft, &format!("/exec/{id}/start"), r#"{"Tty":true}"#);
    assert_eq!(told_of(&weft, "exec_detach")["execID"], id);
    assert_eq!(told_of(&weft, "exec_start: sh")["execID"], id);

    let exec = ["exec", "one", "sh", "-c", "exit 3"];
    weft.docker(&exec).unwrap().code(3);
    let died = told_of(&weft, "exec_die");
    assert_eq!(died["exitCode"], "3");
    let created = told_of(&weft, "exec_create: sh -c exit 3");
    assert_eq!(died["execID"], created["execID"]);

    terminal.types("exit 4\n");
    assert_eq!(terminal.ends(), 4);
    let actions: Vec<String> = told_of_one(&weft)
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    let story = [
        "create",
        "attach",
        "start",
        "resize",
        "attach",
        "detach",
        "exec_create: sh",
        "exec_start: sh",
        "exec_detach",
        "exec_create: sh -c exit 3",
        "exec_start: sh -c exit 3",
        "exec_die",
        "die",
    ];
    let mut rest = actions.iter();
    for expected in story {
        assert!(rest.any(|is| is == expected), "{expected} in {actions:?}");
    }
}

#[test]
fn tagging_tells_the_new_name() {
    let Some(weft) = weft() else { return };
    weft.ok(&["tag", "busybox", "again:2"]);
    let event = told(&weft, &["event=tag"]).pop().unwrap();
    let id = weft.ok(&["inspect", "--format", "{{.Id}}", "busybox"]);
    assert_eq!(event["Actor"]["ID"], id);
    assert_eq!(event["Actor"]["Attributes"]["name"], "again:2");
}

#[test]
fn volumes_are_told_whoever_makes_them() {
    let Some(weft) = weft() else { return };
    let volumes = [
        "--volume",
        "named:/a",
        "--volume",
        "/b",
        "--volume",
        "named:/c:ro",
    ];
    weft.ok(&[
        &["run", "--rm", "--name", "one"][..],
        &volumes,
        &["busybox", "true"],
    ]
    .concat());
    weft.ok(&["create", "--name", "two", "--volume", "/b", "busybox"]);
    weft.ok(&["rm", "--volumes", "two"]);
    weft.ok(&["create", "--name", "two", "--volume", "named:/a", "busybox"]);
    let told = told(&weft, &["type=volume"]);
    let story: Vec<(&str, bool)> = told
        .iter()
        .map(|event| {
            assert_eq!(event["Actor"]["Attributes"]["driver"], "local", "{event}");
            let id = event["Actor"]["ID"].as_str().unwrap();
            (event["Action"].as_str().unwrap(), id == "named")
        })
        .collect();
    let expected = [
        ("create", true),
        ("create", false),
        ("mount", true),
        ("mount", true),
        ("mount", false),
        ("unmount", true),
        ("unmount", true),
        ("unmount", false),
        ("destroy", false),
        ("create", false),
        ("destroy", false),
    ];
    assert_eq!(story, expected);
    let attribute = |at: usize, name: &str| &told[at]["Actor"]["Attributes"][name];
    assert_eq!(attribute(2, "destination"), "/a");
    assert_eq!(attribute(2, "read/write"), "true");
    assert_eq!(attribute(3, "destination"), "/c");
    assert_eq!(attribute(3, "read/write"), "false");
    assert_eq!(attribute(2, "container"), attribute(5, "container"));
}

#[test]
fn networks_and_signals_are_told_in_dockers_order() {
    let Some(weft) = weft() else { return };
    weft.ok(&["network", "create", "red"]);
    let run = ["run", "--detach", "--name", "one", "--network", "red"];
    let id = weft.ok(&[&run[..], &["busybox", "sleep", "3600"]].concat());
    weft.ok(&["stop", "--time", "0", "one"]);
    // It comes to this one when it starts.
    weft.ok(&["network", "connect", "bridge", "one"]);
    weft.ok(&["start", "one"]);
    weft.ok(&["network", "disconnect", "bridge", "one"]);
    weft.ok(&["kill", "one"]);
    weft.ok(&["start", "one"]);
    weft.ok(&["rm", "--force", "one"]);
    let told = told(&weft, &["type=container", "type=network"]);
    let story: Vec<&str> = told
        .iter()
        .map(|event| event["Action"].as_str().unwrap())
        .collect();
    let run = ["connect", "start", "kill"];
    let on_two = ["connect", "connect", "start", "disconnect", "kill"];
    // It cannot be told to end: init ignores what it does not handle.
    let stopped = ["kill", "die", "disconnect", "stop"];
    let killed = ["die", "disconnect"];
    let expected = [
        &["create", "create"][..],
        &run,
        &stopped,
        &on_two,
        &killed,
        &run,
        &killed,
        &["destroy"],
    ];
    assert_eq!(story, expected.concat());
    let of = |action: &str| {
        told.iter()
            .rfind(|event| event["Action"] == action)
            .unwrap()
    };
    for action in ["connect", "disconnect"] {
        let actor = &of(action)["Actor"];
        assert_eq!(actor["Attributes"]["container"], id, "{actor}");
        assert_eq!(actor["Attributes"]["name"], "red", "{actor}");
    }
    assert_eq!(of("kill")["Actor"]["Attributes"]["signal"], "9");
}

#[test]
fn prunes_are_told_with_what_they_gave_back() {
    let Some(weft) = weft() else { return };
    let fill = ["run", "--rm", "--volume", "data:/data", "busybox", "dd"];
    let from = ["if=/dev/zero", "of=/data/big", "bs=1M", "count=1"];
    weft.ok(&[&fill[..], &from].concat());
    for what in ["container", "network", "image"] {
        weft.ok(&[what, "prune", "--force"]);
    }
    weft.ok(&["volume", "prune", "--all", "--force"]);
    let told = told(&weft, &["event=prune"]);
    let about: Vec<&str> = told.iter().map(|e| e["Type"].as_str().unwrap()).collect();
    assert_eq!(about, ["container", "network", "image", "volume"]);
    let reclaimed = |at: usize| &told[at]["Actor"]["Attributes"]["reclaimed"];
    assert_eq!(reclaimed(1), "0");
    let bytes: u64 = reclaimed(3).as_str().unwrap().parse().unwrap();
    assert!(bytes >= 1 << 20, "{bytes}");
}
