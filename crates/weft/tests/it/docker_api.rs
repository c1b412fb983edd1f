//! The Docker Engine API below the docker command: versions, wrong requests, clients that vanish.
//!
//! What well-behaved clients see is in `docker_cli`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, http, until};

use crate::{idle, weft};

/// Asserts status and a part of the message of an error.
#[track_caller]
fn refused(weft: &Weft, method: &str, path: &str, body: &str, status: u16, part: &str) {
    let answer = weft.api(method, path, body);
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    let message: Value = serde_json::from_str(&answer.body).expect("errors are JSON");
    let message = message["message"].as_str().expect("errors have a message");
    assert!(message.contains(part), "{method} {path}: {message}");
}

/// A connection on which `request` was sent and whose answer has begun.
#[track_caller]
fn begun(weft: &Weft, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(weft.socket()).expect("the engine listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a timeout can be set");
    stream
        .write_all(request.as_bytes())
        .expect("the engine reads");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(
            stream.read(&mut byte).expect("the engine answers"),
            1,
            "{head:?}"
        );
        head.extend_from_slice(&byte);
    }
    stream
}

/// Open descriptors of the daemon.
fn descriptors(weft: &Weft) -> usize {
    let dir = format!("/proc/{}/fd", weft.daemon_pid().as_raw_nonzero());
    std::fs::read_dir(dir).expect("the daemon lives").count()
}

#[test]
fn versions_and_unknown_pages() {
    let Some(weft) = Weft::empty(crate::WEFT) else {
        return;
    };
    for path in [
        "/_ping",
        "/v1.24/_ping",
        "/v1.47/version",
        "/info",
        "/v1.30/containers/json",
    ] {
        assert_eq!(weft.api("GET", path, "").status, 200, "{path}");
    }
    refused(&weft, "GET", "/v1.99/info", "", 400, "too new");
    refused(&weft, "GET", "/v1.12/info", "", 400, "too old");
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/swarm"),
        ("PATCH", "/info"),
        ("GET", "/containers"),
        ("POST", "/containers//start"),
        ("GET", "/v1.43"),
        ("DELETE", "/images/"),
    ] {
        refused(&weft, method, path, "", 404, "page not found");
    }
}

#[test]
fn wrong_queries_are_named() {
    let Some(weft) = Weft::empty(crate::WEFT) else {
        return;
    };
    let bad = |path: &str, part: &str| refused(&weft, "GET", path, "", 400, part);
    bad("/containers/json?all=maybe", "'all'");
    bad("/containers/json?limit=x", "'limit'");
    bad("/containers/json?filters=%7B", "'filters'");
    bad(
        "/containers/json?filters=%7B%22colour%22%3A%5B%22red%22%5D%7D",
        "invalid filter 'colour'",
    );
    bad("/containers/json?filters=%zz", "percent-encoding");
    bad("/images/json?all=2", "'all'");
    bad("/events?since=tomorrow", "'since'");
    bad("/events?filters=[]", "must be an object");
    bad("/system/df?type=moon", "'moon'");
    refused(
        &weft,
        "POST",
        "/containers/x/wait?condition=tired",
        "",
        400,
        "tired",
    );
    refused(
        &weft,
        "POST",
        "/containers/x/wait?start=now",
        "",
        400,
        "'now'",
    );
    refused(&weft, "POST", "/images/create", "", 400, "'fromImage'");
    refused(
        &weft,
        "POST",
        "/images/create?fromImage=UPPER",
        "",
        400,
        "UPPER",
    );
    for path in [
        "/containers/nosuch/json",
        "/images/nosuch/json",
        "/networks/nosuch",
        "/volumes/nosuch",
        "/exec/nosuch/json",
    ] {
        refused(&weft, "GET", path, "", 404, "nosuch");
    }
}

#[test]
fn wrong_bodies_are_named_and_leave_nothing() {
    let Some(weft) = weft() else { return };
    let bad =
        |body: &str, part: &str| refused(&weft, "POST", "/containers/create", body, 400, part);
    bad("{", "line 1");
    bad("", "empty");
    bad(r#"{"Image":["busybox"]}"#, "Image: expected a string");
    bad(
        r#"{"Image":"busybox","HostConfig":{"Memory":"1g"}}"#,
        "HostConfig.Memory: expected a whole number",
    );
    bad(
        &format!(r#"{{"Image":"{}"}}"#, "x".repeat(5 << 20)),
        "larger than 4 MiB",
    );
    bad(&"[".repeat(1000), "expected");
    let several = r#"{"Image":"busybox","Healthcheck":{"Test":["HTTP","x"],"Interval":5},"WorkingDir":"here",
        "HostConfig":{"Links":["a"],"CgroupParent":"/x","NetworkMode":"none","PidMode":"odd"}}"#;
    for part in [
        "'HTTP' is not one of",
        "Interval in Healthcheck cannot be less than 1ms",
        "HostConfig.Links",
        "HostConfig.CgroupParent",
        "PidMode",
        "'here'",
    ] {
        bad(several, part);
    }
    refused(
        &weft,
        "POST",
        "/containers/create",
        r#"{"Image":"nosuch"}"#,
        404,
        "No such image",
    );
    assert_eq!(weft.api("GET", "/containers/json?all=1", "").body, "[]");
}

#[test]
fn broken_http_is_refused_and_the_next_client_served() {
    let Some(weft) = Weft::empty(crate::WEFT) else {
        return;
    };
    let requests: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /info\r\n\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"",
    ];
    for request in requests {
        let mut stream = UnixStream::connect(weft.socket()).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(weft.api("GET", "/_ping", "").body, "OK");
}

#[test]
fn clients_that_vanish_release_everything() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    // A first use of each, so that what stays open for good is open before the count.
    let requests = [
        "GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /containers/one/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /containers/one/stats HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /containers/one/wait HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /containers/one/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /containers/one/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n\
         Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    ];
    for request in requests {
        begun(&weft, request);
    }
    let mut before = descriptors(&weft);
    until(SOON, "the first clients are gone", || {
        let now = descriptors(&weft);
        std::mem::replace(&mut before, now) == now
    });
    let clients: Vec<_> = (0..10)
        .flat_map(|_| requests.map(|r| begun(&weft, r)))
        .collect();
    assert!(descriptors(&weft) >= before + clients.len());
    drop(clients);
    until(SOON, "what sixty clients held is released", || {
        descriptors(&weft) <= before
    });
    assert_eq!(weft.api("GET", "/_ping", "").body, "OK");
}

#[test]
fn a_load_that_breaks_off_leaves_nothing() {
    let Some(weft) = weft() else { return };
    let images = weft.api("GET", "/images/json", "").body;
    let mut stream = UnixStream::connect(weft.socket()).unwrap();
    stream
        .write_all(
            b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n\
              Content-Length: 1000000\r\n\r\nnot a tar, and not all of it either",
        )
        .unwrap();
    drop(stream);
    let response = http::raw(
        &weft.socket(),
        b"POST /images/load HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\nnot a tar",
    )
    .unwrap();
    assert!((400..600).contains(&response.status), "{}", response.status);
    assert_eq!(weft.api("GET", "/images/json", "").body, images);
}

/// The 101, then frames; closing our writing half ends the workload's input, not the session.
#[test]
fn a_half_closed_session_still_delivers() {
    let Some(weft) = weft() else { return };
    let body = r#"{"Image":"busybox","Cmd":["tr","a-z","A-Z"],"OpenStdin":true,"StdinOnce":true,
        "HostConfig":{"NetworkMode":"none"}}"#;
    let made = weft.api("POST", "/containers/create?name=tr", body);
    assert_eq!(made.status, 201, "{}", made.body);
    let mut stream = begun(
        &weft,
        "POST /v1.43/containers/tr/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\n\
         Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    );
    assert_eq!(weft.api("POST", "/containers/tr/start", "").status, 204);
    assert_eq!(weft.api("POST", "/containers/tr/start", "").status, 304);
    stream.write_all(b"typed").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"\x01\0\0\0\0\0\0\x05TYPED");
    let ended = weft.api("POST", "/containers/tr/wait", "");
    assert!(ended.body.contains(r#""StatusCode":0"#), "{}", ended.body);
}

/// The keys that leave, typed in two pieces; the workload goes on.
#[test]
fn detach_keys_leave_the_session() {
    let Some(weft) = weft() else { return };
    let body = r#"{"Image":"busybox","Cmd":["cat"],"OpenStdin":true,"Tty":true,
        "HostConfig":{"NetworkMode":"none"}}"#;
    assert_eq!(
        weft.api("POST", "/containers/create?name=cat", body).status,
        201
    );
    assert_eq!(weft.api("POST", "/containers/cat/start", "").status, 204);
    let attach = |keys: &str| {
        let path = format!("/containers/cat/attach?stream=1&stdin=1&stdout=1&detachKeys={keys}");
        begun(
            &weft,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            ),
        )
    };
    for (keys, first, second) in [("", "\x10", "\x11"), ("ctrl-a,b", "\x01", "b")] {
        let mut stream = attach(keys);
        stream.write_all(first.as_bytes()).unwrap();
        stream.write_all(second.as_bytes()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    refused(
        &weft,
        "POST",
        "/containers/cat/attach?stream=1&detachKeys=ctrl-",
        "",
        400,
        "detach keys",
    );
    assert!(weft.inspect("cat")["State"]["Running"].as_bool().unwrap());
}

#[test]
fn a_crowd_of_connections_is_served() {
    let Some(weft) = Weft::empty(crate::WEFT) else {
        return;
    };
    let idle: Vec<_> = (0..300)
        .map(|_| UnixStream::connect(weft.socket()).unwrap())
        .collect();
    assert_eq!(weft.api("GET", "/_ping", "").body, "OK");
    drop(idle);
    assert_eq!(weft.api("GET", "/_ping", "").body, "OK");
}
