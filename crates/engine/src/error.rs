//! The one error the engine's faces see: a code to branch on and a sentence to read.

use std::error::Error as StdError;
use std::fmt;

pub use weft_api::ErrorCode;

type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong with a use of the engine. `Display` gives the whole chain on one line,
/// since the faces (Docker's API among them) have one string to put it in.
#[derive(Debug)]
pub struct EngineError {
    /// What callers branch on.
    pub code: ErrorCode,
    /// What was tried, on what.
    pub message: String,
    /// Why it failed.
    pub source: Option<Source>,
    /// The exit code `run` gives for it: 127 command not found, 126 not executable.
    pub exit_code: Option<i32>,
}

impl EngineError {
    /// An error without a deeper cause.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
            exit_code: None,
        }
    }

    /// An error with its cause.
    pub fn caused(code: ErrorCode, message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self {
            code,
            message: message.into(),
            source: Some(source.into()),
            exit_code: None,
        }
    }

    /// `error` says itself what was tried, on what.
    pub(crate) fn told(code: ErrorCode, error: &dyn StdError) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(c) = cause {
            message.push_str(&format!(": {c}"));
            cause = c.source();
        }
        Self::new(code, message)
    }

    pub(crate) fn internal(message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::caused(ErrorCode::Internal, message, source)
    }

    /// What was asked for cannot be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    pub(crate) fn no_container(reference: &str) -> Self {
        Self::new(
            ErrorCode::NotFound,
            format!("No such container: {reference}"),
        )
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause: Option<&dyn StdError> = self.source.as_deref().map(|s| s as _);
        while let Some(c) = cause {
            write!(f, ": {c}")?;
            cause = c.source();
        }
        Ok(())
    }
}

impl StdError for EngineError {}

/// Result of a use of the engine.
pub type Result<T> = std::result::Result<T, EngineError>;
