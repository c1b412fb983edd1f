//! `docker cp` and `docker export`.
//!
//! Refused by name: the engine does not offer a container's files yet.

use weft_engine::Engine;

use crate::error::ApiError;
use crate::transport::body::Answer;
use crate::transport::call::Call;

fn refused(what: &str) -> Result<Answer, ApiError> {
    Err(ApiError::invalid(format!("{what} is not supported")))
}

/// `docker cp` from a container.
pub async fn get(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    refused("copying files out of a container")
}

/// The look before a `docker cp`.
pub async fn stat(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    refused("copying files from or to a container")
}

/// `docker cp` into a container.
pub async fn put(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    refused("copying files into a container")
}

/// `docker export`.
pub async fn export(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    refused("exporting a container")
}
