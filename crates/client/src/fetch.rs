//! Files of the web: a GET that follows redirects, within bounds.
//!
//! Owns what of an address is taken, retries and redirects. Never: sends credentials, goes from
//! https to http, or trusts others than the system's roots.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, LOCATION, USER_AGENT};
use http::{Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Attempts where the server fails or the connection breaks, as kubectl has it.
const ATTEMPTS: usize = 3;
/// Pause between two of them.
const PAUSE: Duration = Duration::from_secs(1);
/// Redirects one after the other.
const REDIRECTS_MAX: usize = 10;
/// How long the server may take for a connection, its answer, and each piece of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file that was not got.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address, or what was found there, is not taken.
    #[error("read {url}: {why}")]
    Refused {
        /// What was asked for.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody answers there, or somebody else does.
    #[error("read {url}: connect to {host}")]
    Connect {
        /// What was asked for.
        url: String,
        /// Who did not answer.
        host: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("read {url}: the server closed the connection")]
    Broken {
        /// What was asked for.
        url: String,
        /// The transport's complaint.
        #[source]
        source: hyper::Error,
    },
    /// Another answer than the file.
    #[error("unable to read URL \"{url}\", server reported {status}, status code={}", status.as_u16())]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
}

impl FetchError {
    /// Whether the next attempt may do better.
    fn is_passing(&self) -> bool {
        match self {
            FetchError::Refused { .. } => false,
            FetchError::Connect { .. } | FetchError::Broken { .. } => true,
            FetchError::Status { status, .. } => status.is_server_error(),
        }
    }
}

fn refused<T>(url: &Uri, why: impl Into<String>) -> Result<T, FetchError> {
    Err(FetchError::Refused {
        url: url.to_string(),
        why: why.into(),
    })
}

/// The file at `url`, up to `bytes_max` bytes.
///
/// # Errors
/// It cannot be had, or is larger.
pub async fn fetch(url: &str, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    let parsed = url.parse::<Uri>().map_err(|error| FetchError::Refused {
        url: url.to_owned(),
        why: error.to_string(),
    })?;
    let mut attempt = 1;
    loop {
        match followed(&parsed, bytes_max).await {
            Err(error) if error.is_passing() && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn followed(url: &Uri, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    let mut at = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let response = ask(&at).await?;
        let status = response.status();
        let is_elsewhere = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        if is_elsewhere && let Some(place) = response.headers().get(LOCATION) {
            let next = place.to_str().ok().and_then(|place| resolve(&at, place));
            let Some(next) = next else {
                return refused(&at, "it leads to what is no address of the web");
            };
            if at.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return refused(&at, format!("it leads from https to {next}"));
            }
            at = next;
            continue;
        }
        if status != StatusCode::OK {
            let url = at.to_string();
            return Err(FetchError::Status { url, status });
        }
        return body(&at, response.into_body(), bytes_max).await;
    }
    refused(url, format!("it leads on more than {REDIRECTS_MAX} times"))
}

async fn body(url: &Uri, mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    let mut all = Vec::new();
    while let Some(frame) = within(url, async { Ok(body.frame().await) }).await? {
        let frame = frame.map_err(|source| FetchError::Broken {
            url: url.to_string(),
            source,
        })?;
        if let Ok(piece) = frame.into_data() {
            if all.len() + piece.len() > bytes_max {
                return refused(url, format!("it has more than {bytes_max} bytes"));
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(all)
}

/// An address that another one leads to.
fn resolve(base: &Uri, place: &str) -> Option<Uri> {
    let place = place.split('#').next()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let text = if place.contains("://") {
        place.to_owned()
    } else if place.starts_with("//") {
        format!("{scheme}:{place}")
    } else if place.starts_with('/') {
        format!("{scheme}://{authority}{place}")
    } else if place.starts_with('?') {
        format!("{scheme}://{authority}{}{place}", base.path())
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{place}")
    };
    text.parse().ok()
}

/// What `doing` gives, or an error when it takes too long.
async fn within<T>(
    url: &Uri,
    doing: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let late = |_| FetchError::Connect {
        url: url.to_string(),
        host: url.host().unwrap_or_default().to_owned(),
        source: std::io::ErrorKind::TimedOut.into(),
    };
    tokio::time::timeout(PATIENCE, doing).await.map_err(late)?
}

async fn ask(url: &Uri) -> Result<Response<Incoming>, FetchError> {
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (url.scheme_str(), url.authority())
    else {
        return refused(url, "it is no address of the web: http:// or https://");
    };
    if authority.as_str().contains('@') {
        return refused(
            url,
            "weft sends no user or password that stands in an address",
        );
    }
    let is_tls = scheme == "https";
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let failed = |source| FetchError::Connect {
        url: url.to_string(),
        host: format!("{host}:{port}"),
        source,
    };
    within(url, async {
        let stream = TcpStream::connect((host.as_str(), port)).await;
        let stream = stream.map_err(failed)?;
        if !is_tls {
            return exchange(url, stream).await;
        }
        let name = ServerName::try_from(host.clone());
        let Ok(name) = name else {
            return refused(url, format!("{host:?} is no name of a server"));
        };
        let connector = TlsConnector::from(Arc::new(tls(url)?));
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        exchange(url, stream).await
    })
    .await
}

/// TLS with the system's roots.
fn tls(url: &Uri) -> Result<ClientConfig, FetchError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return refused(
            url,
            "this machine trusts no certificate authority: install ca-certificates",
        );
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.or_else(|error| refused(url, format!("set up TLS: {error}")))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn exchange(
    url: &Uri,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Response<Incoming>, FetchError> {
    let broken = |source| FetchError::Broken {
        url: url.to_string(),
        source,
    };
    let opened = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.map_err(broken)?;
    // Ends with the connection; its errors reach whoever reads the answer.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let request = http::Request::get(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("weft/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new());
    let request = request.or_else(|error| refused(url, error.to_string()))?;
    sender.send_request(request).await.map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_others() {
        let base: Uri = "https://a:8/b/c?d".parse().expect("it is one");
        for (place, expect) in [
            ("http://x/y", Some("http://x/y")),
            ("//x/y", Some("https://x/y")),
            ("/y#z", Some("https://a:8/y")),
            ("y?z", Some("https://a:8/b/y?z")),
            ("?z", Some("https://a:8/b/c?z")),
            ("http://", None),
            ("/ y", None),
        ] {
            let found = resolve(&base, place).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expect, "{place}");
        }
    }
}
