//! `POST /containers/create`.
//!
//! The body's meaning is decided in `lower`.

use http::StatusCode;
use weft_api::docker::{ContainerCreateRequest, ContainerCreateResponse};
use weft_engine::Engine;

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
    let created = engine.create(name.as_deref(), spec).await?;
    let answer = ContainerCreateResponse {
        id: created.id,
        warnings: created.warnings,
    };
    Ok(body::json(StatusCode::CREATED, &answer))
}
