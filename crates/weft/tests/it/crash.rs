//! The daemon dies between any two steps of making and starting a container: whatever was there
//! is gone after `rm`, or at the next start.
//!
//! strace ends the daemon at the n-th call that changes something, for n = 1, 2, 3 … until one
//! whole `run` gets through.

use std::fs;
use std::process::Command;
use std::time::Instant;

use weft_testkit::command::Background;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, until};

use crate::weft;

/// Calls that make, change or hand over something: files, kernel objects, requests to the spawner.
const CALLS: &str = "rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlinkat,mknodat,sendto,sendmsg,unlink,unlinkat,openat,openat2,write,fsync,fdatasync";
/// More steps than making and starting a container has in any one thread.
const STEPS_MAX: usize = 400;

/// Links that may wait in the engine's pool.
const POOL_MAX: usize = 8;

/// What the daemon dies during. strace counts per thread, so each operation is tried by itself.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Create,
    Start,
    /// A start on a network whose bridge is made by it.
    StartOnNetwork,
    Remove,
}

/// Runs one operation while the daemon is to die at its `step`-th call in some thread; whether the
/// daemon lived.
fn try_at(weft: &mut Weft, operation: Operation, step: usize) -> bool {
    let create = [
        "create",
        "--name",
        "step",
        "--publish",
        "127.0.0.1::80",
        "--volume",
        "/data",
    ];
    let network: &[&str] = match operation {
        Operation::StartOnNetwork => &["--network", "step"],
        _ => &[],
    };
    let create = [&create[..], network, &["busybox", "sleep", "3600"]].concat();
    let args: &[&str] = match operation {
        Operation::Create => &create,
        Operation::Start | Operation::StartOnNetwork => &["start", "step"],
        Operation::Remove => &["rm", "--force", "--volumes", "step"],
    };
    if matches!(operation, Operation::StartOnNetwork) {
        weft.ok(&["network", "create", "step"]);
    }
    if !matches!(operation, Operation::Create) {
        weft.ok(&create);
    }
    if matches!(operation, Operation::Remove) {
        weft.ok(&["start", "step"]);
    }
    let strace = Background::start(strace(weft, step));
    until(SOON, "strace has attached", || {
        strace.stderr().contains("attached")
    });
    // With a host named, a client does not start an engine by itself.
    let host = format!("unix://{}", weft.socket().display());
    let ran = weft.weft(&[&["--host", &host], args].concat());
    assert!(!ran.stderr.contains("panicked"), "{ran}");
    // Asked to end, it may wait for ever for threads that die meanwhile; killed, it lets go.
    strace.signal(rustix::process::Signal::KILL);
    let _ = strace.finish(SOON);
    // Whether it is dying can't be told from its pid; whether it answers can.
    let lived = ran.code == 0 && weft.weft(&["--host", &host, "ps"]).code == 0;
    if !lived {
        let what = format!("the daemon dies: {operation:?} at step {step}: {ran}");
        until(SOON, &what, || !weft.daemon_lives());
    }
    lived
}

fn strace(weft: &Weft, step: usize) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "-p"]);
    strace.arg(weft.daemon_pid().as_raw_nonzero().to_string());
    strace.args(["-e", &format!("trace={CALLS}")]);
    strace.args(["-e", &format!("inject={CALLS}:signal=KILL:when={step}")]);
    strace
}

/// What exists beside what an engine without containers has.
fn rest(weft: &Weft) -> Vec<String> {
    let names = |dir: &str| {
        let entries = fs::read_dir(weft.data_dir().join(dir))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .map(|entry| entry.path().display().to_string())
            .collect::<Vec<_>>()
    };
    let mut found = weft.leftovers();
    // The engine's own: processes, the cgroup it keeps, bridge, table, and a few links that wait
    // in its pool. More than a few have been forgotten.
    let is_link = |line: &String| line.starts_with("link wv");
    let forgotten = found.iter().filter(|line| is_link(line)).count() > POOL_MAX;
    found.retain(|line| {
        is_link(line) && forgotten
            || line.starts_with("link wf-")
            || line.starts_with("cgroup") && !line.ends_with(weft.instance())
            || line.contains("sleep 3600")
            || line.starts_with("mount")
    });
    for dir in [
        "containers",
        "images/snapshots",
        "networks/endpoints",
        "volumes",
    ] {
        found.extend(names(dir));
    }
    found
}

/// Waits until an engine without containers has nothing more than its own.
#[track_caller]
pub fn nothing_is_left(weft: &Weft, what: &str) {
    let began = Instant::now();
    loop {
        let left = rest(weft);
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < SOON, "{what}: {left:#?}");
        weft_testkit::wait::pause();
    }
}

/// Kills at step 1, 2, 3 … until the operation gets through.
fn at_every_step(operation: Operation) {
    if weft_testkit::peer("strace").is_none() {
        return;
    }
    let Some(mut weft) = weft() else { return };
    for step in 1..=STEPS_MAX {
        let lived = try_at(&mut weft, operation, step);
        if !lived {
            weft.reap_daemon();
            weft.start_daemon();
        }
        if !weft.ok(&["ps", "--all", "--quiet"]).is_empty() {
            weft.ok(&["rm", "--force", "--volumes", "step"]);
        }
        assert_eq!(
            weft.ok(&["ps", "--all", "--quiet"]),
            "",
            "{operation:?} at step {step}"
        );
        if matches!(operation, Operation::StartOnNetwork) {
            weft.ok(&["network", "rm", "step"]);
        }
        nothing_is_left(&weft, &format!("{operation:?}, crash at step {step}"));
        if lived {
            assert!(step > 3, "{operation:?}: strace ended the daemon nowhere");
            println!("{operation:?}: died at each of {} steps", step - 1);
            return;
        }
    }
    panic!("{operation:?} never got through in {STEPS_MAX} steps");
}

#[test]
fn a_crash_at_every_step_of_create_leaves_nothing() {
    at_every_step(Operation::Create);
}

#[test]
fn a_crash_at_every_step_of_start_leaves_nothing() {
    at_every_step(Operation::Start);
}

#[test]
fn a_crash_at_every_step_of_a_networks_first_start_leaves_nothing() {
    at_every_step(Operation::StartOnNetwork);
}

#[test]
fn a_crash_at_every_step_of_remove_leaves_nothing() {
    at_every_step(Operation::Remove);
}
