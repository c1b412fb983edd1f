//! `/exec` and `/containers/{id}/exec`.
//!
//! The bytes are carried by `session`.

use bytes::Bytes;
use http::StatusCode;
use tokio::io::AsyncWriteExt;
use weft_api::ErrorCode;
use weft_api::docker::{ExecConfig, ExecInspect, ExecProcessConfig, ExecStartConfig, IdResponse};
use weft_engine::Engine;
use weft_engine::container::{AttachOptions, ExecView};

use crate::error::ApiError;
use crate::lower;
use crate::session::{self, Style};
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::frame::{Stream, frame};
use crate::transport::hijack::{self, Raw};

/// Prepares a command; it does not run yet.
pub async fn create(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let id = call.param("id").to_owned();
    let request: ExecConfig = call.json().await?;
    let options = lower::exec(request)?;
    let id = engine.exec_create(&id, options).await?;
    Ok(body::json(StatusCode::CREATED, &IdResponse { id }))
}

/// Runs it, detached or attached to this connection.
pub async fn start(engine: Engine, mut call: Call) -> Result<Answer, ApiError> {
    let view = engine.exec_inspect(call.param("id"))?;
    let wants_upgrade = call.wants_upgrade();
    let wants = AttachOptions {
        stdin: view.options.attach_stdin,
        stdout: view.options.attach_stdout,
        stderr: view.options.attach_stderr,
    };
    let version = call.version();
    let pending = call.take_upgrade();
    let request: ExecStartConfig = call.json_or_default().await?;
    let mut no = lower::Refusals::default();
    no.rest("", &request.rest);
    no.check()?;
    let size = request.console_size.map(|[rows, cols]| (rows, cols));
    if request.detach {
        engine
            .exec_start(&view.id, AttachOptions::default(), size)
            .await?;
        return Ok(body::empty(StatusCode::OK));
    }
    if wants.stdin && !wants_upgrade {
        return Err(ApiError::invalid(
            "attaching stdin needs the headers 'Connection: Upgrade' and 'Upgrade: tcp'",
        ));
    }
    let style = Style::new(view.options.tty, view.options.detach_keys.as_deref())?;
    let media = style.media(version);
    let attached = match engine.exec_start(&view.id, wants, size).await {
        Ok(attached) => attached,
        // Docker tells on the stream why a command can't run, its code is in inspect; of any other
        // answer its client shows the status alone.
        Err(error) if error.code != ErrorCode::Conflict && wants_upgrade => {
            let line = Bytes::from(format!("{}\r\n", ApiError::from(error).message));
            let line = if style.tty {
                line
            } else {
                frame(Stream::Stderr, &line)
            };
            return Ok(hijack::upgrade(pending, media, |raw| say(raw, line)));
        }
        Err(error) => return Err(error.into()),
    };
    let stdin = match wants.stdin {
        true if view.options.tty => session::Input::Shared,
        true => session::Input::Own,
        false => session::Input::None,
    };
    let Some(attached) = attached else {
        return Ok(if wants_upgrade {
            hijack::upgrade(pending, media, |raw| say(raw, Bytes::new()))
        } else {
            body::empty(StatusCode::OK)
        });
    };
    Ok(if wants_upgrade {
        hijack::upgrade(pending, media, move |raw| async move {
            if session::run(raw, attached, style, stdin).await {
                engine.exec_detached(&view.id);
            }
        })
    } else {
        body::stream(media, session::output_only(attached, style))
    })
}

async fn say(mut raw: Raw, line: Bytes) {
    let _ = raw.output.write_all(&line).await;
    let _ = raw.output.shutdown().await;
}

/// The terminal's new size.
pub async fn resize(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let (rows, cols) = crate::containers::attach::size(&call)?;
    engine.exec_resize(call.param("id"), rows, cols).await?;
    Ok(body::empty(StatusCode::OK))
}

/// How it stands.
pub async fn inspect(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let view = engine.exec_inspect(call.param("id"))?;
    Ok(body::json(StatusCode::OK, &raise(view)))
}

fn raise(view: ExecView) -> ExecInspect {
    let options = view.options;
    ExecInspect {
        id: view.id,
        running: view.running,
        exit_code: view.exit_code.map(i64::from),
        process_config: ExecProcessConfig {
            tty: options.tty,
            entrypoint: options.args.first().cloned().unwrap_or_default(),
            arguments: options.args.get(1..).unwrap_or_default().to_vec(),
            privileged: options.privileged,
            user: view.user,
        },
        open_stdin: options.attach_stdin,
        open_stderr: options.attach_stderr,
        open_stdout: options.attach_stdout,
        can_remove: !view.running && view.exit_code.is_some(),
        container_id: view.container_id,
        detach_keys: options.detach_keys.unwrap_or_default(),
        pid: view.pid.into(),
    }
}
