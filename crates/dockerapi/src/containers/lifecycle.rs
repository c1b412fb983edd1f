//! start, stop, restart, kill, pause, unpause, rename, update.
//!
//! Each is one engine call.

use std::time::Duration;

use http::StatusCode;
use weft_api::docker::{ContainerUpdateRequest, ContainerUpdateResponse};
use weft_engine::Engine;
use weft_engine::container::{Outcome, StopOptions};

use crate::error::ApiError;
use crate::lower;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

fn outcome(outcome: Outcome) -> Answer {
    body::empty(match outcome {
        Outcome::Done => StatusCode::NO_CONTENT,
        Outcome::AlreadySo => StatusCode::NOT_MODIFIED,
    })
}

fn done() -> Answer {
    body::empty(StatusCode::NO_CONTENT)
}

/// Starts it. The keys are those of later attaches in Docker's client; each names them itself.
pub async fn start(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    call.query().refuse(&["checkpoint", "checkpoint-dir"])?;
    let id = call.param("id").to_owned();
    body::discard(call.into_body()).await?;
    Ok(outcome(engine.start(&id).await?))
}

/// Signal and grace of a stop; `t=-1` waits forever.
fn stop_options(call: &Call) -> Result<StopOptions, ApiError> {
    let grace = call.query().number::<i64>("t")?;
    Ok(StopOptions {
        signal: call.query().text("signal").map(str::to_owned),
        grace: grace.map(|seconds| u64::try_from(seconds).ok().map(Duration::from_secs)),
    })
}

/// Asks it to stop, and kills it after the grace.
pub async fn stop(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let options = stop_options(&call)?;
    Ok(outcome(engine.stop(call.param("id"), options).await?))
}

/// Stops and starts it.
pub async fn restart(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let options = stop_options(&call)?;
    engine.restart(call.param("id"), options).await?;
    Ok(done())
}

/// Sends a signal, SIGKILL unless named.
pub async fn kill(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let signal = call.query().text("signal").unwrap_or("SIGKILL");
    engine.kill(call.param("id"), signal).await?;
    Ok(done())
}

/// Freezes it.
pub async fn pause(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    engine.pause(call.param("id")).await?;
    Ok(done())
}

/// Thaws it.
pub async fn unpause(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    engine.unpause(call.param("id")).await?;
    Ok(done())
}

/// Gives it another name.
pub async fn rename(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let name = call.query().required("name")?.trim_start_matches('/');
    engine.rename(call.param("id"), name).await?;
    Ok(done())
}

/// Changes limits and restart policy.
pub async fn update(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let id = call.param("id").to_owned();
    let request: ContainerUpdateRequest = call.json().await?;
    let (resources, restart) = lower::update(&request)?;
    engine.update(&id, resources, restart).await?;
    Ok(body::json(
        StatusCode::OK,
        &ContainerUpdateResponse::default(),
    ))
}
