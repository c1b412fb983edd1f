//! Filters, device rules and cgroups against the real kernel.
//!
//! A filter cannot be taken off again, so what tests one runs in a process of its own: this test
//! binary once more, with one test named and the environment saying that it is meant.

#![allow(clippy::unwrap_used)]

mod limits;

use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use oci_spec::runtime::{LinuxResources, LinuxSeccomp};
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};
use weft_runtime::capabilities::Set;
use weft_runtime::cgroup::{Cgroup, Hierarchy};
use weft_runtime::devices::Filter;
use weft_runtime::{devices, seccomp};
use weft_sys::namespace::{Kind, Kinds};

const INSIDE: &str = "WEFT_TEST_INSIDE_FILTER";
const PATIENCE: Duration = Duration::from_secs(20);

fn run_inside(test: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let name = format!("policy::{test}");
    Command::new(program)
        .args([name.as_str(), "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap()
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn load(profile: &LinuxSeccomp) {
    rustix::thread::set_no_new_privs(true).unwrap();
    let program = seccomp::compile(profile).unwrap();
    let start = Instant::now();
    program.load().unwrap();
    println!(
        "loaded {} instructions in {:?}",
        program.instructions().len(),
        start.elapsed()
    );
}

fn profile(value: Value) -> LinuxSeccomp {
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_default_filter_holds_in_the_kernel() {
    let output = run_inside("inside_the_default_filter");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("all as expected"),
        "{output:?}"
    );
}

#[test]
fn inside_the_default_filter() {
    if !is_inside() {
        return;
    }
    load(&seccomp::default_profile(Set::DEFAULT));
    let refused = |error: std::io::Error| assert_eq!(error.raw_os_error(), Some(1), "{error}");
    let socket =
        |family| rustix::net::socket(AddressFamily::from_raw(family), SocketType::SEQPACKET, None);
    assert_eq!(socket(38).unwrap_err(), Errno::PERM, "AF_ALG");
    assert_eq!(socket(40).unwrap_err(), Errno::PERM, "AF_VSOCK");
    rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    refused(weft_sys::namespace::unshare(Kinds::from_iter([Kind::Uts])).unwrap_err());
    refused(weft_sys::mount::Context::open(c"tmpfs").unwrap_err());
    let root = std::fs::File::open("/").unwrap();
    refused(weft_sys::bpf::device_program_count(&root).unwrap_err());
    refused(weft_sys::namespace::join(&root, Kind::Uts).unwrap_err());
    // clone3 is unknown here: the C library falls back, for threads and for processes.
    std::thread::spawn(|| ()).join().unwrap();
    assert!(Command::new("/bin/true").status().unwrap().success());
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.contains("Seccomp:\t2"), "{status}");
    println!("all as expected");
}

#[test]
fn a_call_that_kills_kills() {
    let output = run_inside("inside_a_filter_that_kills");
    assert_eq!(
        output.status.signal(),
        Some(rustix::process::Signal::SYS.as_raw()),
        "{output:?}"
    );
}

#[test]
fn inside_a_filter_that_kills() {
    if !is_inside() {
        return;
    }
    load(&profile(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_KILL_PROCESS"}],
    })));
    let _ = std::env::current_dir();
}

#[test]
fn every_thread_follows_when_the_profile_says_so() {
    let output = run_inside("inside_a_filter_for_all_threads");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("both refused"),
        "{output:?}"
    );
}

#[test]
fn inside_a_filter_for_all_threads() {
    if !is_inside() {
        return;
    }
    let (go, wait) = sync_channel::<()>(1);
    let other = std::thread::spawn(move || {
        wait.recv().unwrap();
        std::env::current_dir().unwrap_err().raw_os_error()
    });
    load(&profile(json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}],
    })));
    go.send(()).unwrap();
    assert_eq!(other.join().unwrap(), Some(77));
    assert_eq!(
        std::env::current_dir().unwrap_err().raw_os_error(),
        Some(77)
    );
    println!("both refused");
}

#[test]
fn without_the_right_to_load_it_says_so() {
    let error = std::thread::spawn(|| {
        let nothing = weft_runtime::capabilities::Sets::plain(Set::EMPTY);
        weft_runtime::capabilities::apply(&nothing, || Ok(())).unwrap();
        let program = seccomp::compile(&seccomp::default_profile(Set::EMPTY)).unwrap();
        program.load().unwrap_err()
    });
    let error = error.join().unwrap();
    assert!(
        error.to_string().starts_with("load a seccomp filter of "),
        "{error}"
    );
}

/// A cgroup of a test, gone with everything in it at the end.
struct Group {
    hierarchy: Hierarchy,
    cgroup: Cgroup,
    top: String,
}

impl Group {
    fn new(test: &str, resources: Value) -> Group {
        let hierarchy = Hierarchy::find().unwrap();
        let top = format!("/weft-policy-{}-{test}", std::process::id());
        let resources = limits(resources);
        let cgroup = hierarchy.create(&format!("{top}/c"), &resources).unwrap();
        if let Some(rules) = Filter::of_resources(&resources).unwrap() {
            rules.attach(cgroup.fd()).unwrap();
        }
        Group {
            hierarchy,
            cgroup,
            top,
        }
    }

    /// Starts a shell in the cgroup; `script` begins once it is in there.
    fn shell(&self, script: &str, argument: &Path) -> Child {
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("read -r go || exit 99; {script}"))
            .arg("sh")
            .arg(argument)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.cgroup.enter(child.id() as i32).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        child
    }

    fn succeeds(&self, script: &str, argument: &Path) -> bool {
        self.shell(script, argument).wait().unwrap().success()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It has gone in some tests.
        let _ = self.cgroup.kill();
        self.hierarchy.remove(&self.top).unwrap();
    }
}

fn limits(value: Value) -> LinuxResources {
    serde_json::from_value(value).unwrap()
}

fn device(directory: &Path, name: &str, minor: u32) -> std::path::PathBuf {
    let path = directory.join(name);
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(
        CWD,
        &path,
        FileType::CharacterDevice,
        mode,
        rustix::fs::makedev(1, minor),
    )
    .unwrap();
    assert!(
        path.symlink_metadata()
            .unwrap()
            .file_type()
            .is_char_device()
    );
    path
}

const OPEN: &str = ": < \"$1\"";

#[test]
fn a_process_opens_the_devices_that_are_listed_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let null = device(directory.path(), "null", 3);
    let log = device(directory.path(), "log", 11);
    let group = Group::new("devices", json!({"devices": devices::default_rules()}));
    assert!(group.succeeds(OPEN, &null));
    assert!(group.succeeds("echo x > \"$1\"", &null));
    assert!(!group.succeeds(OPEN, &log));
    assert!(!group.succeeds(OPEN, Path::new("/dev/kmsg")));
    assert!(group.succeeds(OPEN, Path::new("/etc/passwd")));
    assert!(
        std::fs::File::open(&log).is_ok(),
        "outside of the cgroup nothing changed"
    );
    assert_eq!(
        weft_sys::bpf::device_program_count(group.cgroup.fd()).unwrap(),
        1
    );
}

#[test]
fn device_rules_are_replaced_by_an_update() {
    let directory = tempfile::tempdir().unwrap();
    let null = device(directory.path(), "null", 3);
    let zero = device(directory.path(), "zero", 5);
    let only = |minor: u32, access: &str| {
        json!({"devices": [
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": minor, "access": access},
        ]})
    };
    let group = Group::new("replace", only(3, "r"));
    assert!(group.succeeds(OPEN, &null));
    assert!(!group.succeeds("echo x > \"$1\"", &null));
    assert!(!group.succeeds(OPEN, &zero));
    let node = directory.path().join("made");
    assert!(!group.succeeds("mknod \"$1\" c 1 3", &node));
    group.cgroup.update(&limits(only(5, "rm"))).unwrap();
    assert!(!group.succeeds(OPEN, &null));
    assert!(group.succeeds(OPEN, &zero));
    assert!(group.succeeds("mknod \"$1\" c 1 5", &node));
    assert_eq!(
        weft_sys::bpf::device_program_count(group.cgroup.fd()).unwrap(),
        1
    );
    group
        .cgroup
        .update(&limits(
            json!({"devices": [{"allow": true, "access": "rwm"}]}),
        ))
        .unwrap();
    assert!(group.succeeds(OPEN, &null));
    assert_eq!(
        weft_sys::bpf::device_program_count(group.cgroup.fd()).unwrap(),
        0
    );
}

#[test]
fn the_largest_filter_passes_the_verifier() {
    let rules: Vec<Value> = (0..1024)
        .map(|minor| {
            let (allow, access) = if minor % 2 == 0 {
                (true, "rw")
            } else {
                (false, "w")
            };
            json!({"allow": allow, "type": "c", "major": 1, "minor": minor, "access": access})
        })
        .collect();
    let group = Group::new("largest", json!({"devices": rules}));
    assert!(!group.succeeds(OPEN, Path::new("/dev/null")));
}

#[test]
fn processes_are_listed_frozen_counted_and_killed() {
    let group = Group::new("busy", json!({}));
    assert!(!group.cgroup.events_populated().unwrap());
    let mut busy = group.shell("while :; do :; done", Path::new(""));
    let pid = busy.id() as i32;
    assert_eq!(group.cgroup.pids().unwrap(), [pid]);
    assert!(group.cgroup.events_populated().unwrap());
    group.cgroup.freeze().unwrap();
    assert!(group.cgroup.is_frozen().unwrap());
    let used = || group.cgroup.stats().unwrap().cpu.usage_us;
    let before = used();
    group.cgroup.thaw().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while used() <= before {
        assert!(Instant::now() < deadline, "a thawed process uses time");
    }
    let stats = group.cgroup.stats().unwrap();
    assert!(stats.memory.current() > 0, "{stats:?}");
    group.cgroup.freeze().unwrap();
    group.cgroup.kill().unwrap();
    assert_eq!(
        busy.wait().unwrap().signal(),
        Some(9),
        "frozen processes are killed too"
    );
    group.cgroup.wait_empty(PATIENCE).unwrap();
    assert!(group.cgroup.pids().unwrap().is_empty());
    group.cgroup.remove().unwrap();
    assert!(group.hierarchy.open(&group.cgroup.path()).is_err());
    // What drops the group kills once more.
    group
        .hierarchy
        .create(&group.cgroup.path(), &limits(json!({})))
        .unwrap();
}

#[test]
fn a_cgroup_in_use_is_neither_made_again_nor_removed_as_empty() {
    let group = Group::new("used", json!({}));
    let mut child = group.shell("read -r never < /dev/zero", Path::new(""));
    let error = group
        .hierarchy
        .create(&group.cgroup.path(), &limits(json!({})))
        .unwrap_err();
    assert!(
        error.to_string().ends_with("it is there and has processes"),
        "{error}"
    );
    assert!(
        !group
            .hierarchy
            .remove_if_empty(&group.cgroup.path())
            .unwrap()
    );
    assert_eq!(group.cgroup.pids().unwrap(), [child.id() as i32]);
    let waited = group
        .cgroup
        .wait_empty(Duration::from_millis(30))
        .unwrap_err();
    assert!(waited.to_string().contains("1 processes in it"), "{waited}");
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn removal_waits_for_processes_that_are_being_killed() {
    let group = Group::new("race", json!({}));
    let mut children: Vec<Child> = (0..20)
        .map(|_| group.shell("while :; do :; done", Path::new("")))
        .collect();
    group.cgroup.kill().unwrap();
    group.cgroup.remove().unwrap();
    for child in &mut children {
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
