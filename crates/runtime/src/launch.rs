//! create, start, exec: from a request to a process.
//!
//! Owns: the order of all steps, and the protocol between the caller and the new process.
//! Never: keeps state on disk, waits for the container to end, or removes its cgroup after that.
//!
//! Callers must have one thread: everything here forks without exec.
//!
//! ```text
//!   caller (host's privileges)                │ init
//!   ──────────────────────────────────────────┼──────────────────────────────────────────────
//!   lower the specification, or refuse        │
//!   make the cgroup with its limits; the      │
//!     start program with its filter; a user   │
//!     namespace if a new one is asked for     │
//!   prepare mounts, detached: overlay, binds, │
//!     /dev with nodes, masks                  │
//!   clone3 into cgroup and namespaces ───────►│ begins. Only if a user or pid namespace is to be
//!     (or: vfork a middle process, which      │   joined it has a middle process as its maker,
//!      raises limits, joins by descriptor,    │   and is the caller's child all the same
//!      clones init as the caller's child      │ out-of-memory score, hard limits raised
//!      and ends)                              │ not dumpable; session; other namespaces joined
//!                                             │ root of its user namespace; own cgroup namespace
//!   begin() returns; ready() or run():        │
//!   device rules in force                     │
//!   run(): Go, ahead of time ────────────────►│
//!   ◄─────────────────────────── Namespaces ──┤ only if there are hooks before the gate
//!   prestart and createRuntime hooks          │
//!   Go ──────────────────────────────────────►│
//!                                             │ mounts put in place; terminal, createContainer
//!                                             │   hooks; masks, read-only paths; pivot
//!                                             │ names, kernel parameters, working directory
//!                                             │ limits, filter (now only without
//!                                             │   no_new_privs), capabilities, user
//!   ◄────────────────── Ready (+ terminal) ───┤
//!   ready() returns                           │ waits at the gate: after run() it is open
//!   ··········································│··············································
//!   start(): Go ─────────────────────────────►│ startContainer hooks
//!                                             │ finds the program, no_new_privs, closes
//!                                             │   descriptors, becomes the start program,
//!                                             │   which loads the filter and executes
//!   ◄────────────── end of file, or Failed ───┤ the program
//!   poststart hooks                           │
//! ```
//!
//! At every point a failure is one message that names step, object and errno, and the sender ends.
//! The caller then reaps it, and what was prepared goes away with its descriptors.

pub(crate) mod channel;
mod create;
mod exec;
pub mod gate;
pub mod hook;
mod identity;
mod init;
mod program;
mod reaper;
pub mod step;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::{Process, Spec};
pub use weft_sys::namespace::Kind as NamespaceKind;

use crate::plan::Refused;
use gate::Gate;
use step::{Failure, Step};

pub(crate) use create::rehearse;
pub use create::{Begun, begin, create, run};
pub use exec::exec;

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
    /// A first process that reaps orphans and hands signals on stands before the program.
    pub reaper: bool,
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
        /// Overlayfs's own directory, beside `upper`.
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
    /// Of no use any more; to be closed when nobody waits.
    pub spent: Vec<OwnedFd>,
    gate: Gate,
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
    /// Of no use any more; to be closed when nobody waits.
    pub spent: Vec<OwnedFd>,
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
    /// The specification asks for what is not done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The system call filter cannot be made.
    #[error("linux.seccomp")]
    Seccomp(#[source] crate::seccomp::CompileError),
    /// The cgroup, or a limit in it.
    #[error("prepare the cgroup")]
    Cgroup(#[source] crate::cgroup::CgroupError),
    /// What was given does not fit together.
    #[error("{0}")]
    Invalid(String),
    /// A step failed, on either side.
    #[error("{failure}")]
    Step {
        /// Which, on what.
        failure: Failure,
        /// Why.
        #[source]
        source: Option<io::Error>,
    },
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] hook::HookError),
    /// The new process ended without a word.
    #[error("the container's init ended before the program ran ({0})")]
    Died(String),
}

impl LaunchError {
    /// Whether the program was not found (exit code 127).
    pub fn is_not_found(&self) -> bool {
        self.program_error().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            )
        })
    }

    /// Whether the program was found but cannot be executed (exit code 126).
    pub fn is_not_executable(&self) -> bool {
        self.program_error().is_some() && !self.is_not_found()
    }

    fn program_error(&self) -> Option<io::Error> {
        match self {
            LaunchError::Step { failure, .. }
                if matches!(failure.step, Step::Find | Step::Execute) =>
            {
                Some(failure.error())
            }
            _ => None,
        }
    }
}

impl From<Failure> for LaunchError {
    fn from(failure: Failure) -> LaunchError {
        let source = (failure.errno != 0).then(|| failure.error());
        LaunchError::Step { failure, source }
    }
}

impl Created {
    /// Opens the gate; comes back when the program runs.
    pub fn start(self) -> Result<Running, LaunchError> {
        self.running(Gate::open)
    }

    fn running(
        self,
        pass: impl FnOnce(Gate) -> Result<(), LaunchError>,
    ) -> Result<Running, LaunchError> {
        let Created {
            pid,
            pidfd,
            terminal,
            spent,
            gate,
        } = self;
        if let Err(error) = pass(gate) {
            // Nothing else would end or reap it.
            let _ = weft_sys::process::signal(&pidfd, 9);
            let _ = weft_sys::process::wait(&pidfd);
            return Err(error);
        }
        Ok(Running {
            pid,
            pidfd,
            terminal,
            spent,
        })
    }
}
