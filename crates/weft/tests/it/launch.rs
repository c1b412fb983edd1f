//! Spawner, monitor and init die at any system call of a launch: the daemon says that it failed
//! or that it ended, and whatever was there is gone after `rm`.
//!
//! ```text
//!  spawner ──fork──▶ monitor ──clone──▶ init        (or: a monitor that waits ──clone──▶ init)
//!  └── strace -f kills who gets to      └── born into a frozen cgroup, where strace finds it
//!      its n-th call first                  before it has made any call
//! ```
//!
//! A sample of the calls in every run, each of them when `WEFT_TEST_LONG` is set.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use weft_testkit::command::{Background, Ran};
use weft_testkit::engine::{alive, children};
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, leftovers, until, within};

use crate::crash::nothing_is_left;
use crate::weft;

/// More calls than any process makes until its container runs.
const CALLS_MAX: usize = 3000;
/// Of how many calls one is tried in a usual run; a prime, so that no rhythm escapes it for ever.
const STRIDE: usize = 11;
/// What the spawner does for every request. Without these, a monitor's first calls are reached.
const OF_SPAWNER: &str = "!poll,ppoll,recvmsg,recvfrom,read,write,close,clone,clone3,fork,fcntl,sendmsg,sendto,wait4,waitid,rt_sigprocmask,gettid,getpid,futex,mmap,munmap,brk,madvise,mprotect";

/// Which processes are to die, at which calls.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// Whichever of the spawner and its children comes to the call first.
    SpawnerOrMonitor,
    /// The monitor, at calls that the spawner never makes.
    Monitor,
    Init,
}

/// One launch during which the victim is to die at its `call`-th call.
struct Attempt<'a> {
    weft: &'a Weft,
    victim: Victim,
    call: usize,
}

impl Attempt<'_> {
    /// Starts the container; whether anybody was killed, and everybody strace saw.
    fn start(&self) -> (bool, Vec<i32>) {
        let log = self.weft.scratch().join("strace");
        let _ = fs::remove_file(&log);
        let (strace, ran) = match self.victim {
            Victim::Init => self.start_frozen(&log),
            Victim::SpawnerOrMonitor => {
                // Whom the daemon asks first is dead: the spawner has to fork.
                self.waiting().into_iter().for_each(end);
                let strace = self.strace(&[self.spawner()], &log);
                (strace, self.weft.weft(&["start", "step"]))
            }
            Victim::Monitor => {
                let waiting = within(SOON, "monitors wait", || {
                    Some(self.waiting()).filter(|waiting| !waiting.is_empty())
                });
                let strace = self.strace(&waiting, &log);
                (strace, self.weft.weft(&["start", "step"]))
            }
        };
        if ran.code != 0 {
            until(SOON, "strace tells who was killed", || {
                let told = fs::read_to_string(&log).unwrap_or_default();
                told.contains("+++ killed by SIGKILL")
            });
        }
        // Asked to end, it may wait for ever for who dies meanwhile; killed, it lets go.
        strace.signal(rustix::process::Signal::KILL);
        let _ = strace.finish(SOON);
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        let told = fs::read_to_string(&log).unwrap_or_default();
        let killed = told.contains("+++ killed by SIGKILL");
        assert!(killed || ran.code == 0, "nobody was killed: {ran}");
        let pids = told
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        (killed, pids.collect())
    }

    fn spawner(&self) -> i32 {
        self.weft.spawner_pid().as_raw_nonzero().get()
    }

    /// The monitors that are there before anybody is started.
    fn waiting(&self) -> Vec<i32> {
        let children = children(self.weft.spawner_pid());
        let pids = children.iter().map(|child| child.as_raw_nonzero().get());
        pids.filter(|pid| waits(*pid)).collect()
    }

    /// As long as the instance's cgroup is frozen, init is born but does nothing.
    fn start_frozen(&self, log: &std::path::Path) -> (Background, Ran) {
        let group = self.group();
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cgroup.freeze"), "1").unwrap();
        let client = self.weft.background(&["start", "step"]);
        let init = within(SOON, "init is born", || {
            leftovers::cgroups(self.weft.instance())
                .iter()
                .find_map(|dir| {
                    let pids = fs::read_to_string(dir.join("cgroup.procs")).ok()?;
                    pids.lines().next()?.parse::<i32>().ok()
                })
        });
        let strace = self.strace(&[init], log);
        fs::write(group.join("cgroup.freeze"), "0").unwrap();
        (strace, client.finish(SOON))
    }

    fn group(&self) -> PathBuf {
        let root = leftovers::v2_mount().expect("weft needs it, too");
        root.join(self.weft.instance())
    }

    fn strace(&self, pids: &[i32], log: &std::path::Path) -> Background {
        let calls = match self.victim {
            Victim::Monitor => OF_SPAWNER,
            _ => "all",
        };
        let mut strace = Command::new("strace");
        strace.arg("-f").arg("-o").arg(log);
        for pid in pids {
            strace.args(["-p", &pid.to_string()]);
        }
        strace.args(["-e", &format!("trace={calls}")]);
        let when = self.call;
        strace.args(["-e", &format!("inject={calls}:signal=KILL:when={when}")]);
        let strace = Background::start(strace);
        until(SOON, "strace has attached", || {
            strace.stderr().matches("attached").count() == pids.len()
        });
        strace
    }
}

/// Whether it is a monitor that was not told yet what to run.
fn waits(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "weft-waits\n")
}

fn end(pid: i32) {
    let process = rustix::process::Pid::from_raw(pid).expect("a child's number");
    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    until(SOON, "it is dead", || !alive(pid));
}

/// Whether monitors and init have gone: those seen, and any other of the spawner's children.
fn nobody_is_left(weft: &Weft, seen: &[i32]) -> bool {
    let daemon = children(weft.daemon_pid());
    let spawner = |pid: &i32| {
        daemon
            .iter()
            .any(|child| child.as_raw_nonzero().get() == *pid)
    };
    let gone = |pid: i32| !alive(pid) || waits(pid);
    let below = daemon.iter().flat_map(|child| children(*child));
    seen.iter().all(|pid| gone(*pid) || spawner(pid))
        && below.map(|pid| pid.as_raw_nonzero().get()).all(gone)
}

/// Kills at call 1, 2, 3 … (or some of them) until a launch gets through.
fn at_every_call(victim: Victim) {
    if weft_testkit::peer("strace").is_none() {
        return;
    }
    let Some(mut weft) = weft() else { return };
    let all = std::env::var_os("WEFT_TEST_LONG").is_some();
    // Each usual run tries others, and says which.
    let first = match all {
        true => 1,
        false => 1 + std::process::id() as usize % STRIDE,
    };
    let stride = if all { 1 } else { STRIDE };
    println!("{victim:?}: from call {first} in steps of {stride}");
    for (tried, call) in (first..CALLS_MAX).step_by(stride).enumerate() {
        weft.ok(&[
            "create",
            "--name",
            "step",
            "--publish",
            "127.0.0.1::80",
            "--volume",
            "/data",
            "busybox",
            "sleep",
            "3600",
        ]);
        if !matches!(victim, Victim::Init) {
            // Who has lost the spawner gets another with the next container, and monitors that wait.
            weft.weft(&["run", "--rm", "--network", "none", "busybox", "true"])
                .code(0);
        }
        let attempt = Attempt {
            weft: &weft,
            victim,
            call,
        };
        let (killed, seen) = attempt.start();
        // What the daemon finds out by itself, the next one finds out, too.
        if tried % 2 == 1 {
            weft.kill_daemon();
            weft.start_daemon();
        }
        weft.ok(&["rm", "--force", "--volumes", "step"]);
        until(
            SOON,
            &format!("{victim:?} at call {call}: all have gone"),
            || nobody_is_left(&weft, &seen),
        );
        nothing_is_left(&weft, &format!("{victim:?} killed at call {call}"));
        if !killed {
            assert!(tried > 0, "{victim:?}: nobody was killed");
            println!("{victim:?}: died at {tried} calls of {}", call - 1);
            return;
        }
    }
    panic!("{victim:?}: no launch got through in {CALLS_MAX} calls");
}

#[test]
fn spawner_and_monitor_killed_at_every_call_leave_nothing() {
    at_every_call(Victim::SpawnerOrMonitor);
}

#[test]
fn a_monitor_killed_at_its_own_calls_leaves_nothing() {
    at_every_call(Victim::Monitor);
}

#[test]
fn init_killed_at_every_call_leaves_nothing() {
    at_every_call(Victim::Init);
}
