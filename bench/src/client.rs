//! A client of the Kubernetes API: HTTP/2 over TLS with a certificate, many requests at once.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a stream and a connection may have on the way, as Go's clients have it.
pub const STREAM_WINDOW: u32 = 4 << 20;
/// See [`STREAM_WINDOW`].
pub const WINDOW: u32 = 64 << 20;

/// Where the server is, and who one is there.
#[derive(Clone, Debug)]
pub struct Access {
    address: String,
    tls: Arc<ClientConfig>,
}

impl Access {
    /// From a kubeconfig that `weft kubeconfig` wrote.
    pub fn read(kubeconfig: &Path, address: &str) -> Result<Access> {
        let text = fs::read_to_string(kubeconfig).context("read the kubeconfig")?;
        let part = |name: &str| -> Result<Vec<u8>> {
            let line = text.lines().find_map(|l| l.trim().strip_prefix(name));
            let line = line.with_context(|| format!("the kubeconfig has no {name}"))?;
            let engine = base64::engine::general_purpose::STANDARD;
            Ok(engine.decode(line.trim_matches([' ', '"']))?)
        };
        let mut roots = RootCertStore::empty();
        let root = part("certificate-authority-data:")?;
        roots.add(CertificateDer::from_pem_slice(&root)?)?;
        let chain = part("client-certificate-data:")?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
        let key = PrivateKeyDer::from_pem_slice(&part("client-key-data:")?)?;
        let mut tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain?, key)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Access {
            address: address.to_owned(),
            tls: Arc::new(tls),
        })
    }

    /// Opens a connection.
    pub async fn connect(&self) -> Result<Client> {
        let stream = TcpStream::connect(&self.address).await.context("connect")?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        let host = self.address.rsplit_once(':').context("an address")?.0;
        let name = ServerName::try_from(host.to_owned())?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.context("TLS")?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client {
            base: format!("https://{}", self.address),
            sender,
        })
    }

    /// So many connections.
    pub async fn connections(&self, count: usize) -> Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.connect().await?);
        }
        Ok(clients)
    }
}

/// One connection; a copy shares it.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Sends a request, and answers with all of the answer; another status than 2xx is an error.
    pub async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let answer = self.begin(method.clone(), path, body).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body);
            bail!("{method} {path}: {status}, {said}");
        }
        Ok(body)
    }

    /// GET, all of the answer.
    pub async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Sends a request, and answers when the head has come.
    pub async fn begin(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("user-agent", "weft-bench")
            .body(Full::new(body))?;
        Ok(self.sender.send_request(request).await?)
    }
}
