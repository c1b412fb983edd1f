//! What a container can and cannot reach: the defaults, probed from inside.

use std::fs;

use weft_testkit::image;
use weft_testkit::tarball::Tarball;

use crate::{idle, weft};

#[test]
fn a_default_container_has_little() {
    let Some(weft) = weft() else { return };
    let status = weft.ok(&["run", "--rm", "busybox", "cat", "/proc/self/status"]);
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let bits = |name: &str| u64::from_str_radix(&field(name), 16).unwrap();
    assert_eq!(bits("CapInh:"), 0);
    assert_eq!(bits("CapAmb:"), 0);
    // Docker's fourteen without NET_RAW, MKNOD, AUDIT_WRITE and SETFCAP.
    assert_eq!(bits("CapBnd:") & !0x0004_05fb, 0, "{}", field("CapBnd:"));
    assert_eq!(bits("CapEff:"), bits("CapBnd:"));
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("NoNewPrivs:"), "1");
    let map = weft.ok(&["run", "--rm", "busybox", "cat", "/proc/self/uid_map"]);
    let words: Vec<&str> = map.split_whitespace().collect();
    assert_eq!((words[0], words[2]), ("0", "65536"));
    assert!(words[1].parse::<u32>().unwrap() >= 0x1000_0000, "{map}");
}

#[test]
fn a_container_sees_its_own_cgroup_and_cannot_change_it() {
    let Some(weft) = weft() else { return };
    let read = weft.ok(&["run", "--rm", "busybox", "cat", "/sys/fs/cgroup/cpu.stat"]);
    assert!(read.contains("usage_usec"), "{read}");
    let own = weft.ok(&["run", "--rm", "busybox", "cat", "/proc/self/cgroup"]);
    assert!(own.lines().any(|line| line == "0::/"), "{own}");
    let script = "mkdir /sys/fs/cgroup/x || echo 1 > /sys/fs/cgroup/cgroup.freeze";
    assert_ne!(
        weft.weft(&["run", "--rm", "busybox", "sh", "-c", script])
            .code,
        0
    );
}

#[test]
fn flags_take_away_and_give() {
    let Some(weft) = weft() else { return };
    let field = |flags: &[&str], name: &str| {
        let status = weft.ok(&[
            &["run", "--rm"][..],
            flags,
            &["busybox", "grep", name, "/proc/self/status"],
        ]
        .concat());
        status
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(field(&["--cap-drop", "ALL"], "CapEff:"), "0000000000000000");
    assert_eq!(
        field(&["--cap-drop", "ALL", "--cap-add", "CHOWN"], "CapEff:"),
        "0000000000000001"
    );
    assert_eq!(
        field(
            &["--security-opt", "no-new-privileges=false"],
            "NoNewPrivs:"
        ),
        "0"
    );
    assert_eq!(
        field(&["--security-opt", "seccomp=unconfined"], "Seccomp:"),
        "0"
    );
    assert_eq!(field(&["--user", "weaver"], "CapEff:"), "0000000000000000");
    let host = weft.ok(&[
        "run",
        "--rm",
        "--userns",
        "host",
        "busybox",
        "cat",
        "/proc/self/uid_map",
    ]);
    assert_eq!(
        host.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "4294967295"]
    );
    weft.weft(&["run", "--rm", "--cap-add", "NO_SUCH", "busybox", "true"])
        .fails_saying(&["NO_SUCH"]);
}

#[test]
fn dangerous_calls_are_refused() {
    let Some(weft) = weft() else { return };
    for script in [
        "unshare -U true",
        "unshare -m true",
        "mount -t tmpfs none /mnt",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo b > /proc/sysrq-trigger",
        "echo x > /sys/kernel/uevent_helper",
        "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem",
        "echo 1 > /sys/fs/cgroup/cgroup.procs",
        "date -s 2020-01-01 2>&1 | grep -v 'not permitted' | grep set",
        "hostname changed",
        "chroot /proc/1/root/.. true && ls /proc/1/root/../var/lib/dpkg",
    ] {
        let ran = weft.weft(&["run", "--rm", "busybox", "sh", "-c", script]);
        assert_ne!(ran.code, 0, "{script}: {ran}");
    }
}

#[test]
fn the_kernels_files_are_masked_or_read_only() {
    let Some(weft) = weft() else { return };
    let script = "head -c 1 /proc/kcore | wc -c; head -c 1 /proc/keys | wc -c; head -c 1 /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware | wc -l; echo 0 > /proc/sys/kernel/printk 2>/dev/null || echo refused";
    let said = weft.ok(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "0", "0", "refused"],
        "{said}"
    );
}

#[test]
fn nothing_of_the_host_is_inherited() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    // The listing itself has one directory open: 0, 1, 2 and that.
    let script = "ls /proc/self/fd | wc -l";
    assert_eq!(
        weft.ok(&["run", "--rm", "busybox", "sh", "-c", script]),
        "4"
    );
    assert_eq!(weft.ok(&["exec", "one", "sh", "-c", script]), "4");
    assert_eq!(
        weft.ok(&["exec", "one", "ls", "/proc/1/fd"])
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["0", "1", "2"]
    );
    let environment = weft.ok(&["run", "--rm", "busybox", "env"]);
    assert!(!environment.contains("CARGO"), "{environment}");
}

#[test]
fn working_directories_do_not_lead_out() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    // CVE-2024-21626: a leaked directory of the host as working directory.
    for fd in 3..20 {
        let dir = format!("/proc/self/fd/{fd}");
        for args in [
            ["run", "--rm", "--workdir", &dir, "busybox"].as_slice(),
            &["exec", "--workdir", &dir, "one"],
        ] {
            let ran =
                weft.weft(&[args, &["sh", "-c", "pwd -P; ls ../../../../.. | head -50"]].concat());
            assert!(
                ran.code != 0 || !ran.stdout.contains("vmlinuz") && !ran.stdout.contains("boot"),
                "{ran}"
            );
        }
    }
}

#[test]
fn the_runtime_cannot_be_overwritten_from_inside() {
    let Some(weft) = weft() else { return };
    // CVE-2019-5736: the program in the container is the runtime itself.
    let layer = Tarball::new()
        .file("bin/evil", 0o755, b"#!/proc/self/exe\n")
        .finish();
    let archive = image::busybox_named("evil:1").layer(layer).archive();
    weft.weft_with_input(&["load"], &archive).ok();
    let before = image::digest(&fs::read(crate::WEFT).unwrap());
    let _ = weft.weft(&["run", "--rm", "evil:1", "/bin/evil"]);
    idle(&weft, "one");
    let write = "for p in /proc/[0-9]*; do echo x > $p/exe; done 2>/dev/null; true";
    weft.ok(&["exec", "one", "sh", "-c", write]);
    assert_eq!(image::digest(&fs::read(crate::WEFT).unwrap()), before);
}

#[test]
fn standard_directories_that_are_links_stay_inside() {
    let Some(weft) = weft() else { return };
    for dir in ["proc", "sys", "dev", "etc"] {
        let layer = Tarball::new().symlink(dir, "/../../../../tmp").finish();
        let archive = image::busybox_named(&format!("link-{dir}:1"))
            .layer(layer)
            .archive();
        weft.weft_with_input(&["load"], &archive).ok();
        let before: Vec<String> = host_tmp();
        let ran = weft.weft(&["run", "--rm", &format!("link-{dir}:1"), "/bin/true"]);
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        let after = host_tmp();
        let foreign: Vec<&String> = after
            .iter()
            .filter(|name| !before.contains(name) && !name.starts_with("weft"))
            .collect();
        assert!(
            foreign
                .iter()
                .all(|name| !["null", "hosts", "resolv.conf", "self", "kernel"]
                    .contains(&name.as_str())),
            "{dir}: {foreign:?}"
        );
    }
}

fn host_tmp() -> Vec<String> {
    fs::read_dir("/tmp")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// `readlink /proc/self/ns/ipc` as the host sees it.
fn own_ipc() -> String {
    fs::read_link("/proc/self/ns/ipc")
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

#[test]
fn the_hosts_ipc_needs_no_queues_mounted_on_the_host() {
    let Some(weft) = weft() else { return };
    let script = "readlink /proc/self/ns/ipc; grep -E ' /dev/(shm|mqueue) ' /proc/mounts | cut -d' ' -f2,3 | sort";
    let seen = weft.ok(&[
        "run", "--rm", "--ipc", "host", "busybox", "sh", "-c", script,
    ]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[0], own_ipc());
    // Its own mount of the host's queues, of which the host need have none.
    assert_eq!(lines[1], "/dev/mqueue mqueue", "{seen}");
    assert!(lines[2].starts_with("/dev/shm "), "{seen}");
}

#[test]
fn without_ipc_there_is_no_shared_memory() {
    let Some(weft) = weft() else { return };
    let script = "readlink /proc/self/ns/ipc; test -e /dev/shm || echo none";
    let run = [
        "run", "--name", "quiet", "--ipc", "none", "busybox", "sh", "-c",
    ];
    let seen = weft.ok(&[&run[..], &[script]].concat());
    let lines: Vec<&str> = seen.lines().collect();
    assert_ne!(lines[0], own_ipc());
    assert_eq!(lines[1], "none", "{seen}");
    assert_eq!(weft.inspect("quiet")["HostConfig"]["IpcMode"], "none");
}

#[test]
fn shared_memory_is_shared_by_whom_says_so() {
    let Some(weft) = weft() else { return };
    let donor = |name: &str, mode: &str| {
        let script = "echo woven > /dev/shm/cloth; exec sleep 3600";
        weft.ok(&[
            "run", "-d", "--name", name, "--ipc", mode, "busybox", "sh", "-c", script,
        ]);
        weft_testkit::until(weft_testkit::wait::SOON, "it has written", || {
            weft.weft(&["exec", name, "cat", "/dev/shm/cloth"]).code == 0
        });
    };
    donor("open", "shareable");
    donor("closed", "private");
    assert_eq!(weft.inspect("open")["HostConfig"]["IpcMode"], "shareable");
    let join = |of: &str, script: &str| {
        let ipc = format!("container:{of}");
        let flags = ["run", "--rm", "--network", "none", "--ipc", &ipc];
        weft.weft(&[&flags[..], &["busybox", "sh", "-c", script]].concat())
    };
    let script = "cat /dev/shm/cloth; echo cut > /dev/shm/cloth; readlink /proc/self/ns/ipc";
    let seen = join("open", script).ok().to_owned();
    let theirs = weft.ok(&["exec", "open", "readlink", "/proc/self/ns/ipc"]);
    assert_eq!(seen, format!("woven\n{}", theirs.trim()));
    assert_eq!(weft.ok(&["exec", "open", "cat", "/dev/shm/cloth"]), "cut");
    // As Docker has it: to be joined is asked for.
    let refused = join("closed", "true");
    assert_eq!(refused.code, 125);
    assert!(
        refused.stderr.contains("--ipc shareable"),
        "{}",
        refused.stderr
    );
}

#[test]
fn joined_shared_memory_is_never_found_by_a_link_of_the_donors() {
    let Some(weft) = weft() else { return };
    // The donor has no mount there: what it puts in place leads nowhere but into itself.
    let plant =
        "umount /dev/shm; rmdir /dev/shm && ln -s /etc /dev/shm && echo ready; exec sleep 3600";
    weft.ok(&[
        "run",
        "-d",
        "--name",
        "sly",
        "--privileged",
        "--ipc",
        "shareable",
        "busybox",
        "sh",
        "-c",
        plant,
    ]);
    weft_testkit::until(weft_testkit::wait::SOON, "the link is planted", || {
        weft.ok(&["logs", "sly"]).contains("ready")
    });
    let joined = weft.weft(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--userns",
        "host",
        "--ipc",
        "container:sly",
        "busybox",
        "ls",
        "/dev/shm",
    ]);
    assert_ne!(joined.code, 0, "{}", joined.stdout);
    assert!(joined.stderr.contains("/dev/shm"), "{}", joined.stderr);
}
