//! The same container directory under runc and under weft.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::bed::Bed;

/// What a container can see of itself, without what differs from start to start.
const PROBE: &str = "id; pwd; hostname; umask; env | grep -v ^_; ls -A / /dev /dev/pts; \
    grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp:|Cap|Sig(P|B))' /proc/self/status; \
    ulimit -n; cat /proc/self/oom_score_adj /sys/class/net/lo/flags; readlink /proc/self/ns/user; \
    stat -c '%n %a %u %g %t %T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/shm /dev/mqueue /dev/pts; \
    readlink /dev/fd /dev/stdin /dev/stdout /dev/stderr /dev/ptmx; \
    for d in / /proc /sys /dev /dev/pts /dev/shm /dev/mqueue /proc/sys /proc/irq /proc/bus; do \
      grep -E \" $d [^-]* - \" /proc/self/mountinfo | \
        while read a b c root point options rest; do echo $point $options ${rest#*- }; done | \
        sort | head -1 | cut -d' ' -f1-3; done; \
    cat /proc/keys /proc/timer_list | head -c 10; ls -A /sys/firmware";

fn spec(bed: &mut Bed) {
    bed.spec["process"]["env"] = json!(["PATH=/bin", "HOME=/root", "X=a b=c"]);
    bed.spec["process"]["rlimits"] =
        json!([{ "type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024 }]);
    // Version 1 and 2 trees differ, and runc here only knows the former.
    let mounts = bed.spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
    let namespaces = bed.spec["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
}

fn under_runc(bed: &Bed) -> Option<String> {
    std::fs::write(bed.dir.path().join("config.json"), bed.spec.to_string()).unwrap();
    let root = bed.dir.path().join("runc");
    let id = format!(
        "weft-differential-{}-{}",
        std::process::id(),
        bed.cgroup.replace('/', "-")
    );
    let output = Command::new("runc")
        .arg("--root")
        .arg(&root)
        .args(["run", "--bundle"])
        .arg(bed.dir.path())
        .arg(id)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "runc: {errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_container_looks_the_same_under_runc() {
    for change in [0, 1, 2] {
        let mut bed = Bed::new(&["sh", "-c", PROBE]);
        spec(&mut bed);
        match change {
            1 => {
                let user = json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 6] });
                bed.spec["process"]["user"] = user;
                bed.spec["process"]["cwd"] = json!("/tmp");
            }
            2 => {
                bed.spec["root"]["readonly"] = json!(true);
                bed.spec["process"]["noNewPrivileges"] = json!(false);
                bed.spec["process"]["oomScoreAdj"] = json!(100);
            }
            _ => {}
        }
        // runc puts the container into version 1 trees of a name of their own.
        bed.spec["linux"]
            .as_object_mut()
            .unwrap()
            .remove("cgroupsPath");
        let Some(theirs) = under_runc(&bed) else {
            assert!(std::env::var_os("CI").is_none(), "runc is not installed");
            eprintln!("skipped: runc is not installed");
            return;
        };
        bed.spec["linux"]["cgroupsPath"] = json!(bed.cgroup);
        let ours = bed.output();
        let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
        assert_eq!(ours, theirs, "variant {change}");
    }
}
