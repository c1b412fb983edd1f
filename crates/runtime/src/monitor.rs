//! Owns the monitor: the process, one per container and per exec, that holds the workload's
//! stdio, log, exit status and attach socket, and that outlives daemon and spawner.
//! Never: decisions about the container (restarts, removal, names); it is told once what to run.

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use crate::spawner::Fds;
use record::{ExecSpec, Failure, FailureKind, Reply, RunRequest};

pub mod record;
pub mod wire;

/// What a monitor is to run.
#[derive(Debug)]
pub(crate) enum Task {
    Run(Box<RunRequest>),
    Exec(Box<ExecSpec>),
}

/// The life of a monitor, in the process forked for it.
pub(crate) fn main(_task: Task, _fds: Fds, reply: OwnedFd) -> ExitCode {
    let text = "monitors are not built yet".to_owned();
    let failure = Failure {
        kind: FailureKind::Other,
        text,
    };
    crate::spawner::answer(&reply, &Reply::Failed(failure), &[]);
    ExitCode::FAILURE
}
