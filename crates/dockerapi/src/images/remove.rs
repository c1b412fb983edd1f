//! Names and removal of images.
//!
//! What a container uses is not removed; that is for the engine to know.

use http::StatusCode;
use weft_api::docker::{ImageDeleted, ImagesPruneResponse};
use weft_engine::Engine;

use crate::error::ApiError;
use crate::raise;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Gives an image a further name.
pub async fn tag(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let repository = call.query().required("repo")?;
    let name = match call.query().text("tag") {
        Some(tag) => format!("{repository}:{tag}"),
        None => repository.to_owned(),
    };
    engine.tag_image(call.param("name"), &name)?;
    Ok(body::empty(StatusCode::CREATED))
}

/// Removes a name, and the image with its last one.
pub async fn remove(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let force = call.query().flag("force", false)?;
    // There are no untagged parents to keep or prune: layers go when nothing needs them.
    call.query().flag("noprune", false)?;
    let removed = engine.remove_image(call.param("name"), force).await?;
    Ok(body::json(StatusCode::OK, &raise::image::removed(removed)))
}

/// Removes images without a name; `dangling=false` also those nobody uses.
pub async fn prune(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&["dangling", "label", "label!", "until"])?;
    let mut keep = crate::prune::filter(&filters)?;
    keep.all = filters.flag("dangling")? == Some(false);
    let pruned = engine.prune_images(&keep).await?;
    let step = |line: String| match line.split_once(": ") {
        Some(("untagged", name)) => ImageDeleted {
            untagged: name.into(),
            ..Default::default()
        },
        Some((_, id)) => ImageDeleted {
            deleted: id.into(),
            ..Default::default()
        },
        None => ImageDeleted {
            deleted: line,
            ..Default::default()
        },
    };
    let answer = ImagesPruneResponse {
        images_deleted: pruned.deleted.into_iter().map(step).collect(),
        space_reclaimed: pruned.reclaimed_bytes,
    };
    Ok(body::json(StatusCode::OK, &answer))
}
