//! Owns a layer's bytes on their way in: as transferred, hashed and counted while they pass, and as
//! inflated, from the queue of whoever unpacks. Never keeps more than the piece being read.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::Receiver;

use bytes::Bytes;

use super::buffer::Shared;
use super::{Expected, Feed, IngestError};
use crate::digest::{Algorithm, Digest, Hasher};

/// The transferred bytes: hashed and counted as they pass.
pub(super) struct Source<'a> {
    feed: &'a mut (dyn Feed + Send),
    expected: Expected<'a>,
    hasher: Hasher,
    piece: Bytes,
    seen: u64,
    ended: bool,
    /// Why the feed stopped; decoders would wrap it beyond recognition.
    failure: Option<IngestError>,
}

impl<'a> Source<'a> {
    pub fn new(feed: &'a mut (dyn Feed + Send), expected: Expected<'a>) -> Self {
        let algorithm = expected.blob.map_or(Algorithm::Sha256, Digest::algorithm);
        Self {
            feed,
            expected,
            hasher: Hasher::new(algorithm),
            piece: Bytes::new(),
            seen: 0,
            ended: false,
            failure: None,
        }
    }

    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Enough of the start to tell the compression by.
    pub fn peek(&mut self) -> Result<&[u8], IngestError> {
        while self.piece.len() < 6 && !self.ended {
            let had = std::mem::take(&mut self.piece);
            self.advance().map_err(|error| self.explain(error))?;
            if !had.is_empty() {
                self.piece = [had.as_ref(), self.piece.as_ref()].concat().into();
            }
        }
        Ok(&self.piece)
    }

    /// Takes the next non-empty piece; leaves an empty one at the end.
    fn advance(&mut self) -> io::Result<()> {
        while self.piece.is_empty() && !self.ended {
            match self.feed.next() {
                Ok(Some(piece)) => {
                    self.hasher.update(&piece);
                    self.seen += piece.len() as u64;
                    self.piece = piece;
                    self.check_size(self.seen, false)?;
                }
                Ok(None) => {
                    self.ended = true;
                    self.check_size(self.seen, true)?;
                }
                Err(error) => {
                    self.failure = Some(IngestError::Feed(error));
                    return Err(io::Error::other("the layer's source failed"));
                }
            }
        }
        Ok(())
    }

    fn check_size(&mut self, got: u64, whole: bool) -> io::Result<()> {
        let Some(announced) = self.expected.size else {
            return Ok(());
        };
        if got > announced || (whole && got < announced) {
            let blob = self
                .expected
                .blob
                .cloned()
                .unwrap_or_else(|| Digest::of(b""));
            self.failure = Some(IngestError::Size {
                blob,
                announced,
                got,
            });
            return Err(io::Error::other("the layer's size is wrong"));
        }
        Ok(())
    }

    /// What really went wrong when a decoder reports `error`.
    pub fn explain(&mut self, error: io::Error) -> IngestError {
        self.failure.take().unwrap_or(IngestError::Inflate(error))
    }

    /// Reads on to the end. If the bytes are not those announced, that is what went wrong, not
    /// `error`, which came of it.
    pub fn verdict(mut self, error: IngestError) -> IngestError {
        let from_source = matches!(error, IngestError::Feed(_) | IngestError::Size { .. });
        if from_source || self.expected.blob.is_none() {
            return error;
        }
        loop {
            self.piece = Bytes::new();
            match self.advance() {
                Ok(()) if self.ended => break,
                Ok(()) => {}
                Err(other) => return self.explain(other),
            }
        }
        self.check_digest().err().unwrap_or(error)
    }

    fn check_digest(self) -> Result<(Digest, u64), IngestError> {
        let got = self.hasher.finish();
        match self.expected.blob {
            Some(expected) if *expected != got => Err(IngestError::Blob {
                expected: expected.clone(),
                got,
            }),
            _ => Ok((got, self.seen)),
        }
    }

    /// Reads what the decoder left, then checks the digest.
    pub fn finish(mut self) -> Result<(Digest, u64), IngestError> {
        while !self.ended {
            self.piece = Bytes::new();
            self.advance().map_err(|error| self.explain(error))?;
        }
        self.check_digest()
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() {
            self.advance()?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.piece.split_to(amount);
    }
}

/// Inflated pieces from a queue, as a reader.
pub(super) struct Pieces {
    queue: Receiver<Shared>,
    piece: Option<Shared>,
    at: usize,
}

impl Pieces {
    pub fn new(queue: Receiver<Shared>) -> Self {
        Self {
            queue,
            piece: None,
            at: 0,
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self
            .piece
            .as_ref()
            .is_none_or(|piece| self.at == piece.len())
        {
            self.piece = self.queue.recv().ok();
            self.at = 0;
        }
        Ok(self.piece.as_deref().map_or(&[], |piece| &piece[self.at..]))
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

fn read_buffered(from: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    let available = from.fill_buf()?;
    let count = available.len().min(out.len());
    out[..count].copy_from_slice(&available[..count]);
    from.consume(count);
    Ok(count)
}
