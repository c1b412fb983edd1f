//! Errors of this face: a code, a sentence, and the one place that turns a code into a status.
//!
//! The sentences of failed engine calls are the engine's.

use http::StatusCode;
use weft_api::ErrorCode;
use weft_engine::EngineError;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// What was tried, on what, and why it failed.
    pub message: String,
}

impl ApiError {
    /// An error of any kind.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// No route has this path and method.
    pub fn page_not_found() -> Self {
        Self::new(ErrorCode::NotFound, "page not found")
    }

    /// The status the client sees.
    pub fn status(&self) -> StatusCode {
        status(self.code)
    }
}

const NOT_FOUND: &str = ": No such file or directory (os error 2)";
const NO_PERMISSION: &str = ": Permission denied (os error 13)";

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let mut message = error.to_string();
        // Docker's client knows exit codes 127 and 126 by these words alone: they are said instead
        // of the kernel's for the same.
        let (kernels, words) = match error.exit_code {
            Some(127) => (NOT_FOUND, "executable file not found in $PATH"),
            Some(126) => (NO_PERMISSION, "permission denied"),
            _ => ("", ""),
        };
        if !message.contains(words) {
            let tried = message.strip_suffix(kernels).unwrap_or(&message);
            message = format!("{tried}: {words}");
        }
        Self {
            code: error.code,
            message,
        }
    }
}

/// The status of each kind of failure, as Docker's clients expect it.
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Exists | ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::Invalid => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::Precondition => StatusCode::PRECONDITION_FAILED,
        ErrorCode::Exhausted => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
