//! WebSocket (RFC 6455): a request becomes a socket. The frames are tungstenite's.
//!
//! ```text
//!   GET, upgrade, a protocol we speak ─► 101 ─► the connection is a socket ─► whoever runs it
//! ```
//! Never: knows what goes over it.

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
pub(crate) use tokio_tungstenite::tungstenite::{Bytes, Message};
use weft_control::{Failure, Reason};

use crate::answer::{self, Answer};

/// Largest message: kubectl's have 32 KiB.
const MESSAGE_MAX: usize = 2 << 20;
/// How often a client is asked whether it is still there.
pub(crate) const PING: Duration = Duration::from_secs(30);
/// How long nothing may come of a client, not even an answer to that.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a client may take for the last words.
const GOODBYE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What a client sends.
pub(crate) struct Incoming(SplitStream<Socket>);

/// The way to a client.
pub(crate) struct Outgoing(SplitSink<Socket, Message>);

impl Incoming {
    /// The next bytes; nothing: the client has gone, or is silent.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            match tokio::time::timeout(SILENCE, self.0.next()).await.ok()?? {
                Ok(Message::Binary(bytes)) => return Some(bytes),
                Ok(Message::Text(text)) => return Some(text.into()),
                Ok(Message::Close(_)) | Err(_) => return None,
                // Pings are answered by tungstenite.
                Ok(_) => {}
            }
        }
    }
}

impl Incoming {
    /// Takes what still comes until the client has heard the good-bye: a connection that is closed
    /// over bytes nobody has read loses those on the way to the other side.
    pub(crate) async fn drain(mut self) {
        let rest = async { while self.next().await.is_some() {} };
        let _ = tokio::time::timeout(GOODBYE, rest).await;
    }
}

impl Outgoing {
    /// Sends bytes; whether the client is still there.
    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Message::Binary(bytes.into())).await.is_ok()
    }

    /// Asks whether the client is still there.
    pub(crate) async fn ping(&mut self) -> bool {
        self.0.send(Message::Ping(Bytes::new())).await.is_ok()
    }

    /// Says good-bye: all is said.
    pub(crate) async fn close(mut self) {
        let normal = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let said = self.0.send(Message::Close(Some(normal)));
        let _ = tokio::time::timeout(GOODBYE, said).await;
    }
}

/// A request that may become a socket.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) protocol: &'static str,
    key: String,
    pending: OnUpgrade,
}

impl Offer {
    /// What a request offers, of the protocols that are spoken here.
    ///
    /// # Errors
    /// It is no request for an upgrade, or for none of them.
    pub(crate) fn of(head: &Parts, spoken: &[&'static str]) -> Result<Offer, Failure> {
        if !says(&head.headers, CONNECTION, "upgrade") {
            return Err(Failure::bad_request("Upgrade request required"));
        }
        if head.method != Method::GET || !says(&head.headers, UPGRADE, "websocket") {
            let message = "only upgrades to websocket are known here: use kubectl 1.31 or newer";
            return Err(Failure::bad_request(message));
        }
        if !says(
            &head.headers,
            HeaderName::from_static("sec-websocket-version"),
            "13",
        ) {
            return Err(Failure::bad_request(
                "only version 13 of websocket is known here",
            ));
        }
        let offered = words(&head.headers, SEC_WEBSOCKET_PROTOCOL);
        let protocol = offered
            .iter()
            .find_map(|word| spoken.iter().find(|known| *known == word));
        let protocol = protocol.ok_or_else(|| {
            let spoken = spoken.join(", ");
            let offered = offered.join(", ");
            Failure::bad_request(format!(
                "none of the offered protocols is known here: {offered:?}; known are {spoken}"
            ))
        })?;
        let key = head.headers.get(SEC_WEBSOCKET_KEY);
        let key = key.and_then(|key| key.to_str().ok());
        let pending = head.extensions.get::<OnUpgrade>().cloned();
        let (Some(key), Some(pending)) = (key, pending) else {
            return Err(Failure::bad_request("this is no handshake of websocket"));
        };
        Ok(Offer {
            protocol,
            key: key.to_owned(),
            pending,
        })
    }

    /// Takes it: `run` has the socket, as soon as the client has the answer.
    pub(crate) fn take<F>(
        self,
        run: impl FnOnce(Incoming, Outgoing) -> F + Send + 'static,
    ) -> Result<Answer, Failure>
    where
        F: Future<Output = ()> + Send,
    {
        let mut answer = answer::whole(StatusCode::SWITCHING_PROTOCOLS, "text/plain", "");
        let headers = answer.headers_mut();
        headers.clear();
        let key = derive_accept_key(self.key.as_bytes());
        let key = HeaderValue::from_str(&key)
            .map_err(|error| Failure::new(Reason::InternalError, error.to_string()))?;
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(HeaderName::from_static("sec-websocket-accept"), key);
        headers.insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(self.protocol),
        );
        tokio::spawn(async move {
            // The client has gone before it had the answer.
            let Ok(upgraded) = self.pending.await else {
                return;
            };
            let config = WebSocketConfig::default()
                .max_message_size(Some(MESSAGE_MAX))
                .max_frame_size(Some(MESSAGE_MAX));
            let io = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
            let (outgoing, incoming) = socket.split();
            run(Incoming(incoming), Outgoing(outgoing)).await;
        });
        Ok(answer)
    }
}

/// The words of a header that is a list, in order.
fn words(head: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let values = head.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let words = texts.flat_map(|text| text.split(',')).map(str::trim);
    words.filter(|word| !word.is_empty()).collect()
}

fn says(head: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    let words = words(head, name);
    words.iter().any(|word| word.eq_ignore_ascii_case(wanted))
}
