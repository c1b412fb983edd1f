//! `/volumes`.
//!
//! Only the local driver exists.

use http::StatusCode;
use weft_api::docker::{
    Volume, VolumeCreateRequest, VolumeList, VolumeUsage, VolumesPruneResponse,
};
use weft_engine::Engine;
use weft_engine::VolumeView;

use crate::error::ApiError;
use crate::lower::Refusals;
use crate::raise::time::rfc3339;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::filters::Filters;

/// A volume in Docker's words.
pub fn raise(view: &VolumeView, size: Option<u64>) -> Volume {
    let volume = &view.volume;
    Volume {
        created_at: rfc3339(volume.created_at_ns),
        driver: "local".into(),
        labels: volume.labels.clone(),
        mountpoint: volume.path.display().to_string(),
        name: volume.name.clone(),
        options: None,
        scope: "local".into(),
        usage_data: size.map(|bytes| VolumeUsage {
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
            ref_count: i64::try_from(view.used_by.len()).unwrap_or(i64::MAX),
        }),
    }
}

/// Lists volumes.
pub async fn list(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&["dangling", "driver", "label", "name"])?;
    let dangling = filters.flag("dangling")?;
    let volumes = engine
        .volumes()
        .iter()
        .filter(|view| matches(&filters, dangling, view))
        .map(|view| raise(view, None))
        .collect();
    Ok(body::json(
        StatusCode::OK,
        &VolumeList {
            volumes,
            warnings: None,
        },
    ))
}

fn matches(filters: &Filters, dangling: Option<bool>, view: &VolumeView) -> bool {
    filters.labels(&view.volume.labels)
        && filters.any("name", |part| view.volume.name.contains(part))
        && filters.any("driver", |driver| driver == "local")
        && dangling.is_none_or(|wanted| view.used_by.is_empty() == wanted)
}

/// Makes a volume, or answers with the one that is there.
pub async fn create(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let request: VolumeCreateRequest = call.json_or_default().await?;
    let mut no = Refusals::default();
    no.rest("", &request.rest);
    if !matches!(request.driver.as_str(), "" | "local") {
        no.unsupported(format!("Driver '{}'", request.driver));
    }
    for name in request.driver_opts.keys() {
        no.unsupported(format!("DriverOpts '{name}'"));
    }
    no.check()?;
    let name = Some(request.name.as_str()).filter(|name| !name.is_empty());
    let view = engine.create_volume(name, &request.labels)?;
    Ok(body::json(StatusCode::CREATED, &raise(&view, None)))
}

/// One volume.
pub async fn inspect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let view = engine.inspect_volume(call.param("name"))?;
    Ok(body::json(StatusCode::OK, &raise(&view, None)))
}

/// Removes one volume.
pub async fn remove(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let force = call.query().flag("force", false)?;
    engine.remove_volume(call.param("name"), force)?;
    Ok(body::empty(StatusCode::NO_CONTENT))
}

/// Removes anonymous volumes nobody has, with `all=true` named ones too.
pub async fn prune(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filters = call.filters(&["all", "label", "label!"])?;
    let mut keep = crate::prune::filter(&filters)?;
    keep.all = filters.flag("all")?.unwrap_or(false);
    let pruned = engine.prune_volumes(&keep).await?;
    let answer = VolumesPruneResponse {
        volumes_deleted: pruned.deleted,
        space_reclaimed: pruned.reclaimed_bytes,
    };
    Ok(body::json(StatusCode::OK, &answer))
}
