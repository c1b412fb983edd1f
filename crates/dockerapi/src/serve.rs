//! The accept loop: connections in bounds, each with its peer's credentials.
//!
//! ```text
//!   accept -> at the bound? 503 and close
//!          -> HTTP/1.1 (head within 30 s and 128 KiB) -> dispatch, maybe upgrade
//! ```
//! Who may connect is decided by the socket's mode: there is no other listener, and no TCP.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use weft_engine::Engine;
use weft_stdx::accept::{self, Next};

use crate::dispatch::{Peer, dispatch};
use crate::transport::body::Answer;

/// Connections served at once; each costs a descriptor, and an attach one more.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take to send a request's head, also while it idles between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head: filters and credentials travel in it.
const HEAD_MAX: usize = 128 << 10;
/// How long requests in flight are waited for at the end.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves the API on `listener` until `shutdown` completes, then lets requests in flight end.
///
/// Must be called within a tokio runtime. Containers are not touched by the end of it.
///
/// # Errors
/// The listener itself broke; a failed connection is not an error.
pub async fn serve(
    engine: Engine,
    listener: UnixListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let answer = move |peer, request| dispatch(engine.clone(), peer, request);
    accept(listener, shutdown, CONNECTIONS_MAX, answer).await
}

async fn accept<F, Fut>(
    listener: UnixListener,
    shutdown: impl Future<Output = ()>,
    connections_max: usize,
    answer: F,
) -> io::Result<()>
where
    F: Fn(Peer, Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(connections_max));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match Arc::clone(&permits).try_acquire_owned() {
                    Ok(permit) => {
                        let (answer, stopped) = (answer.clone(), stopped.clone());
                        connections.spawn(connection(answer, stream, permit, stopped));
                    }
                    Err(_) => drop(connections.spawn(turn_away(stream))),
                },
                Err(error) => match accept::next(&error) {
                    Next::Again => tracing::debug!(%error, "a connection broke before it was accepted"),
                    Next::After(pause) => {
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(pause).await;
                    }
                    Next::Stop => return Err(error),
                },
            },
        }
    }
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        connections.abort_all();
    }
    Ok(())
}

async fn connection<F, Fut>(
    answer: F,
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) where
    F: Fn(Peer, Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let peer = match stream.peer_cred() {
        Ok(cred) => Peer {
            uid: cred.uid(),
            gid: cred.gid(),
            pid: cred.pid().unwrap_or(0),
        },
        Err(error) => {
            tracing::warn!(%error, "a connection without peer credentials is not served");
            return;
        }
    };
    let service = service_fn(move |request| {
        let answering = answer(peer, request);
        async move { Ok::<_, std::convert::Infallible>(answering.await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = async { drop(stopped.wait_for(|stop| *stop).await) } => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, uid = peer.uid, pid = peer.pid, "a connection ended early");
    }
}

/// Tells one client too many so, without reading a byte of what it sent.
async fn turn_away(mut stream: UnixStream) {
    let text = r#"{"message":"too many connections are open already"}"#;
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = tokio::time::timeout(DRAIN, stream.write_all(answer.as_bytes())).await;
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
