//! Lines of progress streams: pull, push, load, import.
//!
//! An error after the headers went out travels as the last line.

use serde::{Deserialize, Serialize};

/// One line of a progress stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JsonMessage {
    /// Plain output (load, build).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stream: String,
    /// `Pulling fs layer`, `Downloading`, `Pull complete`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// What the status is about: a short layer id, or a tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// A bar drawn by the server, for clients that draw none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// Numbers to draw a bar from.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    /// The failure that ended the stream.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    /// The failure's message again, for old clients.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// A result by machine, e.g. the digest a push made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

/// How far a transfer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    /// Bytes done.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: i64,
    /// Bytes in all, 0 when unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: i64,
}

/// The failure that ended a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    /// An HTTP-like status, 0 when none applies.
    #[serde(skip_serializing_if = "is_zero")]
    pub code: i64,
    /// What was tried, on what, and why it failed.
    pub message: String,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
