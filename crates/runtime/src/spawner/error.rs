//! Owns why something could not be spawned.
//! Never: what to do about it.

use std::io;

use super::answer::ANSWER_MAX;
use crate::monitor::record::{Failure, FailureKind};

/// Why something could not be spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program could not be copied, sealed or started.
    #[error("cannot start the spawner from {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The request did not reach the spawner.
    #[error("cannot send the request for {what} to the spawner")]
    Send {
        /// What was asked for.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Spawner or monitor ended without an answer: it may or may not have begun.
    #[error("the process that was to make {what} died before it answered")]
    Died {
        /// What was asked for.
        what: String,
    },
    /// No answer within two minutes: it may still come into being.
    #[error("no answer to the request for {what} within {} seconds", ANSWER_MAX.as_secs())]
    Timeout {
        /// What was asked for.
        what: String,
    },
    /// The answer made no sense.
    #[error("cannot understand the answer to the request for {what}")]
    Answer {
        /// What was asked for.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It was tried and failed; nothing of it is left running.
    #[error("{}", .0.text)]
    Failed(Failure),
}

impl SpawnError {
    /// What kind of failure, for choosing an exit code and an error code.
    pub fn kind(&self) -> FailureKind {
        match self {
            SpawnError::Failed(failure) => failure.kind,
            _ => FailureKind::Other,
        }
    }
}
