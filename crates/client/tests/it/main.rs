//! The client against a server that answers from a script.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod server;

use std::path::PathBuf;

use server::Script;
use weft_api::docker::{ContainerCreateRequest, ExecStartConfig};
use weft_client::{
    Attach, Client, ClientError, Filters, ListContainers, Pull, RemoveContainer, WaitCondition,
};

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

#[test]
fn answers_are_decoded_and_the_connection_is_kept() {
    block_on(async {
        let script = Script::new(&[
            "HTTP/1.1 201 Created\r\nContent-Length: 28\r\n\r\n{\"Id\":\"abc\",\"Warnings\":[\"\"]}",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ]);
        let client = Client::new(script.path());
        let body = ContainerCreateRequest::default();
        let created = client
            .create_container(Some("web"), None, &body)
            .await
            .unwrap();
        assert_eq!(created.id, "abc");
        client.start_container("abc", None).await.unwrap();
        let requests = script.requests();
        assert!(requests[0].starts_with("POST /containers/create?name=web HTTP/1.1"));
        assert!(requests[1].starts_with("POST /containers/abc/start HTTP/1.1"));
        assert_eq!(script.connections(), 1);
    });
}

#[test]
fn a_kept_connection_that_was_closed_is_replaced() {
    block_on(async {
        let script = Script::closing(&[
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ]);
        let client = Client::new(script.path());
        client.pause_container("a").await.unwrap();
        script.wait_closed(1);
        turn_the_loop().await;
        client.unpause_container("a").await.unwrap();
        assert_eq!(script.connections(), 2);
    });
}

/// Lets the event loop see what has happened to other sockets meanwhile.
async fn turn_the_loop() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for _ in 0..3 {
        let (mut one, mut other) = tokio::net::UnixStream::pair().unwrap();
        let read = tokio::spawn(async move { other.read_u8().await.unwrap() });
        tokio::task::yield_now().await;
        one.write_u8(1).await.unwrap();
        read.await.unwrap();
    }
}

#[test]
fn refusals_carry_the_engines_words() {
    block_on(async {
        let script = Script::new(&[
            "HTTP/1.1 404 Not Found\r\nContent-Length: 40\r\n\r\n{\"message\":\"No such container: missing\"} ",
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{nop",
        ]);
        let client = Client::new(script.path());
        let error = client
            .remove_container("missing", RemoveContainer::default())
            .await
            .unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "No such container: missing");
        let error = client.ping().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ping the engine: 500 Internal Server Error"
        );
        let error = client.version().await.unwrap_err();
        assert!(matches!(error, ClientError::Decode { .. }));
    });
}

#[test]
fn nobody_listening_is_told_apart() {
    block_on(async {
        let error = Client::new("/nonexistent/s").ping().await.unwrap_err();
        assert!(error.is_not_running());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = Client::new(&path).ping().await.unwrap_err();
        assert!(error.is_not_running());
        assert_eq!(
            error.to_string(),
            format!("connect to the engine at {}", path.display())
        );
    });
}

#[test]
fn a_connection_that_breaks_names_what_was_asked() {
    block_on(async {
        let script = Script::closing(&["HTTP/1.1 200"]);
        let error = Client::new(script.path())
            .list_containers(&ListContainers::default())
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
        assert!(error.to_string().starts_with("list containers: "));
    });
}

#[test]
fn attaching_gives_both_directions_and_half_a_close() {
    block_on(async {
        // The first bytes of the stream come with the head; the rest is an echo until we close.
        let script = Script::echoing(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhead",
        );
        let client = Client::new(script.path());
        let attach = Attach {
            stdin: true,
            stdout: true,
            ..Attach::default()
        };
        let mut duplex = client.attach_container("a", &attach).await.unwrap();
        assert_eq!(duplex.multiplexed, Some(true));
        duplex.writer.write_all(b" and tail").await.unwrap();
        duplex.writer.close().await.unwrap();
        let (mut all, mut buffer) = (Vec::new(), [0; 3]);
        loop {
            match duplex.reader.read(&mut buffer).await.unwrap() {
                0 => break,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(all, b"head and tail");
        let requests = script.requests();
        assert!(
            requests[0].starts_with("POST /containers/a/attach?stream=1&stdin=1&stdout=1 HTTP/1.1")
        );
        assert!(requests[0].to_lowercase().contains("upgrade: tcp"));
    });
}

#[test]
fn an_engine_that_does_not_upgrade_is_refused() {
    block_on(async {
        let script = Script::new(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let error = Client::new(script.path())
            .start_exec("e", &ExecStartConfig::default())
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "start exec e: the engine answered 200 OK instead of 101"
        );
    });
}

#[test]
fn progress_comes_line_by_line_and_lines_are_bounded() {
    block_on(async {
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let two = format!(
            "{head}{}{}{}0\r\n\r\n",
            chunk("{\"status\":\"Pull"),
            chunk("ing\"}\r\n{\"stat"),
            chunk("us\":\"Done\"}"),
        );
        let endless = format!("{head}{}0\r\n\r\n", chunk(&"x".repeat((1 << 20) + 1)));
        let script = Script::new(&[&two, &endless]);
        let client = Client::new(script.path());
        let pull = Pull {
            name: "h:5000/a/b".into(),
            tag: Some("1".into()),
            auth: Some("e30=".into()),
            ..Pull::default()
        };
        let mut lines = client.pull_image(&pull).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap().status, "Pulling");
        assert_eq!(lines.next().await.unwrap().unwrap().status, "Done");
        assert!(lines.next().await.unwrap().is_none());
        let error = client.events(None, None, &Filters::default()).await;
        let error = error.unwrap().next().await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
        let requests = script.requests();
        assert!(requests[0].starts_with("POST /images/create?fromImage=h:5000/a/b&tag=1 HTTP/1.1"));
        assert!(requests[0].to_lowercase().contains("x-registry-auth: e30="));
    });
}

#[test]
fn uploads_are_streamed_and_their_errors_end_them() {
    block_on(async {
        let script = Script::new(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let client = Client::new(script.path());
        let (sender, upload) = tokio::sync::mpsc::channel(1);
        let sending = async move {
            for piece in ["one ", "two"] {
                sender.send(Ok(piece.into())).await.unwrap();
            }
        };
        let (sent, ()) = tokio::join!(client.upload_archive("a", "/x", false, upload), sending);
        sent.unwrap();
        let request = script.requests().remove(0);
        assert!(
            request.starts_with(
                "PUT /containers/a/archive?path=/x&noOverwriteDirNonDir=true HTTP/1.1"
            )
        );
        assert!(request.contains("one ") && request.contains("two"));

        let script = Script::new(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let client = Client::new(script.path());
        let (sender, upload) = tokio::sync::mpsc::channel(1);
        sender
            .send(Err(std::io::Error::other("disk")))
            .await
            .unwrap();
        let error = client
            .upload_archive("a", "/x", false, upload)
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    });
}

#[test]
fn waiting_begins_when_the_head_has_come() {
    block_on(async {
        let body = "{\"StatusCode\":7}\n";
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let script = Script::new(&[&answer]);
        let client = Client::new(script.path());
        let mut wait = client
            .wait_stream("a", WaitCondition::Removed)
            .await
            .unwrap();
        let answer: weft_api::docker::WaitResponse = wait.json().await.unwrap();
        assert_eq!(answer.status_code, 7);
        assert!(script.requests()[0].starts_with("POST /containers/a/wait?condition=removed "));
    });
}

#[test]
fn an_engine_that_cannot_start_what_is_attached_is_asked_to_start_it() {
    block_on(async {
        for (header, asked) in [("Weft-Started: true\r\n", 1), ("", 2)] {
            let body = "{\"StatusCode\":7}\n";
            let answer = format!(
                "HTTP/1.1 200 OK\r\n{header}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let script = Script::new(&[&answer, "HTTP/1.1 204 No Content\r\n\r\n"]);
            let client = Client::new(script.path());
            let started = client.start_attached("a", WaitCondition::NextExit);
            let mut wait = started.await.unwrap();
            let answer: weft_api::docker::WaitResponse = wait.json().await.unwrap();
            assert_eq!(answer.status_code, 7);
            let requests = script.requests();
            assert!(requests[0].contains("condition=next-exit&start=attached "));
            assert_eq!(requests.len(), asked);
            assert!(asked == 1 || requests[1].starts_with("POST /containers/a/start "));
        }
    });
}

#[test]
fn explaining_sends_nothing() {
    block_on(async {
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let teller = told.clone();
        let client = Client::explaining(
            PathBuf::from("/nonexistent"),
            std::sync::Arc::new(move |request| {
                teller.lock().unwrap().push(request.target.clone());
            }),
        );
        client.kill_container("a", "HUP").await.unwrap();
        assert!(matches!(client.version().await, Err(ClientError::NotSent)));
        assert_eq!(
            *told.lock().unwrap(),
            ["/containers/a/kill?signal=HUP", "/version"]
        );
    });
}
