//! `POST /containers/{id}/attach` and `/resize`.
//!
//! The bytes are carried by `session`.

use futures_util::StreamExt;
use http::StatusCode;
use weft_engine::Engine;
use weft_engine::container::AttachOptions;

use super::logs;
use crate::error::ApiError;
use crate::session::{self, Style};
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::hijack;

/// Attaches the connection to the container's streams, with its log first where asked for.
pub async fn attach(engine: Engine, mut call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let (streaming, replay) = (query.flag("stream", false)?, query.flag("logs", false)?);
    let options = AttachOptions {
        stdin: query.flag("stdin", false)? && streaming,
        stdout: query.flag("stdout", false)?,
        stderr: query.flag("stderr", false)?,
    };
    if !streaming && !replay {
        return Err(ApiError::invalid(
            "attach: one of 'stream' and 'logs' must be set",
        ));
    }
    let view = engine.inspect(call.param("id"))?;
    let style = Style::new(view.record.spec.tty, query.text("detachKeys"))?;
    session::may_type(&call, options.stdin)?;
    let options = AttachOptions {
        stdin: options.stdin && view.record.spec.open_stdin,
        ..options
    };
    // As with Docker, only `StdinOnce` ties the workload's input to a client's, and no terminal
    // ends because somebody left it.
    let stdin = match options.stdin {
        true if view.record.spec.stdin_once && !view.record.spec.tty => session::Input::Own,
        true => session::Input::Shared,
        false => session::Input::None,
    };
    let media = style.media(call.version());
    let past = if replay {
        Some(logs::past(&engine, &view, options).await?)
    } else {
        None
    };
    let live = if streaming {
        Some(engine.attach(&view.record.id, options).await?)
    } else {
        None
    };
    if !call.wants_upgrade() {
        let past = past.into_iter().flatten().map(Ok);
        let past = futures_util::stream::iter(past.collect::<Vec<_>>());
        return Ok(match live {
            Some(live) => body::stream(media, past.chain(session::output_only(live, style))),
            None => body::stream(media, past),
        });
    }
    let pending = call.take_upgrade();
    Ok(hijack::upgrade(pending, media, move |mut raw| async move {
        use tokio::io::AsyncWriteExt;
        for piece in past.into_iter().flatten() {
            if raw.output.write_all(&piece).await.is_err() {
                return;
            }
        }
        if let Some(live) = live
            && session::run(raw, live, style, stdin).await
        {
            engine.detached(&view.record.id);
        }
    }))
}

/// The terminal's new size, in characters: height first.
pub async fn resize(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let (rows, cols) = size(&call)?;
    engine.resize(call.param("id"), rows, cols).await?;
    Ok(body::empty(StatusCode::OK))
}

/// `h` and `w`.
pub fn size(call: &Call) -> Result<(u16, u16), ApiError> {
    let side = |name: &str| {
        call.query()
            .number::<u16>(name)?
            .ok_or_else(|| ApiError::invalid(format!("query parameter '{name}' is required")))
    };
    Ok((side("h")?, side("w")?))
}
