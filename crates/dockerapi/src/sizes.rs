//! Sizes of containers: their writable layer, and that with the image below it.
//!
//! Measured only when asked for: it walks the files.

use weft_api::docker::ContainerSummary;
use weft_engine::Engine;
use weft_engine::container::View;

use crate::error::ApiError;

/// Bytes written by the container, and bytes of its whole filesystem.
pub async fn container(engine: &Engine, view: &View) -> Result<(i64, i64), ApiError> {
    let own = engine.written_bytes(&view.record.id).await?;
    let image = engine
        .image(&view.record.image_id)
        .map_or(0, |image| image.size_bytes);
    let bytes = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    Ok((bytes(own), bytes(own.saturating_add(image))))
}

/// Puts the sizes into a line of the list. One that was removed since the list has none.
pub async fn fill(engine: &Engine, view: &View, line: &mut ContainerSummary) {
    if let Ok((own, all)) = container(engine, view).await {
        (line.size_rw, line.size_root_fs) = (Some(own), Some(all));
    }
}
