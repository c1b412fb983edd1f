//! SPDY/3.1 as it is spoken for forwarded ports, of both sides: frames in, frames out.
//!
//! ```text
//!   control: [1|version 3][type][flags][length] …      data: [0|stream][flags][length] bytes
//!   names and values of streams go through one zlib stream per direction, with a dictionary
//! ```
//! Of the draft (draft-mbelshe-httpbis-spdy-00, 2.6) what forwarding uses. It knows no windows, so
//! there are none here.
//! Never: does anything with a stream.

mod headers;

use bytes::{Buf as _, Bytes, BytesMut};

pub use headers::Headers;
use headers::{Deflater, Inflater};

const VERSION: u16 = 3;
/// Bytes of a frame's head.
const HEAD: usize = 8;
/// Largest frame: its client's have 32 KiB.
const FRAME_MAX: usize = 1 << 20;
/// The last frame of a stream in its direction.
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Why a stream is refused (`PROTOCOL_ERROR`, `REFUSED_STREAM`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense.
    Protocol = 1,
    /// There are too many.
    Refused = 3,
}

/// What the other side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A new stream.
    Open {
        /// Its number.
        stream: u32,
        /// What it is for.
        headers: Headers,
    },
    /// Bytes of a stream, and whether they are its last.
    Data {
        /// Its number.
        stream: u32,
        /// They themselves.
        bytes: Bytes,
        /// No more come.
        is_last: bool,
    },
    /// A stream is broken off, or was not taken.
    Reset {
        /// Its number.
        stream: u32,
    },
    /// To be sent back.
    Ping {
        /// Its number.
        id: u32,
    },
    /// Nothing new comes.
    GoAway,
}

/// Bytes into frames.
#[derive(Debug, Default)]
pub struct Reader {
    /// At most a frame that is not whole yet, and what came with its last piece.
    buffer: BytesMut,
    inflater: Inflater,
}

impl Reader {
    /// What has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; nothing, if there is none yet.
    ///
    /// # Errors
    /// It is none of this protocol, or too large: nothing after it makes sense.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Frame>, &'static str> {
        loop {
            let Some(head) = self.buffer.first_chunk::<HEAD>() else {
                return Ok(None);
            };
            let [a, b, c, d, flags, lengths @ ..] = *head;
            let first = u32::from_be_bytes([a, b, c, d]);
            let [high, middle, low] = lengths;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length > FRAME_MAX {
                return Err("a frame is too large");
            }
            if self.buffer.len() < HEAD + length {
                return Ok(None);
            }
            self.buffer.advance(HEAD);
            let body = self.buffer.split_to(length).freeze();
            if first >> 31 == 0 {
                return Ok(Some(Frame::Data {
                    stream: first,
                    bytes: body,
                    is_last: flags & FIN != 0,
                }));
            }
            if (first >> 16) as u16 & 0x7fff != VERSION {
                return Err("a frame is of another version of SPDY");
            }
            if let Some(frame) = self.control(first as u16, body)? {
                return Ok(Some(frame));
            }
        }
    }

    fn control(&mut self, kind: u16, mut body: Bytes) -> Result<Option<Frame>, &'static str> {
        let mut number = || match body.try_get_u32() {
            Ok(number) => Ok(number & 0x7fff_ffff),
            Err(_) => Err("a frame is too short"),
        };
        match kind {
            SYN_STREAM => {
                let stream = number()?;
                let _associated = number()?;
                // Priority and slot.
                if body.len() < 2 {
                    return Err("a frame is too short");
                }
                let headers = self.inflater.headers(&body[2..])?;
                Ok(Some(Frame::Open { stream, headers }))
            }
            // Said of streams that are there: only the dictionary has to learn of it.
            SYN_REPLY | HEADERS => {
                let _stream = number()?;
                self.inflater.headers(&body)?;
                Ok(None)
            }
            RST_STREAM => Ok(Some(Frame::Reset { stream: number()? })),
            // All 32 bits are the number here.
            PING => match body.try_get_u32() {
                Ok(id) => Ok(Some(Frame::Ping { id })),
                Err(_) => Err("a frame is too short"),
            },
            GOAWAY => Ok(Some(Frame::GoAway)),
            // Settings, windows and what is unknown (2.2.1: is ignored).
            _ => Ok(None),
        }
    }
}

/// Frames into bytes. Those with headers must be sent in the order they are made.
#[derive(Debug, Default)]
pub struct Writer {
    deflater: Deflater,
}

impl Writer {
    /// A stream is opened, for what `pairs` say (names in small letters).
    pub fn open(&mut self, stream: u32, pairs: &[(&str, &str)]) -> Bytes {
        // Of no other stream, with no priority and no slot.
        let mut body = [stream.to_be_bytes(), [0; 4]].concat();
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(self.deflater.block(pairs));
        control(SYN_STREAM, &body)
    }

    /// A stream is taken.
    pub fn reply(&mut self, stream: u32) -> Bytes {
        let headers = self.deflater.block(&[]);
        let mut body = stream.to_be_bytes().to_vec();
        body.extend_from_slice(headers);
        control(SYN_REPLY, &body)
    }
}

/// Bytes of a stream; its last, if so.
pub fn data(stream: u32, bytes: &[u8], is_last: bool) -> Bytes {
    let flags = if is_last { FIN } else { 0 };
    frame(stream.to_be_bytes(), flags, bytes)
}

/// A stream is broken off.
pub fn reset(stream: u32, why: Refusal) -> Bytes {
    control(
        RST_STREAM,
        &[stream.to_be_bytes(), (why as u32).to_be_bytes()].concat(),
    )
}

/// The answer to a ping.
pub fn ping(id: u32) -> Bytes {
    control(PING, &id.to_be_bytes())
}

/// What a client sends for one connection, for the fuzzer to damage.
pub fn conversation() -> Vec<u8> {
    let mut writer = Writer::default();
    let mut said = Vec::new();
    for (stream, kind) in [(1, "error"), (3, "data")] {
        let pairs = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
        said.extend_from_slice(&writer.open(stream, &pairs));
    }
    said.extend_from_slice(&data(1, &[], true));
    said.extend_from_slice(&data(3, b"hello", false));
    said.extend_from_slice(&ping(1));
    said.extend_from_slice(&reset(3, Refusal::Refused));
    said
}

fn control(kind: u16, body: &[u8]) -> Bytes {
    let first = u32::from(0x8000 | VERSION) << 16 | u32::from(kind);
    frame(first.to_be_bytes(), 0, body)
}

/// `bytes` have fewer than 2^24.
fn frame(first: [u8; 4], flags: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + bytes.len());
    frame.extend_from_slice(&first);
    frame.extend_from_slice(&[flags]);
    frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes()[1..]);
    frame.extend_from_slice(bytes);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut Reader) -> Result<Vec<Frame>, &'static str> {
        let mut found = Vec::new();
        while let Some(frame) = reader.next()? {
            found.push(frame);
        }
        Ok(found)
    }

    #[test]
    fn frames_come_in_pieces_of_any_size() {
        let bytes = [
            ping(7),
            data(3, b"hello", false),
            reset(5, Refusal::Refused),
            data(3, b"", true),
        ];
        let bytes = bytes.concat();
        for size in 1..bytes.len() {
            let (mut reader, mut found) = (Reader::default(), Vec::new());
            for piece in bytes.chunks(size) {
                reader.push(piece);
                found.extend(all(&mut reader).unwrap());
            }
            let of = |bytes: &'static [u8], is_last| Frame::Data {
                stream: 3,
                bytes: Bytes::from_static(bytes),
                is_last,
            };
            let expected = [
                Frame::Ping { id: 7 },
                of(b"hello", false),
                Frame::Reset { stream: 5 },
                of(b"", true),
            ];
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn a_connection_is_opened_by_two_streams() {
        let mut reader = Reader::default();
        reader.push(&conversation());
        let found = all(&mut reader).unwrap();
        assert_eq!(found.len(), 6);
        for (frame, kind) in found.iter().zip(["error", "data"]) {
            let Frame::Open { headers, .. } = frame else {
                panic!("{frame:?}");
            };
            assert_eq!(
                (headers.text("streamType"), headers.text("port")),
                (kind, "80")
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let large = [0, 0, 0, 1, 0, 0xff, 0xff, 0xff];
        let other = [0x80, 2, 0, 1, 0, 0, 0, 0];
        let short = control(RST_STREAM, &[0]);
        let garbled = control(SYN_STREAM, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9]);
        for bytes in [&large[..], &other, &short, &garbled] {
            let mut reader = Reader::default();
            reader.push(bytes);
            assert!(reader.next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn replies_are_read_by_who_shares_the_dictionary() {
        let (mut writer, mut reader) = (Writer::default(), Reader::default());
        for stream in 1..4 {
            reader.push(&writer.reply(stream));
            assert_eq!(reader.next(), Ok(None));
            assert!(reader.buffer.is_empty());
        }
    }
}
