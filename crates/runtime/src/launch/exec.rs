//! A further process in a container.
//!
//! ```text
//!   caller                         │ middle                          │ the new process
//!   ───────────────────────────────┼─────────────────────────────────┼──────────────────────────
//!   vfork into the cgroup ────────►│ out-of-memory score, hard limits│
//!                                  │ closes every descriptor it can  │
//!                                  │ not dumpable; all namespaces of │
//!                                  │   init in one setns by pidfd    │
//!   ◄──────────────────────────────┤ clones as the caller's child ──►│ session, root of the user
//!                                  │ ends                            │   namespace, terminal
//!                                  ·                                 │ directory, limits, filter,
//!   ◄──────────────────────────────────────────── Ready (+ terminal) ┤   capabilities, user
//!   Go ─────────────────────────────────────────────────────────────►│ finds and executes
//!   ◄────────────────────────────────────── end of file, or Failed ──┤ the program
//! ```
//!
//! Processes of the container can see the new one from the moment it is in their pid namespace.
//! It is not dumpable then, so they can neither trace it nor look at its descriptors
//! (CVE-2016-9962), and it holds none that lead to the host.
//! Never: reads a path of the container's outside of its root.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use weft_sys::namespace::{Kind, Kinds};
use weft_sys::path::Root;
use weft_sys::process::{CloneRequest, Side, clone, exit_now, signal, wait};

use super::channel::{Channel, Message};
use super::create::by_middle;
use super::program::{self, Start};
use super::step::{Failure, Named, Step};
use super::{ExecRequest, LaunchError, Running, Stdio, identity, init};
use crate::cgroup::{Cgroup, Hierarchy};
use crate::plan::{ProcessPlan, lower_process};

/// Magic number of devpts (linux/magic.h).
const DEVPTS: u64 = 0x1cd1;

struct Exec {
    process: ProcessPlan,
    start: Start,
    stdio: Stdio,
    pidfd: OwnedFd,
    channel: Channel,
}

/// Starts a further process in a container; comes back when the program runs.
pub fn exec(request: ExecRequest) -> Result<Running, LaunchError> {
    let ExecRequest {
        init_pidfd,
        spec,
        process,
        stdio,
    } = request;
    let process = lower_process(&process)?;
    if process.terminal != matches!(stdio, Stdio::Terminal) {
        let text = "process.terminal and the standard streams given do not agree";
        return Err(LaunchError::Invalid(text.to_owned()));
    }
    let seccomp = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let start = Start::make(seccomp, &process)?;
    let cgroup = cgroup_of(&init_pidfd)?;
    let (ours, theirs) = Channel::pair().named(Step::Channel, "")?;
    let exec = Exec {
        process,
        start,
        stdio,
        pidfd: init_pidfd,
        channel: theirs,
    };
    let request = CloneRequest {
        cgroup: cgroup.as_ref().map(Cgroup::fd),
        ..CloneRequest::default()
    };
    let mut exec = Some(exec);
    let child = by_middle(&request, "exec", || {
        let Some(there) = &exec else { return Ok(None) };
        match middle(there)? {
            Side::Parent(child) => Ok(Some(child.pid)),
            Side::Child => match exec.take() {
                Some(exec) => run(exec),
                None => exit_now(1),
            },
        }
    });
    drop(exec);
    let child = child?;
    match speak(&ours) {
        Ok(terminal) => Ok(Running {
            pid: child.pid,
            pidfd: child.pidfd,
            terminal,
            spent: Vec::new(),
        }),
        Err(error) => {
            let _ = signal(&child.pidfd, 9);
            let _ = wait(&child.pidfd);
            Err(error)
        }
    }
}

fn speak(channel: &Channel) -> Result<Option<OwnedFd>, LaunchError> {
    let terminal = match channel.receive().named(Step::Channel, "")? {
        Message::Ready(terminal) => terminal,
        Message::Failed(failure) => return Err(failure.into()),
        _ => return Err(LaunchError::Died("without a word".to_owned())),
    };
    channel.send(&Message::Go).named(Step::Channel, "")?;
    match channel.receive().named(Step::Channel, "")? {
        Message::Closed => Ok(terminal),
        Message::Failed(failure) => Err(failure.into()),
        other => Err(LaunchError::Died(format!("it said {other:?}"))),
    }
}

/// The cgroup init is in now, which the container may have chosen below the one it was given.
fn cgroup_of(pidfd: &OwnedFd) -> Result<Option<Cgroup>, LaunchError> {
    let pid = weft_sys::process::pid_of(pidfd).named(Step::Cgroup, "of init")?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
    let text = text.named(Step::Cgroup, "of init")?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    let Some(path) = path.filter(|path| *path != "/") else {
        return Ok(None);
    };
    let hierarchy = Hierarchy::find().map_err(LaunchError::Cgroup)?;
    hierarchy.open(path).map(Some).map_err(LaunchError::Cgroup)
}

fn middle(exec: &Exec) -> Result<Side, Failure> {
    identity::score(&exec.process)?;
    identity::raise_limits(&exec.process.limits)?;
    weft_sys::fd::close_except(3, &kept(exec)).named(Step::Streams, "")?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .named(Step::Session, "")?;
    join(exec.pidfd.as_fd())?;
    let request = CloneRequest {
        sibling: true,
        ..CloneRequest::default()
    };
    clone(&request).named(Step::Clone, "exec")
}

fn kept(exec: &Exec) -> Vec<RawFd> {
    let mut kept = vec![
        exec.channel.as_fd().as_raw_fd(),
        exec.start.as_fd().as_raw_fd(),
        exec.pidfd.as_raw_fd(),
    ];
    if let Stdio::Fds {
        stdin,
        stdout,
        stderr,
    } = &exec.stdio
    {
        kept.extend([stdin, stdout, stderr].map(AsRawFd::as_raw_fd));
    }
    kept
}

fn join(pidfd: BorrowedFd<'_>) -> Result<(), Failure> {
    let all: Kinds = Kind::ALL.into_iter().collect();
    match weft_sys::namespace::join_process(pidfd, all) {
        // The kernel does not let a process join the user namespace it is in.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            weft_sys::namespace::join_process(pidfd, all.without(Kind::User))
        }
        other => other,
    }
    .named(Step::Join, "all of the container's")
}

fn run(exec: Exec) -> ! {
    let Ok(report) = exec.channel.as_fd().try_clone_to_owned() else {
        exit_now(1)
    };
    let failure = match go(exec, &report) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let _ = Channel::over(report).send(&Message::Failed(failure));
    exit_now(1)
}

fn go(exec: Exec, report: &OwnedFd) -> Result<Infallible, Failure> {
    let Exec {
        process,
        start,
        stdio,
        pidfd,
        channel,
    } = exec;
    drop(pidfd);
    rustix::process::setsid().named(Step::Session, "")?;
    // Where there is no user namespace this changes nothing but the groups.
    identity::become_root()?;
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let root = Root::new(root.named(Step::Root, "/")?);
    let terminal = match stdio {
        Stdio::Terminal => Some(make_terminal(&root, &process)?),
        _ => None,
    };
    let master = init::connect(stdio, terminal)?;
    program::enter_directory(&root, &process.cwd)?;
    drop(root);
    rustix::process::umask(Mode::from_raw_mode(process.umask.unwrap_or(0o022)));
    identity::limit(&process.limits)?;
    if let Some(filter) = &start.early {
        init::load_early(filter)?;
    }
    identity::assume(&process)?;
    channel
        .send(&Message::Ready(master))
        .named(Step::Channel, "")?;
    match channel.receive().named(Step::Channel, "")? {
        Message::Go => drop(channel),
        _ => exit_now(1),
    }
    program::execute(&process, &start, report, 0)
}

/// The container's devpts is found by path, so it is made sure to be one.
fn make_terminal(root: &Root, process: &ProcessPlan) -> Result<(OwnedFd, OwnedFd), Failure> {
    let devpts = root
        .handle_without_links(Path::new("/dev/pts"))
        .named(Step::Terminal, "at /dev/pts")?;
    let found = rustix::fs::fstatfs(&devpts).named(Step::Terminal, "at /dev/pts")?;
    if u64::try_from(found.f_type).ok() != Some(DEVPTS) {
        let error = io::Error::other("/dev/pts is not a devpts");
        return Err(Failure::new(Step::Terminal, "", &error));
    }
    let (master, slave) = weft_sys::pty::open(&devpts).named(Step::Terminal, "")?;
    if let Some((rows, columns)) = process.size {
        weft_sys::pty::set_size(&master, rows, columns).named(Step::Terminal, "")?;
    }
    let uid = rustix::fs::Uid::from_raw(process.uid);
    rustix::fs::fchown(&slave, Some(uid), None).named(Step::Terminal, "")?;
    Ok((master, slave))
}
