//! `POST /containers/{id}/wait`: the headers at once, the exit code when there is one.
//!
//! `docker run` waits before it starts: it reads the headers as "the wait has begun".

use futures_util::stream;
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
    let waiting = engine.wait(call.param("id"), condition)?;
    let answer = async move {
        let ended = waiting.await;
        WaitResponse {
            status_code: ended.code.into(),
            error: ended.error.map(|message| WaitError { message }),
        }
    };
    Ok(body::json_lines(stream::once(answer)))
}
