//! Init's side of a launch: what the new process does until it is the program.
//!
//! Runs in a forked copy of the caller. Never: returns to the caller's code, nor runs a
//! destructor of it.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::fs::OFlags;
use weft_sys::namespace::{Kind, Kinds};
use weft_sys::process::exit_now;

use super::channel::{Channel, Message};
use super::hook::{self, HookError, State};
use super::program::{self, Start};
use super::step::{Failure, Named, Step};
use super::{Join, Stdio, identity, reaper};
use crate::plan::Plan;
use crate::rootfs::{self, Assembled, Prepared};

/// All that init needs.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) plan: Plan,
    pub(super) prepared: Prepared,
    pub(super) start: Start,
    pub(super) stdio: Stdio,
    /// Namespaces to be joined.
    pub(super) join: Vec<Join>,
    /// Whether a middle process has joined them, and used the host's privileges, already.
    pub(super) has_middle: bool,
    pub(super) channel: Channel,
    /// Where it waits instead of at the channel: its maker may end.
    pub(super) gate: Option<OwnedFd>,
    pub(super) state: State,
    pub(super) preserve_fds: u32,
    pub(super) reaper: bool,
}

/// Goes all the way. Failures are told to the other side of the channel.
pub(super) fn run(init: Init) -> ! {
    let mut channel = match init.channel.as_fd().try_clone_to_owned() {
        Ok(fd) => Channel::over(fd),
        Err(_) => exit_now(1),
    };
    let failure = match go(init, &mut channel) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // If nobody is there any more, nobody can be told.
    let _ = channel.send(&Message::Failed(failure));
    exit_now(1)
}

fn go(init: Init, report: &mut Channel) -> Result<Infallible, Failure> {
    let Init {
        plan,
        prepared,
        start,
        stdio,
        join,
        has_middle,
        channel,
        gate,
        mut state,
        ..
    } = init;
    if !has_middle {
        identity::score(&plan.process)?;
        identity::raise_limits(&plan.process.limits)?;
    }
    enter_namespaces(&plan, if has_middle { Vec::new() } else { join })?;
    runtime_hooks(&plan, &channel, &mut state)?;

    // The caller's may be strict; what is made in the root is for all users of the container.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let mut terminal = None;
    let assembled = rootfs::assemble(&plan, prepared, |assembled| {
        if matches!(stdio, Stdio::Terminal) {
            terminal = Some(make_terminal(assembled, &plan)?);
        }
        // Before masks and read-only paths: those are for the container.
        names_and_parameters(&plan, assembled)?;
        let hooks = plan.hooks.create_container().as_deref().unwrap_or_default();
        run_hooks(hooks, &state)
    })?;
    let master = connect(stdio, terminal)?;
    program::enter_directory(&assembled.root, &plan.process.cwd)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(
        plan.process.umask.unwrap_or(0o022),
    ));
    identity::limit(&plan.process.limits)?;
    if init.reaper {
        reaper::divide(&plan.process, master.is_some())?;
    }
    if let Some(filter) = &start.early {
        load_early(filter)?;
    }
    identity::assume(&plan.process)?;
    drop(assembled);

    channel
        .send(&Message::Ready(master))
        .named(Step::Channel, "")?;
    wait_at_gate(channel, gate, report)?;
    let hooks = plan.hooks.start_container().as_deref().unwrap_or_default();
    run_hooks(hooks, &state.with_status("created"))?;
    let last = report
        .as_fd()
        .try_clone_to_owned()
        .named(Step::Channel, "")?;
    program::execute(&plan.process, &start, &last, init.preserve_fds)
}

pub(super) fn load_early(filter: &crate::seccomp::Program) -> Result<(), Failure> {
    weft_sys::seccomp::load(filter.instructions(), filter.flags()).named(Step::Seccomp, "")
}

fn enter_namespaces(plan: &Plan, join: Vec<Join>) -> Result<(), Failure> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .named(Step::Session, "")?;
    rustix::process::setsid().named(Step::Session, "")?;
    for join in join {
        weft_sys::namespace::join(&join.fd, join.kind).named(Step::Join, join.kind.file_name())?;
    }
    if plan.namespaces.new.contains(Kind::Network) {
        weft_sys::namespace::raise_loopback().named(Step::Loopback, "")?;
    }
    if plan.namespaces.new.contains(Kind::Cgroup) {
        // Its root is the cgroup of whoever makes it, so it is made from within.
        weft_sys::namespace::unshare(Kinds::from(Kind::Cgroup))
            .named(Step::Unshare, Kind::Cgroup.file_name())?;
    }
    Ok(())
}

/// Lets the other side run its hooks; learns the host's number of this process where hooks of
/// its own need it.
fn runtime_hooks(plan: &Plan, channel: &Channel, state: &mut State) -> Result<(), Failure> {
    let own = plan.hooks.create_container().is_some() || plan.hooks.start_container().is_some();
    if own {
        // The host's procfs is still mounted, and shows host numbers.
        let number = std::fs::read_link("/proc/self").named(Step::Hook, "")?;
        state.pid = number.to_string_lossy().parse().unwrap_or(0);
    }
    if !hook::wait_for_caller(&plan.hooks) {
        return Ok(());
    }
    channel
        .send(&Message::Namespaces)
        .named(Step::Channel, "")?;
    match channel.receive().named(Step::Channel, "")? {
        Message::Go => Ok(()),
        _ => exit_now(1),
    }
}

fn run_hooks(hooks: &[oci_spec::runtime::Hook], state: &State) -> Result<(), Failure> {
    hook::run_all(hooks, state).map_err(|error| {
        let (path, reason) = match &error {
            HookError::Run { path, source } => {
                return Failure::new(Step::Hook, path.display(), source);
            }
            HookError::Status { path, status } => (path, format!("it ended with {status}")),
            HookError::Timeout { path, seconds } => (path, format!("it took over {seconds} s")),
        };
        Failure::new(Step::Hook, path.display(), &io::Error::other(reason))
    })
}

/// (master, slave), with the slave at `/dev/console` as well.
fn make_terminal(assembled: &Assembled, plan: &Plan) -> Result<(OwnedFd, OwnedFd), Failure> {
    let Some(devpts) = &assembled.devpts else {
        let error = io::Error::other("no devpts is mounted at /dev/pts");
        return Err(Failure::new(Step::Terminal, "", &error));
    };
    let (master, slave) = weft_sys::pty::open(devpts).named(Step::Terminal, "")?;
    if let Some((rows, columns)) = plan.process.size {
        weft_sys::pty::set_size(&master, rows, columns).named(Step::Terminal, "")?;
    }
    if plan.devices.is_some() {
        let console = assembled
            .root
            .handle_without_links(std::path::Path::new("/dev/console"))
            .named(Step::Terminal, "/dev/console")?;
        let copy = weft_sys::mount::clone_tree(&slave, false).named(Step::Terminal, "")?;
        weft_sys::mount::place(&copy, &console).named(Step::Terminal, "/dev/console")?;
    }
    give(&slave, plan)?;
    Ok((master, slave))
}

fn give(slave: &OwnedFd, plan: &Plan) -> Result<(), Failure> {
    let uid = rustix::fs::Uid::from_raw(plan.process.uid);
    rustix::fs::fchown(slave, Some(uid), None).named(Step::Terminal, "")
}

/// Connects the standard streams; gives the master of a terminal.
pub(super) fn connect(
    stdio: Stdio,
    terminal: Option<(OwnedFd, OwnedFd)>,
) -> Result<Option<OwnedFd>, Failure> {
    match (stdio, terminal) {
        (Stdio::Inherit, _) | (Stdio::Terminal, None) => Ok(None),
        (
            Stdio::Fds {
                stdin,
                stdout,
                stderr,
            },
            _,
        ) => {
            program::connect([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
            Ok(None)
        }
        (Stdio::Terminal, Some((master, slave))) => {
            weft_sys::pty::take_control(&slave).named(Step::Terminal, "")?;
            program::connect([slave.as_fd(); 3])?;
            Ok(Some(master))
        }
    }
}

fn names_and_parameters(plan: &Plan, assembled: &Assembled) -> Result<(), Failure> {
    if let Some(name) = &plan.host_name {
        rustix::system::sethostname(name.as_bytes()).named(Step::HostName, name)?;
    }
    if let Some(name) = &plan.domain_name {
        rustix::system::setdomainname(name.as_bytes()).named(Step::DomainName, name)?;
    }
    if plan.sysctls.is_empty() {
        return Ok(());
    }
    // Through a handle on our own instance, never by a path that could lead to another.
    let made;
    let proc = match &assembled.proc {
        Some(proc) => proc,
        None => {
            let context = weft_sys::mount::Context::open(c"proc").named(Step::Sysctl, "")?;
            made = context.mount(0).named(Step::Sysctl, "")?;
            &made
        }
    };
    for sysctl in &plan.sysctls {
        let object = || format!("{} to {:?}", sysctl.path.display(), sysctl.value);
        let file = weft_sys::path::open_strictly(
            proc,
            &std::path::Path::new("sys").join(&sysctl.path),
            OFlags::WRONLY,
        )
        .named(Step::Sysctl, object())?;
        rustix::io::write(&file, sysctl.value.as_bytes()).named(Step::Sysctl, object())?;
    }
    Ok(())
}

fn wait_at_gate(
    channel: Channel,
    gate: Option<OwnedFd>,
    report: &mut Channel,
) -> Result<(), Failure> {
    let channel = match gate {
        None => channel,
        Some(listener) => {
            // The creator goes away; whoever starts the container comes by the socket.
            drop(channel);
            let socket = super::gate::accept(&listener).named(Step::Gate, "")?;
            *report = Channel::over(socket.try_clone().named(Step::Gate, "")?);
            Channel::over(socket)
        }
    };
    match channel.receive().named(Step::Gate, "")? {
        Message::Go => Ok(()),
        // The caller is gone without having started it.
        _ => exit_now(1),
    }
}

/// Descriptors init keeps of those it was born with; everything else is closed at once.
pub(super) fn kept(init: &Init) -> Vec<RawFd> {
    let mut kept: Vec<RawFd> = (3..).take(init.preserve_fds as usize).collect();
    kept.push(init.channel.as_fd().as_raw_fd());
    kept.push(init.start.as_fd().as_raw_fd());
    kept.extend(init.gate.as_ref().map(AsRawFd::as_raw_fd));
    kept.extend(init.join.iter().map(|join| join.fd.as_raw_fd()));
    kept.extend(init.prepared.descriptors());
    if let Stdio::Fds {
        stdin,
        stdout,
        stderr,
    } = &init.stdio
    {
        kept.extend([stdin, stdout, stderr].map(AsRawFd::as_raw_fd));
    }
    kept
}
