//! Bodies: JSON in within bounds, JSON, bytes and streams out.
//!
//! A body that is streamed in (archives, images) is never held whole here.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use weft_api::ErrorCode;

use super::shape;
use crate::error::ApiError;

/// What every answer carries.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub type Answer = Response<Body>;

/// Largest JSON body read, bytes.
pub const JSON_LIMIT: usize = 4 << 20;
/// How long a JSON body may take to arrive.
const JSON_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a whole JSON body. Errors name the line and column, or the member.
pub async fn read_json<T: DeserializeOwned>(body: Incoming) -> Result<T, ApiError> {
    decode(&read_bytes(body).await?)
}

/// Reads a JSON body that may be missing altogether.
pub async fn read_json_or_default<T: DeserializeOwned + Default>(
    body: Incoming,
) -> Result<T, ApiError> {
    let bytes = read_bytes(body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        Ok(T::default())
    } else {
        decode(&bytes)
    }
}

async fn read_bytes(body: Incoming) -> Result<Bytes, ApiError> {
    let read = Limited::new(body, JSON_LIMIT).collect();
    let read = tokio::time::timeout(JSON_TIMEOUT, read)
        .await
        .map_err(|_| {
            ApiError::invalid(format!(
                "the body did not arrive within {} s",
                JSON_TIMEOUT.as_secs()
            ))
        })?;
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::invalid(
            format!("the body is larger than {} MiB", JSON_LIMIT >> 20),
        )),
        Err(error) => Err(ApiError::invalid(format!("reading the body: {error}"))),
    }
}

/// A whole JSON body, decoded.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if has_nul(bytes) {
        return Err(ApiError::invalid(
            "the body has a NUL character in a string",
        ));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::invalid("the body is empty: JSON is expected"));
    }
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let path = error.path().to_string();
        ApiError::invalid(shape::describe(&path, error.inner()))
    })?;
    input
        .end()
        .map_err(|error| ApiError::invalid(format!("the body goes on after the JSON: {error}")))?;
    Ok(value)
}

/// Whether a string in the JSON holds NUL: no name, path or argument on Linux can.
fn has_nul(bytes: &[u8]) -> bool {
    const ESCAPE: &[u8] = b"\\u0000";
    let starts = bytes.windows(ESCAPE.len()).enumerate();
    starts.filter(|(_, part)| *part == ESCAPE).any(|(at, _)| {
        // A backslash before it would be the one that is escaped.
        let before = bytes[..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        before % 2 == 0
    })
}

/// An answer with a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(value).expect("the wire types have string keys only");
    with_type(status, "application/json", Bytes::from(text))
}

/// An answer with a body of a given type.
pub fn with_type(status: StatusCode, media_type: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(full(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(media_type),
    );
    answer
}

/// An answer without body.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// The answer to a request that failed.
pub fn error(error: &ApiError) -> Answer {
    let message = error.message.clone();
    json(error.status(), &weft_api::docker::ErrorResponse { message })
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A 200 whose body is produced piece by piece; dropping it drops the stream.
pub fn stream<S>(media_type: &'static str, pieces: S) -> Answer
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let mut answer = Response::new(StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync());
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(media_type),
    );
    answer
}

/// A 200 whose body is one JSON object after the other, each on its own line.
pub fn json_lines<S, T>(values: S) -> Answer
where
    S: Stream<Item = T> + Send + 'static,
    T: Serialize,
{
    stream("application/json", values.map(|value| Ok(line(&value))))
}

/// One object as a line.
pub fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).expect("the wire types have string keys only");
    text.push(b'\n');
    Bytes::from(text)
}

/// A body that is streamed in.
pub type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// How long a client may go on to send what nobody reads any more. Closing at once would break its
/// write, and it would never see the answer that says why.
const LINGER: Duration = Duration::from_secs(5);

/// The body as a reader, for what is streamed in. Must be called within a tokio runtime.
pub fn reader(body: Incoming) -> Reader {
    let lingering = Lingering {
        body: Some(body),
        runtime: tokio::runtime::Handle::current(),
    };
    Box::pin(tokio_util::io::StreamReader::new(lingering))
}

/// The pieces of a body; what is left of it when it is let go is read away for a while.
struct Lingering {
    body: Option<Incoming>,
    runtime: tokio::runtime::Handle,
}

impl Stream for Lingering {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                None => self.body = None,
            }
        }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let Some(mut body) = self.body.take() {
            self.runtime.spawn(async move {
                let drained = async { while let Some(Ok(_)) = body.frame().await {} };
                let _ = tokio::time::timeout(LINGER, drained).await;
            });
        }
    }
}

/// Reads away a body nobody wants, within the JSON bound, so that the connection can go on.
pub async fn discard(body: Incoming) -> Result<(), ApiError> {
    read_bytes(body).await.map(drop)
}

/// The error of a stream that ended early.
pub fn broken(what: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Internal, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use weft_api::docker::ContainerCreateRequest;

    #[test]
    fn errors_name_the_member_and_the_place() {
        let check = |text: &str, part: &str| {
            let error = super::decode::<ContainerCreateRequest>(text.as_bytes()).unwrap_err();
            assert!(
                error.message.contains(part),
                "{} lacks {part}",
                error.message
            );
        };
        check("{", "line 1 column 1");
        check(r#"{"Image": 5}"#, "Image: expected");
        check(
            "{\n\"HostConfig\": {\"Memory\": \"1g\"}}",
            "HostConfig.Memory: expected",
        );
        check(r#"{"Image":"a"} {}"#, "goes on after");
        check(&format!("{{\"X\":{}", "[".repeat(5000)), "recursion limit");
        check("", "empty");
        check(r#"{"Image":"a\u0000b"}"#, "NUL");
        assert!(super::decode::<ContainerCreateRequest>(br#"{"Image":"a\\u0000b"}"#).is_ok());
    }
}
