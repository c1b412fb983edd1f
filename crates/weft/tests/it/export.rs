//! `export`: a container's own root filesystem as an archive, running or not, and back by `import`.

use std::fs;
use std::process::{Command, Stdio};

use weft_testkit::{Ran, Weft, until, wait::SOON};

use crate::copy::copy_threads;
use crate::{idle, told, weft};

fn tar(args: &[&str]) -> String {
    let ran = Command::new("tar").args(args).output().unwrap();
    assert!(ran.status.success(), "tar {args:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// A running container with files of its own, mounts, and what a mount hides.
fn woven(weft: &Weft) {
    weft.ok(&[
        "run",
        "-d",
        "--name",
        "box",
        "-v",
        "data:/data",
        "--tmpfs",
        "/mem",
        "busybox",
        "sleep",
        "3600",
    ]);
    let script = "mkdir -p /own/dir; echo woven > /own/dir/file; ln /own/dir/file /own/again; \
        ln -s dir/file /own/link; chown 7:8 /own/dir/file; chmod 4711 /own/dir/file; \
        rm /bin/false; echo in > /data/volume; echo in > /mem/tmpfs; echo in > /dev/shm/x";
    weft.ok(&["exec", "box", "sh", "-c", script]);
}

#[track_caller]
fn is_the_root_alone(file: &str) {
    let names = tar(&["-tf", file]);
    let has = |name: &str| names.lines().any(|line| line == name);
    for name in [
        "bin/busybox",
        "own/dir/",
        "own/dir/file",
        "own/link",
        "data/",
        "mem/",
        "proc/",
    ] {
        assert!(has(name), "{name} in {names}");
    }
    let foreign = [
        "/",
        "./",
        "bin/false",
        "data/volume",
        "mem/tmpfs",
        "dev/shm/x",
        "proc/1/",
    ];
    for name in foreign {
        assert!(!has(name), "{name} in {names}");
    }
    let long = tar(&["-tvf", file, "--numeric-owner", "own/dir/file", "own/again"]);
    assert!(long.contains("-rws--x--x 7/8"), "{long}");
    assert!(long.contains(" link to "), "{long}");
}

#[test]
fn what_is_exported_is_imported_and_runs() {
    let Some(weft) = weft() else { return };
    woven(&weft);
    let file = weft.scratch().join("root.tar").display().to_string();
    for (state, name) in [("running", "one:1"), ("stopped", "two:1")] {
        if state == "stopped" {
            weft.ok(&["stop", "-t", "0", "box"]);
        }
        weft.ok(&["export", "-o", &file, "box"]);
        is_the_root_alone(&file);
        weft.ok(&["import", &file, name]);
        let seen = weft.ok(&["run", "--rm", name, "cat", "/own/again", "/own/link"]);
        assert_eq!(seen, "woven\nwoven", "{state}");
    }
    weft.ok(&["start", "box"]);
    weft.weft(&["export", "nosuch"]).fails_saying(&["nosuch"]);
    let events = told(&weft, &["event=export"]);
    assert_eq!(events.len(), 2, "{events:?}");
}

#[test]
fn docker_exports_and_imports() {
    let Some(weft) = weft() else { return };
    woven(&weft);
    let file = weft.scratch().join("docker.tar").display().to_string();
    let Some(ran) = weft.docker(&["export", "--output", &file, "box"]) else {
        return;
    };
    ran.ok();
    is_the_root_alone(&file);
    let docker = |args: &[&str]| -> Ran { weft.docker(args).unwrap() };
    docker(&["import", &file, "back:1"]).ok();
    assert_eq!(
        docker(&["run", "--rm", "back:1", "cat", "/own/dir/file"]).ok(),
        "woven"
    );
    docker(&["export", "nosuch"]).fails_saying(&["No such container: nosuch"]);
}

/// A workload that moves its own root does not choose what is read.
#[test]
fn a_jailed_init_is_exported_whole() {
    let Some(weft) = weft() else { return };
    let script = "mkdir -p /jail/bin; cp /bin/busybox /jail/bin/sleep; ln -s / /jail/out; \
        exec chroot /jail /bin/sleep 3600";
    weft.ok(&[
        "run", "-d", "--name", "jailed", "busybox", "sh", "-c", script,
    ]);
    until(SOON, "it is in the jail", || {
        let pid = weft.inspect("jailed")["State"]["Pid"].to_string();
        fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root.ends_with("jail"))
    });
    let file = weft.scratch().join("jailed.tar").display().to_string();
    weft.ok(&["export", "-o", &file, "jailed"]);
    let names = tar(&["-tf", &file]);
    assert!(
        names.lines().any(|line| line == "jail/bin/sleep"),
        "{names}"
    );
}

#[test]
fn a_client_that_vanishes_from_an_export_leaves_nothing() {
    let Some(weft) = weft() else { return };
    idle(&weft, "box");
    let script = "head -c 50000000 /dev/zero > /big";
    weft.ok(&["exec", "box", "sh", "-c", script]);
    for stopped in [false, true] {
        if stopped {
            weft.ok(&["stop", "-t", "0", "box"]);
        }
        let (end, pipe) = std::io::pipe().unwrap();
        let mut command = weft.command(&["export", "box"]);
        command.stdin(Stdio::null()).stdout(pipe);
        let mut reader = command.spawn().unwrap();
        until(SOON, "it exports", || copy_threads(&weft) == 1);
        reader.kill().unwrap();
        reader.wait().unwrap();
        drop(end);
        until(SOON, "the export ends", || copy_threads(&weft) == 0);
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(weft.data_dir().to_str().unwrap()));
    weft.ok(&["start", "box"]);
}
