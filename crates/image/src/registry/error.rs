//! Owns what can go wrong between us and a registry.

use reqwest::StatusCode;

use super::credentials::CredentialsError;
use crate::digest::Digest;
use crate::error::ErrorKind;

/// A registry could not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Settings for it are unusable.
    #[error("cannot talk to registry {host}: {why}")]
    Setup {
        /// The registry.
        host: String,
        /// Why not.
        why: String,
    },
    /// Docker's config file is unusable.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// No connection.
    #[error("cannot reach registry {host}{hint}")]
    Connect {
        /// Where to.
        host: String,
        /// What may help.
        hint: &'static str,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke, or nothing came for too long.
    #[error("connection to {host} failed")]
    Transfer {
        /// Where to.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The registry says there is no such thing, or not for us.
    #[error("{what} not found at registry {host}{said}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The registry.
        host: String,
        /// What it said, if anything.
        said: String,
    },
    /// Credentials are missing or wrong.
    #[error("registry {host} denies access to {what}: {why}")]
    Denied {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What to do.
        why: String,
    },
    /// Another answer than hoped for.
    #[error("registry {host} answers {status} to {what}{said}")]
    Status {
        /// The registry.
        host: String,
        /// The status.
        status: StatusCode,
        /// What was asked for.
        what: String,
        /// What it said, if anything.
        said: String,
    },
    /// The registry sends us where it should not.
    #[error("registry {host} sends us to {to}, which is refused: {why}")]
    Sent {
        /// The registry.
        host: String,
        /// Where it sends us.
        to: String,
        /// Why that is refused.
        why: &'static str,
    },
    /// A document larger than allowed or announced.
    #[error("{what} from registry {host} is larger than {limit} bytes")]
    Large {
        /// What was asked for.
        what: String,
        /// The registry.
        host: String,
        /// Bytes.
        limit: u64,
    },
    /// A document that is not what was asked for.
    #[error("{what} from registry {host} is not what was asked for: its digest is {got}")]
    Digest {
        /// What was asked for.
        what: String,
        /// The registry.
        host: String,
        /// What came.
        got: Digest,
    },
    /// An answer that makes no sense.
    #[error("registry {host} gives an unusable answer to {what}: {why}")]
    Answer {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl RegistryError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Setup { .. } | Self::Credentials(_) => ErrorKind::Invalid,
            Self::Connect { .. } | Self::Transfer { .. } | Self::Status { .. } => {
                ErrorKind::Unavailable
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Sent { .. } => ErrorKind::Invalid,
            Self::Large { .. } => ErrorKind::Exhausted,
            Self::Digest { .. } | Self::Answer { .. } => ErrorKind::Corrupt,
        }
    }

    /// Whether the same request may well succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Transfer { .. } => true,
            Self::Status { status, .. } => {
                *status == StatusCode::TOO_MANY_REQUESTS
                    || (status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED)
            }
            _ => false,
        }
    }
}
