//! Limits: what this machine's kernel can hold is held, what it cannot is refused by name. Memory,
//! pids and cpu limits at work are tested in the VM lane, where cgroup v2 has its controllers.

use std::path::Path;

use weft_testkit::leftovers;

use crate::weft;

fn controllers() -> String {
    let root = leftovers::v2_mount().expect("a cgroup v2 mount");
    std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default()
}

#[test]
fn a_limit_without_its_controller_is_refused_by_name() {
    let Some(weft) = weft() else { return };
    let there = controllers();
    let limits = [
        (["--memory", "64m"], "memory"),
        (["--pids-limit", "10"], "pids"),
        (["--cpus", "0.5"], "cpu"),
        (["--cpuset-cpus", "0"], "cpuset"),
    ];
    for (flags, controller) in limits {
        let args = [&["run", "--rm"][..], &flags, &["busybox", "true"]].concat();
        let ran = weft.weft(&args);
        if there.split_whitespace().any(|name| name == controller) {
            ran.code(0);
        } else {
            ran.fails_saying(&[controller, "controller"]);
        }
    }
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn resource_limits_of_processes() {
    let Some(weft) = weft() else { return };
    let args = [
        "run",
        "--rm",
        "--ulimit",
        "nofile=77:99",
        "--ulimit",
        "core=0",
        "busybox",
        "sh",
        "-c",
        "ulimit -Sn; ulimit -Hn; ulimit -c",
    ];
    assert_eq!(weft.ok(&args), "77\n99\n0");
    weft.weft(&["run", "--rm", "--ulimit", "nofile=many", "busybox", "true"])
        .fails_saying(&["nofile=many"]);
    weft.weft(&["run", "--rm", "--ulimit", "nosuch=1", "busybox", "true"])
        .fails_saying(&["nosuch"]);
}

#[test]
fn a_hard_limit_above_ours_is_refused_with_the_reason() {
    let Some(weft) = weft() else { return };
    // Only CAP_SYS_RESOURCE may raise a hard limit.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:\t"))
        .unwrap();
    if u64::from_str_radix(bounding, 16).unwrap() & (1 << 24) == 0 {
        weft.weft(&[
            "run",
            "--rm",
            "--ulimit",
            "nofile=1000000",
            "busybox",
            "true",
        ])
        .fails_saying(&["nofile"]);
    }
}

#[test]
fn devices_are_the_harmless_ones_unless_given() {
    let Some(weft) = weft() else { return };
    let listing = weft.ok(&["run", "--rm", "busybox", "ls", "/dev"]);
    for device in [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin",
    ] {
        assert!(
            listing.lines().any(|line| line == device),
            "{device} in {listing}"
        );
    }
    weft.ok(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo x > /dev/null && head -c 4 /dev/zero | wc -c",
    ]);
    // Making a node is one thing; opening a disk by it is another, and refused.
    let script = "mknod /tmp/disk b 254 0 2>/dev/null; head -c 1 /tmp/disk 2>&1 >/dev/null || true";
    let said = weft.ok(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert!(!said.is_empty(), "a disk could be read");
    // A node given for reading cannot be written to, whatever its mode says.
    if Path::new("/dev/net/tun").exists() {
        let script = "true < /dev/mine && echo opened; true >> /dev/mine || echo refused";
        let device = ["run", "--rm", "--device", "/dev/net/tun:/dev/mine:r"];
        let said = weft.ok(&[&device[..], &["busybox", "sh", "-c", script]].concat());
        assert_eq!(said, "opened\nrefused");
    }
    weft.weft(&[
        "run",
        "--rm",
        "--device",
        "/dev/no-such-device",
        "busybox",
        "true",
    ])
    .fails_saying(&["/dev/no-such-device"]);
}

#[test]
fn a_device_rule_opens_what_comes_later() {
    let Some(weft) = weft() else { return };
    // With or without a driver behind the numbers: only the rules say "not permitted".
    let run = |rules: &[&str]| {
        let mut flags = vec!["run", "--rm", "--userns", "host", "--cap-add", "MKNOD"];
        for rule in rules {
            flags.extend(["--device-cgroup-rule", rule]);
        }
        let script = "mknod /node c 10 200 || exit 1; \
            (true < /node) 2>&1 | grep -q 'not permitted' || echo read; \
            (true >> /node) 2>&1 | grep -q 'not permitted' || echo wrote";
        flags.extend(["busybox", "sh", "-c", script]);
        weft.ok(&flags).replace('\n', " ")
    };
    assert_eq!(run(&[]), "");
    assert_eq!(run(&["c 10:200 r"]), "read");
    assert_eq!(run(&["c 10:* rw"]), "read wrote");
    assert_eq!(run(&["b 10:200 rwm", "c 11:* rwm", "c *:201 rwm"]), "");
    assert_eq!(run(&["a *:* rwm"]), "read wrote");
    weft.weft(&["create", "--device-cgroup-rule", "c 1:x r", "busybox"])
        .fails_saying(&["c 1:x r"]);
    let docker = |args: &[&str]| weft.docker(args);
    let Some(made) = docker(&[
        "create",
        "--name",
        "ruled",
        "--device-cgroup-rule",
        "c 10:200 rwm",
        "busybox",
    ]) else {
        return;
    };
    made.ok();
    let rules = docker(&[
        "inspect",
        "-f",
        "{{.HostConfig.DeviceCgroupRules}}",
        "ruled",
    ]);
    assert_eq!(rules.unwrap().ok(), "[c 10:200 rwm]");
}

#[test]
fn shared_memory_has_its_size() {
    let Some(weft) = weft() else { return };
    let size = |flags: &[&str]| {
        let df = weft.ok(&[
            &["run", "--rm"][..],
            flags,
            &["busybox", "df", "-k", "/dev/shm"],
        ]
        .concat());
        df.lines()
            .last()
            .unwrap_or_default()
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(size(&[]), "65536");
    assert_eq!(size(&["--shm-size", "8m"]), "8192");
}
