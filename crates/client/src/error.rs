//! What can go wrong between a command and the engine, in words a person can act on.
//!
//! Owns [`ClientError`]. Never decides exit codes or hints: that is the command line's.

use std::path::PathBuf;

/// A request that did not come back with the answer asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket, or it may not be opened.
    #[error("connect to the engine at {}", socket.display())]
    Connect {
        /// The socket that was tried.
        socket: PathBuf,
        /// Why it could not be reached.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke while the request or the head of the answer was under way.
    #[error("{what}: the server closed the connection")]
    Broken {
        /// What was asked, e.g. `create container`.
        what: String,
        /// The transport's complaint.
        #[source]
        source: hyper::Error,
    },
    /// The engine answered with an error.
    #[error("{message}")]
    Refused {
        /// What was asked, e.g. `create container`.
        what: String,
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The answer is not what the Engine API says it is.
    #[error("{what}: understand the engine's answer")]
    Decode {
        /// What was asked.
        what: String,
        /// Where the JSON went wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The answer breaks a rule of the protocol.
    #[error("{what}: {why}")]
    Protocol {
        /// What was asked.
        what: String,
        /// Which rule.
        why: String,
    },
    /// Reading or writing a stream failed half-way.
    #[error("{what}: {source}")]
    Stream {
        /// What was being streamed.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The client only explains requests and needs an answer to go on.
    #[error("nothing was sent: requests are only printed")]
    NotSent,
}

impl ClientError {
    /// HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the thing asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether nobody listens: no socket, or one without a listener.
    pub fn is_not_running(&self) -> bool {
        match self {
            ClientError::Connect { source, .. } => matches!(
                source.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ),
            _ => false,
        }
    }
}
