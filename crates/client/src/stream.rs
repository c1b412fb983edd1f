//! Answers that come piece by piece: bytes, and JSON values one per line.
//!
//! Owns the bound on a line. Never buffers more than one unfinished line.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// Longest JSON line, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A stream of bytes.
#[derive(Debug)]
pub struct Bytestream {
    what: String,
    body: Incoming,
}

impl Bytestream {
    pub(crate) fn new(what: String, body: Incoming) -> Bytestream {
        Bytestream { what, body }
    }

    /// The next piece, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    _ => {}
                },
                Some(Err(source)) => {
                    return Err(ClientError::Broken {
                        what: self.what.clone(),
                        source,
                    });
                }
            }
        }
    }

    /// Reads the one JSON value the stream holds.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        one_json(self).await
    }

    /// Reads everything, up to `bytes_max` bytes.
    pub async fn collect(&mut self, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > bytes_max {
                return Err(ClientError::Protocol {
                    what: self.what.clone(),
                    why: format!("the answer is longer than {bytes_max} bytes"),
                });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// A stream of JSON values, one per line.
#[derive(Debug)]
pub struct JsonLines<T> {
    bytes: Bytestream,
    pending: BytesMut,
    ended: bool,
    line_bytes_max: usize,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> JsonLines<T> {
    /// Reads the lines of `bytes`.
    pub fn new(bytes: Bytestream) -> JsonLines<T> {
        JsonLines {
            bytes,
            pending: BytesMut::new(),
            ended: false,
            line_bytes_max: LINE_BYTES_MAX,
            value: PhantomData,
        }
    }

    /// The same with lines of another length.
    #[must_use]
    pub(crate) fn lines_up_to(mut self, line_bytes_max: usize) -> JsonLines<T> {
        self.line_bytes_max = line_bytes_max;
        self
    }

    /// The next value, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(line) = take_line(&mut self.pending, self.ended) {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return serde_json::from_slice(&line).map(Some).map_err(|source| {
                    ClientError::Decode {
                        what: self.bytes.what.clone(),
                        source,
                    }
                });
            }
            if self.ended {
                return Ok(None);
            }
            match self.bytes.next().await? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => self.ended = true,
            }
            let line_bytes_max = self.line_bytes_max;
            if self.pending.len() > line_bytes_max && !self.pending.contains(&b'\n') {
                return Err(ClientError::Protocol {
                    what: self.bytes.what.clone(),
                    why: format!("a line of the answer is longer than {line_bytes_max} bytes"),
                });
            }
        }
    }
}

/// Reads a stream that holds one JSON value.
pub(crate) async fn one_json<T: DeserializeOwned>(
    bytes: &mut Bytestream,
) -> Result<T, ClientError> {
    let all = bytes.collect(LINE_BYTES_MAX).await?;
    serde_json::from_slice(&all).map_err(|source| ClientError::Decode {
        what: bytes.what.clone(),
        source,
    })
}

/// Takes the first line off `pending`; what is left after the last newline counts as a line once
/// the stream has ended.
fn take_line(pending: &mut BytesMut, ended: bool) -> Option<BytesMut> {
    match pending.iter().position(|&byte| byte == b'\n') {
        Some(end) => {
            let line = pending.split_to(end);
            pending.advance(1);
            Some(line)
        }
        None if ended && !pending.is_empty() => Some(pending.split()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_newlines_and_at_the_end() {
        let mut pending = BytesMut::from(&b"{}\n\n{\"a\":1}"[..]);
        assert_eq!(take_line(&mut pending, false).unwrap(), &b"{}"[..]);
        assert_eq!(take_line(&mut pending, false).unwrap(), &b""[..]);
        assert_eq!(take_line(&mut pending, false), None);
        assert_eq!(take_line(&mut pending, true).unwrap(), &b"{\"a\":1}"[..]);
        assert_eq!(take_line(&mut pending, true), None);
    }
}
