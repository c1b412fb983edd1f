//! The accept loop: connections in bounds, TLS within a time, HTTP/2 or HTTP/1.1.
//!
//! ```text
//!   accept ─► at the bound? close ─► handshake within 10 s ─► head within 30 s ─► dispatch
//! ```

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use weft_control::Store;
use weft_control::usage::Meter;
use weft_identity::audit::Audit;
use weft_identity::subject::Subject;
use weft_stdx::accept::{self, Next};

use crate::dispatch::{Came, dispatch};
use crate::gate::Gate;
use crate::gather::Gather;
use crate::limit::Limiter;
use crate::metrics::{Metrics, Open};
use crate::nodes::{Nodes, Sessions};
use crate::pages::Pages;
use crate::upkeep::Upkeep;

/// Connections served at once.
const CONNECTIONS_MAX: usize = 16_384;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to send a request's head, also while it idles between two.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_MAX: usize = 64 << 10;
/// Requests at once on one HTTP/2 connection: many watches share it.
const STREAMS_MAX: u32 = 1000;
/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take.
const PING: Duration = Duration::from_secs(30);
/// How long requests in flight are waited for at the end.
const DRAIN: Duration = Duration::from_secs(2);

/// What requests are answered from.
#[derive(Clone, Debug)]
pub struct Server {
    /// The objects.
    pub store: Store,
    /// Who may do what.
    pub gate: Arc<dyn Gate>,
    /// What is done to it as a whole.
    pub upkeep: Arc<dyn Upkeep>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// What was asked by nobody that is known: apart, so that it does not push out the other.
    pub strangers: Arc<Audit>,
    /// How often strangers have tried to exchange bootstrap tokens.
    pub exchanges: Arc<Limiter>,
    /// What runs pods; nothing: nobody does.
    pub nodes: Option<Arc<dyn Nodes>>,
    /// What says how much of the machines is used; nothing: nobody does.
    pub meter: Option<Arc<dyn Meter>>,
    /// How many talk with what runs.
    pub sessions: Sessions,
    /// What was told of kinds.
    pub pages: Arc<Pages>,
    /// How it is doing.
    pub metrics: Arc<Metrics>,
    /// The keyspace's file, for its size.
    pub keyspace_file: Arc<Path>,
    /// Certificates, and which clients' are taken. Asked for each connection: it may change.
    pub tls: Arc<rustls::ServerConfig>,
}

/// Serves on `listener` until `shutdown` completes, then lets requests in flight end.
///
/// # Errors
/// The listener itself broke; a failed connection is not an error.
pub async fn serve(
    server: Server,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    accepting(server, listener, (None, |_| true), shutdown).await
}

/// Serves on `listener` those who come from where `is_let_in` says; others are closed at once.
///
/// # Errors
/// See [`serve`].
pub async fn serve_some(
    server: Server,
    listener: TcpListener,
    is_let_in: impl Fn(IpAddr) -> bool,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    accepting(server, listener, (None, is_let_in), shutdown).await
}

/// Serves `/deployments` on `listener` without TLS: whoever reaches it counts as `subject`.
///
/// # Errors
/// See [`serve`].
pub async fn serve_deployments(
    server: Server,
    listener: TcpListener,
    subject: Subject,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let subject = Some(Arc::new(subject));
    accepting(server, listener, (subject, |_| true), shutdown).await
}

async fn accepting(
    server: Server,
    listener: TcpListener,
    (plain, is_let_in): (Option<Arc<Subject>>, impl Fn(IpAddr) -> bool),
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((_, from)) if !is_let_in(from.ip()) => {}
                Ok((stream, from)) => {
                    // At the bound it is closed at once: a client sees that and waits.
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
                    let (server, stopped, plain) = (server.clone(), stopped.clone(), plain.clone());
                    connections.spawn(async move {
                        let _open = Open::connection(&server.metrics);
                        // A watch's events are small and waited for.
                        let _ = stream.set_nodelay(true);
                        match plain {
                            Some(subject) => {
                                let way = (Came::Plain(subject), false);
                                talk(server, stream, from, way, stopped).await;
                            }
                            None => connection(server, stream, from, stopped).await,
                        }
                        drop(permit);
                    });
                }
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

async fn connection(
    server: Server,
    stream: TcpStream,
    from: SocketAddr,
    stopped: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(Arc::clone(&server.tls));
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "a handshake failed");
            return;
        }
        Err(_) => return,
    };
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().unwrap_or_default();
    let certificates: Arc<[_]> = certificates
        .iter()
        .map(|one| one.clone().into_owned())
        .collect();
    let is_h2 = session.alpn_protocol() == Some(b"h2");
    talk(
        server,
        stream,
        from,
        (Came::Tls(certificates), is_h2),
        stopped,
    )
    .await;
}

/// Answers what comes on a connection until it ends.
async fn talk(
    server: Server,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    (came, is_h2): (Came, bool),
    mut stopped: watch::Receiver<bool>,
) {
    let (began, mut has_begun) = watch::channel(false);
    let answer = service_fn(move |request| {
        began.send_if_modified(|begun| !std::mem::replace(begun, true));
        let (server, came) = (server.clone(), came.clone());
        async move {
            Ok::<_, std::convert::Infallible>(dispatch(&server, &came, from.ip(), request).await)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // What was agreed on: nobody is waited for to show by their first bytes what they speak.
    builder = match is_h2 {
        true => builder.http2_only(),
        false => builder.http1_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_MAX as u32)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(Gather::new(stream)), answer);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        // HTTP/2 has no limit of its own for who never asks.
        () = idles(&mut has_begun) => return,
        _ = stopped.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%from, %error, "a connection broke");
    }
}

/// Ends when no request has begun within the time for a head.
async fn idles(has_begun: &mut watch::Receiver<bool>) {
    let begun = has_begun.wait_for(|begun| *begun);
    if tokio::time::timeout(HEAD, begun).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
