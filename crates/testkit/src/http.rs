//! One raw HTTP exchange over a unix socket: for requests no well-behaved client sends.
//! Owns bytes in, bytes out; never corrects either.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A response: status and body.
#[derive(Debug)]
pub struct Response {
    /// The status code; 0 when the server closed the connection without a status line.
    pub status: u16,
    /// Everything after the header, chunked encoding left as it is.
    pub body: String,
}

/// Sends `request` as it is and reads until the server closes or `ANSWER_MAX` is over.
pub fn raw(socket: &Path, request: &[u8]) -> Result<Response> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("connect to {}", socket.display()))?;
    stream
        .set_read_timeout(Some(ANSWER_MAX))
        .context("set a read timeout")?;
    stream
        .set_write_timeout(Some(ANSWER_MAX))
        .context("set a write timeout")?;
    // A server may answer and close before it has read all of an oversized request.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(parse(&String::from_utf8_lossy(&answer)))
}

/// A request with a JSON body and `Connection: close`.
pub fn json(socket: &Path, method: &str, path: &str, body: &str) -> Result<Response> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: weft\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    raw(
        socket,
        [head.as_bytes(), body.as_bytes()].concat().as_slice(),
    )
}

fn parse(answer: &str) -> Response {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    Response {
        status,
        body: body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_and_body() {
        let response = parse("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!((response.status, response.body.as_str()), (404, "{}"));
        assert_eq!(parse("").status, 0);
    }
}
