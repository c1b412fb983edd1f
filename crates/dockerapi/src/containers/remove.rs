//! Removing containers: one, or all that are stopped.
//!
//! What goes with a container (volumes, addresses, files) is the engine's to know.

use http::StatusCode;
use weft_api::docker::ContainersPruneResponse;
use weft_engine::Engine;
use weft_engine::container::RemoveOptions;

use crate::error::ApiError;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Removes one container.
pub async fn remove(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    if query.flag("link", false)? {
        return Err(ApiError::invalid(
            "not supported here: query parameter link",
        ));
    }
    let options = RemoveOptions {
        force: query.flag("force", false)?,
        volumes: query.flag("v", false)?,
    };
    engine.remove(call.param("id"), options).await?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// Removes every stopped container the filters leave.
pub async fn prune(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&["label", "label!", "until"])?;
    let keep = crate::prune::filter(&filters)?;
    let pruned = engine.prune_containers(&keep).await?;
    let answer = ContainersPruneResponse {
        containers_deleted: pruned.deleted,
        space_reclaimed: pruned.reclaimed_bytes,
    };
    Ok(body::json(StatusCode::OK, &answer))
}

/// Making images from containers is not offered.
pub async fn commit(_engine: Engine, _call: Call) -> Result<Answer, ApiError> {
    Err(ApiError::invalid(
        "commit is not supported: build the image, or import an archive",
    ))
}
