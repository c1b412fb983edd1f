//! A client's session with a workload: bytes both ways until either side ends.
//!
//! ```text
//!   client  -- input ---->  detach watch  -->  stdin        (EOF: stdin closes, output goes on)
//!           <- output ----  stdcopy frames (no terminal) --  stdout, stderr
//! ```
//! Ends with the workload, with the detach keys, or with the client; then everything is dropped.
//! A slow client slows the workload, as with Docker; one that vanished does not.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::io::AsyncWriteExt;
use weft_api::docker::ErrorDetail;
use weft_engine::session::{Attached, AttachedReader, AttachedWriter, Output};

use crate::transport::call::Call;
use crate::transport::frame::{self, frame};
use crate::transport::hijack::{
    DEFAULT_DETACH_KEYS, DetachWatch, Input as Typing, Raw, detach_keys,
};
use crate::transport::version::Version;

/// Bytes of input taken from a client at once.
const INPUT_SIZE: usize = 16 * 1024;

/// How a session treats its bytes.
#[derive(Debug)]
pub struct Style {
    /// Output is as it is, for it comes from a terminal.
    pub tty: bool,
    /// Keys that end the session.
    pub detach: Vec<u8>,
}

impl Style {
    /// The keys to watch for: those named, else Docker's; only a terminal has any by default.
    pub fn new(tty: bool, keys: Option<&str>) -> Result<Self, crate::ApiError> {
        let text = keys.unwrap_or(DEFAULT_DETACH_KEYS);
        let detach = detach_keys(text).ok_or_else(|| {
            crate::ApiError::invalid(format!(
                "Invalid detach keys ({}) provided",
                text.escape_debug()
            ))
        })?;
        Ok(Self {
            tty,
            detach: if tty { detach } else { Vec::new() },
        })
    }

    /// The media type of the output.
    pub fn media(&self, version: Version) -> &'static str {
        if self.tty || version < Version(1, 42) {
            frame::RAW
        } else {
            frame::MULTIPLEXED
        }
    }

    /// A piece of output as the client reads it; `None` at the end.
    pub fn wrap(&self, output: Output) -> Option<Bytes> {
        match output {
            Output::Stdout(bytes) if self.tty => Some(bytes),
            Output::Stdout(bytes) => Some(frame(frame::Stream::Stdout, &bytes)),
            Output::Stderr(bytes) if self.tty => Some(bytes),
            Output::Stderr(bytes) => Some(frame(frame::Stream::Stderr, &bytes)),
            Output::Exit(_) => None,
        }
    }
}

/// What a client's input is to the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Not wanted: it is not even read.
    None,
    /// Passed on; when it ends, the workload's stays open for the next client.
    Shared,
    /// Passed on, and ended with the client's.
    Own,
}

/// Runs a session over a raw connection; says whether the client left by the detach keys.
pub async fn run(raw: Raw, attached: Attached, style: Style, stdin: Input) -> bool {
    let Raw {
        mut input,
        mut output,
        gone,
    } = raw;
    let (mut reader, mut writer) = attached.split();
    let mut watch = DetachWatch::new(style.detach.clone());
    let typing = async {
        if stdin == Input::None {
            return std::future::pending().await;
        }
        if feed(&mut input, &mut writer, &mut watch).await.is_break() {
            return;
        }
        if stdin == Input::Own {
            let _ = writer.close_stdin().await;
        }
        std::future::pending().await
    };
    let printing = async {
        while let Some(bytes) = reader.next().await.and_then(|piece| style.wrap(piece)) {
            if output.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let detached = tokio::select! {
        () = printing => false,
        () = typing => true,
        () = gone.wait() => false,
    };
    let _ = output.shutdown().await;
    detached
}

/// Passes input on until it ends (`Continue`), or the client or the workload leaves (`Break`).
async fn feed(
    input: &mut Typing,
    writer: &mut AttachedWriter,
    watch: &mut DetachWatch,
) -> std::ops::ControlFlow<()> {
    let mut buffer = vec![0; INPUT_SIZE];
    while let Some(count) = input.next(&mut buffer).await {
        let typed = watch.feed(&buffer[..count]);
        if !typed.pass.is_empty() && writer.write(&typed.pass).await.is_err() {
            // The workload takes no more; its last output is still to come.
            return std::ops::ControlFlow::Continue(());
        }
        if typed.detached {
            return std::ops::ControlFlow::Break(());
        }
    }
    let held = watch.finish();
    if !held.is_empty() {
        let _ = writer.write(&held).await;
    }
    std::ops::ControlFlow::Continue(())
}

/// The output alone, as the body of an answer to a client that did not ask for an upgrade.
pub fn output_only(
    attached: Attached,
    style: Style,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    // The writer is kept: dropping it would tell the workload that its input has ended.
    let state: (AttachedReader, AttachedWriter, Style) = {
        let (reader, writer) = attached.split();
        (reader, writer, style)
    };
    stream::unfold(state, |(mut reader, writer, style)| async move {
        let bytes = reader.next().await.and_then(|piece| style.wrap(piece))?;
        Some((Ok(bytes), (reader, writer, style)))
    })
}

/// Whether the client asked for the upgrade that input needs.
pub fn may_type(call: &Call, stdin: bool) -> Result<(), crate::ApiError> {
    if stdin && !call.wants_upgrade() {
        return Err(crate::ApiError::invalid(
            "attaching stdin needs the headers 'Connection: Upgrade' and 'Upgrade: tcp'",
        ));
    }
    Ok(())
}

/// What an error looks like at the end of a progress stream.
pub fn error_line(error: &crate::ApiError) -> weft_api::docker::JsonMessage {
    weft_api::docker::JsonMessage {
        error: error.message.clone(),
        error_detail: Some(ErrorDetail {
            code: 0,
            message: error.message.clone(),
        }),
        ..Default::default()
    }
}
