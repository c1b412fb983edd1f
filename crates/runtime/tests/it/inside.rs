//! What a process finds inside: identity, devices, masks, terminal, hooks, refusals.

use std::fs;

use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};

use crate::bed::{BASE, Bed};

fn both(arguments: &[&str]) -> [Bed; 2] {
    [Bed::new(arguments), Bed::mapped(arguments)]
}

#[test]
fn masked_paths_are_empty_and_cannot_be_written() {
    let script = "cat /proc/keys /proc/timer_list; ls -A /sys/firmware; cat /proc/kcore | head -c 1; \
                  echo x > /proc/timer_list";
    for mut bed in both(&["sh", "-c", script]) {
        assert_ne!(bed.run(), 0);
        assert_eq!(bed.text("stdout"), "");
        assert!(
            bed.text("stderr").contains("Read-only"),
            "{}",
            bed.text("stderr")
        );
    }
}

#[test]
fn read_only_paths_cannot_be_written() {
    for mut bed in both(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]) {
        assert_ne!(bed.run(), 0);
        assert!(
            bed.text("stderr").contains("Read-only"),
            "{}",
            bed.text("stderr")
        );
    }
}

#[test]
fn a_read_only_root_is_read_only_and_its_mounts_are_not() {
    let mut bed = Bed::new(&["sh", "-c", "touch /dev/shm/x && ! touch /tmp/x"]);
    bed.spec["root"]["readonly"] = json!(true);
    assert_eq!(bed.run(), 0, "{}", bed.text("stderr"));
}

#[test]
fn a_process_inherits_its_three_streams_only() {
    for mut bed in both(&["sh", "-c", "ls /proc/self/fd"]) {
        // The fourth is that of the listing itself.
        assert_eq!(
            bed.output().split_whitespace().collect::<Vec<_>>(),
            ["0", "1", "2", "3"]
        );
    }
}

#[test]
fn users_and_groups_are_exactly_those_asked_for() {
    for (uid, gid, groups) in [
        (0, 0, vec![]),
        (1000, 1000, vec![]),
        (1000, 7, vec![5, 9]),
        (0, 33, vec![0, 44]),
    ] {
        for mut bed in both(&["grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"]) {
            bed.spec["process"]["user"] =
                json!({ "uid": uid, "gid": gid, "additionalGids": groups });
            let output = bed.output();
            let lines: Vec<Vec<u32>> = output
                .lines()
                .map(|line| {
                    line.split_whitespace()
                        .skip(1)
                        .map(|id| id.parse().unwrap())
                        .collect()
                })
                .collect();
            assert_eq!(
                lines,
                [vec![uid; 4], vec![gid; 4], groups.clone()],
                "{output}"
            );
        }
    }
}

#[test]
fn limits_umask_and_scores_are_set() {
    let script = "ulimit -n; ulimit -c; umask; cat /proc/self/oom_score_adj";
    for mut bed in both(&["sh", "-c", script]) {
        bed.spec["process"]["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        ]);
        bed.spec["process"]["user"]["umask"] = json!(0o27);
        bed.spec["process"]["oomScoreAdj"] = json!(500);
        assert_eq!(bed.output(), "100\n0\n0027\n500\n");
    }
}

#[test]
fn a_limit_beyond_our_own_is_an_error_that_names_it() {
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let privileged = weft_runtime::capabilities::Set::bounding()
        .names()
        .iter()
        .any(|name| name.ends_with("SYS_RESOURCE"));
    let (Some(own), false) = (own, privileged) else {
        eprintln!("skipped: this machine lets root raise hard limits");
        return;
    };
    let mut bed = Bed::new(&["true"]);
    bed.spec["process"]["rlimits"] =
        json!([{ "type": "RLIMIT_NOFILE", "soft": own + 1, "hard": own + 1 }]);
    let error = bed.refusal()["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("RLIMIT_NOFILE") && error.contains("CAP_SYS_RESOURCE"),
        "{error}"
    );
}

#[test]
fn kernel_parameters_of_its_own_namespaces_are_set() {
    for mut bed in both(&["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]) {
        bed.spec["linux"]["sysctl"] = json!({ "net.ipv4.ip_unprivileged_port_start": "81" });
        assert_eq!(bed.output(), "81\n");
    }
}

#[test]
fn a_terminal_is_its_own_and_so_is_the_console() {
    for mut bed in both(&["sh", "-c", "tty; test -c /dev/console; echo $?; stty size"]) {
        bed.spec["process"]["terminal"] = json!(true);
        bed.spec["process"]["consoleSize"] = json!({ "height": 30, "width": 90 });
        assert!(bed.say("create")["error"].is_null());
        assert!(bed.say("start")["error"].is_null());
        let text = bed.say("read")["text"].as_str().unwrap().replace('\r', "");
        assert_eq!(text, "/dev/pts/0\n0\n30 90\n");
        bed.say("wait");
    }
}

#[test]
fn an_exec_with_a_terminal_gets_one_of_the_container() {
    for mut bed in both(&["sleep", "1000"]) {
        bed.say("create");
        assert!(bed.say("start")["error"].is_null());
        let (answer, _) = bed.exec(|process| {
            process["args"] = json!(["tty"]);
            process["terminal"] = json!(true);
        });
        assert_eq!(answer["text"], "/dev/pts/0\r\n", "{answer}");
        bed.say("kill 9");
        bed.say("wait");
    }
}

#[test]
fn binds_are_mapped_read_only_and_of_files_or_directories() {
    let script = "stat -c %u /data /data/file /one; touch /data/made; ! touch /ro/x";
    let mut bed = Bed::mapped(&["sh", "-c", script]);
    let data = bed.dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "x").unwrap();
    bed.spec["mounts"].as_array_mut().unwrap().extend([
        json!({ "destination": "/data", "type": "bind", "source": data,
                "options": ["rbind", "ridmap"] }),
        json!({ "destination": "/one", "type": "bind", "source": data.join("file"),
                "options": ["bind", "idmap", "ro"] }),
        json!({ "destination": "/ro", "type": "bind", "source": data,
                "options": ["rbind", "idmap", "ro"] }),
    ]);
    assert_eq!(bed.output(), "0\n0\n0\n");
    let made = fs::metadata(data.join("made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0);
}

#[test]
fn a_user_namespace_of_the_specification_is_made() {
    let mut bed = Bed::new(&["cat", "/proc/self/uid_map"]);
    let map = json!([{ "containerID": 0, "hostID": BASE, "size": 65536 }]);
    bed.spec["linux"]["uidMappings"] = map.clone();
    bed.spec["linux"]["gidMappings"] = map;
    bed.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "type": "user" }));
    // The rootfs is taken as it is: it has to be the mapped root's, all the way down.
    chown_all(&bed.rootfs(), BASE);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    fs::set_permissions(bed.dir.path(), open).unwrap();
    let words: Vec<String> = bed.output().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", &BASE.to_string(), "65536"]);
}

fn chown_all(path: &std::path::Path, id: u32) {
    std::os::unix::fs::lchown(path, Some(id), Some(id)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            chown_all(&entry.unwrap().path(), id);
        }
    }
}

#[test]
fn namespaces_are_joined_by_path() {
    let mut first = Bed::new(&["sleep", "1000"]);
    first.say("create");
    let pid = first.say("start")["pid"].as_i64().unwrap();
    let mut second = Bed::new(&["sh", "-c", "hostname; cat /proc/1/comm"]);
    second.spec["hostname"] = Value::Null;
    for namespace in second.spec["linux"]["namespaces"].as_array_mut().unwrap() {
        let file = match namespace["type"].as_str().unwrap() {
            "network" => "net",
            "mount" | "cgroup" => continue,
            other => other,
        };
        namespace["path"] = json!(format!("/proc/{pid}/ns/{file}"));
    }
    second.spec.as_object_mut().unwrap().remove("hostname");
    assert_eq!(second.output(), "bed\nsleep\n");
    first.say("kill 9");
    first.say("wait");
}

#[test]
fn hooks_run_in_order_with_the_state_on_their_input() {
    let mut bed = Bed::new(&["true"]);
    let log = bed.dir.path().join("hooks.log");
    let hook = |name: &str| {
        let script = format!("echo {name} $FROM $(cat) >> {}", log.display());
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script],
                 "env": ["FROM=hook", "PATH=/bin"] }])
    };
    bed.spec["hooks"] = json!({
        "prestart": hook("prestart"),
        "createRuntime": hook("createRuntime"),
        "createContainer": hook("createContainer"),
        "poststart": hook("poststart"),
        // In the container's own root.
        "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", "cat > /state"] }],
    });
    assert_eq!(bed.run(), 0);
    let text = fs::read_to_string(&log).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names,
        ["prestart", "createRuntime", "createContainer", "poststart"]
    );
    for line in text.lines() {
        assert!(
            line.contains(" hook {") && line.contains("\"id\":\"example\""),
            "{line}"
        );
    }
    let inside = fs::read_to_string(bed.rootfs().join("state")).unwrap();
    assert!(inside.contains("\"status\":\"created\""), "{inside}");
}

#[test]
fn no_hook_in_the_container_runs_before_its_device_rules() {
    let bed = |rules: Value| {
        let mut bed = Bed::new(&["true"]);
        // A device that everybody may open for writing, but for the rules.
        let node = bed.dir.path().join("kmsg");
        let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
        rustix::fs::mknodat(CWD, &node, kind, mode, rustix::fs::makedev(1, 11)).unwrap();
        rustix::fs::chmod(&node, mode).unwrap();
        let script = format!("! (exec 3>> {}) 2>&-", node.display());
        let hook = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
        bed.spec["hooks"] = json!({ "createContainer": hook });
        bed.spec["linux"]["resources"]["devices"] = rules;
        bed
    };
    let mut strict = bed(json!([]));
    for _ in 0..10 {
        assert_eq!(strict.run(), 0);
    }
    let mut open = bed(json!([{ "allow": true, "access": "rwm" }]));
    let error = open.refusal()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("ended with"), "{error}");
}

#[test]
fn a_hook_that_fails_or_hangs_ends_it() {
    for (point, script) in [("createRuntime", "exit 3"), ("createContainer", "exit 3")] {
        let mut bed = Bed::new(&["true"]);
        bed.spec["hooks"] = json!({ point: [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
        let error = bed.refusal()["error"].as_str().unwrap().to_owned();
        assert!(
            error.contains("/bin/sh") && error.contains('3'),
            "{point}: {error}"
        );
    }
    let mut bed = Bed::new(&["true"]);
    let hang = json!([{ "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 }]);
    bed.spec["hooks"] = json!({ "createRuntime": hang });
    let error = bed.refusal()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("1 s"), "{error}");
}

#[test]
fn everything_that_is_not_done_is_refused_at_once_by_name() {
    let mut bed = Bed::new(&["true"]);
    bed.spec["linux"]["intelRdt"] = json!({ "closID": "x" });
    bed.spec["linux"]["personality"] = json!({ "domain": "LINUX32" });
    bed.spec["linux"]["mountLabel"] = json!("label");
    bed.spec["linux"]["sysctl"] = json!({ "kernel.panic": "1", "net/ipv4/../x": "1" });
    bed.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "type": "time" }));
    bed.spec["process"]["apparmorProfile"] = json!("strict");
    bed.spec["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_RT", "priority": 1 });
    bed.spec["mounts"].as_array_mut().unwrap().extend([
        json!({ "destination": "/x", "type": "bind", "source": "/tmp", "options": ["bind", "zz"] }),
        json!({ "destination": "/y", "type": "nfs", "source": "a:/b" }),
        json!({ "destination": "/proc/1", "type": "tmpfs" }),
    ]);
    let error = bed.refusal()["error"].as_str().unwrap().to_owned();
    for name in [
        "linux.intelRdt",
        "linux.personality",
        "linux.mountLabel",
        "kernel.panic",
        "net/ipv4/../x",
        "time",
        "process.apparmorProfile",
        "process.ioPriority",
        "option zz",
        "type nfs",
        "/proc/1",
    ] {
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn an_unsupported_seccomp_action_is_refused_and_a_filter_is_in_force() {
    let mut bed = Bed::new(&["true"]);
    bed.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
    });
    let error = bed.refusal()["error"].as_str().unwrap().to_owned();
    assert!(error.contains("SCMP_ACT_NOTIFY"), "{error}");
    for no_new_privileges in [true, false] {
        for mut bed in both(&["mkdir", "/made"]) {
            bed.spec["process"]["noNewPrivileges"] = json!(no_new_privileges);
            bed.spec["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95 },
                ],
            });
            assert_ne!(bed.run(), 0);
            assert!(
                bed.text("stderr").contains("not supported"),
                "{}",
                bed.text("stderr")
            );
        }
    }
}

#[test]
fn a_filter_has_to_allow_nothing_but_execve_of_what_starts_a_program() {
    let mut bed = Bed::new(&["true"]);
    bed.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{
            "names": ["execveat", "fcntl", "sendmsg", "recvmsg", "close_range", "fchdir", "setsid"],
            "action": "SCMP_ACT_KILL_PROCESS",
        }],
    });
    assert_eq!(bed.run(), 0);
}
