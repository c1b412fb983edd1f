//! Docker's multiplexed stream: stdout and stderr of a container without a terminal on one
//! connection, as frames of an 8-byte header (stream, three zeroes, length in big endian) and bytes.
//!
//! Owns decoding, piece by piece. Never holds more than a header: payload is passed on as it
//! comes, so a frame that claims to be 4 GiB costs nothing.

/// Which stream bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output (stream 1; also 0, which docker uses for an echoed stdin).
    Stdout,
    /// Standard error (stream 2).
    Stderr,
    /// A message of the engine about the stream itself (stream 3).
    System,
}

/// The stream is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DemuxError {
    /// A header names a stream that does not exist.
    #[error("read the multiplexed stream: frame for unknown stream {0}")]
    UnknownStream(u8),
    /// The connection ended inside a header or a frame.
    #[error("read the multiplexed stream: it ended inside a frame")]
    Truncated,
}

/// Decoder state between two pieces of input.
#[derive(Debug, Default)]
pub struct Demux {
    header: [u8; 8],
    header_len: usize,
    channel: Option<Channel>,
    left: u32,
}

impl Demux {
    /// Takes the next run of payload off the front of `input`, or `None` when `input` is used up.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<(Channel, &'a [u8])>, DemuxError> {
        loop {
            if let Some(channel) = self.channel {
                if self.left == 0 {
                    self.channel = None;
                    continue;
                }
                if input.is_empty() {
                    return Ok(None);
                }
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let (payload, rest) = input.split_at(left.min(input.len()));
                *input = rest;
                self.left -= u32::try_from(payload.len()).expect("at most `left` bytes");
                return Ok(Some((channel, payload)));
            }
            let take = (8 - self.header_len).min(input.len());
            self.header[self.header_len..self.header_len + take].copy_from_slice(&input[..take]);
            self.header_len += take;
            *input = &input[take..];
            if self.header_len < 8 {
                return Ok(None);
            }
            self.header_len = 0;
            let [stream, _, _, _, a, b, c, d] = self.header;
            self.channel = Some(match stream {
                0 | 1 => Channel::Stdout,
                2 => Channel::Stderr,
                3 => Channel::System,
                other => return Err(DemuxError::UnknownStream(other)),
            });
            self.left = u32::from_be_bytes([a, b, c, d]);
        }
    }

    /// Checks that the stream ended between two frames.
    pub fn finish(&self) -> Result<(), DemuxError> {
        if self.header_len == 0 && self.left == 0 {
            Ok(())
        } else {
            Err(DemuxError::Truncated)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![stream, 0, 0, 0];
        out.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        out.extend(payload);
        out
    }

    fn run(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), DemuxError> {
        let (mut demux, mut out, mut err) = (Demux::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let mut input = *piece;
            while let Some((channel, bytes)) = demux.next(&mut input)? {
                match channel {
                    Channel::Stderr => err.extend(bytes),
                    _ => out.extend(bytes),
                }
            }
            assert!(input.is_empty());
        }
        demux.finish()?;
        Ok((out, err))
    }

    #[test]
    fn broken_streams_are_named() {
        assert_eq!(run(&[&frame(7, b"x")]), Err(DemuxError::UnknownStream(7)));
        assert_eq!(run(&[&frame(1, b"abc")[..9]]), Err(DemuxError::Truncated));
        assert_eq!(run(&[&[1, 0, 0]]), Err(DemuxError::Truncated));
        assert_eq!(run(&[]), Ok((vec![], vec![])));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_streams(
            frames in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            cuts in prop::collection::vec(1usize..17, 1..40),
        ) {
            let (mut wire, mut out, mut err) = (Vec::new(), Vec::new(), Vec::new());
            for (stream, payload) in &frames {
                wire.extend(frame(*stream, payload));
                if *stream == 2 { err.extend(payload) } else { out.extend(payload) }
            }
            let (mut pieces, mut rest) = (Vec::new(), &wire[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            prop_assert_eq!(run(&pieces), Ok((out, err)));
        }
    }
}
