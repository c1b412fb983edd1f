//! A connection that stopped being HTTP: attach and exec.
//!
//! Owns the two halves of the raw stream. Never looks at the bytes.

use bytes::{Buf as _, Bytes};
use http::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::error::ClientError;

/// A raw two-way stream with the engine.
#[derive(Debug)]
pub struct Duplex {
    /// What the engine sends.
    pub reader: DuplexReader,
    /// What goes to the engine.
    pub writer: DuplexWriter,
    /// Whether the engine's side is framed (see [`crate::stdcopy`]) rather than a terminal's bytes;
    /// `None` when the engine does not say.
    pub multiplexed: Option<bool>,
}

/// The engine's side of a [`Duplex`].
#[derive(Debug)]
pub struct DuplexReader {
    ahead: Bytes,
    half: OwnedReadHalf,
}

/// Our side of a [`Duplex`].
#[derive(Debug)]
pub struct DuplexWriter {
    half: OwnedWriteHalf,
}

impl Duplex {
    pub(crate) async fn from_response(
        what: String,
        response: Response<Incoming>,
    ) -> Result<Duplex, ClientError> {
        let multiplexed = is_multiplexed(response.headers());
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|source| ClientError::Broken { what, source })?;
        let parts = upgraded
            .downcast::<TokioIo<UnixStream>>()
            .expect("every connection of this crate is a unix stream");
        let (reader, writer) = parts.io.into_inner().into_split();
        Ok(Duplex {
            reader: DuplexReader {
                ahead: parts.read_buf,
                half: reader,
            },
            writer: DuplexWriter { half: writer },
            multiplexed,
        })
    }
}

/// What the content type says about framing; `None` when it says nothing.
pub(crate) fn is_multiplexed(headers: &http::HeaderMap) -> Option<bool> {
    match headers.get(http::header::CONTENT_TYPE)?.as_bytes() {
        b"application/vnd.docker.multiplexed-stream" => Some(true),
        b"application/vnd.docker.raw-stream" => Some(false),
        _ => None,
    }
}

impl DuplexReader {
    /// Reads some bytes into `buffer`; 0 at the end of the stream.
    pub async fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.len());
            self.ahead.copy_to_slice(&mut buffer[..count]);
            return Ok(count);
        }
        self.half.read(buffer).await
    }
}

impl DuplexWriter {
    /// Writes all of `bytes`.
    pub async fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.half.write_all(bytes).await
    }

    /// Says that no more will be written; reading goes on.
    pub async fn close(&mut self) -> std::io::Result<()> {
        self.half.shutdown().await
    }
}
