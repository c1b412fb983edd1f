//! Owns the monitor: the process, one per container and per exec, that holds the workload's
//! stdio, log, exit status and attach socket, and that outlives daemon and spawner.
//! Never: decisions about the container (restarts, removal, names); it is told once what to run.
//!
//! ```text
//!  begin ── socket ── log ── pipes ── launch ──┬── Spawned to the requester ── session loop
//!                                              └── Failed + exit record            │ init ended
//!              exit record ── socket gone ── Exit to clients ── sync ── end <── drain output
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use oci_spec::runtime::Process;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};

use crate::launch::{self, CreateRequest, ExecRequest, Join, LaunchError, Rootfs, Running};
use crate::spawner::{Fds, answer};
use record::{
    ExecSpec, Failure, FailureKind, LogConfig, Reply, RootfsRecord, RunRequest, Spawned, Streams,
};

mod client;
mod exit;
mod input;
pub mod log;
mod output;
pub mod record;
mod session;
mod socket;
mod stdio;
pub mod wire;

pub use socket::connect;

/// Largest config.json that is read, in bytes.
const CONFIG_MAX: u64 = 16 * 1024 * 1024;

/// What a monitor is to run.
#[derive(Debug)]
pub(crate) enum Task {
    Run(Box<RunRequest>),
    Exec(Box<ExecSpec>),
}

/// The life of a monitor, in the process forked for it. Its descriptors 0 to 2 are harmless.
pub(crate) fn main(task: Task, fds: Fds, reply: OwnedFd) -> ExitCode {
    match begin(task, fds) {
        Ok(session) => {
            answer(&reply, &Reply::Spawned(session.spawned()), &[]);
            drop(reply);
            session.run();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            answer(&reply, &Reply::Failed(failure), &[]);
            ExitCode::FAILURE
        }
    }
}

/// Why a monitor could not begin; becomes a [`Failure`].
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("cannot {what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read {path}")]
    Config {
        path: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the container does not run: {why}")]
    NotRunning { why: String },
    #[error("cannot run {command}")]
    Launch {
        command: String,
        #[source]
        source: Box<LaunchError>,
    },
}

/// For `map_err`: says which command could not be run.
fn command(process: Option<&Process>) -> impl FnOnce(LaunchError) -> BeginError + use<> {
    let args = process.and_then(|process| process.args().as_deref());
    let command = args
        .and_then(<[String]>::first)
        .cloned()
        .unwrap_or_default();
    move |error| BeginError::Launch {
        command,
        source: Box::new(error),
    }
}

/// For `map_err`: says what was tried.
fn io<E: Into<std::io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> BeginError {
    move |source| BeginError::Io {
        what: what.into(),
        source: source.into(),
    }
}

impl From<BeginError> for Failure {
    fn from(error: BeginError) -> Failure {
        let kind = match &error {
            BeginError::Launch { source, .. } if source.is_not_found() => FailureKind::NotFound,
            BeginError::Launch { source, .. } if source.is_not_executable() => {
                FailureKind::NotExecutable
            }
            BeginError::NotRunning { .. } => FailureKind::NotRunning,
            _ => FailureKind::Other,
        };
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Failure { kind, text }
    }
}

/// What run and exec have in common, taken out of the request.
struct Place {
    run_dir: std::path::PathBuf,
    exit: exit::Keeper,
    streams: Streams,
    id_base: u32,
    log: Option<LogConfig>,
    timeout: Option<Duration>,
}

/// What a new monitor does first, whatever it is to run.
pub(crate) fn settle() {
    // Its parent is the spawner, which may be killed by its group; a forked process leads none.
    let _ = rustix::process::setsid();
    take_name();
}

/// What it is called by `ps`.
pub(crate) fn take_name() {
    let _ = rustix::thread::set_name(c"weft-mon");
}

fn begin(task: Task, fds: Fds) -> Result<session::Session, Failure> {
    let place = match &task {
        Task::Run(request) => Place {
            run_dir: request.run_dir.clone(),
            exit: exit::Keeper::new(&request.exit_dir),
            streams: request.streams,
            id_base: request.id_base,
            log: request.log.clone(),
            timeout: None,
        },
        Task::Exec(spec) => Place {
            run_dir: spec.run_dir.clone(),
            exit: exit::Keeper::new(&spec.run_dir),
            streams: spec.streams,
            id_base: spec.id_base,
            log: spec.log.clone(),
            timeout: spec.timeout_ms.map(Duration::from_millis),
        },
    };
    let exit = place.exit.clone();
    begin_at(task, fds, place).map_err(|error| {
        let failure = Failure::from(error);
        exit.keep_failure(&failure);
        failure
    })
}

fn begin_at(task: Task, fds: Fds, place: Place) -> Result<session::Session, BeginError> {
    let listener = socket::Listener::bind(&place.run_dir)
        .map_err(io(format!("listen in {}", place.run_dir.display())))?;
    match launch(task, fds.join, &place) {
        Ok(launched) => session::Session::new(launched.begun(place, listener), fds.attach)
            .map_err(io("set up the workload's streams")),
        Err(error) => {
            listener.close();
            Err(error)
        }
    }
}

/// What runs now, and what goes with it.
struct Launched {
    running: Running,
    ours: stdio::Ours,
    oom: exit::OomWatch,
    log: Option<log::Log>,
    mounts: Option<OwnedFd>,
}

impl Launched {
    fn begun(self, place: Place, listener: socket::Listener) -> session::Begun {
        let Running {
            pid,
            pidfd,
            terminal,
            spent,
        } = self.running;
        let spawned = Spawned {
            version: record::VERSION,
            monitor_pid: rustix::process::getpid().as_raw_pid(),
            pid,
            // It was not waited for yet, so it has a start even if it has ended.
            start_ticks: start_ticks(pid).unwrap_or(0),
            started_at_ns: weft_stdx::clock::unix_ns(),
        };
        session::Begun {
            spawned,
            pidfd,
            streams: self.ours.or_terminal(terminal),
            stdin_once: place.streams.stdin_once,
            timeout: place.timeout,
            listener,
            log: self.log,
            exit: place.exit,
            oom: self.oom,
            spent,
            mounts: self.mounts,
        }
    }
}

fn launch(
    task: Task,
    join: Vec<(launch::NamespaceKind, OwnedFd)>,
    place: &Place,
) -> Result<Launched, BeginError> {
    place
        .exit
        .clear()
        .map_err(io("remove an older exit record"))?;
    let open = |config: &LogConfig| {
        log::Log::open(config).map_err(io(format!("open the log {}", config.path.display())))
    };
    let log = place.log.as_ref().map(open).transpose()?;
    let once = matches!(&task, Task::Run(request) if request.once);
    let (running, ours, oom) = match task {
        Task::Run(request) => run(*request, place, join)?,
        Task::Exec(spec) => exec(*spec, place)?,
    };
    // The last to let go of a mount namespace waits for an RCU grace period: not init then, whose
    // end somebody waits for.
    let mounts = format!("/proc/{}/ns/mnt", running.pid);
    let mounts = once.then(|| std::fs::File::open(mounts).ok()).flatten();
    Ok(Launched {
        running,
        ours,
        oom,
        log,
        mounts: mounts.map(OwnedFd::from),
    })
}

type Started = (Running, stdio::Ours, exit::OomWatch);

fn run(
    request: RunRequest,
    place: &Place,
    join: Vec<(launch::NamespaceKind, OwnedFd)>,
) -> Result<Started, BeginError> {
    let mut spec = read_spec(&request.dir)?;
    if let Some(process) = spec.process_mut() {
        size_terminal(process, place.streams);
    }
    let owner = spec.process().as_ref().map(Process::user);
    let owner = owner.map_or((0, 0), |user| (user.uid(), user.gid()));
    let (stdio, ours) = stdio::make(place.streams, place.id_base, owner)
        .map_err(io("make the workload's streams"))?;
    let oom = exit::OomWatch::of(&spec);
    let failed = command(spec.process().as_ref());
    let create = CreateRequest {
        id: request.id,
        dir: request.dir,
        spec,
        rootfs: match request.rootfs {
            RootfsRecord::Directory => Rootfs::Directory,
            RootfsRecord::Overlay { lower, upper, work } => Rootfs::Overlay { lower, upper, work },
        },
        stdio,
        join: join
            .into_iter()
            .map(|(kind, fd)| Join { kind, fd })
            .collect(),
        preserve_fds: 0,
        reaper: request.init,
    };
    let running = launch::run(create);
    Ok((running.map_err(failed)?, ours, oom))
}

fn exec(mut spec: ExecSpec, place: &Place) -> Result<Started, BeginError> {
    size_terminal(&mut spec.process, place.streams);
    let init_pidfd = init(spec.init_pid, spec.init_start_ticks)?;
    let container = read_spec(&spec.dir)?;
    let owner = (spec.process.user().uid(), spec.process.user().gid());
    let (stdio, ours) = stdio::make(place.streams, place.id_base, owner)
        .map_err(io("make the workload's streams"))?;
    let failed = command(Some(&spec.process));
    let exec = ExecRequest {
        init_pidfd,
        spec: container,
        process: spec.process,
        stdio,
    };
    let running = launch::exec(exec).map_err(failed)?;
    // Out of memory in the container is its init's affair.
    Ok((running, ours, exit::OomWatch::none()))
}

/// The terminal has its first size before the program can ask for it.
fn size_terminal(process: &mut Process, streams: Streams) {
    if streams.terminal && streams.rows > 0 {
        let size = oci_spec::runtime::BoxBuilder::default()
            .height(streams.rows)
            .width(streams.cols);
        process.set_console_size(size.build().ok());
    }
}

/// The container's init, if it is still the process it was: a reused pid started later.
fn init(pid: i32, expected_ticks: u64) -> Result<OwnedFd, BeginError> {
    let gone = |why: String| BeginError::NotRunning { why };
    let raw = Pid::from_raw(pid).ok_or_else(|| gone(format!("{pid} is no process")))?;
    let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::empty())
        .map_err(|error| gone(format!("no process {pid}: {error}")))?;
    // Read after the pidfd was opened: if the process of this number is the old one now, it was
    // when the pidfd was opened.
    match start_ticks(pid) {
        Some(ticks) if ticks == expected_ticks => Ok(pidfd),
        Some(_) => Err(gone(format!("process {pid} is another one by now"))),
        None => Err(gone(format!("process {pid} has just ended"))),
    }
}

/// When a process started, in clock ticks after boot; `None` when there is none.
pub fn start_ticks(pid: i32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain anything; field 22 is the 20th after it.
    let after = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let fields = std::str::from_utf8(after).ok()?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn read_spec(dir: &std::path::Path) -> Result<oci_spec::runtime::Spec, BeginError> {
    let path = dir.join("config.json");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let what = || format!("read {}", path.display());
    let file = rustix::fs::open(&path, flags, Mode::empty()).map_err(io(what()))?;
    let bytes = weft_stdx::file::read_all_bounded(std::fs::File::from(file), CONFIG_MAX)
        .map_err(io(what()))?;
    serde_json::from_slice(&bytes).map_err(|source| BeginError::Config {
        path: path.display().to_string(),
        source,
    })
}

/// Whether the process behind a pid is of this boot, this start: for adopting what was recorded.
pub fn is_running(pid: i32, ticks: u64) -> bool {
    ticks != 0 && start_ticks(pid) == Some(ticks)
}

/// Makes a descriptor of ours non-blocking.
fn set_nonblocking(fd: impl AsFd) -> std::io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let own = rustix::process::getpid().as_raw_pid();
        let ticks = start_ticks(own).unwrap();
        assert!(is_running(own, ticks));
        assert!(!is_running(own, ticks + 1));
        assert!(init(own, ticks).is_ok());
        let error = Failure::from(init(own, ticks + 1).unwrap_err());
        assert_eq!(error.kind, FailureKind::NotRunning);
        assert!(init(0, 1).is_err());
        assert_eq!(start_ticks(i32::MAX), None);
    }
}
