//! Docker's multiplexed stream: an 8 byte header before each piece of output.
//!
//! ```text
//!   byte  0        1..4     4..8
//!       stream   0 0 0   length, big endian   then `length` bytes
//! ```
//! Streams with a terminal are not framed; that decision is the caller's.

use bytes::{BufMut, Bytes, BytesMut};

/// Which stream a piece belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// Media type of framed output over an upgraded connection.
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// Media type of output as it is, and of everything before API 1.42.
pub const RAW: &str = "application/vnd.docker.raw-stream";

/// The piece with its header before it.
pub fn frame(stream: Stream, piece: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(piece.len() + 8);
    let mut rest = piece;
    loop {
        let (head, tail) = rest.split_at(rest.len().min(u32::MAX as usize));
        out.put_slice(&[stream as u8, 0, 0, 0]);
        out.put_u32(head.len() as u32);
        out.put_slice(head);
        rest = tail;
        if rest.is_empty() {
            return out.freeze();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stream, frame};

    #[test]
    fn a_piece_is_preceded_by_stream_and_length() {
        assert_eq!(&frame(Stream::Stdout, b"hi")[..], b"\x01\0\0\0\0\0\0\x02hi");
        assert_eq!(&frame(Stream::Stderr, b"")[..], b"\x02\0\0\0\0\0\0\0");
        let long = vec![b'x'; 70_000];
        assert_eq!(
            &frame(Stream::Stdout, &long)[..8],
            b"\x01\0\0\0\0\x01\x11\x70"
        );
    }
}
