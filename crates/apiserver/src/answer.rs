//! Answers: JSON, failures as `Status`, streams.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame};
use serde_json::{Value, json};
use weft_control::{Failure, Reason};

use crate::accept::Encoding;

/// A body of an answer.
pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub(crate) type Answer = Response<Body>;

/// An answer with a whole body.
pub(crate) fn whole(code: StatusCode, media: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed_unsync());
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    // What is answered is true now; nobody is to keep it.
    headers.insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    answer
}

/// JSON.
pub(crate) fn json(code: StatusCode, value: &Value) -> Answer {
    whole(code, "application/json", value.to_string())
}

/// A body that goes on.
pub(crate) fn stream(
    media: &'static str,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Answer {
    let frames = pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    answer
}

/// Leaves the body out, as a HEAD is answered (RFC 9110, 9.3.2); its length is told where it is known.
pub(crate) fn bodiless(answer: &mut Answer) {
    let length = answer.body().size_hint().exact();
    if let Some(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *answer.body_mut() = Full::new(Bytes::new()).boxed_unsync();
}

/// A failure.
pub(crate) fn failure(failure: &Failure, encoding: Encoding) -> Answer {
    let code = StatusCode::from_u16(failure.reason.code());
    let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = whole(code, encoding.media(), encoding.text(&status(failure)));
    // Who evicts is to say so, and to decide; most clients ask again by themselves if they may.
    let mut causes = failure.about.causes.iter();
    let is_budget = causes.any(|cause| cause.reason == "DisruptionBudget");
    if failure.reason == Reason::TooManyRequests && !is_budget {
        let second = HeaderValue::from_static("1");
        answer.headers_mut().insert(RETRY_AFTER, second);
    }
    answer
}

/// Most bytes of all warnings of an answer, and of one: clients bound a head, too.
const WARNINGS_MAX: usize = 4 << 10;
const WARNING_MAX: usize = 256;

/// Adds warnings, for `kubectl` to show.
pub(crate) fn warn(answer: &mut Answer, warnings: impl IntoIterator<Item = String>) {
    let mut left = WARNINGS_MAX;
    for mut warning in warnings {
        if warning.len() > WARNING_MAX {
            warning.truncate(warning.floor_char_boundary(WARNING_MAX));
            warning.push_str("...");
        }
        let Some(rest) = left.checked_sub(warning.len()) else {
            return;
        };
        left = rest;
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        // RFC 7234, 299: miscellaneous persistent warning.
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            answer.headers_mut().append(http::header::WARNING, value);
        }
    }
}

/// A failure as `Status` (meta/v1).
pub(crate) fn status(failure: &Failure) -> Value {
    let about = &failure.about;
    let mut details = serde_json::Map::new();
    for (name, text) in [
        ("name", &about.name),
        ("group", &about.group),
        ("kind", &about.kind),
    ] {
        if !text.is_empty() {
            details.insert(name.to_owned(), text.as_str().into());
        }
    }
    if !about.causes.is_empty() {
        let causes = about.causes.iter().map(|cause| {
            json!({ "reason": cause.reason, "message": cause.message, "field": cause.field })
        });
        details.insert("causes".to_owned(), causes.collect());
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": failure.message,
        "reason": failure.reason.name(),
        "details": details,
        "code": failure.reason.code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_without_its_body_tells_how_long_that_is() {
        let mut answer = json(StatusCode::OK, &json!({ "a": 1 }));
        bodiless(&mut answer);
        assert_eq!(answer.headers()[CONTENT_LENGTH], "7");
        assert!(
            answer
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
}
