//! `POST /containers/create`.
//!
//! The body's meaning is decided in `lower`.

use http::StatusCode;
use weft_api::ErrorCode;
use weft_api::docker::{ContainerCreateRequest, ContainerCreateResponse};
use weft_engine::{Engine, EngineError};
use weft_image::Platform;

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
    let platform = call.query().text("platform").map(crate::images::platform);
    let platform = platform.transpose()?;
    let request: ContainerCreateRequest = call.json().await?;
    let spec = lower::container(request)?;
    let image = spec.image.clone();
    if let Some(platform) = platform {
        check_platform(&engine, &image, &platform)?;
    }
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

/// An image of this name for another platform is not the one that is meant.
fn check_platform(engine: &Engine, image: &str, wanted: &Platform) -> Result<(), ApiError> {
    let Ok(here) = engine.image(image) else {
        return Ok(());
    };
    let has = here.config.platform();
    if wanted.rank(&has).is_some() {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::NotFound,
        format!("No such image: {image} for {wanted}, what is here is for {has}"),
    ))
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
