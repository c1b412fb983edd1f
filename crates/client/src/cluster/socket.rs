//! WebSocket (RFC 6455) towards the server: a request becomes a socket. The frames are tungstenite's.
//!
//! ```text
//!   GET, upgrade, protocols we speak ─► 101 and one of them ─► the connection is a socket
//!                                    ─► a refusal, as of any request
//! ```
//! Never: knows what goes over it.

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::error::{ApiError, Refusal};
use super::transport::Cluster;
use crate::request::Request;

/// Largest message, in bytes: servers send some ten KiB at once.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Longest refusal, in bytes.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// A connection that has become a socket.
pub struct Socket {
    /// The protocol that the server chose of those offered.
    pub protocol: &'static str,
    /// What the server sends.
    pub reader: SocketReader,
    /// What goes to the server.
    pub writer: SocketWriter,
}

/// The server's side of a [`Socket`].
pub struct SocketReader {
    what: String,
    half: SplitStream<Stream>,
}

/// Our side of a [`Socket`].
pub struct SocketWriter {
    what: String,
    half: SplitSink<Stream, Message>,
}

impl Cluster {
    /// Sends `request` to have its connection as a socket that speaks one of `protocols`, the best
    /// first.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn socket(
        &self,
        request: &Request,
        protocols: &[&'static str],
    ) -> Result<Socket, ApiError> {
        let key = generate_key();
        let request = request
            .clone()
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key.clone())
            .header("sec-websocket-protocol", protocols.join(", "));
        self.explained(&request)?;
        let whole = self.upgrade(&request, &key, protocols);
        let Some(limit) = self.access().timeout else {
            return whole.await;
        };
        let late = |_| ApiError::Late {
            what: request.what.clone(),
            seconds: limit.as_secs(),
        };
        tokio::time::timeout(limit, whole).await.map_err(late)?
    }

    async fn upgrade(
        &self,
        request: &Request,
        key: &str,
        protocols: &[&'static str],
    ) -> Result<Socket, ApiError> {
        let what = || request.what.clone();
        let broken = |source| ApiError::Broken {
            what: what(),
            source,
        };
        // Never the kept connection: it does not come back.
        let mut sender = self.open().await?;
        let response = sender.send_request(self.message(request)?).await;
        let response = response.map_err(broken)?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let body = Limited::new(response.into_body(), REFUSAL_BYTES_MAX).collect();
            let bytes = body.await.map(|body| body.to_bytes()).unwrap_or_default();
            let refusal = Refusal::of(status.as_u16(), &bytes);
            return Err(ApiError::Refused(Box::new(refusal)));
        }
        let told = |name| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or("")
        };
        let wrong = |why: &str| ApiError::Answer {
            what: what(),
            why: why.to_owned(),
        };
        if told(SEC_WEBSOCKET_ACCEPT) != derive_accept_key(key.as_bytes()) {
            return Err(wrong("it is no answer to a handshake of WebSocket"));
        }
        let chosen = told(SEC_WEBSOCKET_PROTOCOL);
        let protocol = protocols.iter().find(|known| **known == chosen);
        let protocol =
            *protocol.ok_or_else(|| wrong("it chose a protocol that was not offered"))?;
        let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let io = TokioIo::new(upgraded);
        let stream = WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await;
        let (writer, reader) = stream.split();
        Ok(Socket {
            protocol,
            reader: SocketReader {
                what: what(),
                half: reader,
            },
            writer: SocketWriter {
                what: what(),
                half: writer,
            },
        })
    }
}

impl SocketReader {
    /// The next bytes, or `None` when the server has said good-bye.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            match self.half.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes)),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.into())),
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) => {
                    return Ok(None);
                }
                // Pings are answered by tungstenite.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(lost(&self.what, &error)),
            }
        }
    }
}

impl SocketWriter {
    /// Sends bytes.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), ApiError> {
        self.put(Message::Binary(bytes.into())).await
    }

    /// Asks whether the server is still there: a connection that is dead says so at last.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ping(&mut self) -> Result<(), ApiError> {
        self.put(Message::Ping(Bytes::new())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), ApiError> {
        let sent = self.half.send(message).await;
        sent.map_err(|error| lost(&self.what, &error))
    }
}

fn lost(what: &str, error: &Error) -> ApiError {
    ApiError::Lost {
        what: what.to_owned(),
        why: error.to_string(),
    }
}
