//! `weft server`: clients that send no request, never finish one, or do not read what they asked for.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read as _};

use serde_json::json;
use weft_testkit::until;
use weft_testkit::wait::SOON;

use crate::server_line::{Caller, Line, server};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// More than the server keeps of what was (64 MiB), in objects of this size.
const FORGETTING: usize = 75;
const LARGE: usize = 1 << 20;
/// Most memory of a server that is attacked, in bytes: what it keeps of the past, twice, and more.
const MEMORY_MAX: u64 = 512 << 20;

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut head = length[1..].to_vec();
    head.extend([kind, flags]);
    head.extend(stream.to_be_bytes());
    [&head, payload].concat()
}

fn memory(caller: &Caller) -> u64 {
    let metrics = caller.get("/metrics");
    let found = metrics.is(200, &[]).body.lines().find_map(|line| {
        let value = line.strip_prefix("process_resident_memory_bytes ")?;
        value.trim().parse().ok()
    });
    found.unwrap()
}

#[test]
fn floods_of_http_2_end_the_connection_and_nothing_else() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let (headers, reset, continuation) = (1, 3, 9);
    let (end_stream, end_headers) = (1, 4);
    // GET / on https, without an authority.
    let get = b"\x82\x87\x84";
    // CVE-2023-44487: streams are opened and reset, faster than they are answered.
    let mut line = caller.connect("h2");
    line.send(PREFACE);
    for piece in 0..200 {
        let streams = (0..100).map(|n| 1 + 2 * (piece * 100 + n));
        let burst: Vec<u8> = streams
            .flat_map(|stream| {
                let open = frame(headers, end_stream | end_headers, stream, get);
                [open, frame(reset, 0, stream, &[0, 0, 0, 8])].concat()
            })
            .collect();
        if !line.send(&burst) {
            break;
        }
    }
    line.rest();
    // CVE-2024-27316: a head that never ends.
    let mut line = caller.connect("h2");
    line.send(PREFACE);
    line.send(&frame(headers, end_stream, 1, get));
    let piece = frame(
        continuation,
        0,
        1,
        &[b"\x00\x01a\x7f\x80\x7e", &[b'x'; 253][..]].concat(),
    );
    let more = (0..5000).all(|_| line.send(&piece));
    line.rest();
    assert!(!more, "the server took a head of more than a megabyte");
    // A head of a hundred thousand fields that are one byte each (RFC 7541: an indexed one).
    let mut line = caller.connect("h2");
    line.send(PREFACE);
    line.send(&frame(
        headers,
        end_stream | end_headers,
        1,
        &[0x90; 16_000],
    ));
    line.send(&frame(6, 0, 0, b"12345678"));
    assert!(!line.some().is_empty());
    caller.get("/readyz").is(200, &["ok"]);
    assert!(memory(&caller) < MEMORY_MAX);
}

#[test]
fn lists_that_nobody_takes_take_no_room() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    const OBJECTS: usize = 30;
    const STREAMS: u32 = 60;
    for name in 0..OBJECTS {
        let map = json!({ "metadata": { "name": format!("a{name}") }, "data": { "a": "x".repeat(LARGE - 100) } });
        caller.post(MAPS, &map).is(201, &[]);
    }
    let before = memory(&caller);
    let mut line = caller.connect("h2");
    line.send(PREFACE);
    // SETTINGS_INITIAL_WINDOW_SIZE: nothing of a body may be sent.
    line.send(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let literal = |field: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        [&[field, length], text.as_bytes()].concat()
    };
    let (authority, path) = (literal(0x01, "weft"), literal(0x04, MAPS));
    let get = [&b"\x82\x87"[..], &path, &authority].concat();
    for stream in 0..STREAMS {
        line.send(&frame(1, 1 | 4, 1 + 2 * stream, &get));
    }
    // Each has an answer's head.
    let mut heads = 0;
    let mut read = Vec::new();
    while heads < STREAMS {
        let some = line.some();
        assert!(!some.is_empty(), "{heads} of {STREAMS} were answered");
        read.extend(some);
        while let Some(&[a, b, c, kind]) = read.first_chunk() {
            let length = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
            if read.len() < length {
                break;
            }
            heads += u32::from(kind == 1);
            assert!(kind != 0, "a body without room for it");
            read.drain(..length);
        }
    }
    let more = memory(&caller).saturating_sub(before);
    assert!(more < 100 << 20, "{more} bytes for {STREAMS} lists");
}

#[test]
fn heads_are_bounded() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let large = format!("X-A: {}\r\n", "a".repeat(200 << 10));
    let many = (0..5000).map(|n| format!("X-{n}: a\r\n")).collect();
    let path = format!("X: y\r\n\r\nGET /{} HTTP/1.1\r\n", "a".repeat(200 << 10));
    for fields in [large, many, path] {
        let mut line = caller.connect("http/1.1");
        line.send(format!("GET /readyz HTTP/1.1\r\nHost: weft\r\n{fields}\r\n").as_bytes());
        let said = line.answer();
        let refused = matches!(said.code, 0 | 400 | 414 | 431) || said.body.contains("HTTP/1.1 4");
        assert!(refused, "{}: {}", said.code, said.body);
    }
    caller.get("/readyz").is(200, &["ok"]);
}

#[test]
fn a_thousand_connections_hinder_nobody_and_the_slow_are_cut_off() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let silent: Vec<_> = (0..700).map(|_| caller.silence()).collect();
    let mut idle: Vec<Line> = (0..300).map(|_| caller.connect("http/1.1")).collect();
    let mut slow_head = caller.connect("http/1.1");
    slow_head.send(b"GET /readyz HTTP/1.1\r\nHost: we");
    let mut slow_body = caller.connect("http/1.1");
    let head = format!("POST {MAPS} HTTP/1.1\r\nHost: weft\r\nContent-Length: 100\r\n");
    slow_body.send(format!("{head}Connection: close\r\n\r\n{{\"met").as_bytes());
    let mut no_request = caller.connect("h2");
    let mut no_stream = caller.connect("h2");
    no_stream.send(PREFACE);
    caller.get("/api/v1/namespaces").is(200, &["default"]);
    assert!(memory(&caller) < MEMORY_MAX);
    // Each of them is ended by the server; how it says so is its own.
    slow_head.rest();
    slow_body
        .answer()
        .is(504, &["the body did not arrive within"]);
    no_request.rest();
    no_stream.rest();
    for mut stream in silent {
        let ended = stream.read(&mut [0; 64]);
        let is_kept = ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(!is_kept, "it was not closed");
    }
    for line in &mut idle {
        line.rest();
    }
    caller.get("/api/v1/namespaces").is(200, &["default"]);
}

#[test]
fn who_does_not_read_is_dropped_and_what_is_forgotten_is_told() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    for name in ["a", "b"] {
        caller
            .post(MAPS, &json!({ "metadata": { "name": name } }))
            .is(201, &[]);
    }
    let piece = caller.get(&format!("{MAPS}?limit=1")).is(200, &[]).json();
    let token = piece["metadata"]["continue"].as_str().unwrap();
    let seen = piece["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = caller.connect("http/1.1");
    let path = format!("{MAPS}?watch=true&resourceVersion={seen}");
    watch
        .send(format!("GET {path} HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n\r\n").as_bytes());
    assert!(!watch.some().is_empty());
    let one = format!("{MAPS}/a");
    for count in 0..FORGETTING {
        let large = count.to_string() + &"x".repeat(LARGE - 100);
        let map = json!({ "metadata": { "name": "a" }, "data": { "a": large } }).to_string();
        caller
            .ask("PUT", &one, "application/json", map.as_bytes())
            .is(200, &[]);
    }
    assert!(memory(&caller) < MEMORY_MAX);
    let rest = String::from_utf8_lossy(&watch.rest()).into_owned();
    assert!(rest.contains("the watcher took too long"), "{}", rest.len());
    let again = caller.get(&format!("{MAPS}?limit=1&continue={token}"));
    again.is(410, &["Expired"]);
    let late = caller.get(&format!("{MAPS}?watch=true&resourceVersion={seen}"));
    late.is(200, &["ERROR", "410", "Expired"]);
    let exact = format!("{MAPS}?resourceVersion={seen}&resourceVersionMatch=Exact");
    caller.get(&exact).is(410, &["Expired"]);
    let future = caller.get(&format!("{MAPS}?watch=true&resourceVersion=9999999"));
    assert!(
        future.body.contains("Too large resource version"),
        "{}",
        future.body
    );
}

#[test]
fn a_watch_is_held_until_its_time_is_over() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let path = format!("{MAPS}?watch=true&timeoutSeconds=600");
    let words = ["get", "--raw", &path];
    let mut long = weft.kubectl_in_background(&words).unwrap();
    let short = caller.get(&format!("{MAPS}?watch=true&timeoutSeconds=1"));
    assert!(
        short.is(200, &[]).body.trim_end().ends_with('0'),
        "{}",
        short.body
    );
    assert!(long.running());
    caller
        .post(MAPS, &json!({ "metadata": { "name": "a" } }))
        .is(201, &[]);
    until(SOON, "the change", || long.stdout().contains("\"ADDED\""));
    assert!(long.running());
}
