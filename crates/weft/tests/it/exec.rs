//! `weft exec`: another process in a running container.

use weft_testkit::{until, wait::SOON};

use crate::{idle, weft};

#[test]
fn environment_user_directory_and_exit_code() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run", "--detach", "--name", "one", "--env", "BASE=1", "busybox", "sleep", "3600",
    ]);
    let script = "echo $BASE $MORE; id -un; pwd; exit 12";
    let args = [
        "exec",
        "--env",
        "MORE=2",
        "--user",
        "weaver",
        "--workdir",
        "/tmp",
        "one",
        "sh",
        "-c",
        script,
    ];
    let ran = weft.weft(&args);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (12, "1 2\nweaver\n/tmp\n"),
        "{ran}"
    );
}

#[test]
fn it_shares_the_containers_world() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    weft.ok(&[
        "exec",
        "one",
        "sh",
        "-c",
        "echo mine > /tmp/file; hostname changed 2>/dev/null; true",
    ]);
    assert_eq!(weft.ok(&["exec", "one", "cat", "/tmp/file"]), "mine");
    assert!(weft.ok(&["exec", "one", "ps"]).contains("sleep 3600"));
    for kind in ["pid", "net", "mnt", "ipc", "uts", "cgroup", "user"] {
        let link =
            |pid: &str| weft.ok(&["exec", "one", "readlink", &format!("/proc/{pid}/ns/{kind}")]);
        assert_eq!(link("self"), link("1"), "{kind}");
    }
}

#[test]
fn standard_input_and_output() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    let ran = weft.weft_with_input(
        &["exec", "--interactive", "one", "tr", "a-z", "A-Z"],
        b"hello\n",
    );
    assert_eq!(ran.ok(), "HELLO");
    let ran = weft.weft(&["exec", "one", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn detached() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    weft.ok(&["exec", "--detach", "one", "sh", "-c", "touch /done"]);
    until(SOON, "the detached process ran", || {
        weft.weft(&["exec", "one", "test", "-f", "/done"]).code == 0
    });
}

#[test]
fn what_cannot_run_says_so() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    weft.weft(&["exec", "one", "no-such-command"])
        .code(127)
        .fails_saying(&["no-such-command"]);
    weft.weft(&["exec", "one", "/etc/notexecutable"]).code(126);
    weft.weft(&["exec", "--user", "nobody-here", "one", "true"])
        .fails_saying(&["nobody-here"]);
    weft.weft(&["exec", "--workdir", "/no/such/dir", "one", "true"])
        .fails_saying(&["/no/such/dir"]);
    weft.ok(&["stop", "--time", "0", "one"]);
    weft.weft(&["exec", "one", "true"])
        .fails_saying(&["not running"]);
    weft.weft(&["exec", "nobody", "true"])
        .fails_saying(&["no such container", "nobody"]);
}

#[test]
fn a_hundred_one_after_the_other_leave_one_process() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    for _ in 0..100 {
        weft.weft(&["exec", "one", "true"]).code(0);
    }
    until(SOON, "only the sleep is left", || {
        weft.ok(&["top", "one"]).lines().count() == 2
    });
}
