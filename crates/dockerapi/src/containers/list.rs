//! `GET /containers/json`.
//!
//! Filters are lowered here and applied by the engine.

use http::StatusCode;
use weft_engine::Engine;
use weft_engine::container::{HealthStatus, ListFilter, Status};

use crate::error::ApiError;
use crate::raise;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::filters::Filters;

const FILTERS: [&str; 13] = [
    "ancestor", "before", "exited", "expose", "id", "label", "name", "network", "publish", "since",
    "status", "volume", "health",
];

/// Lists containers, the newest first.
pub async fn list(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let filter = filter(&call)?;
    let views = engine.list(&filter)?;
    let volumes = raise::container::volume_paths(&engine)?;
    let now = jiff::Timestamp::now();
    let sized = call.query().flag("size", false)?;
    let mut lines = Vec::with_capacity(views.len());
    for view in &views {
        let mut line = raise::container::summary(view, &volumes, now);
        if sized {
            crate::sizes::fill(&engine, view, &mut line).await;
        }
        lines.push(line);
    }
    Ok(body::json(StatusCode::OK, &lines))
}

fn filter(call: &Call) -> Result<ListFilter, ApiError> {
    let filters = call.filters(&FILTERS)?;
    let query = call.query();
    let limit = query
        .number::<i64>("limit")?
        .and_then(|n| usize::try_from(n).ok());
    if !filters.values("expose").is_empty() {
        return Err(ApiError::invalid("filter 'expose' is not supported"));
    }
    let statuses = statuses(&filters)?;
    let list = |name: &str| filters.values(name).to_vec();
    Ok(ListFilter {
        // Naming a state or an exit code asks for those that don't run as well.
        all: query.flag("all", false)?
            || !statuses.is_empty()
            || !filters.values("exited").is_empty(),
        limit: limit.filter(|n| *n > 0),
        ids: list("id"),
        names: list("name"),
        statuses,
        labels: list("label"),
        ancestors: list("ancestor"),
        networks: list("network"),
        volumes: list("volume"),
        exited: exited(&filters)?,
        before: one(&filters, "before")?,
        since: one(&filters, "since")?,
        publish: list("publish"),
        healths: healths(&filters)?,
    })
}

fn one(filters: &Filters, name: &str) -> Result<Option<String>, ApiError> {
    match filters.values(name) {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        _ => Err(ApiError::invalid(format!(
            "filter '{name}' takes one value"
        ))),
    }
}

fn statuses(filters: &Filters) -> Result<Vec<Status>, ApiError> {
    use Status::{Created, Dead, Exited, Paused, Removing, Restarting, Running};
    let known = [Created, Running, Paused, Restarting, Exited, Removing, Dead];
    let find = |text: &String| {
        known
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| ApiError::invalid(format!("invalid filter 'status={text}'")))
    };
    filters.values("status").iter().map(find).collect()
}

fn healths(filters: &Filters) -> Result<Vec<Option<HealthStatus>>, ApiError> {
    let find = |text: &String| match text.as_str() {
        "none" => Ok(None),
        "starting" => Ok(Some(HealthStatus::Starting)),
        "healthy" => Ok(Some(HealthStatus::Healthy)),
        "unhealthy" => Ok(Some(HealthStatus::Unhealthy)),
        other => Err(ApiError::invalid(format!(
            "Unrecognised filter value for health: {other}"
        ))),
    };
    filters.values("health").iter().map(find).collect()
}

fn exited(filters: &Filters) -> Result<Vec<i32>, ApiError> {
    let number = |text: &String| {
        text.parse()
            .map_err(|_| ApiError::invalid(format!("invalid filter 'exited={text}'")))
    };
    filters.values("exited").iter().map(number).collect()
}
