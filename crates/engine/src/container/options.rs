//! Arguments and answers of the engine's operations, in the words of its users.

use std::path::PathBuf;
use std::time::Duration;

use super::record::{HealthStatus, Record, Status};

/// A container as it stands now: the value behind `ps` and `inspect`.
#[derive(Debug, Clone)]
pub struct View {
    /// Everything kept about it.
    pub record: Record,
    /// The file with its output.
    pub log_path: String,
    /// Where what is mounted on its /etc/hosts, hostname and resolv.conf lies, while it runs.
    pub network_files: Option<NetworkFiles>,
    /// Sessions of `exec` that run in it.
    pub exec_ids: Vec<String>,
}

/// The files of a container that weft writes.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct NetworkFiles {
    pub hosts: PathBuf,
    pub hostname: PathBuf,
    pub resolv_conf: PathBuf,
}

/// Answer of create.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new container.
    pub id: String,
    /// What the user should know though it worked.
    pub warnings: Vec<String>,
}

/// Whether an operation changed something: Docker answers 204 or 304.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// It was so already.
    AlreadySo,
}

/// Which containers `list` gives.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Also those that don't run.
    pub all: bool,
    /// The last `n` created (implies `all`).
    pub limit: Option<usize>,
    /// Ids by prefix.
    pub ids: Vec<String>,
    /// Names: a part of the name, `^`/`$` anchor as docker users write them.
    pub names: Vec<String>,
    /// States.
    pub statuses: Vec<Status>,
    /// `key` or `key=value`; all must match.
    pub labels: Vec<String>,
    /// Image names or ids.
    pub ancestors: Vec<String>,
    /// Networks by name or id.
    pub networks: Vec<String>,
    /// Volumes by name or mount target.
    pub volumes: Vec<String>,
    /// Exit codes (of exited ones).
    pub exited: Vec<i32>,
    /// Created before this container.
    pub before: Option<String>,
    /// Created after this container.
    pub since: Option<String>,
    /// Published host port or container port, like `8080/tcp`.
    pub publish: Vec<String>,
    /// How well they are; `None` is one that nobody probes.
    pub healths: Vec<Option<HealthStatus>>,
}

/// `rm`'s flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// With its anonymous volumes.
    pub volumes: bool,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// Not running, at once when it does not run.
    NotRunning,
    /// The next exit.
    NextExit,
    /// Gone.
    Removed,
}

/// How a container ended, for `wait`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Exit code; 128+n when killed by signal n.
    pub code: i32,
    /// Why waiting or starting failed.
    pub error: Option<String>,
}

/// `stop`'s and `restart`'s flags; `None` means the container's own.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// Like `SIGINT` or `2`.
    pub signal: Option<String>,
    /// Grace before SIGKILL; `Some(None)` waits forever.
    pub grace: Option<Option<Duration>>,
}

/// Which streams an attach wants.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// What `logs` gives.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Standard output wanted.
    pub stdout: bool,
    /// Standard error wanted.
    pub stderr: bool,
    /// Go on with what comes.
    pub follow: bool,
    /// Not before, unix nanoseconds.
    pub since_ns: Option<i64>,
    /// Not after, unix nanoseconds.
    pub until_ns: Option<i64>,
    /// Only the last lines.
    pub tail: Option<usize>,
}

/// A session of `exec`.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Command and arguments.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<String>,
    /// Working directory; `None` is the container's.
    pub cwd: Option<String>,
    /// `user[:group]`; `None` is the container's.
    pub user: Option<String>,
    /// With a terminal.
    pub tty: bool,
    /// Standard input is attached.
    pub attach_stdin: bool,
    /// Standard output is attached.
    pub attach_stdout: bool,
    /// Standard error is attached.
    pub attach_stderr: bool,
    /// All capabilities.
    pub privileged: bool,
    /// Keys that detach, for inspect.
    pub detach_keys: Option<String>,
    /// Killed when it runs for longer.
    pub timeout: Option<Duration>,
}

/// An exec session as `exec inspect` shows it.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct ExecView {
    pub id: String,
    pub container_id: String,
    pub options: ExecOptions,
    /// As resolved: what is executed.
    pub user: String,
    pub running: bool,
    pub exit_code: Option<i32>,
    pub pid: i32,
}
