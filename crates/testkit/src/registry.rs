//! A real registry on loopback (docker-registry), plain, with TLS or with a password, and a lying
//! one that answers what a test tells it to.
//! Owns the registry's process and files; never shares them between tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command;
use crate::peer;
use crate::wait::{SOON, until};

/// How a registry wants to be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Plain HTTP, anybody.
    Plain,
    /// HTTPS with a certificate of its own, anybody.
    Tls,
    /// Plain HTTP, user `weaver`, password `shuttle`.
    Password,
}

/// A running docker-registry; stopped and removed when dropped.
pub struct Registry {
    address: SocketAddr,
    access: Access,
    dir: TempDir,
    child: Child,
}

impl Registry {
    /// Starts an empty registry; `None`, said aloud, when a program for it is missing.
    pub fn start(access: Access) -> Result<Option<Registry>> {
        let Some(program) = peer::peer("docker-registry") else {
            return Ok(None);
        };
        if peer::peer("skopeo").is_none() {
            return Ok(None);
        }
        let dir = tempfile::Builder::new()
            .prefix("weft-registry-")
            .tempdir()
            .context("make the registry's directory")?;
        let address = free_port(access)?;
        let config = dir.path().join("config.yml");
        fs::write(&config, configuration(access, dir.path(), address)?)
            .context("write the registry's config")?;
        let log = fs::File::create(dir.path().join("log")).context("create the registry's log")?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("copy the log")?)
            .stderr(log)
            .spawn()
            .context("start docker-registry")?;
        until(SOON, "the registry listens", || {
            TcpStream::connect(address).is_ok()
        });
        Ok(Some(Registry {
            address,
            access,
            dir,
            child,
        }))
    }

    /// `address:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The CA certificate of a TLS registry.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Puts a `docker save` archive into the registry under `name` (`repository:tag`).
    pub fn push(&self, archive: &[u8], name: &str) -> Result<()> {
        let file = self.dir.path().join("push.tar");
        fs::write(&file, archive).context("write the archive")?;
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "copy",
            "--insecure-policy",
            "--quiet",
            "--dest-tls-verify=false",
        ]);
        if self.access == Access::Password {
            skopeo.args(["--dest-creds", "weaver:shuttle"]);
        }
        skopeo
            .arg(format!("docker-archive:{}", file.display()))
            .arg(format!("docker://{}/{name}", self.host()));
        let ran = command::run(skopeo, b"", command::LIMIT);
        ensure!(ran.code == 0, "{ran}");
        Ok(())
    }

    /// Stops answering, as a registry that is down does.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn configuration(access: Access, dir: &Path, address: SocketAddr) -> Result<String> {
    let mut text = format!(
        "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n",
        dir.join("data").display()
    );
    if access == Access::Tls {
        certificate(dir, address.ip())?;
        let dir = dir.display();
        text += &format!("  tls:\n    certificate: {dir}/cert.pem\n    key: {dir}/key.pem\n");
    }
    if access == Access::Password {
        fs::write(dir.join("htpasswd"), PASSWORD).context("write the password file")?;
        text += &format!(
            "auth:\n  htpasswd:\n    realm: weft\n    path: {}/htpasswd\n",
            dir.display()
        );
    }
    Ok(text)
}

/// `weaver:shuttle` as `htpasswd -B` writes it.
const PASSWORD: &str = "weaver:$2y$05$abcdefghijklmnopqrstuuq.x5DPuEcC.iqPjNXz09fSkzHYG0cIG\n";

fn certificate(dir: &Path, address: IpAddr) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]);
    openssl.args([
        "-subj",
        "/CN=weft test registry",
        "-addext",
        &format!("subjectAltName=IP:{address}"),
    ]);
    openssl
        .arg("-keyout")
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("cert.pem"));
    let ran = command::run(openssl, b"", command::LIMIT);
    ensure!(ran.code == 0, "{ran}");
    Ok(())
}

/// A port nobody listens on. It could be taken before it is used: then the test fails aloud, with
/// the registry's log. Loopback is trusted more than other addresses, so TLS is tried on another.
fn free_port(access: Access) -> Result<SocketAddr> {
    let host = match (access, own_address()) {
        (Access::Tls, Some(own)) => own,
        _ => Ipv4Addr::LOCALHOST,
    };
    let listener = TcpListener::bind((host, 0)).context("find a free port")?;
    listener.local_addr().context("read the free port")
}

/// An address of this machine that is not loopback.
pub fn own_address() -> Option<Ipv4Addr> {
    // Connecting a datagram socket only picks the route.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

/// A registry that says what the test wants it to: each request's path is answered by `answer`.
pub struct Liar {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What the liar sends: the header and body, byte for byte, and then it closes the connection.
pub type Lie = Box<dyn Fn(&str) -> Vec<u8> + Send>;

impl Liar {
    /// Starts it on a free loopback port.
    pub fn start(answer: Lie) -> Result<Liar> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen as a lying registry")?;
        let address = listener.local_addr().context("read the port")?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (stopping, log) = (Arc::clone(&stop), Arc::clone(&asked));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let _ = serve(stream, &answer, &log);
            }
        });
        Ok(Liar {
            address,
            stop,
            thread: Some(thread),
            asked,
        })
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Requests so far, with their headers.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no server thread panics").clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // One last connection wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &Lie, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.by_ref().take(8192).read_line(&mut first)?;
    let mut request = first.clone();
    loop {
        let mut line = String::new();
        if reader.by_ref().take(8192).read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        request.push_str(&line);
    }
    log.lock()
        .expect("no test panics while it looks")
        .push(request);
    let path = first.split(' ').nth(1).unwrap_or_default();
    stream.write_all(&answer(path))
}

/// A whole response with a body and a content type.
pub fn response(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
