//! What is left when containers are gone: nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::bed::Bed;

/// Counts that belong to this test alone: other tests run beside it.
#[derive(Debug, PartialEq)]
struct Counts {
    mounts: usize,
    cgroups: usize,
    descriptors: usize,
    children: usize,
}

impl Counts {
    fn now(launcher: u64, cgroup: &str) -> Counts {
        let entries = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let children = format!("/proc/{launcher}/task/{launcher}/children");
        let hierarchy = weft_runtime::cgroup::Hierarchy::find().unwrap();
        let parent = hierarchy.mount_point().join(cgroup.trim_start_matches('/'));
        Counts {
            mounts: fs::read_to_string(format!("/proc/{launcher}/mounts"))
                .unwrap()
                .lines()
                .count(),
            cgroups: entries(parent.to_str().unwrap()),
            descriptors: entries(&format!("/proc/{launcher}/fd")),
            children: fs::read_to_string(children)
                .unwrap()
                .split_whitespace()
                .count(),
        }
    }
}

#[test]
fn fifty_containers_leave_nothing() {
    for mut bed in [Bed::new(&["true"]), Bed::mapped(&["true"])] {
        let launcher = bed.launcher();
        // The first leaves what is made once (standard library, lazily).
        cycle(&mut bed);
        let before = Counts::now(launcher, "/");
        let namespaces = fs::metadata(format!("/proc/{launcher}/ns/mnt"))
            .unwrap()
            .ino();
        for _ in 0..50 {
            cycle(&mut bed);
        }
        let after = Counts::now(launcher, "/");
        assert_eq!(
            Counts {
                cgroups: 0,
                ..before
            },
            Counts {
                cgroups: 0,
                ..after
            },
        );
        assert_eq!(
            namespaces,
            fs::metadata(format!("/proc/{launcher}/ns/mnt"))
                .unwrap()
                .ino()
        );
    }
}

/// A container that is made, runs and is gone, or fails on the way.
fn cycle(bed: &mut Bed) {
    assert!(bed.say("create")["error"].is_null());
    assert!(bed.say("start")["error"].is_null());
    assert_eq!(bed.say("wait")["code"], 0);
    bed.say("forget");
}

#[test]
fn a_create_that_fails_leaves_nothing() {
    let mut bed = Bed::new(&["true"]);
    bed.spec["process"]["cwd"] = serde_json::json!("/bin/busybox/nowhere");
    let launcher = bed.launcher();
    assert!(!bed.say("create")["error"].is_null());
    let before = Counts::now(launcher, &bed.cgroup);
    for _ in 0..10 {
        assert!(!bed.say("create")["error"].is_null());
    }
    assert_eq!(before, Counts::now(launcher, &bed.cgroup));
    assert_eq!(before.children, 0);
    assert_eq!(before.cgroups, 0);
}
