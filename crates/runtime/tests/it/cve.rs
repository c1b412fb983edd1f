//! One test for each known hole of other runtimes that concerns what is built here.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::json;

use crate::bed::Bed;
use crate::race::{Flipper, attempts};

fn capability_lines(status: &str) -> Vec<(&str, u64)> {
    status
        .lines()
        .filter_map(|line| line.strip_prefix("Cap"))
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name, u64::from_str_radix(value.trim(), 16).unwrap())
        })
        .collect()
}

fn replace_with_link(bed: &Bed, name: &str, target: &str) {
    let path = bed.rootfs().join(name);
    let _ = fs::remove_dir_all(&path);
    symlink(target, &path).unwrap();
}

/// The program file of the launcher, which is what a container must not reach.
fn launcher() -> fs::Metadata {
    let tests = std::env::current_exe().unwrap();
    fs::metadata(tests.ancestors().nth(2).unwrap().join("examples/launch")).unwrap()
}

#[test]
fn cve_2019_5736_own_binary_is_not_what_proc_self_exe_leads_to() {
    // As the command itself, and as a script's interpreter.
    for command in ["/proc/self/exe", "/script"] {
        let mut bed = Bed::new(&[command]);
        let script = bed.rootfs().join("script");
        fs::write(&script, "#!/proc/self/exe\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, mode).unwrap();
        let before = launcher();
        bed.say("create");
        // Executing itself again, the start program has no arguments to work on: it dies, or
        // says that it failed. It is never weft that runs.
        let answer = bed.say("start");
        if answer["error"].is_null() {
            assert_ne!(bed.say("wait")["code"], 0);
        }
        assert!(
            !bed.text("stderr").contains("usage"),
            "{}",
            bed.text("stderr")
        );
        let after = launcher();
        assert_eq!(
            (before.ino(), before.mtime_nsec()),
            (after.ino(), after.mtime_nsec())
        );
    }
}

#[test]
fn cve_2016_9962_a_joining_process_cannot_be_looked_into() {
    // Init watches for the process that joins and tries to see its descriptors and program.
    let script = "while :; do for p in /proc/[0-9]*; do \
                  case $p in /proc/1) continue;; esac; \
                  c=$(cat $p/comm 2>/dev/null); \
                  case $c in launch|weft-start) ls -l $p/fd $p/exe $p/cwd 2>/dev/null | grep -E 'launch$|weft-start|socket:|anon_inode|cgroup';; esac; \
                  done; done";
    for mut bed in [
        Bed::new(&["sh", "-c", script]),
        Bed::mapped(&["sh", "-c", script]),
    ] {
        bed.say("create");
        assert!(bed.say("start")["error"].is_null());
        attempts(20, || {
            let (answer, _) = bed.exec(|process| process["args"] = json!(["true"]));
            assert_eq!(answer["code"], 0, "{answer}");
        });
        bed.say("kill 9");
        bed.say("wait");
        assert_eq!(bed.text("stdout"), "");
    }
}

#[test]
fn cve_2019_16884_2019_19921_2023_27561_2023_28642_proc_and_sys_are_no_links() {
    for name in ["proc", "sys"] {
        for target in ["/tmp", "tmp", "/nowhere", "../../../tmp", "/"] {
            let mut bed = Bed::new(&["true"]);
            replace_with_link(&bed, name, target);
            let error = bed.refusal()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(&format!("/{name}")), "{error}");
            assert!(
                error.contains("symbolic link") || error.contains("mount point"),
                "{error}"
            );
        }
    }
    // A volume over /proc, or over part of it.
    for destination in [
        "/proc",
        "/proc/self",
        "/proc/sys/kernel",
        "/tmp/../proc/self/attr",
    ] {
        let mut bed = Bed::new(&["true"]);
        bed.spec["mounts"].as_array_mut().unwrap().push(json!(
            { "destination": destination, "type": "bind", "source": "/tmp", "options": ["bind"] }
        ));
        let error = bed.refusal()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("/proc"), "{error}");
    }
}

#[test]
fn cve_2021_30465_a_mount_point_swapped_for_a_link_stays_inside() {
    // Two names exchange their meaning all the time: one a directory, one a link to the canary.
    let canary = tempfile::tempdir().unwrap();
    let volume = tempfile::tempdir().unwrap();
    fs::create_dir(volume.path().join("a")).unwrap();
    symlink(canary.path(), volume.path().join("b")).unwrap();
    let flipper = Flipper::start(volume.path(), "a", "b");
    attempts(30, || {
        let mut bed = Bed::new(&["touch", "/volume/a/inside"]);
        bed.spec["mounts"].as_array_mut().unwrap().extend([
            json!({ "destination": "/volume", "type": "bind", "source": volume.path(),
                    "options": ["bind"] }),
            json!({ "destination": "/volume/a/x", "type": "tmpfs", "source": "tmpfs" }),
        ]);
        // Either is fine, as long as it happens inside.
        if bed.say("create")["error"].is_null() && bed.say("start")["error"].is_null() {
            bed.say("wait");
        }
    });
    drop(flipper);
    assert_eq!(fs::read_dir(canary.path()).unwrap().count(), 0);
}

#[test]
fn cve_2022_29162_nothing_is_inheritable_or_ambient() {
    for mut bed in [
        Bed::new(&["sleep", "1000"]),
        Bed::mapped(&["sleep", "1000"]),
    ] {
        bed.say("create");
        assert!(bed.say("start")["error"].is_null());
        for uid in [0, 1000] {
            let (answer, status) = bed.exec(|process| {
                process["args"] = json!(["cat", "/proc/self/status"]);
                process["user"]["uid"] = json!(uid);
                process["noNewPrivileges"] = json!(false);
            });
            assert_eq!(answer["code"], 0, "{answer}");
            let sets = capability_lines(&status);
            for (name, value) in sets {
                let wanted = if matches!(name, "Inh" | "Amb") || (uid != 0 && name != "Bnd") {
                    0
                } else {
                    1 << 0 | 1 << 5 | 1 << 6 | 1 << 7
                };
                assert_eq!(value, wanted, "uid {uid}: {name}\n{status}");
            }
        }
        bed.say("kill 9");
        bed.say("wait");
    }
}

#[test]
fn cve_2023_25809_no_file_of_the_cgroup_tree_can_be_written() {
    let script = "find /sys/fs/cgroup -type f | while read f; do \
                  (echo 1 > $f) 2>/dev/null && echo wrote $f; done; \
                  mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; ls /sys/fs/cgroup | head -1";
    let mut without = Bed::new(&["sh", "-c", script]);
    let namespaces = without.spec["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
    for mut bed in [
        Bed::new(&["sh", "-c", script]),
        Bed::mapped(&["sh", "-c", script]),
        without,
    ] {
        assert_eq!(bed.output(), "cgroup.controllers\n");
    }
}

#[test]
fn cve_2024_21626_the_working_directory_is_no_leaked_descriptor() {
    for number in 0..20 {
        for cwd in [
            format!("/proc/self/fd/{number}"),
            format!("/proc/1/fd/{number}/.."),
        ] {
            let mut bed = Bed::new(&["pwd"]);
            bed.spec["process"]["cwd"] = json!(cwd);
            let error = bed.refusal();
            assert!(
                error["error"]
                    .as_str()
                    .unwrap()
                    .contains("working directory"),
                "{error}"
            );
        }
    }
    // By way of a link in the image, and in exec.
    let mut bed = Bed::new(&["pwd"]);
    symlink("/proc/self/fd/7", bed.rootfs().join("link")).unwrap();
    bed.spec["process"]["cwd"] = json!("/link");
    assert!(
        bed.refusal()["error"]
            .as_str()
            .unwrap()
            .contains("working directory")
    );
    let mut bed = Bed::new(&["sleep", "1000"]);
    bed.say("create");
    assert!(bed.say("start")["error"].is_null());
    for number in 0..20 {
        let (answer, _) = bed.exec(|process| {
            process["args"] = json!(["pwd"]);
            process["cwd"] = json!(format!("/proc/self/fd/{number}"));
        });
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .contains("working directory"),
            "{answer}"
        );
    }
    bed.say("kill 9");
    bed.say("wait");
}

#[test]
fn cve_2024_45310_nothing_is_made_outside_for_mounts_and_working_directories() {
    let canary = tempfile::tempdir().unwrap();
    let outside = canary.path().to_str().unwrap();
    let mut bed = Bed::new(&["true"]);
    let up = format!("../../../../../../../..{outside}");
    for (name, target) in [("absolute", outside), ("relative", &up)] {
        symlink(target, bed.rootfs().join(name)).unwrap();
    }
    bed.spec["mounts"].as_array_mut().unwrap().extend([
        json!({ "destination": "/absolute/a", "type": "tmpfs", "source": "tmpfs" }),
        json!({ "destination": "/relative/b", "type": "tmpfs", "source": "tmpfs" }),
        json!({ "destination": "/absolute/c", "type": "bind", "source": "/bin/busybox",
                "options": ["bind"] }),
    ]);
    bed.spec["process"]["cwd"] = json!("/absolute/d/e");
    // A dangling link may be an error; what counts is where nothing was made.
    if bed.say("create")["error"].is_null() && bed.say("start")["error"].is_null() {
        bed.say("wait");
    }
    assert_eq!(fs::read_dir(canary.path()).unwrap().count(), 0);
}

#[test]
fn cve_2024_45310_nothing_is_made_outside_while_parents_are_swapped() {
    let canary = tempfile::tempdir().unwrap();
    attempts(15, || {
        let mut bed = Bed::new(&["true"]);
        let rootfs = bed.rootfs();
        fs::create_dir(rootfs.join("parent")).unwrap();
        symlink(canary.path(), rootfs.join("link")).unwrap();
        bed.spec["mounts"].as_array_mut().unwrap().extend([
            json!({ "destination": "/parent/a/b", "type": "tmpfs", "source": "tmpfs" }),
            json!({ "destination": "/parent/c", "type": "bind", "source": "/bin/busybox",
                    "options": ["bind"] }),
        ]);
        bed.spec["process"]["cwd"] = json!("/parent/d/e");
        let flipper = Flipper::start(&rootfs, "parent", "link");
        if bed.say("create")["error"].is_null() && bed.say("start")["error"].is_null() {
            bed.say("wait");
        }
        drop(flipper);
        assert_eq!(fs::read_dir(canary.path()).unwrap().count(), 0);
    });
}

#[test]
fn cve_2025_31133_masks_hold_while_dev_null_is_swapped() {
    let dev = tempfile::tempdir().unwrap();
    fs::write(dev.path().join("null"), "").unwrap();
    symlink("/proc/sysrq-trigger", dev.path().join("link")).unwrap();
    let flipper = Flipper::start(dev.path(), "null", "link");
    attempts(15, || {
        let mut bed = Bed::new(&["cat", "/proc/timer_list"]);
        let mounts = bed.spec["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        mounts.push(
            json!({ "destination": "/dev", "type": "bind", "source": dev.path(),
                            "options": ["bind"] }),
        );
        // A /dev in motion may be an error; what is masked stays so.
        if bed.say("create")["error"].is_null() && bed.say("start")["error"].is_null() {
            bed.say("wait");
            assert_eq!(bed.text("stdout"), "");
        }
    });
    drop(flipper);
}

#[test]
fn cve_2025_52881_parameters_hold_while_a_neighbour_swaps_a_shared_mount() {
    // Both containers have it; what is written to is still the kernel's parameter.
    let shared = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(shared.path().join(name)).unwrap();
    }
    fs::write(shared.path().join("a/ip_unprivileged_port_start"), "fake").unwrap();
    let flipper = Flipper::start(shared.path(), "a", "b");
    attempts(15, || {
        let parameter = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
        let mut bed = Bed::new(&["cat", parameter]);
        bed.spec["linux"]["sysctl"] = json!({ "net.ipv4.ip_unprivileged_port_start": "81" });
        bed.spec["mounts"].as_array_mut().unwrap().push(json!(
            { "destination": "/shared", "type": "bind", "source": shared.path(),
              "options": ["bind"] }
        ));
        symlink("/shared/a", bed.rootfs().join("sysctl")).unwrap();
        assert_eq!(bed.output(), "81\n");
    });
    drop(flipper);
    let fake = ["a", "b"].map(|name| shared.path().join(name).join("ip_unprivileged_port_start"));
    let left = fake.iter().find_map(|path| fs::read_to_string(path).ok());
    assert_eq!(left.as_deref(), Some("fake"));
}

#[test]
fn cve_2025_31133_masks_do_not_come_from_the_containers_dev_null() {
    let mut bed = Bed::new(&[
        "sh",
        "-c",
        "cat /proc/timer_list; readlink /proc/timer_list",
    ]);
    let dev = bed.rootfs().join("dev");
    symlink("/proc/sysrq-trigger", dev.join("null")).unwrap();
    bed.run();
    assert_eq!(bed.text("stdout"), "");
    // With a /dev of its own making, the image's link is what is at /dev/null.
    let mut bed = Bed::new(&[
        "sh",
        "-c",
        "cat /proc/timer_list; readlink /proc/timer_list",
    ]);
    symlink("/proc/sysrq-trigger", bed.rootfs().join("dev/null")).unwrap();
    let dev = bed.rootfs().join("dev");
    let mounts = bed.spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    mounts.push(
        json!({ "destination": "/dev", "type": "bind", "source": dev,
                        "options": ["bind"] }),
    );
    bed.run();
    assert_eq!(bed.text("stdout"), "");
}

#[test]
fn cve_2025_52565_the_console_is_the_terminal_itself() {
    for mut bed in [
        Bed::new(&["sh", "-c", "stat -c %t:%T /dev/console $(tty)"]),
        Bed::mapped(&["sh", "-c", "stat -c %t:%T /dev/console $(tty)"]),
    ] {
        let pts = bed.rootfs().join("dev/pts");
        fs::create_dir(&pts).unwrap();
        symlink("/proc/sysrq-trigger", pts.join("0")).unwrap();
        symlink("/proc/sysrq-trigger", bed.rootfs().join("dev/console")).unwrap();
        bed.spec["process"]["terminal"] = json!(true);
        assert!(bed.say("create")["error"].is_null());
        assert!(bed.say("start")["error"].is_null());
        let text = bed.say("read")["text"].as_str().unwrap().replace('\r', "");
        assert_eq!(text, "88:0\n88:0\n");
        bed.say("wait");
    }
}

#[test]
fn cve_2025_52881_parameters_are_written_through_an_instance_of_our_own() {
    // A bind over part of /sys must not lead /proc/sys elsewhere, and what is not there is an
    // error, not a file made somewhere.
    let mut bed = Bed::new(&["true"]);
    bed.spec["linux"]["sysctl"] = json!({ "net.ipv4.no_such_parameter": "1" });
    let error = bed.refusal()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("net/ipv4/no_such_parameter"), "{error}");
    // Without a proc mount the image's own /proc/sys is not written to.
    let mut bed = Bed::new(&["true"]);
    let fake = bed.rootfs().join("proc/sys/net/ipv4");
    fs::create_dir_all(&fake).unwrap();
    fs::write(fake.join("ip_unprivileged_port_start"), "").unwrap();
    let mounts = bed.spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/proc");
    bed.spec["linux"]["sysctl"] = json!({ "net.ipv4.ip_unprivileged_port_start": "81" });
    bed.run();
    assert_eq!(
        fs::read_to_string(fake.join("ip_unprivileged_port_start")).unwrap(),
        ""
    );
}

#[test]
fn cve_2026_41579_2026_47766_dev_is_no_link() {
    for target in ["/", "..", "/tmp", "/nowhere", "/proc/1/root"] {
        let mut bed = Bed::new(&["true"]);
        replace_with_link(&bed, "dev", target);
        let error = bed.refusal()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("/dev"), "{error}");
    }
    // Links elsewhere are followed inside; one to the root itself is refused.
    let mut bed = Bed::new(&["true"]);
    symlink("/", bed.rootfs().join("root-link")).unwrap();
    let mount = json!({ "destination": "/root-link", "type": "tmpfs", "source": "tmpfs" });
    bed.spec["mounts"].as_array_mut().unwrap().push(mount);
    let error = bed.refusal()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("root filesystem"), "{error}");
}

#[test]
fn cve_2016_3697_2024_40635_an_id_that_is_no_id_is_refused() {
    let mut bed = Bed::new(&["true"]);
    bed.spec["process"]["user"]["uid"] = json!(u32::MAX);
    assert!(
        bed.refusal()["error"]
            .as_str()
            .unwrap()
            .contains("4294967295")
    );
    let mut bed = Bed::mapped(&["true"]);
    bed.spec["process"]["user"]["uid"] = json!(70_000);
    assert!(bed.refusal()["error"].as_str().unwrap().contains("70000"));
}

#[test]
fn cve_2022_0811_a_parameter_carries_no_other() {
    for (key, value) in [
        ("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/x"),
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x"),
        ("net.ipv4.ip_forward\nkernel.core_pattern", "|/x"),
        ("kernel.core_pattern", "|/x"),
    ] {
        let before = fs::read("/proc/sys/kernel/core_pattern").unwrap();
        let mut bed = Bed::new(&["true"]);
        bed.spec["linux"]["sysctl"] = json!({ key: value });
        let refused = bed.refusal();
        assert!(!refused["error"].is_null(), "{key}: {refused}");
        assert_eq!(fs::read("/proc/sys/kernel/core_pattern").unwrap(), before);
    }
}

#[test]
fn the_hosts_tree_is_gone_for_processes_that_join() {
    let script = "ls /..; cd /..; ls; cat /proc/1/root/etc/marker";
    for mut bed in [
        Bed::new(&["sleep", "1000"]),
        Bed::mapped(&["sleep", "1000"]),
    ] {
        fs::write(bed.rootfs().join("etc/marker"), "ours\n").unwrap();
        bed.say("create");
        assert!(bed.say("start")["error"].is_null());
        let (answer, output) = bed.exec(|process| process["args"] = json!(["sh", "-c", script]));
        assert_eq!(answer["code"], 0, "{answer} {}", bed.text("exec.stderr"));
        assert!(
            !output.contains("vmlinuz") && !output.contains("home"),
            "{output}"
        );
        assert!(output.ends_with("ours\n"), "{output}");
        let (_, mounts) =
            bed.exec(|process| process["args"] = json!(["cat", "/proc/self/mountinfo"]));
        let outside = mounts
            .lines()
            .filter(|line| line.contains(" - ext4 "))
            .count();
        assert!(outside <= 1, "{mounts}");
        bed.say("kill 9");
        bed.say("wait");
    }
}

#[test]
fn the_hosts_device_nodes_are_untouched() {
    let look = || -> Vec<(u32, u32, u32)> {
        [
            "null", "zero", "full", "random", "urandom", "tty", "ptmx", "console",
        ]
        .iter()
        .map(|name| fs::metadata(Path::new("/dev").join(name)).unwrap())
        .map(|node| (node.uid(), node.gid(), node.mode()))
        .collect()
    };
    let before = look();
    let script = "chown 1:1 /dev/null /dev/zero /dev/tty; chmod 0 /dev/full; echo x > /dev/null";
    for mut bed in [
        Bed::new(&["sh", "-c", script]),
        Bed::mapped(&["sh", "-c", script]),
    ] {
        bed.run();
    }
    assert_eq!(look(), before);
}
