//! Hooks: programs the specification names for points of the life cycle.
//!
//! Each gets the container's state as JSON on its standard input, the environment it names and
//! nothing else. Never: runs a shell.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use oci_spec::runtime::{Hook, Hooks};

/// What a hook is told (runtime-spec, runtime.md, "State").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Version of the container's specification.
    pub version: String,
    /// The container.
    pub id: String,
    /// creating, created, running or stopped.
    pub status: &'static str,
    /// Init, in the host's pid namespace; 0 when it is gone.
    pub pid: i32,
    /// The container directory.
    pub dir: PathBuf,
    /// Annotations of the specification.
    pub annotations: HashMap<String, String>,
}

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It could not be run.
    #[error("run hook {path}")]
    Run {
        /// It.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("hook {path} ended with {status}")]
    Status {
        /// It.
        path: PathBuf,
        /// How.
        status: ExitStatus,
    },
    /// It took too long and was killed.
    #[error("hook {path} took longer than {seconds} s")]
    Timeout {
        /// It.
        path: PathBuf,
        /// What it was given.
        seconds: i64,
    },
}

/// Whether init waits for the caller before it begins: for hooks of the caller's, and so that
/// none of its own runs before the container's device rules are in force.
pub(super) fn wait_for_caller(hooks: &Hooks) -> bool {
    hooks.prestart().is_some()
        || hooks.create_runtime().is_some()
        || hooks.create_container().is_some()
}

impl State {
    /// The same with another status.
    #[must_use]
    pub fn with_status(&self, status: &'static str) -> State {
        State {
            status,
            ..self.clone()
        }
    }

    fn json(&self) -> Vec<u8> {
        let mut state = serde_json::json!({
            "ociVersion": self.version,
            "id": self.id,
            "status": self.status,
            "bundle": self.dir,
        });
        if self.pid != 0 {
            state["pid"] = self.pid.into();
        }
        if !self.annotations.is_empty() {
            state["annotations"] = serde_json::json!(self.annotations);
        }
        state.to_string().into_bytes()
    }
}

/// Runs `hooks` one after the other; the first that fails ends it.
pub fn run_all(hooks: &[Hook], state: &State) -> Result<(), HookError> {
    hooks.iter().try_for_each(|hook| run(hook, state))
}

fn run(hook: &Hook, state: &State) -> Result<(), HookError> {
    let path = hook.path();
    let failed = |source| HookError::Run {
        path: path.clone(),
        source,
    };
    let mut command = Command::new(path);
    if let Some((name, arguments)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(name).args(arguments);
    }
    command.env_clear();
    for variable in hook.env().iter().flatten() {
        if let Some((name, value)) = variable.split_once('=') {
            command.env(name, value);
        }
    }
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
    let mut input = child
        .stdin
        .take()
        .expect("standard input was asked for as a pipe");
    match input.write_all(&state.json()) {
        // A hook need not read.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
        _ => drop(input),
    }
    if let Some(seconds) = hook.timeout() {
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
            .map_err(|errno| failed(errno.into()))?;
        if !ends_within(&pidfd, seconds).map_err(failed)? {
            let _ = child.kill();
            child.wait().map_err(failed)?;
            return Err(HookError::Timeout {
                path: path.clone(),
                seconds,
            });
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(HookError::Status {
            path: path.clone(),
            status,
        })
    }
}

fn ends_within(pidfd: &OwnedFd, seconds: i64) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let timeout = Timespec::try_from(seconds).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}
