//! `/images`: lists, transfers, names and removal.
//!
//! Progress is told in Docker's words; what is transferred is the engine's business.

pub mod auth;
pub mod list;
pub mod progress;
pub mod remove;
pub mod transfer;

use weft_image::Platform;

use crate::error::ApiError;

/// A platform's name: `linux/amd64` and the like.
pub fn platform(text: &str) -> Result<Platform, ApiError> {
    Platform::parse(text).map_err(|error| ApiError::invalid(error.to_string()))
}
