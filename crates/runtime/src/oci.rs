//! Containers of the OCI command line: kept between commands in a directory of their own.
//!
//! ```text
//!   <root>/<id>/state.json   what create left for the others (record.rs)
//!   <root>/<id>/gate         socket init waits at; gone once it is started
//! ```
//! Owns: that directory, and what each command may do in which state (runtime-spec, runtime.md).
//! Never: is used by the daemon, which keeps its containers itself.

mod act;
mod create;
mod exec;
pub mod protect;
pub mod record;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::cgroup::{Cgroup, CgroupError, Hierarchy};
use crate::launch::LaunchError;
use crate::monitor::start_ticks;
pub use create::{Bundle, CreateOptions, Fresh};
pub use exec::{ExecOptions, Executed};
use record::Record;
pub use weft_sys::signal::SignalFd as Signals;

const STATE: &str = "state.json";
const GATE: &str = "gate";
/// Longest id: it becomes the name of a directory.
const LONGEST_ID: usize = 255;
/// Most of a state file that is read, in bytes.
const LARGEST_STATE: u64 = 16 * 1024 * 1024;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// There is none.
    #[error("container {0} does not exist")]
    NotFound(String),
    /// There is one.
    #[error("container {0} exists already")]
    Exists(String),
    /// No name for a container.
    #[error("invalid container id {0:?}: letters, digits and _ + - . only, at most 255")]
    Id(String),
    /// The command does not fit the state.
    #[error("cannot {verb} container {id}: it is {status}")]
    State {
        /// What was asked.
        verb: &'static str,
        /// The container.
        id: String,
        /// Its state.
        status: Status,
    },
    /// Words that do not fit together.
    #[error("{0}")]
    Invalid(String),
    /// A file of ours or of the container directory.
    #[error("{verb} {path}")]
    File {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("read {path}")]
    Json {
        /// It.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The process could not be started.
    #[error(transparent)]
    Launch(Box<LaunchError>),
    /// The cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// A signal could not be sent.
    #[error("signal container {id}")]
    Signal {
        /// The container.
        id: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl From<LaunchError> for OciError {
    fn from(error: LaunchError) -> OciError {
        OciError::Launch(Box::new(error))
    }
}

/// States of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its directory is there and its process not yet.
    Creating,
    /// Init waits to be started.
    Created,
    /// The program runs.
    Running,
    /// It is frozen.
    Paused,
    /// It has ended.
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

/// The directory all containers are kept in.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

/// One container.
#[derive(Debug)]
pub struct Container {
    /// Its directory.
    dir: PathBuf,
    /// What create left.
    pub record: Record,
}

impl Root {
    /// Keeps containers in `path`, which is made by the first one.
    pub fn new(path: PathBuf) -> Root {
        Root(path)
    }

    /// The container `id`.
    pub fn find(&self, id: &str) -> Result<Container, OciError> {
        let dir = self.directory(id)?;
        let path = dir.join(STATE);
        let bytes = match weft_stdx::file::read_bounded(&path, LARGEST_STATE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OciError::NotFound(id.to_owned()));
            }
            Err(source) => {
                return Err(OciError::File {
                    verb: "read",
                    path,
                    source,
                });
            }
        };
        let record =
            serde_json::from_slice(&bytes).map_err(|source| OciError::Json { path, source })?;
        Ok(Container { dir, record })
    }

    /// All containers, by id. One that vanishes meanwhile is left out.
    pub fn list(&self) -> Result<Vec<Container>, OciError> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| OciError::File {
                verb: "list",
                path: self.0.clone(),
                source,
            })?,
        };
        let mut ids: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        let mut containers = Vec::new();
        for id in ids {
            match self.find(&id) {
                Ok(container) => containers.push(container),
                Err(OciError::NotFound(_) | OciError::Id(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(containers)
    }

    fn directory(&self, id: &str) -> Result<PathBuf, OciError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        let fits = (1..=LONGEST_ID).contains(&id.len());
        if fits && id.bytes().all(plain) && id != "." && id != ".." {
            Ok(self.0.join(id))
        } else {
            Err(OciError::Id(id.to_owned()))
        }
    }
}

impl Container {
    /// Where it is in its life now.
    pub fn status(&self) -> Result<Status, OciError> {
        if self.record.pid == 0 {
            return Ok(Status::Creating);
        }
        if self.pidfd().is_none() {
            return Ok(Status::Stopped);
        }
        if self.dir.join(GATE).exists() {
            return Ok(Status::Created);
        }
        match self.cgroup() {
            Ok(Some(cgroup)) if cgroup.is_frozen()? => Ok(Status::Paused),
            _ => Ok(Status::Running),
        }
    }

    /// Init, unless it has ended: the number alone could be another's by now.
    pub fn pidfd(&self) -> Option<OwnedFd> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let pid = self.record.pid;
        let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let same = start_ticks(pid) == Some(self.record.start_ticks);
        (same && !has_ended(&pidfd)).then_some(pidfd)
    }

    fn cgroup(&self) -> Result<Option<Cgroup>, CgroupError> {
        match &self.record.cgroup {
            Some(path) => Hierarchy::find()?.open(path).map(Some),
            None => Ok(None),
        }
    }

    fn refuse(&self, verb: &'static str, status: Status) -> OciError {
        OciError::State {
            verb,
            id: self.record.id.clone(),
            status,
        }
    }
}

/// Waits until a child ends, and reaps it; the status a shell would report.
pub fn wait(pidfd: &OwnedFd) -> io::Result<i32> {
    weft_sys::process::wait(pidfd).map(weft_sys::process::Exit::status)
}

/// Sends `signal` to a process.
pub fn send_signal(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    weft_sys::process::signal(pidfd, signal)
}

/// Sends a descriptor, with some bytes, over a socket.
pub fn send_fd(socket: impl AsFd, bytes: &[u8], fd: &OwnedFd) -> io::Result<()> {
    weft_sys::fd::send(socket, bytes, &[fd.as_fd()])
}

/// A pidfd is readable once its process is a zombie.
fn has_ended(pidfd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

fn file_error<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> OciError + 'a {
    move |source| OciError::File {
        verb,
        path: path.to_owned(),
        source,
    }
}
