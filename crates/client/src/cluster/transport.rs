//! HTTP/1.1 over TLS to one server: requests one after the other, watches on their own connection.
//!
//! Owns connections. Never interprets objects.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::error::{ApiError, Refusal};
use super::kubeconfig::{Access, Proof};
use super::{curl, tls};
use crate::request::Request;
use crate::stream::{Bytestream, JsonLines};
use crate::transport::Explain;

/// Longest answer held in memory, in bytes: a page of 500 objects of the largest size is less.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// How long it may take until the server is connected, handshake included.
const CONNECT: Duration = Duration::from_secs(30);

/// A client of one server.
pub struct Cluster {
    access: Access,
    tls: Arc<ClientConfig>,
    idle: Mutex<Option<SendRequest<Full<Bytes>>>>,
    explain: Option<Explain>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// 200 or 201, mostly.
    pub status: StatusCode,
    /// What the server said beside it.
    pub warnings: Vec<String>,
    /// The body.
    pub bytes: Bytes,
    what: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.bytes).map_err(|error| ApiError::Answer {
            what: self.what.clone(),
            why: error.to_string(),
        })
    }
}

/// Events of a watch.
#[derive(Debug)]
pub struct Events(JsonLines<Value>);

impl Events {
    /// The next event: its type and object; nothing at the end. An event that says what went
    /// wrong is an error.
    ///
    /// # Errors
    /// The connection broke, or the server ended the watch with a reason.
    pub async fn next(&mut self) -> Result<Option<(String, Value)>, ApiError> {
        let Some(mut event) = self.0.next().await.map_err(ApiError::Stream)? else {
            return Ok(None);
        };
        let object = event["object"].take();
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        if kind == "ERROR" {
            let refusal = Refusal::of_status(500, &object).unwrap_or_default();
            return Err(ApiError::Refused(Box::new(refusal)));
        }
        Ok(Some((kind, object)))
    }
}

impl Cluster {
    /// A client; connects with the first request.
    ///
    /// # Errors
    /// Certificates or keys cannot be used.
    pub fn new(access: Access) -> Result<Cluster, ApiError> {
        let tls = Arc::new(tls::config(&access)?);
        Ok(Cluster {
            access,
            tls,
            idle: Mutex::new(None),
            explain: None,
        })
    }

    /// Hands every request that changes something, and those for objects, to `explain` as well
    /// and does not send it.
    #[must_use]
    pub fn explaining(mut self, explain: Explain) -> Cluster {
        self.explain = Some(explain);
        self
    }

    /// Where it is and who we are.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Whether requests are only explained.
    pub fn is_explaining(&self) -> bool {
        self.explain.is_some()
    }

    /// `request` as a command line.
    pub fn curl(&self, request: &Request) -> String {
        curl::line(&self.access, request)
    }

    /// Sends `request`, unless requests are only explained.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn send(&self, request: &Request) -> Result<Answer, ApiError> {
        self.explained(request)?;
        self.ask(request).await
    }

    /// Sends `request` in any case: what has to be known to say what would be sent.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn ask(&self, request: &Request) -> Result<Answer, ApiError> {
        let whole = async {
            let (response, sender) = self.exchange(request).await?;
            let (head, body) = response.into_parts();
            let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let bytes = bytes.map_err(|error| {
                let what = request.what.clone();
                match error.downcast::<hyper::Error>() {
                    Ok(source) => ApiError::Broken {
                        what,
                        source: *source,
                    },
                    Err(error) => ApiError::Answer {
                        what,
                        why: error.to_string(),
                    },
                }
            })?;
            self.keep(sender);
            let bytes = bytes.to_bytes();
            if !head.status.is_success() {
                let refusal = Refusal::of(head.status.as_u16(), &bytes);
                return Err(ApiError::Refused(Box::new(refusal)));
            }
            Ok(Answer {
                status: head.status,
                warnings: warnings(&head.headers),
                bytes,
                what: request.what.clone(),
            })
        };
        let Some(limit) = self.access.timeout else {
            return whole.await;
        };
        let late = |_| ApiError::Late {
            what: request.what.clone(),
            seconds: limit.as_secs(),
        };
        tokio::time::timeout(limit, whole).await.map_err(late)?
    }

    /// Sends `request` for a watch.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn watch(&self, request: &Request) -> Result<Events, ApiError> {
        let bytes = self.bytes(request).await?;
        Ok(Events(JsonLines::new(bytes).lines_up_to(OBJECT_BYTES_MAX)))
    }

    /// Sends `request`, whose answer is bytes that come as they are made.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn bytes(&self, request: &Request) -> Result<Bytestream, ApiError> {
        self.explained(request)?;
        let (response, _) = self.exchange(request).await?;
        let status = response.status();
        if !status.is_success() {
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
            let refusal = Refusal::of(status.as_u16(), &bytes);
            return Err(ApiError::Refused(Box::new(refusal)));
        }
        let what = request.what.clone();
        Ok(Bytestream::new(what, response.into_body()))
    }

    async fn exchange(
        &self,
        request: &Request,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>), ApiError> {
        let mut message = self.message(request)?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (mut sender, mut is_fresh) = match idle {
            Some(sender) if !sender.is_closed() => (sender, false),
            _ => (self.open().await?, true),
        };
        loop {
            match sender.try_send_request(message).await {
                Ok(response) => return Ok((response, sender)),
                // A kept connection was closed under us before anything was written.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_fresh => {
                        is_fresh = true;
                        message = unsent;
                        sender = self.open().await?;
                    }
                    _ => {
                        return Err(ApiError::Broken {
                            what: request.what.clone(),
                            source: error.into_error(),
                        });
                    }
                },
            }
        }
    }

    pub(super) fn message(
        &self,
        request: &Request,
    ) -> Result<http::Request<Full<Bytes>>, ApiError> {
        let path = format!("{}{}", self.access.prefix, request.target);
        let host = self.access.server.trim_start_matches("https://");
        let host = host.split('/').next().unwrap_or_default();
        let agent = concat!("weft/", env!("CARGO_PKG_VERSION"));
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, agent);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        for (name, value) in self.access.acting.headers() {
            builder = builder.header(name, value);
        }
        let proof = match &self.access.proof {
            Proof::Token(token, _) => Some(format!("Bearer {}", token.as_str())),
            Proof::Password(name, password) => {
                let pair = Zeroizing::new(format!("{name}:{}", password.as_str()));
                Some(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
            }
            Proof::Nothing | Proof::Certificate(..) => None,
        };
        if let Some(proof) = proof {
            builder = builder.header(AUTHORIZATION, proof);
        }
        let body = Full::new(request.body.clone().unwrap_or_default());
        builder.body(body).map_err(|error| ApiError::Answer {
            what: request.what.clone(),
            why: format!("put the request together: {error}"),
        })
    }

    /// Hands `request` to who explains, if anybody does; then it is not to be sent.
    pub(super) fn explained(&self, request: &Request) -> Result<(), ApiError> {
        match &self.explain {
            None => Ok(()),
            Some(explain) => {
                explain(request);
                Err(ApiError::NotSent)
            }
        }
    }

    pub(super) async fn open(&self) -> Result<SendRequest<Full<Bytes>>, ApiError> {
        let server = || self.access.server.clone();
        let stream = self.shake_hands().await?;
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|source| ApiError::Broken {
            what: format!("connect to {}", server()),
            source,
        })?;
        // Ends with the connection; its errors reach whoever waits for an answer on it.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// The certificates that the server shows, its own first. That it holds the key of that one is
    /// sure; whether it is who it is to be, as far as the access says.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ApiError> {
        let stream = self.shake_hands().await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        Ok(shown.iter().map(|one| one.clone().into_owned()).collect())
    }

    async fn shake_hands(&self) -> Result<TlsStream<TcpStream>, ApiError> {
        let server = || self.access.server.clone();
        let connect = |source| ApiError::Connect {
            server: server(),
            source,
        };
        let late = |_| connect(std::io::ErrorKind::TimedOut.into());
        let limit = self.access.timeout.unwrap_or(CONNECT).min(CONNECT);
        let address = (self.access.host.as_str(), self.access.port);
        let stream = tokio::time::timeout(limit, TcpStream::connect(address));
        let stream = stream.await.map_err(late)?.map_err(connect)?;
        let _ = stream.set_nodelay(true);
        let name = self
            .access
            .server_name
            .as_ref()
            .unwrap_or(&self.access.host);
        let name = ServerName::try_from(name.clone()).map_err(|error| ApiError::Credentials {
            tried: format!("use {name:?} as the server's name"),
            why: error.to_string(),
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = tokio::time::timeout(limit, connector.connect(name, stream));
        stream.await.map_err(late)?.map_err(|source| ApiError::Tls {
            server: server(),
            source,
        })
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        if !sender.is_closed() {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        }
    }
}

/// Longest event of a watch, in bytes: an object may have 3 MiB, and its table row its metadata.
const OBJECT_BYTES_MAX: usize = 8 << 20;

/// The texts of `Warning: 299 - "text"`.
fn warnings(headers: &http::HeaderMap) -> Vec<String> {
    let values = headers.get_all("warning").iter();
    let texts = values.filter_map(|value| {
        let text = value.to_str().ok()?;
        let inner = text.split_once('"')?.1.rsplit_once('"')?.0;
        Some(inner.replace("\\\"", "\"").replace("\\\\", "\\"))
    });
    texts.collect()
}
