//! `POST /containers/create`.
//!
//! The body's meaning is decided in `lower`.

use http::StatusCode;
use weft_api::ErrorCode;
use weft_api::docker::{ContainerCreateRequest, ContainerCreateResponse};
use weft_engine::{Engine, EngineError};

use crate::error::ApiError;
use crate::lower;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Makes a container; it does not start it.
pub async fn create(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let name = call
        .query()
        .text("name")
        .map(|name| name.trim_start_matches('/').to_owned());
    if let Some(platform) = call.query().text("platform") {
        crate::images::check_platform(platform)?;
    }
    let request: ContainerCreateRequest = call.json().await?;
    let spec = lower::container(request)?;
    let image = spec.image.clone();
    let created = engine
        .create(name.as_deref(), spec)
        .await
        .map_err(|error| missing(&engine, &image, error))?;
    let answer = ContainerCreateResponse {
        id: created.id,
        warnings: created.warnings,
    };
    Ok(body::json(StatusCode::CREATED, &answer))
}

/// Here a 404 means the image alone, and makes clients pull it: what else is missing is told
/// with another status.
fn missing(engine: &Engine, image: &str, error: EngineError) -> ApiError {
    let mut error = ApiError::from(error);
    if error.code == ErrorCode::NotFound && engine.image(image).is_ok() {
        error.code = ErrorCode::Invalid;
    }
    error
}
