//! A connection to a server by hand: bytes as they are, for what no decent client sends.
//! Owns TLS and one request of HTTP/1.1; never checks who the server is.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use weft_identity::authority::{Authority, Grant};
use weft_stdx::clock::unix_s;
use weft_testkit::{Weft, peer};

/// Longer than the server waits for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody who may do everything, and what they connect with.
pub(crate) struct Caller {
    config: Arc<ClientConfig>,
    address: String,
}

/// What was answered.
pub(crate) struct Said {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn is(&self, code: u16, words: &[&str]) -> &Said {
        let Said { head, body, .. } = self;
        assert_eq!(self.code, code, "{head}\n{body}");
        for word in words {
            assert!(body.contains(word), "it lacks {word:?}: {body}");
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server; nothing, said aloud, where it cannot run.
pub(crate) fn server() -> Option<(Weft, Caller)> {
    peer("kubectl")?;
    let weft = Weft::server(crate::WEFT)?;
    let caller = Caller::new(&weft);
    Some((weft, caller))
}

impl Caller {
    fn new(weft: &Weft) -> Caller {
        let authority = Authority::open(&weft.data_dir().join("server/authority")).unwrap();
        let grant = Grant::User {
            user: "caller".to_owned(),
            groups: vec!["system:masters".to_owned()],
        };
        let pair = authority.issue(&grant, 3600, unix_s()).unwrap();
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(authority.root_der().to_vec());
        roots.add(root).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(pair.certificate.chain, key)
            .unwrap();
        Caller {
            config: Arc::new(config),
            address: weft.address().to_owned(),
        }
    }

    /// How they connect.
    pub(crate) fn tls(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// A connection that says nothing, not even a greeting of TLS.
    pub(crate) fn silence(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection that has agreed on a protocol.
    pub(crate) fn connect(&self, alpn: &str) -> Line {
        let mut config = self.tls();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut line = Line(StreamOwned::new(session, self.silence()));
        line.0.flush().unwrap();
        while line.0.conn.is_handshaking() {
            line.0.conn.complete_io(&mut line.0.sock).unwrap();
        }
        line
    }

    /// One request, and what is answered until the server closes.
    pub(crate) fn ask(&self, method: &str, path: &str, media: &str, body: &[u8]) -> Said {
        self.say(method, path, &[("Content-Type", media)], body)
    }

    /// The same with a head of one's own.
    pub(crate) fn say(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Said {
        let mut line = self.connect("http/1.1");
        let length = body.len();
        let headers = headers.iter();
        let headers: String = headers
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\
             {headers}Content-Length: {length}\r\n\r\n"
        );
        line.send(head.as_bytes());
        line.send(body);
        line.answer()
    }

    pub(crate) fn get(&self, path: &str) -> Said {
        self.ask("GET", path, "application/json", b"")
    }

    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) -> Said {
        self.ask(
            "POST",
            path,
            "application/json",
            body.to_string().as_bytes(),
        )
    }
}

/// A connection.
pub(crate) struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Line {
    /// Sends as much as is taken; says whether that was all.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0
            .write_all(bytes)
            .and_then(|()| self.0.flush())
            .is_ok()
    }

    /// Reads until the server closes, politely or not.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        match self.0.read_to_end(&mut all) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server keeps the connection")
            }
            _ => all,
        }
    }

    /// Reads a little.
    pub(crate) fn some(&mut self) -> Vec<u8> {
        let mut piece = vec![0; 4096];
        let length = self.0.read(&mut piece).unwrap_or(0);
        piece.truncate(length);
        piece
    }

    pub(crate) fn answer(&mut self) -> Said {
        let all = String::from_utf8_lossy(&self.rest()).into_owned();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Said {
            code: code.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}
