//! Manifests from the web, which is a thread of the test.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use weft_testkit::Background;
use weft_testkit::wait::SOON;

use crate::server_cli::{cli, command, server};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: far }\ndata: { a: b }\n";

/// Answers by path; remembers which were asked for.
struct Web {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn start(tls: Option<Arc<ServerConfig>>, elsewhere: &str) -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (list, elsewhere) = (Arc::clone(&asked), elsewhere.to_owned());
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                match &tls {
                    None => answer(stream, &list, &elsewhere),
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).unwrap();
                        answer(StreamOwned::new(session, stream), &list, &elsewhere);
                    }
                }
            }
        });
        Web { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(stream: impl Read + Write, asked: &Mutex<Vec<String>>, elsewhere: &str) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    let _ = stream.read_line(&mut first);
    let mut line = String::from("head");
    while !line.trim().is_empty() {
        line.clear();
        let _ = stream.read_line(&mut line);
    }
    let Some(path) = first.split(' ').nth(1) else {
        return;
    };
    let mut asked = asked.lock().unwrap();
    asked.push(path.to_owned());
    let times = asked.iter().filter(|one| *one == path).count();
    let (status, location, body) = match path {
        "/map.yaml?x=y" => ("200 OK", "", MAP),
        "/moved" => ("302 Found", "map.yaml?x=y", ""),
        "/loop" => ("302 Found", "/loop", ""),
        "/elsewhere" => ("301 Moved", elsewhere, ""),
        "/odd" => ("302 Found", "ftp://x/y", ""),
        "/second" if times == 2 => ("200 OK", "", MAP),
        "/second" | "/never" => ("503 Service Unavailable", "", "no"),
        "/latin" => ("200 OK", "", "a"),
        _ => ("404 Not Found", "", "no"),
    };
    let body = if path == "/latin" {
        b"\xff"
    } else {
        body.as_bytes()
    };
    let length = body.len();
    let mut head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    if !location.is_empty() {
        head += &format!("Location: {location}\r\n");
    }
    let stream = stream.get_mut();
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
    let _ = stream.flush();
}

#[test]
fn manifests_come_from_the_web() {
    let Some(weft) = server() else { return };
    let web = Web::start(None, "");
    let at = |path: &str| format!("http://{}{path}", web.address);
    for (path, asked) in [
        ("/map.yaml?x=y", vec!["/map.yaml?x=y"]),
        ("/moved", vec!["/moved", "/map.yaml?x=y"]),
        ("/second", vec!["/second", "/second"]),
    ] {
        let ran = cli(&weft, &format!("apply -f {}", at(path)));
        assert!(ran.ok().starts_with("configmap/far "), "{ran}");
        assert_eq!(web.asked(), asked);
    }
    let ours = cli(&weft, &format!("get -f {} -o name", at("/moved")));
    assert_eq!(ours.ok(), "configmap/far");
    web.asked();
    for (url, count, words) in [
        (
            at("/nope"),
            1,
            &["unable to read URL", "404 Not Found, status code=404"] as &[&str],
        ),
        (at("/never"), 3, &["unable to read URL", "status code=503"]),
        (at("/loop"), 11, &["more than 10 times"]),
        (at("/odd"), 1, &["no address of the web"]),
        (at("/latin"), 1, &["utf-8"]),
        (
            at("/nope").replace("http://", "http://user:word@"),
            0,
            &["no user or password"],
        ),
        ("http://".to_owned(), 0, &["read http://: "]),
        (
            "https://127.9.9.9:1/x".to_owned(),
            0,
            &["connect to 127.9.9.9:1: connection refused"],
        ),
    ] {
        cli(&weft, &format!("apply -f {url}")).fails_saying(words);
        let asked = web.asked();
        let asked = asked.iter().filter(|path| path.starts_with('/')).count();
        assert_eq!(asked, count, "{url}");
    }
    let mut meant = command(&weft, &["apply", "-f", "http://127.9.9.9:1/x"]);
    meant.env("HTTPS_PROXY", "http://127.0.0.1:2");
    Background::start(meant).finish(SOON).fails_saying(&[
        "connect to 127.9.9.9:1",
        "asks no proxy, whatever HTTPS_PROXY",
    ]);
    // Somebody whom the system knows, by a variable that says who that is.
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let roots = weft.scratch().join("roots.pem");
    std::fs::write(&roots, key.cert.pem()).unwrap();
    let certificate = CertificateDer::from_pem_slice(key.cert.pem().as_bytes()).unwrap();
    let private =
        PrivateKeyDer::from_pem_slice(key.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    let safe = Web::start(Some(Arc::new(config)), &at("/map.yaml?x=y"));
    let apply = |path: &str, roots: &std::path::Path| {
        let mut command = command(
            &weft,
            &["apply", "-f", &format!("https://{}{path}", safe.address)],
        );
        command
            .env("SSL_CERT_FILE", roots)
            .env_remove("SSL_CERT_DIR");
        Background::start(command).finish(SOON)
    };
    assert_eq!(apply("/moved", &roots).ok(), "configmap/far unchanged");
    apply("/elsewhere", &roots).fails_saying(&["leads from https to http://"]);
    assert!(web.asked().is_empty());
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&roots, other.cert.pem()).unwrap();
    apply("/moved", &roots).fails_saying(&["connect to 127.0.0.1:", "certificate"]);
}
