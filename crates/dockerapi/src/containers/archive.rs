//! `docker cp`: a container's files as tar archives; `docker export`: all of them that are its own.
//!
//! ```text
//!   GET: thread with the files -> pipe, bounded -> client     PUT: client -> thread
//! ```
//! A client that leaves closes its end, and with the next byte the thread ends.

use std::io;

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weft_api::docker::PathStat;
use weft_engine::{CopyIn, Engine, EngineError, PathFacts};

use crate::error::ApiError;
use crate::raise::time::rfc3339;
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;

/// What is at the path, base64 of a [`PathStat`] as JSON.
const STAT_HEADER: HeaderName = HeaderName::from_static("x-docker-container-path-stat");
/// Bytes that wait for a slow client before the copy waits for it too.
const PIPE: usize = 256 << 10;
/// Bytes handed to the client at a time.
const PIECE: usize = 64 << 10;

/// `docker cp` from a container.
pub async fn get(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let path = call.query().required("path")?.to_owned();
    let id = call.param("id").to_owned();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (begin, begun) = oneshot::channel();
    let copy = tokio::spawn(async move {
        let begin = move |facts| drop(begin.send(facts));
        engine.copy_out(&id, &path, begin, theirs).await
    });
    let (facts, mut answer) = answer(begun, ours, copy).await?;
    answer
        .headers_mut()
        .insert(STAT_HEADER, stat_header(&facts));
    Ok(answer)
}

/// What `copy` says when it begins, and the answer that its archive makes.
async fn answer<T>(
    begun: oneshot::Receiver<T>,
    pipe: DuplexStream,
    copy: JoinHandle<Result<(), EngineError>>,
) -> Result<(T, Answer), ApiError> {
    if let Ok(said) = begun.await {
        let answer = body::stream("application/x-tar", pieces(pipe, copy));
        return Ok((said, answer));
    }
    // It failed before there was anything to say.
    match copy.await {
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(())) => Err(body::broken("the copy ended", &"it said nothing")),
        Err(error) => Err(body::broken("the copy broke off", &error)),
    }
}

/// The archive; its end only once the copy has ended well, so that half of one never looks whole.
fn pieces(
    pipe: DuplexStream,
    copy: JoinHandle<Result<(), EngineError>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::unfold(Some((pipe, copy)), |state| async {
        let (mut pipe, copy) = state?;
        let mut piece = BytesMut::with_capacity(PIECE);
        match pipe.read_buf(&mut piece).await {
            Ok(1..) => Some((Ok(piece.freeze()), Some((pipe, copy)))),
            Err(error) => Some((Err(error), None)),
            Ok(0) => {
                let error = match copy.await {
                    Ok(Ok(())) => return None,
                    Ok(Err(error)) => io::Error::other(error),
                    Err(error) => io::Error::other(error),
                };
                tracing::debug!(%error, "a copy ended early");
                Some((Err(error), None))
            }
        }
    })
}

/// The look before a `docker cp`.
pub async fn stat(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let path = call.query().required("path")?;
    let facts = engine.path_facts(call.param("id"), path).await?;
    let mut answer = body::empty(StatusCode::OK);
    answer
        .headers_mut()
        .insert(STAT_HEADER, stat_header(&facts));
    Ok(answer)
}

/// `docker cp` into a container.
pub async fn put(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let path = query.required("path")?.to_owned();
    let options = CopyIn {
        keep_kinds: query.flag("noOverwriteDirNonDir", false)?,
        to_user: query.flag("copyUIDGID", false)?,
    };
    let id = call.param("id").to_owned();
    let archive = body::reader(call.into_body());
    engine.copy_in(&id, &path, options, archive).await?;
    Ok(body::empty(StatusCode::OK))
}

/// `docker export`.
pub async fn export(engine: Engine, call: Call) -> Result<Answer, ApiError> {
    let id = call.param("id").to_owned();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (begin, begun) = oneshot::channel();
    let copy = tokio::spawn(async move {
        let begin = move || {
            let _ = begin.send(());
        };
        engine.export(&id, begin, theirs).await
    });
    Ok(answer(begun, ours, copy).await?.1)
}

fn stat_header(facts: &PathFacts) -> HeaderValue {
    let (seconds, nanos) = facts.modified;
    let modified = seconds.saturating_mul(1_000_000_000);
    let stat = PathStat {
        name: facts.name.clone(),
        size: facts.size,
        mode: go_mode(facts.mode),
        mtime: rfc3339(modified.saturating_add(i64::from(nanos))),
        link_target: facts.link_target.clone(),
    };
    let json = serde_json::to_vec(&stat).expect("strings and numbers always serialise");
    let text = base64::engine::general_purpose::STANDARD.encode(json);
    HeaderValue::try_from(text).expect("base64 is plain text")
}

/// Go's `fs.FileMode` of a `st_mode`.
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        0o020_000 => 1 << 26 | 1 << 21,
        _ => 0,
    };
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let special = special
        .iter()
        .filter(|(bit, _)| mode & bit != 0)
        .map(|(_, go)| 1 << go)
        .sum::<u32>();
    kind | special | mode & 0o777
}

#[cfg(test)]
mod tests {
    use super::go_mode;

    #[test]
    fn modes_are_gos() {
        assert_eq!(go_mode(0o100_644), 0o644);
        assert_eq!(go_mode(0o041_777), 1 << 31 | 1 << 20 | 0o777);
        assert_eq!(go_mode(0o120_777), 1 << 27 | 0o777);
        assert_eq!(go_mode(0o104_755), 1 << 23 | 0o755);
        assert_eq!(go_mode(0o020_620), 1 << 26 | 1 << 21 | 0o620);
    }
}
