//! `weft system backup`, `restore` and `check`: a server in one file, and from it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, until};

use crate::server_kubectl::{kubectl, server};

fn config(weft: &Weft) -> String {
    let path = weft.kubeconfig("admin", "system:masters");
    path.to_str().unwrap().to_owned()
}

/// Takes a backup.
fn backup(weft: &Weft, name: &str) -> PathBuf {
    let file = weft.scratch().join(name);
    let path = file.to_str().unwrap();
    weft.ok(&["system", "backup", path, "--kubeconfig", &config(weft)]);
    file
}

/// `weft system LINE` on a data directory.
fn on(data_dir: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(crate::WEFT);
    command.arg("system").args(line);
    command.arg("--data-dir").arg(data_dir);
    command.env_remove("WEFT_CONFIG");
    command
}

fn run(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[track_caller]
fn ok(command: Command) -> String {
    let (is_done, said) = run(command);
    assert!(is_done, "{said}");
    said
}

#[track_caller]
fn fails(command: Command, words: &[&str]) {
    let (is_done, said) = run(command);
    let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
    assert!(!is_done && missing.is_empty(), "{missing:?} not in: {said}");
}

/// All files below a directory, with what is in them.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return all;
    };
    for entry in entries {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(content(&entry.path()));
        } else {
            all.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    all
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("server")).collect();
    names.sort();
    names
}

#[test]
fn a_restored_server_is_the_one_that_was_backed_up() {
    let Some(mut weft) = server() else { return };
    kubectl(&weft, "create configmap kept --from-literal=a=1").ok();
    kubectl(
        &weft,
        "create secret generic sealed --from-literal=p=hunter2",
    )
    .ok();
    let before = kubectl(&weft, "get secret sealed -o yaml").ok().to_owned();
    let file = backup(&weft, "backup");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let whole = ok(on(&weft.data_dir(), &["check", file.to_str().unwrap()]));
    assert!(whole.contains("the backup is whole"), "{whole}");
    let audit = fs::read_to_string(weft.data_dir().join("server/audit.log")).unwrap();
    assert!(audit.contains("/system/backup"), "{audit}");

    // Standard output has the same, to be sent elsewhere.
    let streamed = weft.command(&["system", "backup", "-", "--kubeconfig", &config(&weft)]);
    let streamed = run_bytes(streamed);
    let mut check = on(&weft.data_dir(), &["check", "-"]);
    check.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = check.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&streamed).unwrap();
    assert!(child.wait().unwrap().success());

    // What comes after the backup is lost, and known to clients.
    kubectl(&weft, "create configmap later").ok();
    kubectl(&weft, "delete configmap kept").ok();
    let list = kubectl(&weft, "get --raw /api/v1/configmaps")
        .ok()
        .to_owned();
    let list: Value = serde_json::from_str(&list).unwrap();
    let known = list["metadata"]["resourceVersion"].as_str().unwrap();

    let data_dir = weft.data_dir();
    let path = file.to_str().unwrap();
    fails(
        on(&data_dir, &["restore", path]),
        &["stop the server first"],
    );
    let told = ok(on(&data_dir, &["check", "--kubeconfig", &config(&weft)]).listening(&weft));
    assert!(told.contains("the server runs"), "{told}");
    weft.stop_daemon();
    let told = ok(on(&data_dir, &["check"]));
    assert!(
        told.contains("the server is sound") && told.contains("1 secrets"),
        "{told}"
    );
    let there = content(&data_dir.join("server"));
    fails(
        on(&data_dir, &["restore", path]),
        &["--force moves it aside"],
    );
    assert_eq!(content(&data_dir.join("server")), there);
    let said = ok(on(&data_dir, &["restore", path, "--force"]));
    let aside = names(&data_dir);
    assert_eq!(aside.len(), 2, "{aside:?}");
    assert!(said.contains(&aside[1]), "{said}");
    assert_eq!(
        content(&data_dir.join(&aside[1])).len(),
        there.len(),
        "all of it"
    );
    let told = ok(on(&data_dir, &["check"]));
    assert!(told.contains("the server is sound"), "{told}");

    weft.start_daemon();
    // The kubeconfig from before is good, and so is the key.
    assert_eq!(kubectl(&weft, "get secret sealed -o yaml").ok(), before);
    kubectl(&weft, "get configmap kept").ok();
    kubectl(&weft, "get configmap later").fails_saying(&["not found"]);
    let watch = format!("/api/v1/configmaps?watch=1&resourceVersion={known}");
    is_too_old(&kubectl(&weft, &format!("get --raw {watch}")));
    let exact = format!("/api/v1/configmaps?resourceVersion={known}&resourceVersionMatch=Exact");
    kubectl(&weft, &format!("get --raw {exact}")).fails_saying(&["too old"]);
    kubectl(&weft, "create configmap after").ok();

    // Restored again from the same, what the first restored one handed out is old, too.
    let list = kubectl(&weft, "get --raw /api/v1/configmaps")
        .ok()
        .to_owned();
    let list: Value = serde_json::from_str(&list).unwrap();
    let known = list["metadata"]["resourceVersion"].as_str().unwrap();
    weft.stop_daemon();
    ok(on(&data_dir, &["restore", path, "--force"]));
    weft.start_daemon();
    let watch = format!("/api/v1/configmaps?watch=1&resourceVersion={known}");
    is_too_old(&kubectl(&weft, &format!("get --raw {watch}")));

    // What was moved aside stays until somebody says how many are enough.
    weft.stop_daemon();
    let said = ok(on(&data_dir, &["restore", path, "--force"]));
    let kept = names(&data_dir);
    assert_eq!(kept.len(), 4);
    assert!(
        said.contains("3 servers") && said.contains("--keep"),
        "{said}"
    );
    let three = ["restore", path, "--force", "--keep", "3"];
    let said = ok(on(&data_dir, &three));
    let left = names(&data_dir);
    assert_eq!(
        (left.len(), said.matches("removed ").count()),
        (4, 1),
        "{said}"
    );
    assert!(
        !left.contains(&aside[1]) && said.contains(&aside[1]),
        "the oldest: {said}"
    );
    let said = ok(on(&data_dir, &["restore", path, "--force", "--keep", "1"]));
    let left = names(&data_dir);
    assert_eq!(
        (left.len(), said.matches("removed ").count()),
        (2, 3),
        "{said}"
    );
    assert!(
        said.contains(&left[1]) && !kept.contains(&left[1]),
        "{said}"
    );
    fails(
        on(&data_dir, &["restore", path, "--force", "--keep", "0"]),
        &["--keep"],
    );
    assert_eq!(names(&data_dir), left);
}

/// A watch of what is not known any more is told so in its first event.
fn is_too_old(watch: &Ran) {
    let event: Value = serde_json::from_str(watch.ok()).unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!(event["object"]["code"], 410);
    let told = event["object"]["message"].as_str().unwrap();
    assert!(told.contains("too old resource version"), "{told}");
}

fn run_bytes(mut command: Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

trait Listening {
    /// With the server's address in the environment.
    fn listening(self, weft: &Weft) -> Command;
}

impl Listening for Command {
    fn listening(mut self, weft: &Weft) -> Command {
        self.env("WEFT_LISTEN", weft.address());
        self
    }
}

#[test]
fn only_who_may_do_everything_takes_a_backup() {
    let Some(weft) = server() else { return };
    let nobody = weft.kubeconfig("bob", "people");
    let nobody = nobody.to_str().unwrap();
    for path in ["backup", "check"] {
        kubectl(
            &weft,
            &format!("get --raw /system/{path} --kubeconfig {nobody}"),
        )
        .fails_saying(&["orbidden"]);
    }
    let file = weft.scratch().join("none");
    weft.weft(&[
        "system",
        "backup",
        file.to_str().unwrap(),
        "--kubeconfig",
        nobody,
    ])
    .fails_saying(&["cannot get path \"/system/backup\""]);
    assert_eq!(
        fs::read_dir(weft.scratch())
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with("none")
            })
            .count(),
        0,
        "nothing is left of it"
    );
}

#[test]
fn a_key_that_is_kept_outside_is_not_in_the_backup() {
    let Some(mut weft) = server() else { return };
    kubectl(&weft, "create secret generic s --from-literal=p=v").ok();
    weft.stop_daemon();
    let outside = weft.scratch().join("outside.key");
    let inside = weft.data_dir().join("server/secrets.key");
    fs::rename(&inside, &outside).unwrap();
    let mut command = weft.daemon_command();
    command.arg("--secrets-key").arg(&outside);
    let daemon = Background::start(command);
    until(SOON, "the server answers", || {
        kubectl(&weft, "get secret s").code == 0
    });
    let file = backup(&weft, "backup");
    daemon.signal(Signal::TERM);
    daemon.finish(SOON);
    let key = fs::read_to_string(&outside).unwrap();
    let key = key
        .lines()
        .find(|line| !line.starts_with('#'))
        .unwrap()
        .to_owned();
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(key.len()).any(|part| part == key.as_bytes()));
    let data_dir = weft.data_dir();
    let path = file.to_str().unwrap();
    let said = ok(on(&data_dir, &["restore", path, "--force"]));
    for part in [
        "is NOT in the backup",
        outside.to_str().unwrap(),
        "--secrets-key",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let mut command = weft.daemon_command();
    command.stdin(Stdio::null());
    fails(
        command,
        &["secrets are sealed with the key", "put that file back"],
    );
    fails(on(&data_dir, &["check"]), &["put that file back"]);
    // What is in the backup is open to who has the key.
    let mut check = on(&data_dir, &["check"]);
    check.arg("--secrets-key").arg(&outside);
    assert!(ok(check).contains("1 secrets that open"));
    fs::rename(&outside, &inside).unwrap();
    weft.start_daemon();
    kubectl(&weft, "get secret s").ok();
}

#[test]
fn what_is_no_whole_backup_changes_nothing() {
    let Some(mut weft) = server() else { return };
    kubectl(&weft, "create configmap c").ok();
    let file = backup(&weft, "backup");
    let whole = fs::read(&file).unwrap();
    weft.stop_daemon();
    let data_dir = weft.data_dir();
    let there = content(&data_dir.join("server"));
    let spoilt = weft.scratch().join("spoilt");
    let path = spoilt.to_str().unwrap();
    let mut cases: Vec<Vec<u8>> = [0, 1, 16, 40, whole.len() / 2, whole.len() - 1]
        .map(|length| whole[..length].to_vec())
        .into();
    for place in [
        3,
        20,
        200,
        whole.len() / 2,
        whole.len() - 40,
        whole.len() - 1,
    ] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x20;
        cases.push(bytes);
    }
    cases.push([&whole[..], b"more"].concat());
    cases.push(b"apiVersion: v1\nkind: List\n".to_vec());
    for bytes in cases {
        fs::write(&spoilt, &bytes).unwrap();
        fails(on(&data_dir, &["restore", path, "--force"]), &["restore"]);
        fails(on(&data_dir, &["check", path]), &["check"]);
        assert_eq!(content(&data_dir.join("server")), there);
        assert_eq!(names(&data_dir), ["server"]);
    }
    fails(
        on(&data_dir, &["restore", "/nonexistent"]),
        &["No such file"],
    );
    // A server that is damaged is told so, and is there to be looked at.
    let keyspace = data_dir.join("server/keyspace.redb");
    let mut bytes = fs::read(&keyspace).unwrap();
    bytes[..4096].fill(0x55);
    fs::write(&keyspace, &bytes).unwrap();
    fails(
        on(&data_dir, &["check"]),
        &["damaged", "restore a snapshot"],
    );
    ok(on(
        &data_dir,
        &["restore", file.to_str().unwrap(), "--force"],
    ));
    weft.start_daemon();
    kubectl(&weft, "get configmap c").ok();
}

#[test]
fn a_restoration_that_is_killed_leaves_the_old_or_the_new() {
    let Some(mut weft) = server() else { return };
    let objects: Vec<Value> = (0..50)
        .map(|n| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("c{n}") },
                "data": { "a": "x".repeat(10_000) },
            })
        })
        .collect();
    let objects: Vec<String> = objects.iter().map(Value::to_string).collect();
    weft.kubectl(&["create", "-f", "-"], &objects.join("\n"))
        .unwrap()
        .ok();
    let bytes = fs::read(backup(&weft, "backup")).unwrap();
    kubectl(&weft, "create configmap old").ok();
    weft.stop_daemon();
    let data_dir = weft.data_dir();
    let there = content(&data_dir.join("server"));
    // Fed up to a place, killed there: what it has read is being written.
    for part in 0..8 {
        let known = names(&data_dir);
        let mut command = on(&data_dir, &["restore", "-", "--force"]);
        command
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&bytes[..bytes.len() * part / 8]).unwrap();
        input.flush().unwrap();
        until(SOON, "it has begun", || names(&data_dir) != known);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            content(&data_dir.join("server")),
            there,
            "the old one, whole"
        );
    }
    // At the end, where names change hands, anything may be: but it is one of the two.
    for round in 0..30u64 {
        let mut command = on(&data_dir, &["restore", "-", "--force"]);
        command
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&bytes).unwrap();
        drop(input);
        if round % 3 == 0 {
            // To its end, for what follows to begin from.
            let mut said = String::new();
            child
                .stdout
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            assert!(child.wait().unwrap().success());
        } else {
            let known = names(&data_dir);
            until(SOON, "something happens, or it is done", || {
                names(&data_dir) != known || child.try_wait().unwrap().is_some()
            });
            let _ = child.kill();
            child.wait().unwrap();
        }
        assert!(ok(on(&data_dir, &["check"])).contains("the server is sound"));
        // Only the first one ever served, and wrote down who asked.
        let audit = Path::new("audit.log");
        let first = &there[&data_dir.join("server").join(audit)];
        let kept = names(&data_dir);
        let is_first = |name: &String| {
            fs::read(data_dir.join(name).join(audit)).is_ok_and(|found| found == *first)
        };
        assert_eq!(
            kept.iter().filter(|name| is_first(name)).count(),
            1,
            "what was there is never lost: {kept:?}"
        );
    }
    weft.start_daemon();
    kubectl(&weft, "get configmap c49").ok();
}
