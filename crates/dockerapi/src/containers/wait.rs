//! `POST /containers/{id}/wait`: the headers at once, the exit code when there is one.
//!
//! `docker run` waits before it starts: it reads the headers as "the wait has begun". With
//! `start=attached`, which is weft's own, the headers say that the container was started, too, which
//! happened once somebody was attached to it: `run` needs two round trips instead of three.

use futures_util::stream;
use http::HeaderValue;
use weft_api::docker::{WaitError, WaitResponse};
use weft_engine::Engine;
use weft_engine::container::WaitCondition;

use crate::error::ApiError;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// Answers with the exit code once the condition holds.
pub async fn wait(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let condition = match call.query().text("condition") {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => {
            return Err(ApiError::invalid(format!("invalid condition: '{other}'")));
        }
    };
    let start = match call.query().text("start") {
        None => false,
        Some("attached") => true,
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "invalid start: '{other}'; there is 'attached'"
            )));
        }
    };
    let waiting = engine.wait(call.param("id"), condition)?;
    if start {
        engine.start_attached(call.param("id")).await?;
    }
    let answer = async move {
        let ended = waiting.await;
        WaitResponse {
            status_code: ended.code.into(),
            error: ended.error.map(|message| WaitError { message }),
        }
    };
    let mut answer = body::json_lines(stream::once(answer));
    if start {
        let headers = answer.headers_mut();
        headers.insert("weft-started", HeaderValue::from_static("true"));
    }
    Ok(answer)
}
