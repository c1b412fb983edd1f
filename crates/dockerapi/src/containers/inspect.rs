//! Looking at one container: inspect, top, changes.
//!
//! Nothing here changes it.

use http::StatusCode;
use weft_api::docker::{FilesystemChange, TopResponse};
use weft_engine::Engine;
use weft_image::ChangeKind;

use crate::error::ApiError;
use crate::raise;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Everything about it; with `size=1` also the size of its writable layer.
pub async fn inspect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let size = call.query().flag("size", false)?;
    let view = engine.inspect(call.param("id"))?;
    let volumes = raise::container::volume_paths(&engine)?;
    let mut answer = raise::container::inspect(&view, &volumes);
    if size {
        let (own, all) = crate::sizes::container(&engine, &view).await?;
        (answer.size_rw, answer.size_root_fs) = (Some(own), Some(all));
    }
    Ok(body::json(StatusCode::OK, &answer))
}

/// Its processes. Columns are chosen as by `ps`: none, `-ef`, `aux`, or `-o` with names.
pub async fn top(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let columns = super::top::columns(call.query().text("ps_args").unwrap_or("-ef"))?;
    let processes = engine.top(call.param("id")).await?;
    let answer = TopResponse {
        titles: columns
            .iter()
            .map(|column| column.title().to_owned())
            .collect(),
        processes: processes
            .iter()
            .map(|process| columns.iter().map(|column| column.value(process)).collect())
            .collect(),
    };
    Ok(body::json(StatusCode::OK, &answer))
}

/// What differs from its image.
pub async fn changes(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let changes = engine.changes(call.param("id")).await?;
    let lines: Vec<FilesystemChange> = changes
        .into_iter()
        .map(|change| FilesystemChange {
            path: change.path.display().to_string(),
            kind: match change.kind {
                ChangeKind::Modified => 0,
                ChangeKind::Added => 1,
                ChangeKind::Deleted => 2,
            },
        })
        .collect();
    Ok(body::json(StatusCode::OK, &lines))
}
