//! Owns the attach protocol: the frames a monitor and its clients exchange over `monitor.sock`.
//! Pure encoding and decoding; it never does I/O and never trusts a length it was sent.
//!
//! ```text
//! frame  = kind u8, payload length u32 BE, payload (at most 64 KiB)
//!
//! client                          monitor
//!   Hello{version, wants}   --->            always first
//!                           <---  Welcome{version, json Spawned}
//!   Stdin, StdinEof, Resize --->
//!                           <---  Stdout, Stderr      as far as wanted
//!                           <---  Exit(json ExitRecord), then end of stream
//! ```
//!
//! The protocol outlives upgrades of the daemon: a kind is never reused, and a side skips the
//! kinds it does not know.

/// What this build speaks.
pub const VERSION: u8 = 1;
/// Largest payload of one frame, in bytes.
pub const PAYLOAD_MAX: usize = 64 * 1024;
/// Bytes of kind and length before each payload.
pub const HEADER_LEN: usize = 5;

const HELLO: u8 = 1;
const STDIN: u8 = 2;
const STDIN_EOF: u8 = 3;
const RESIZE: u8 = 4;
const WELCOME: u8 = 16;
const STDOUT: u8 = 17;
const STDERR: u8 = 18;
const EXIT: u8 = 19;

/// What a client wants to be part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// It will write to the workload's stdin; with `stdin_once` its going closes stdin.
    pub stdin: bool,
    /// It wants `Stdout` frames (of a terminal: everything).
    pub stdout: bool,
    /// It wants `Stderr` frames.
    pub stderr: bool,
    /// It wants the `Exit` frame.
    pub exit: bool,
}

impl Wants {
    /// Everything there is.
    pub const ALL: Self = Self {
        stdin: true,
        stdout: true,
        stderr: true,
        exit: true,
    };
    /// Only to be told of the end.
    pub const EXIT: Self = Self {
        stdin: false,
        stdout: false,
        stderr: false,
        exit: true,
    };

    fn bits(self) -> u8 {
        u8::from(self.stdin)
            | u8::from(self.stdout) << 1
            | u8::from(self.stderr) << 2
            | u8::from(self.exit) << 3
    }

    fn from_bits(bits: u8) -> Self {
        Self {
            stdin: bits & 1 != 0,
            stdout: bits & 2 != 0,
            stderr: bits & 4 != 0,
            exit: bits & 8 != 0,
        }
    }
}

/// One message of the protocol, its bytes borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Client: first frame.
    Hello {
        /// The version the client speaks.
        version: u8,
        /// What it wants.
        wants: Wants,
    },
    /// Client: bytes for the workload's stdin or terminal.
    Stdin(&'a [u8]),
    /// Client: nothing more will come on stdin.
    StdinEof,
    /// Client: the terminal's new size, in characters.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters per line.
        cols: u16,
    },
    /// Monitor: answer to `Hello`.
    Welcome {
        /// The version the monitor speaks.
        version: u8,
        /// A [`Spawned`](super::record::Spawned) as JSON.
        spawned: &'a [u8],
    },
    /// Monitor: output.
    Stdout(&'a [u8]),
    /// Monitor: error output.
    Stderr(&'a [u8]),
    /// Monitor: the end; an [`ExitRecord`](super::record::ExitRecord) as JSON.
    Exit(&'a [u8]),
    /// A kind from a newer peer: to be skipped.
    Unknown(u8),
}

/// Why bytes are not frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A length over [`PAYLOAD_MAX`].
    #[error("attach frame of kind {kind} announces {len} bytes, more than {PAYLOAD_MAX}")]
    TooLong {
        /// The frame's kind.
        kind: u8,
        /// What it announced.
        len: u32,
    },
    /// A known kind with a payload that cannot be one.
    #[error("attach frame of kind {kind} has a payload of {len} bytes, which it cannot have")]
    Malformed {
        /// The frame's kind.
        kind: u8,
        /// How long its payload was.
        len: usize,
    },
}

/// The five bytes before a payload of `len` bytes of output; for writing header and payload
/// without copying them together.
///
/// # Panics
/// When `len` is over [`PAYLOAD_MAX`].
pub fn output_header(stderr: bool, len: usize) -> [u8; HEADER_LEN] {
    header(if stderr { STDERR } else { STDOUT }, len)
}

fn header(kind: u8, len: usize) -> [u8; HEADER_LEN] {
    assert!(
        len <= PAYLOAD_MAX,
        "a frame's payload is at most {PAYLOAD_MAX} bytes"
    );
    let len = u32::try_from(len).expect("bounded above").to_be_bytes();
    [kind, len[0], len[1], len[2], len[3]]
}

impl Frame<'_> {
    /// Appends the frame's bytes to `out`.
    ///
    /// # Panics
    /// When the payload is over [`PAYLOAD_MAX`]: callers split what they send.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut put = |kind: u8, parts: &[&[u8]]| {
            let len = parts.iter().map(|part| part.len()).sum();
            out.extend_from_slice(&header(kind, len));
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        match *self {
            Frame::Hello { version, wants } => put(HELLO, &[&[version, wants.bits()]]),
            Frame::Stdin(bytes) => put(STDIN, &[bytes]),
            Frame::StdinEof => put(STDIN_EOF, &[]),
            Frame::Resize { rows, cols } => {
                put(RESIZE, &[&rows.to_be_bytes(), &cols.to_be_bytes()]);
            }
            Frame::Welcome { version, spawned } => put(WELCOME, &[&[version], spawned]),
            Frame::Stdout(bytes) => put(STDOUT, &[bytes]),
            Frame::Stderr(bytes) => put(STDERR, &[bytes]),
            Frame::Exit(record) => put(EXIT, &[record]),
            Frame::Unknown(kind) => put(kind, &[]),
        }
    }

    /// The frame's bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Frame<'_>, WireError> {
        let malformed = WireError::Malformed {
            kind,
            len: payload.len(),
        };
        Ok(match (kind, payload) {
            // A longer Hello is one of a newer client.
            (HELLO, [version, bits, ..]) => Frame::Hello {
                version: *version,
                wants: Wants::from_bits(*bits),
            },
            (STDIN, bytes) => Frame::Stdin(bytes),
            (STDIN_EOF, []) => Frame::StdinEof,
            (RESIZE, [r1, r0, c1, c0]) => Frame::Resize {
                rows: u16::from_be_bytes([*r1, *r0]),
                cols: u16::from_be_bytes([*c1, *c0]),
            },
            (WELCOME, [version, spawned @ ..]) => Frame::Welcome {
                version: *version,
                spawned,
            },
            (STDOUT, bytes) => Frame::Stdout(bytes),
            (STDERR, bytes) => Frame::Stderr(bytes),
            (EXIT, record) => Frame::Exit(record),
            (HELLO | STDIN_EOF | RESIZE | WELCOME, _) => return Err(malformed),
            (other, _) => Frame::Unknown(other),
        })
    }
}

/// Bytes in, frames out. Holds at most one frame (64 KiB + 5) beyond what it has handed out.
///
/// Read into [`space`](Self::space), say how much with [`filled`](Self::filled), then take frames
/// with [`next`](Self::next) until it answers `None`.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// `buffer[start..end]` is not handed out yet.
    start: usize,
    end: usize,
    read_size: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(HEADER_LEN + PAYLOAD_MAX)
    }
}

impl Decoder {
    /// `read_size`: how many bytes a reader would like to take at once; memory is only taken when
    /// reading starts.
    pub fn new(read_size: usize) -> Self {
        let read_size = read_size.clamp(64, HEADER_LEN + PAYLOAD_MAX);
        Self {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            read_size,
        }
    }

    /// Where to read to; never empty once [`next`](Self::next) answered `None`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = self.pending_len().unwrap_or(0).max(self.read_size);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// The first `count` bytes of [`space`](Self::space) were filled.
    ///
    /// # Panics
    /// When `count` is more than there was space.
    pub fn filled(&mut self, count: usize) {
        assert!(
            count <= self.buffer.len() - self.end,
            "more was read than there was space"
        );
        self.end += count;
    }

    /// The next whole frame, if there is one. After an error the stream cannot be trusted.
    #[expect(
        clippy::should_implement_trait,
        reason = "the frame borrows from the decoder"
    )]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let bytes = &self.buffer[self.start..self.end];
        let [kind, l3, l2, l1, l0, rest @ ..] = bytes else {
            return Ok(None);
        };
        let len = u32::from_be_bytes([*l3, *l2, *l1, *l0]);
        let size = len as usize;
        if size > PAYLOAD_MAX {
            return Err(WireError::TooLong { kind: *kind, len });
        }
        let Some(payload) = rest.get(..size) else {
            return Ok(None);
        };
        let frame = Frame::decode(*kind, payload)?;
        self.start += HEADER_LEN + size;
        Ok(Some(frame))
    }

    /// Gives memory back when nothing is pending.
    pub fn shrink(&mut self) {
        if self.start == self.end {
            *self = Self::new(self.read_size);
        }
    }

    /// Size of the frame whose header is there; bounded even when the header lies.
    fn pending_len(&self) -> Option<usize> {
        let header = self.buffer.get(self.start..self.end)?.get(1..HEADER_LEN)?;
        let len = u32::from_be_bytes(header.try_into().ok()?) as usize;
        Some(HEADER_LEN + len.min(PAYLOAD_MAX))
    }
}

/// For a fuzzer: any bytes, in reads of any size, decode to frames or to an error, and what
/// decoded encodes to something that decodes the same.
pub fn fuzz(bytes: &[u8], read_size: usize) {
    let mut decoder = Decoder::new(read_size);
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = decoder.space();
        let count = space.len().min(rest.len()).min(read_size.max(1));
        assert!(count > 0, "a drained decoder has space");
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        decoder.filled(count);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => {
                    let again = frame.to_vec();
                    let mut second = Decoder::default();
                    second.space()[..again.len()].copy_from_slice(&again);
                    second.filled(again.len());
                    assert_eq!(second.next(), Ok(Some(frame)), "decoding is the inverse");
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
