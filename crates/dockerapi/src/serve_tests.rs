//! Hostile and unlucky clients against the accept loop, without an engine behind it.

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use weft_api::docker::ContainerCreateRequest;

use super::*;
use crate::transport::body;

/// A server on a socket of its own; it ends when dropped.
struct Server {
    dir: tempfile::TempDir,
    _stop: oneshot::Sender<()>,
}

struct Live(watch::Sender<usize>);

impl Live {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|live| *live += 1);
        Self(count.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.send_modify(|live| *live -= 1);
    }
}

impl Server {
    fn start(connections_max: usize) -> (Self, watch::Receiver<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (count, live) = watch::channel(0);
        let answer = move |_peer: Peer, request: Request<Incoming>| {
            let count = count.clone();
            async move { respond(request, &count).await }
        };
        let shutdown = async move { drop(stopped.await) };
        tokio::spawn(accept(listener, shutdown, connections_max, answer));
        (Self { dir, _stop: stop }, live)
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("s"))
            .await
            .unwrap()
    }

    /// Sends bytes as they are and reads until the server closes.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // A server may answer and close before it has read all of an oversized request.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// `/silent` says one line and then nothing for ever; anything else reads a create request.
async fn respond(request: Request<Incoming>, count: &watch::Sender<usize>) -> Answer {
    if request.uri().path() == "/silent" {
        let live = Live::new(count);
        return body::stream(
            "text/plain",
            stream::unfold((true, live), |(first, live)| async move {
                if !first {
                    std::future::pending::<()>().await;
                }
                Some((Ok(Bytes::from("line\n")), (false, live)))
            }),
        );
    }
    match body::read_json::<ContainerCreateRequest>(request.into_body()).await {
        Ok(_) => body::empty(StatusCode::OK),
        Err(error) => body::error(&error),
    }
}

fn post(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /x HTTP/1.1\r\nHost: w\r\nConnection: close\r\n{head}\r\n");
    [head.as_bytes(), body].concat()
}

fn sized(body: &[u8]) -> Vec<u8> {
    post(&format!("Content-Length: {}\r\n", body.len()), body)
}

#[tokio::test]
async fn bodies_no_client_should_send() {
    let (server, _) = Server::start(10);
    let check = async |request: &[u8], parts: &[&str]| {
        let answer = server.raw(request).await;
        for part in parts {
            assert!(answer.contains(part), "{part} is not in {answer}");
        }
    };
    check(&sized(br#"{"Image":"a"}"#), &["200 OK"]).await;
    let large = format!(r#"{{"Image":"{}"}}"#, "x".repeat(body::JSON_LIMIT));
    check(
        &sized(large.as_bytes()),
        &["400 Bad Request", "larger than 4 MiB"],
    )
    .await;
    check(&sized("[".repeat(100_000).as_bytes()), &["400 Bad Request"]).await;
    let deep = format!(r#"{{"X":{}"#, "[".repeat(100_000));
    check(
        &sized(deep.as_bytes()),
        &["400 Bad Request", "recursion limit"],
    )
    .await;
    check(
        &sized(b"{\n\"Image\": nope}"),
        &["400 Bad Request", "line 2 column"],
    )
    .await;
    check(
        &sized(br#"{"HostConfig":{"Memory":"1g"}}"#),
        &["400", "HostConfig.Memory: expected a whole number"],
    )
    .await;
    check(&sized(b"\xff\xfe"), &["400 Bad Request"]).await;
    check(
        &post("Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        &["400"],
    )
    .await;
    let chunked = post("Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n");
    check(&chunked, &["200 OK"]).await;
}

#[tokio::test]
async fn heads_no_client_should_send() {
    let (server, _) = Server::start(10);
    let refused = async |request: &[u8]| {
        let answer = server.raw(request).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    };
    refused(&post("Content-Length: 2\r\nContent-Length: 3\r\n", b"{} ")).await;
    refused(&post("Content-Length: -1\r\n", b"")).await;
    refused(&post("Content-Length: 99999999999999999999999\r\n", b"")).await;
    refused(b"GET /\r\n\r\n").await;
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    refused(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_MAX)).as_bytes()).await;
    let many = "X: y\r\n".repeat(5000);
    refused(&post(&many, b"")).await;
    assert!(
        server
            .raw(&sized(br#"{"Image":"a"}"#))
            .await
            .contains("200 OK"),
        "it still serves"
    );
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut_off() {
    let (server, _) = Server::start(10);
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let mut answer = Vec::new();
    let began = tokio::time::Instant::now();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(began.elapsed() >= HEAD_TIMEOUT);
    assert!(began.elapsed() < HEAD_TIMEOUT * 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_cut_off() {
    let (server, _) = Server::start(10);
    let mut stream = server.connect().await;
    stream
        .write_all(&post("Content-Length: 50\r\n", b"{"))
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(String::from_utf8_lossy(&answer).contains("did not arrive within 30 s"));
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let (server, _) = Server::start(2);
    let request = b"POST /x HTTP/1.1\r\nHost: w\r\nContent-Length: 2\r\n\r\n{}";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(request).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    assert!(server.raw(b"").await.starts_with("HTTP/1.1 503"));
    held.pop();
    // The place is free once the server has seen the end of that connection.
    loop {
        let mut stream = server.connect().await;
        let _ = stream.write_all(request).await;
        let mut first = [0; 12];
        if stream.read_exact(&mut first).await.is_ok() && &first == b"HTTP/1.1 200" {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_stream_along() {
    let (server, mut live) = Server::start(100);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /silent HTTP/1.1\r\nHost: w\r\n\r\n")
            .await
            .unwrap();
        let mut buffer = [0; 256];
        while !String::from_utf8_lossy(&buffer).contains("line") {
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
        }
        clients.push(stream);
    }
    assert_eq!(*live.borrow_and_update(), 20);
    clients.clear();
    live.wait_for(|live| *live == 0).await.unwrap();
}
