//! A server that has nothing to answer from: whoever asks is told so, and why, over the same TLS.
//!
//! Never: asks who it is; so what is said is for everybody.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use weft_control::{Failure, Reason};
use weft_stdx::accept::{self, Next};

/// Connections at once; others are closed.
const CONNECTIONS_MAX: usize = 64;
/// How long one lasts, from its handshake to its end.
const LONGEST: Duration = Duration::from_secs(10);

/// Answers everybody on `listener` that this does not work now, and `why`, until `shutdown` completes.
pub async fn closed(
    tls: Arc<rustls::ServerConfig>,
    listener: TcpListener,
    why: &str,
    shutdown: impl Future<Output = ()>,
) {
    let failure = Failure::new(Reason::ServiceUnavailable, why);
    let body = Bytes::from(crate::answer::status(&failure).to_string());
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
                    let (tls, body) = (Arc::clone(&tls), body.clone());
                    connections.spawn(async move {
                        let _ = tokio::time::timeout(LONGEST, connection(tls, stream, body)).await;
                        drop(permit);
                    });
                }
                Err(error) => match accept::next(&error) {
                    Next::Again => {}
                    Next::After(pause) => tokio::time::sleep(pause).await,
                    Next::Stop => return shutdown.await,
                },
            },
        }
    }
}

async fn connection(tls: Arc<rustls::ServerConfig>, stream: TcpStream, body: Bytes) {
    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else {
        return;
    };
    let answer = service_fn(move |_| {
        let mut response = Response::new(Full::new(body.clone()));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    let builder = Builder::new(TokioExecutor::new());
    let served = builder.serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = served.await {
        tracing::debug!(error, "a connection broke");
    }
}
