//! `GET /containers/{id}/logs`, and the log before an attach.
//!
//! Lines are not held: each goes out as it is read.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use jiff::Timestamp;
use weft_engine::Engine;
use weft_engine::container::{AttachOptions, LogOptions, View};
use weft_engine::{LogEntry, LogSource, LogStream};

use crate::error::ApiError;
use crate::raise::time::rfc3339;
use crate::session::Style;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::frame::{self, frame};
use crate::transport::moment;

/// Bytes of log an attach may replay; `docker logs` has no such bound.
const REPLAY_MAX: usize = 4 << 20;

/// Streams the log.
pub async fn logs(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let options = options(&call)?;
    let timestamps = call.query().flag("timestamps", false)?;
    let view = engine.inspect(call.param("id"))?;
    let tty = view.record.spec.tty;
    let media = Style {
        tty,
        detach: Vec::new(),
    }
    .media(call.version());
    let log = engine.logs(&view.record.id, options).await?;
    Ok(body::stream(media, pieces(log, tty, timestamps)))
}

fn options(call: &Call) -> Result<LogOptions, ApiError> {
    let query = call.query();
    let now = Timestamp::now();
    let at = |name: &str| {
        query
            .text(name)
            // Clients write "0" for "not said".
            .filter(|text| *text != "0")
            .map(|text| moment::parse(name, text, now).map(nanoseconds))
            .transpose()
    };
    let options = LogOptions {
        stdout: query.flag("stdout", false)?,
        stderr: query.flag("stderr", false)?,
        follow: query.flag("follow", false)?,
        since_ns: at("since")?,
        until_ns: at("until")?,
        tail: match query.text("tail") {
            None | Some("all" | "-1") => None,
            Some(_) => query.number::<usize>("tail")?,
        },
    };
    if !options.stdout && !options.stderr {
        return Err(ApiError::invalid(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    Ok(options)
}

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

fn pieces(
    log: LogStream,
    tty: bool,
    timestamps: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(log, move |mut log| async move {
        let entry = match log.next().await? {
            Ok(entry) => entry,
            Err(error) => return Some((Err(io::Error::other(error.to_string())), log)),
        };
        Some((Ok(piece(&entry, tty, timestamps)), log))
    })
}

fn piece(entry: &LogEntry, tty: bool, timestamps: bool) -> Bytes {
    let mut line = BytesMut::new();
    if timestamps {
        line.extend_from_slice(rfc3339(entry.time_ns).as_bytes());
        line.extend_from_slice(b" ");
    }
    line.extend_from_slice(&entry.bytes);
    let stream = match entry.stream {
        LogSource::Stdout => frame::Stream::Stdout,
        LogSource::Stderr => frame::Stream::Stderr,
    };
    if tty {
        line.freeze()
    } else {
        frame(stream, &line)
    }
}

/// What the container has printed so far, framed, up to a bound from its beginning.
pub async fn past(
    engine: &Engine,
    view: &View,
    wanted: AttachOptions,
) -> Result<Vec<Bytes>, ApiError> {
    let options = LogOptions {
        stdout: wanted.stdout,
        stderr: wanted.stderr,
        ..LogOptions::default()
    };
    let mut log = engine.logs(&view.record.id, options).await?;
    let (mut pieces, mut total) = (Vec::new(), 0);
    while let Some(entry) = log.next().await {
        let piece = piece(&entry?, view.record.spec.tty, false);
        total += piece.len();
        if total > REPLAY_MAX {
            break;
        }
        pieces.push(piece);
    }
    Ok(pieces)
}
