//! One request: version, route, handler, answer, with an id in the log.
//!
//! It is the only place that turns errors into answers, and the only one where a caller could
//! be refused for who it is.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tracing::Instrument;
use weft_api::docker::API_VERSION;
use weft_engine::Engine;

use crate::error::ApiError;
use crate::router::{Route, find};
use crate::transport::body::{self, Answer};
use crate::transport::call::Call;
use crate::transport::query::Query;
use crate::transport::version;

/// Who is on the other end of the socket.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Effective user id at connect.
    pub uid: u32,
    /// Effective group id at connect.
    pub gid: u32,
    /// Process id at connect, 0 when it can't be seen.
    pub pid: i32,
}

/// Answers one request.
pub async fn dispatch(engine: Engine, peer: Peer, request: Request<Incoming>) -> Answer {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let head = request.method() == Method::HEAD;
    let span = tracing::debug_span!(
        "request", id, method = %request.method(), path = request.uri().path(),
        uid = peer.uid, pid = peer.pid
    );
    let answer = async {
        tracing::debug!(gid = peer.gid, "begins");
        let answer = match handle(engine, peer, request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(code = %error.code, message = %error.message, "failed");
                body::error(&error)
            }
        };
        tracing::debug!(status = answer.status().as_u16(), "answered");
        answer
    };
    finish(answer.instrument(span).await, head)
}

async fn handle(
    engine: Engine,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Answer, ApiError> {
    let (version, path) = version::split(request.uri().path())?;
    let (route, params) = find(request.method(), path).ok_or_else(ApiError::page_not_found)?;
    admit(peer, route)?;
    let query = Query::parse(request.uri().query().unwrap_or_default())?;
    (route.handler)(
        engine,
        Call {
            version,
            params,
            query,
            request,
        },
    )
    .await
}

/// The one authorisation point. The socket's mode has let in root and the group it was given
/// to, and whoever may run a container is root on this machine: there is nothing left to tell
/// apart, so only callers that can't be named are refused.
fn admit(peer: Peer, route: &Route) -> Result<(), ApiError> {
    // The overflow id stands for a user of another namespace, which may be anyone.
    const OVERFLOW: u32 = 65_534;
    if peer.uid != OVERFLOW || route.open {
        return Ok(());
    }
    Err(ApiError::new(
        weft_api::ErrorCode::Forbidden,
        format!(
            "the caller's user has no id on this machine: {} is refused",
            route.pattern
        ),
    ))
}

/// Headers every answer has; HEAD gets no body.
fn finish(mut answer: Answer, head: bool) -> Answer {
    let headers = answer.headers_mut();
    headers.insert("Api-Version", HeaderValue::from_static(API_VERSION));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Server", HeaderValue::from_static("weft (linux)"));
    if head && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (parts, _) = answer.into_parts();
        let nothing = http_body_util::Empty::new().map_err(|never| match never {});
        return Answer::from_parts(parts, nothing.boxed_unsync());
    }
    answer
}
