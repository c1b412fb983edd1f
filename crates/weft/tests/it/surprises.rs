//! What users of docker take for granted: directories made on the way are for everybody, links in
//! images are followed inside them, all devices means all, wishes are honoured or refused by name.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use weft_testkit::image;
use weft_testkit::tarball::Tarball;

use crate::{idle, weft};

#[test]
fn directories_made_on_the_way_are_for_every_user() {
    let Some(weft) = weft() else { return };
    let shared = weft.scratch().join("new/deep");
    let bind = format!("{}:/not/there/yet", shared.display());
    let args = [
        "run",
        "--rm",
        "--user",
        "4711:4711",
        "--volume",
        &bind,
        "--volume",
        "/some/volume",
        "--tmpfs",
        "/some/tmpfs",
        "--device",
        "/dev/null:/dev/made/null",
        "--workdir",
        "/begin/here",
        "busybox",
        "stat",
        "-c",
        "%a",
        "/not",
        "/not/there",
        "/not/there/yet",
        "/some",
        "/dev/made",
        "/begin",
        ".",
    ];
    assert_eq!(weft.ok(&args), ["755"; 7].join("\n"));
    for made in [shared.as_path(), shared.parent().unwrap()] {
        let mode = fs::metadata(made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{}", made.display());
    }
}

#[test]
fn privileged_brings_the_devices_of_the_host() {
    let Some(weft) = weft() else { return };
    let script =
        "ls -d /dev/tty1 /dev/ptmx /dev/null; readlink /dev/ptmx; echo x > /dev/null; exit 7";
    let ran = weft.weft(&["run", "--rm", "--privileged", "busybox", "sh", "-c", script]);
    let here = if fs::exists("/dev/tty1").unwrap() {
        "/dev/null\n/dev/ptmx\n/dev/tty1\npts/ptmx\n"
    } else {
        "/dev/null\n/dev/ptmx\npts/ptmx\n"
    };
    assert_eq!(ran.code(7).stdout, here);
    let mut terminal = weft.terminal(&["run", "--rm", "-it", "--privileged", "busybox", "tty"]);
    terminal.shows("/dev/pts/0");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn links_of_an_image_that_lead_nowhere_yet_are_filled() {
    let Some(weft) = weft() else { return };
    // As systemd-resolved has it, and one that tries to leave.
    let layer = Tarball::new()
        .symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
        .symlink("etc/hosts", "/../../../../../tmp/weft-canary/hosts")
        .finish();
    let linked = image::busybox_named("linked:1").layer(layer);
    weft.weft_with_input(&["load"], &linked.archive()).ok();
    let script = "cat /run/systemd/resolve/stub-resolv.conf /tmp/weft-canary/hosts | \
                  grep -c -e ^nameserver -e ^127.0.0.1; grep -c ^nameserver /etc/resolv.conf";
    let out = weft.ok(&["run", "--rm", "linked:1", "sh", "-c", script]);
    assert_eq!(out, "2\n1");
    assert!(!fs::exists("/tmp/weft-canary").unwrap());
}

#[test]
fn a_directory_on_a_file_is_called_that() {
    let Some(weft) = weft() else { return };
    let dir = format!("{}:/etc/passwd", weft.scratch().display());
    weft.weft(&["run", "--rm", "--volume", &dir, "busybox", "true"])
        .fails_saying(&["directory on a file", "/etc/passwd"]);
    fs::write(weft.scratch().join("file"), "x").unwrap();
    let file = format!("{}/file:/etc", weft.scratch().display());
    weft.weft(&["run", "--rm", "--volume", &file, "busybox", "true"])
        .fails_saying(&["file on a directory", "/etc"]);
}

#[test]
fn a_network_that_was_left_can_be_joined_again() {
    let Some(weft) = weft() else { return };
    for network in ["first", "second"] {
        weft.ok(&["network", "create", network]);
    }
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "both",
        "--network",
        "first",
        "--publish",
        "127.0.0.1::80",
        "busybox",
        "sleep",
        "3600",
    ]);
    weft.ok(&["network", "connect", "second", "both"]);
    weft.ok(&["network", "disconnect", "first", "both"]);
    weft.ok(&["network", "connect", "first", "both"]);
    assert_eq!(
        weft.ok(&["exec", "both", "ls", "/sys/class/net"]),
        "eth1\neth2\nlo"
    );
    let route = weft.ok(&["exec", "both", "ip", "route"]);
    assert!(route.contains("default via"), "{route}");
    assert!(
        weft.ok(&["port", "both"])
            .starts_with("80/tcp -> 127.0.0.1:")
    );
}

#[test]
fn host_names_cannot_bring_lines_of_their_own() {
    let Some(weft) = weft() else { return };
    for flag in ["--hostname", "--domainname"] {
        for name in ["a\n10.0.0.1 b", "a b", "a\t", "a#"] {
            weft.weft(&["run", "--rm", flag, name, "busybox", "true"])
                .fails_saying(&["name", "line breaks"]);
        }
    }
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn an_image_for_another_platform_is_not_taken_for_the_wanted_one() {
    let Some(weft) = weft() else { return };
    let run = |platform| {
        weft.weft(&[
            "run",
            "--rm",
            "--pull",
            "never",
            "--platform",
            platform,
            "busybox",
            "true",
        ])
    };
    run("linux/s390x").fails_saying(&["busybox", "for linux/s390x", "here is for linux/"]);
    run("linux/s390x").code(125);
    let inspected = [
        "image",
        "inspect",
        "--format",
        "{{.Architecture}}",
        "busybox",
    ];
    let architecture = weft.ok(&inspected);
    run(&format!("linux/{architecture}")).ok();
}

#[test]
fn what_a_shared_network_cannot_have_is_refused() {
    let Some(weft) = weft() else { return };
    idle(&weft, "owner");
    for (flag, value, word) in [
        ("--dns", "1.1.1.1", "dns"),
        ("--dns-search", "example.org", "dns"),
        ("--add-host", "a:1.2.3.4", "host-to-IP"),
    ] {
        let args = ["run", "--rm", "--network", "container:owner", flag, value];
        let args = [&args[..], &["busybox", "true"]].concat();
        weft.weft(&args)
            .fails_saying(&["conflicting options", word]);
    }
}

#[test]
fn empty_words_name_no_program() {
    let Some(weft) = weft() else { return };
    weft.weft(&["run", "--rm", "busybox", ""])
        .code(125)
        .fails_saying(&["first word is empty"]);
    idle(&weft, "idle");
    weft.weft(&["exec", "idle", ""])
        .fails_saying(&["first word is empty"]);
    let body = json!({ "Cmd": [""] }).to_string();
    let answer = weft.api("POST", "/containers/idle/exec", &body);
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[test]
fn too_little_cpu_is_refused_instead_of_forgotten() {
    let Some(weft) = weft() else { return };
    weft.weft(&["run", "--rm", "--cpus", "0.000001", "busybox", "true"])
        .fails_saying(&["--cpus", "0.01"]);
}

#[test]
fn what_is_missing_beside_the_command_is_not_the_command() {
    let Some(weft) = weft() else { return };
    let run = |flags: &[&str], command| {
        let args = [&["run", "--rm"][..], flags, &["busybox", command]].concat();
        weft.weft(&args).code
    };
    assert_eq!(run(&[], "no-such-command"), 127);
    assert_eq!(run(&[], "/etc/notexecutable"), 126);
    assert_eq!(run(&[], "/etc"), 126);
    let missing = "--mount=type=bind,source=/no/such/dir,target=/x";
    assert_eq!(run(&[missing], "true"), 125);
    assert_eq!(run(&["--workdir", "/proc/self/fd/9"], "true"), 125);
}
