//! HTTP/1.1 over the engine's unix socket.
//!
//! Owns connections: one idle connection is kept for the next request, streams get their own.
//! Never interprets what is asked; the typed calls stand in the files named by their objects.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::error::ClientError;
use crate::hijack::Duplex;
use crate::request::Request;
use crate::stream::{Bytestream, JsonLines};

/// Longest answer held in memory, in bytes: the list of 10,000 containers is about 20 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Longest error message read, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// A body on its way: pieces, or the error that ends it. Its bound is the maker's.
pub type Upload = mpsc::Receiver<std::io::Result<Bytes>>;

/// Told about requests instead of sending them.
pub type Explain = Arc<dyn Fn(&Request) + Send + Sync>;

/// A client of one engine.
pub struct Client {
    socket: PathBuf,
    idle: Mutex<Option<SendRequest<Payload>>>,
    explain: Option<Explain>,
}

impl Client {
    /// A client of the engine at `socket`; connects with the first request.
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client {
            socket: socket.into(),
            idle: Mutex::new(None),
            explain: None,
        }
    }

    /// A client that hands every request to `explain` and sends none. Calls that need an answer
    /// fail with [`ClientError::NotSent`], calls without one succeed.
    pub fn explaining(socket: impl Into<PathBuf>, explain: Explain) -> Client {
        Client {
            socket: socket.into(),
            idle: Mutex::new(None),
            explain: Some(explain),
        }
    }

    /// Whether requests are only explained.
    pub fn is_explaining(&self) -> bool {
        self.explain.is_some()
    }

    /// The socket this client talks to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Makes the connection that the next request will use.
    pub async fn connect(&self) -> Result<(), ClientError> {
        if self.explain.is_some() {
            return Ok(());
        }
        let sender = self.open().await?;
        self.keep(sender);
        Ok(())
    }

    /// Uses an already connected socket for the next request.
    pub async fn adopt(&self, stream: std::os::unix::net::UnixStream) -> Result<(), ClientError> {
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| UnixStream::from_std(stream))
            .map_err(|source| self.connect_error(source))?;
        let sender = self.handshake(stream).await?;
        self.keep(sender);
        Ok(())
    }

    /// Sends `request` and decodes the JSON answer.
    pub async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T, ClientError> {
        let bytes = self.bytes(&request).await?;
        serde_json::from_slice(&bytes).map_err(|source| ClientError::Decode {
            what: request.what,
            source,
        })
    }

    /// Sends `request`; the answer's body, if any, does not matter.
    pub async fn done(&self, request: Request) -> Result<(), ClientError> {
        match self.bytes(&request).await {
            Ok(_) | Err(ClientError::NotSent) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends `request` with `payload` as its body; the answer is a stream of bytes.
    pub async fn upload(
        &self,
        request: Request,
        payload: Upload,
    ) -> Result<Bytestream, ClientError> {
        let (response, _) = self.send(&request, Payload::Channel(payload)).await?;
        Ok(Bytestream::new(request.what, response.into_body()))
    }

    /// Sends `request`; the answer is a stream of bytes.
    pub async fn stream(&self, request: Request) -> Result<Bytestream, ClientError> {
        Ok(self.stream_with_head(request).await?.1)
    }

    /// Sends `request`; answers with the head and the stream of bytes.
    pub async fn stream_with_head(
        &self,
        request: Request,
    ) -> Result<(http::response::Parts, Bytestream), ClientError> {
        let payload = Payload::of(&request);
        let (response, _) = self.send(&request, payload).await?;
        let (head, body) = response.into_parts();
        Ok((head, Bytestream::new(request.what, body)))
    }

    /// Sends `request` and answers with the response's head only.
    pub async fn head(&self, request: Request) -> Result<http::response::Parts, ClientError> {
        let payload = Payload::of(&request);
        let (response, _) = self.send(&request, payload).await?;
        Ok(response.into_parts().0)
    }

    /// Sends `request`; the answer is a stream of JSON values, one per line.
    pub async fn lines<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<JsonLines<T>, ClientError> {
        Ok(JsonLines::new(self.stream(request).await?))
    }

    /// Sends `request` and turns the connection into a raw two-way stream.
    pub async fn hijack(&self, request: Request) -> Result<Duplex, ClientError> {
        let request = request
            .header("connection", "Upgrade")
            .header("upgrade", "tcp");
        let payload = Payload::of(&request);
        let (response, sender) = self.send(&request, payload).await?;
        drop(sender);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ClientError::Protocol {
                what: request.what,
                why: format!("the engine answered {} instead of 101", response.status()),
            });
        }
        Duplex::from_response(request.what, response).await
    }

    async fn bytes(&self, request: &Request) -> Result<Bytes, ClientError> {
        let (response, sender) = self.send(request, Payload::of(request)).await?;
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let bytes = body
            .collect()
            .await
            .map_err(|source| ClientError::Protocol {
                what: request.what.clone(),
                why: format!("read the engine's answer: {source}"),
            })?
            .to_bytes();
        self.keep(sender);
        Ok(bytes)
    }

    async fn send(
        &self,
        request: &Request,
        payload: Payload,
    ) -> Result<(Response<Incoming>, SendRequest<Payload>), ClientError> {
        if let Some(explain) = &self.explain {
            explain(request);
            return Err(ClientError::NotSent);
        }
        let mut message = self.message(request, payload)?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut sender = match idle {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.open().await?,
        };
        let mut fresh_left = true;
        let response = loop {
            match sender.try_send_request(message).await {
                Ok(response) => break response,
                Err(mut error) => match error.take_message() {
                    // The kept connection was closed under us before anything was written.
                    Some(unsent) if fresh_left => {
                        fresh_left = false;
                        message = unsent;
                        sender = self.open().await?;
                    }
                    _ => {
                        return Err(ClientError::Broken {
                            what: request.what.clone(),
                            source: error.into_error(),
                        });
                    }
                },
            }
        };
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(self.refusal(request, response, sender).await);
        }
        Ok((response, sender))
    }

    fn message(
        &self,
        request: &Request,
        payload: Payload,
    ) -> Result<http::Request<Payload>, ClientError> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(&request.target)
            .header(header::HOST, "weft")
            .header(
                header::USER_AGENT,
                concat!("weft/", env!("CARGO_PKG_VERSION")),
            );
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        builder
            .body(payload)
            .map_err(|source| ClientError::Protocol {
                what: request.what.clone(),
                why: format!("put the request together: {source}"),
            })
    }

    async fn refusal(
        &self,
        request: &Request,
        response: Response<Incoming>,
        sender: SendRequest<Payload>,
    ) -> ClientError {
        let status = response.status();
        let body = Limited::new(response.into_body(), REFUSAL_BYTES_MAX);
        let bytes = match body.collect().await {
            Ok(body) => {
                self.keep(sender);
                body.to_bytes()
            }
            Err(_) => Bytes::new(),
        };
        let message = serde_json::from_slice::<serde_json::Value>(&bytes)
            .ok()
            .and_then(|value| Some(value.get("message")?.as_str()?.to_owned()))
            .unwrap_or_else(|| {
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                if text.is_empty() {
                    format!("{}: {status}", request.what)
                } else {
                    text
                }
            });
        ClientError::Refused {
            what: request.what.clone(),
            status: status.as_u16(),
            message,
        }
    }

    fn keep(&self, sender: SendRequest<Payload>) {
        if !sender.is_closed() {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        }
    }

    async fn open(&self) -> Result<SendRequest<Payload>, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| self.connect_error(source))?;
        self.handshake(stream).await
    }

    async fn handshake(&self, stream: UnixStream) -> Result<SendRequest<Payload>, ClientError> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|source| ClientError::Broken {
                    what: "connect to the engine".to_owned(),
                    source,
                })?;
        // Ends with the connection; its errors reach whoever waits for an answer on it.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    fn connect_error(&self, source: std::io::Error) -> ClientError {
        ClientError::Connect {
            socket: self.socket.clone(),
            source,
        }
    }
}

/// What a request carries.
enum Payload {
    Memory(Option<Bytes>),
    Channel(Upload),
}

impl Payload {
    fn of(request: &Request) -> Payload {
        Payload::Memory(request.body.clone())
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut *self {
            Payload::Memory(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Payload::Channel(receiver) => receiver
                .poll_recv(cx)
                .map(|next| next.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Payload::Memory(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Memory(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Payload::Channel(_) => SizeHint::default(),
        }
    }
}
