//! Owns a lying registry: an HTTP server in this process that answers what a test says, keeps
//! what it was asked with all headers, and can cut a body short or hang.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use weft_image::Digest;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    head: String,
}

impl Asked {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The first byte of a range.
    pub fn from(&self) -> usize {
        let range = self.header("range").and_then(|r| r.strip_prefix("bytes="));
        range
            .and_then(|r| r.strip_suffix('-')?.parse().ok())
            .unwrap_or(0)
    }
}

/// What to send.
#[derive(Clone, Default)]
pub struct Said {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Send only so many bytes of the body, then close.
    pub cut: Option<usize>,
    /// Then wait until the test is over instead of closing.
    pub hang: bool,
}

pub fn say(status: u16, body: impl Into<Vec<u8>>) -> Said {
    Said {
        status,
        body: body.into(),
        ..Said::default()
    }
}

impl Said {
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
    pub fn cut(mut self, at: usize) -> Self {
        self.cut = Some(at);
        self
    }
    pub fn hang(mut self) -> Self {
        self.hang = true;
        self
    }
}

type Answer = dyn Fn(&Asked) -> Said + Send + Sync;

pub struct Liar {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Told of each request as it comes.
    pub heard: Arc<tokio::sync::Notify>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

impl Liar {
    pub fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let address = listener.local_addr().expect("has an address");
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::new(tokio::sync::Notify::new());
        let (stopping, log, tell) = (stop.clone(), asked.clone(), heard.clone());
        let answer: Arc<Answer> = Arc::new(answer);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, log, stop) = (answer.clone(), log.clone(), stopping.clone());
                let tell = tell.clone();
                std::thread::spawn(move || serve(stream, &*answer, &log, &tell, &stop));
            }
        });
        Self {
            address,
            stop,
            asked,
            heard,
            accepting: Some(accepting),
        }
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no thread panics with it").clone()
    }

    /// How often a path that contains `part` was asked for.
    pub fn count(&self, part: &str) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.path.contains(part))
            .count()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &Answer,
    log: &Mutex<Vec<Asked>>,
    tell: &tokio::sync::Notify,
    stop: &AtomicBool,
) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 << 10 {
        match stream.read(&mut byte) {
            // TLS: whoever it is will try plain HTTP next.
            Ok(1) if head.is_empty() && byte[0] == 0x16 => return,
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { path, head };
    log.lock()
        .expect("no thread panics with it")
        .push(asked.clone());
    tell.notify_one();
    let said = answer(&asked);
    let mut out = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", said.status);
    for (name, value) in &said.headers {
        out += &format!("{name}: {value}\r\n");
    }
    out += &format!("Content-Length: {}\r\n\r\n", said.body.len());
    let body = &said.body[..said.cut.unwrap_or(said.body.len()).min(said.body.len())];
    // The client may well have had enough.
    let sent = stream
        .write_all(out.as_bytes())
        .and_then(|()| stream.write_all(body));
    if said.hang && sent.is_ok() {
        let timeout = std::time::Duration::from_millis(100);
        stream
            .set_read_timeout(Some(timeout))
            .expect("a positive timeout");
        while !stop.load(Ordering::SeqCst) {
            match stream.read(&mut byte) {
                Ok(0) => return,
                Err(e) if e.kind() != std::io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A small image to lie about: gzip layers, config, manifest.
#[derive(Clone)]
pub struct Sample {
    pub layers: Vec<Vec<u8>>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

impl Sample {
    /// Layers are uncompressed archives.
    pub fn new(layers: &[Vec<u8>]) -> Self {
        let diff_ids: Vec<String> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
        let layers: Vec<Vec<u8>> = layers
            .iter()
            .map(|layer| crate::sample::gzip(layer))
            .collect();
        let config = serde_json::json!({
            "os": "linux", "architecture": "amd64", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let describe = |bytes: &[u8], media: &str| {
            serde_json::json!({
                "mediaType": media, "digest": Digest::of(bytes).to_string(), "size": bytes.len(),
            })
        };
        let gz = "application/vnd.oci.image.layer.v1.tar+gzip";
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": describe(&config, "application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(|layer| describe(layer, gz)).collect::<Vec<_>>(),
        });
        Self {
            layers,
            config,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    pub fn layer(&self, at: usize) -> String {
        Digest::of(&self.layers[at]).to_string()
    }

    /// The honest answer.
    pub fn answer(&self, asked: &Asked) -> Said {
        if asked.path.contains("/manifests/") {
            return say(200, self.manifest.clone()).header("Content-Type", MANIFEST);
        }
        let blobs = self.layers.iter().chain([&self.config]);
        for blob in blobs {
            if asked.path.ends_with(&Digest::of(blob).to_string()) {
                return ranged(asked, blob);
            }
        }
        say(
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"never heard of it"}]}"#,
        )
    }
}

/// A blob, from the byte asked for on.
pub fn ranged(asked: &Asked, blob: &[u8]) -> Said {
    let from = asked.from().min(blob.len());
    if asked.header("range").is_none() {
        return say(200, blob);
    }
    let range = format!(
        "bytes {from}-{}/{}",
        blob.len().saturating_sub(1),
        blob.len()
    );
    say(206, &blob[from..]).header("Content-Range", range)
}
