//! What can go wrong between a command and the API.
//!
//! Never decides hints: that is the command line's.

use serde_json::Value;

use crate::ClientError;

/// A request that did not come back with the answer asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answers there.
    #[error("connect to the server at {server}")]
    Connect {
        /// Its address.
        server: String,
        /// Why it could not be reached.
        #[source]
        source: std::io::Error,
    },
    /// Who answers is not who was expected, or does not want us.
    #[error("set up TLS with the server at {server}")]
    Tls {
        /// Its address.
        server: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What we know of the server or of ourselves cannot be used.
    #[error("{tried}: {why}")]
    Credentials {
        /// What was being done.
        tried: String,
        /// Why it failed.
        why: String,
    },
    /// The connection broke.
    #[error("{what}: the server closed the connection")]
    Broken {
        /// What was asked.
        what: String,
        /// The transport's complaint.
        #[source]
        source: hyper::Error,
    },
    /// A socket broke.
    #[error("{what}: the connection was lost: {why}")]
    Lost {
        /// What it was for.
        what: String,
        /// The transport's complaint.
        why: String,
    },
    /// It took longer than `--request-timeout`.
    #[error("{what}: no answer within {seconds} s")]
    Late {
        /// What was asked.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The answer is not what it should be.
    #[error("{what}: understand the server's answer: {why}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A stream broke.
    #[error(transparent)]
    Stream(ClientError),
    /// Requests are only explained.
    #[error("nothing was sent: requests are only printed")]
    NotSent,
}

/// A `Status` that is a failure.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    /// HTTP's code.
    pub code: u16,
    /// `NotFound`
    pub reason: String,
    /// The server's words.
    pub message: String,
    /// What it is about.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// Each mistake: reason, field, message.
    pub causes: Vec<(String, String, String)>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Refusal {
    /// Reads an answer with an error's code.
    pub fn of(code: u16, body: &[u8]) -> Refusal {
        let status: Value = serde_json::from_slice(body).unwrap_or_default();
        Refusal::of_status(code, &status).unwrap_or_else(|| Refusal {
            code,
            message: String::from_utf8_lossy(body).trim().to_owned(),
            ..Refusal::default()
        })
    }

    /// Reads a `Status`; nothing if it is none.
    pub fn of_status(code: u16, status: &Value) -> Option<Refusal> {
        if status["kind"] != "Status" {
            return None;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let details = &status["details"];
        let causes = details["causes"].as_array().into_iter().flatten();
        let code_told = status["code"]
            .as_u64()
            .and_then(|code| code.try_into().ok());
        Some(Refusal {
            code: code_told.unwrap_or(code),
            reason: text(&status["reason"]),
            message: text(&status["message"]),
            kind: text(&details["kind"]),
            name: text(&details["name"]),
            causes: causes
                .map(|one| {
                    (
                        text(&one["reason"]),
                        text(&one["field"]),
                        text(&one["message"]),
                    )
                })
                .collect(),
        })
    }
}

impl ApiError {
    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            ApiError::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == 404)
    }

    /// Whether a watch cannot go on from the version that was seen: it is too old, or of a past that
    /// the server, restored from a backup, does not know.
    pub fn is_gone(&self) -> bool {
        self.refusal().is_some_and(|refusal| {
            refusal.code == 410 || refusal.message.starts_with("Too large resource version")
        })
    }

    /// Whether the same may succeed after a while, as it does when a server is started again: nobody
    /// answers, the connection broke, or the server is too busy. Who proves to be somebody else or
    /// does not want us is not asked again.
    pub fn is_passing(&self) -> bool {
        match self {
            ApiError::Connect { .. } | ApiError::Late { .. } | ApiError::Lost { .. } => true,
            ApiError::Tls { source, .. } => !is_of_tls(source),
            ApiError::Broken { source, .. }
            | ApiError::Stream(ClientError::Broken { source, .. }) => !is_of_tls(source),
            ApiError::Refused(refusal) => matches!(refusal.code, 429 | 502..=504),
            _ => false,
        }
    }

    /// Whether what is to be made is there already.
    pub fn is_already_there(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.reason == "AlreadyExists")
    }
}

/// Whether TLS is behind it: a certificate or an alert, not a connection that broke.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>())
        {
            return true;
        }
        at = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let server = || "https://x".to_owned();
        let tls = |source| ApiError::Tls {
            server: server(),
            source,
        };
        let refused = |code, message: &str| {
            ApiError::Refused(Box::new(Refusal {
                code,
                message: message.to_owned(),
                ..Refusal::default()
            }))
        };
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        for (error, passes, is_gone) in [
            (
                ApiError::Connect {
                    server: server(),
                    source: ErrorKind::ConnectionRefused.into(),
                },
                true,
                false,
            ),
            (tls(ErrorKind::UnexpectedEof.into()), true, false),
            (tls(Error::new(ErrorKind::InvalidData, alert)), false, false),
            (refused(401, ""), false, false),
            (refused(403, ""), false, false),
            (refused(404, ""), false, false),
            (refused(410, ""), false, true),
            (refused(429, ""), true, false),
            (refused(500, ""), false, false),
            (refused(503, ""), true, false),
            (
                refused(504, "Too large resource version: 9, current: 1"),
                true,
                true,
            ),
            (ApiError::NotSent, false, false),
        ] {
            assert_eq!(
                (error.is_passing(), error.is_gone()),
                (passes, is_gone),
                "{error:?}"
            );
        }
    }
}
