//! create, start, exec: from a request to a process.
//!
//! Callers must have one thread: everything here forks without exec.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::{Process, Spec};
pub use weft_sys::namespace::Kind as NamespaceKind;

/// What a container is to be made of.
#[derive(Debug)]
pub struct CreateRequest {
    /// Its name, for messages and hooks.
    pub id: String,
    /// The container directory; `root.path` of the specification is relative to it.
    pub dir: PathBuf,
    /// The specification.
    pub spec: Spec,
    /// Where its root filesystem comes from.
    pub rootfs: Rootfs,
    /// Its standard streams.
    pub stdio: Stdio,
    /// Namespaces joined by descriptor, instead of what the specification says for their kinds.
    pub join: Vec<Join>,
    /// How many descriptors from 3 on the process inherits.
    pub preserve_fds: u32,
}

/// Where a root filesystem comes from.
#[derive(Clone, Debug)]
pub enum Rootfs {
    /// `root.path` of the specification, as it is.
    Directory,
    /// An overlay of these directories.
    Overlay {
        /// Read-only layers, top first.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: PathBuf,
        /// Overlayfs's own directory, on the filesystem of `upper`.
        work: PathBuf,
    },
}

/// Standard streams of a process.
#[derive(Debug)]
pub enum Stdio {
    /// Those of the caller.
    Inherit,
    /// These.
    Fds {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A terminal made on the container's own devpts; its master comes back.
    Terminal,
}

/// A namespace to join.
#[derive(Debug)]
pub struct Join {
    /// Its kind.
    pub kind: NamespaceKind,
    /// It.
    pub fd: OwnedFd,
}

/// A container whose init waits at the gate: all is in place but the program.
#[derive(Debug)]
pub struct Created {
    /// Init, in the caller's pid namespace.
    pub pid: i32,
    /// Init.
    pub pidfd: OwnedFd,
    /// The terminal's master, if one was asked for.
    pub terminal: Option<OwnedFd>,
}

/// A process whose program runs.
#[derive(Debug)]
pub struct Running {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// It.
    pub pidfd: OwnedFd,
    /// The terminal's master, if one was asked for.
    pub terminal: Option<OwnedFd>,
}

/// A further process in a container.
#[derive(Debug)]
pub struct ExecRequest {
    /// The container's init.
    pub init_pidfd: OwnedFd,
    /// The container's specification.
    pub spec: Spec,
    /// The process.
    pub process: Process,
    /// Its standard streams.
    pub stdio: Stdio,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Not there yet.
    #[error("{0}")]
    Other(String),
}

impl LaunchError {
    /// Whether the program was not found (exit code 127).
    pub fn is_not_found(&self) -> bool {
        false
    }
    /// Whether the program was found but cannot be executed (exit code 126).
    pub fn is_not_executable(&self) -> bool {
        false
    }
}

/// Makes the container; its init waits at the gate.
pub fn create(_request: CreateRequest) -> Result<Created, LaunchError> {
    Err(LaunchError::Other(
        "creating containers is not built yet".to_owned(),
    ))
}

impl Created {
    /// Opens the gate; comes back when the program runs.
    pub fn start(self) -> Result<Running, LaunchError> {
        Err(LaunchError::Other(
            "starting containers is not built yet".to_owned(),
        ))
    }
}

/// Starts a further process in a container; comes back when the program runs.
pub fn exec(_request: ExecRequest) -> Result<Running, LaunchError> {
    Err(LaunchError::Other("exec is not built yet".to_owned()))
}
