//! Turning an HTTP connection into a raw stream, and the keys that leave one.
//!
//! ```text
//!   POST … Connection: Upgrade, Upgrade: tcp   ->   101 UPGRADED, then raw both ways
//! ```
//! What flows over the stream is the caller's.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::body::Answer;

/// A connection that speaks HTTP no longer.
pub struct Raw {
    /// From the client.
    pub input: Input,
    /// To the client.
    pub output: OwnedWriteHalf,
    /// Tells when the client is gone, not merely done with sending.
    pub gone: Gone,
}

/// The client's side of a raw connection, starting with what came along with the request.
pub struct Input {
    early: Bytes,
    stream: OwnedReadHalf,
}

impl Input {
    /// The next bytes; `None` when the client sends no more.
    pub async fn next(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.early.split_to(count));
            return Some(count);
        }
        self.stream
            .read(buffer)
            .await
            .ok()
            .filter(|count| *count > 0)
    }
}

/// Watches a connection for its full close. A half-closed one (`docker run -i <file`) goes on.
pub struct Gone(UnixStream);

impl Gone {
    fn watch(stream: &UnixStream) -> io::Result<Self> {
        let same = std::os::unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
        UnixStream::from_std(same).map(Self)
    }

    /// Completes when the client has closed both directions.
    pub async fn wait(&self) {
        while let Ok(ready) = self.0.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // Clears what is known: the kernel reports the hang-up as a new edge.
            let _ = self.0.try_io(Interest::WRITABLE, || {
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
        }
    }
}

/// Answers 101 and runs `session` with the connection once the client has it.
pub fn upgrade<F, Fut>(pending: OnUpgrade, media: &'static str, session: F) -> Answer
where
    F: FnOnce(Raw) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        match take(pending).await {
            Ok(raw) => session(raw).await,
            Err(error) => tracing::debug!(%error, "the client left before the upgrade"),
        }
    });
    let empty = http_body_util::Empty::<Bytes>::new().map_err(|never| match never {});
    let mut answer = Response::new(empty.boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    answer
}

async fn take(pending: OnUpgrade) -> io::Result<Raw> {
    let upgraded = pending.await.map_err(io::Error::other)?;
    let parts = upgraded
        .downcast::<TokioIo<UnixStream>>()
        .map_err(|_| io::Error::other("the connection is not a unix socket"))?;
    let stream = parts.io.into_inner();
    let gone = Gone::watch(&stream)?;
    let (read, output) = stream.into_split();
    Ok(Raw {
        input: Input {
            early: parts.read_buf,
            stream: read,
        },
        output,
        gone,
    })
}

/// Docker's default: ctrl-p, ctrl-q.
pub const DEFAULT_DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// The bytes of `ctrl-a,b,ctrl-@`; `None` when it is not understood.
pub fn detach_keys(text: &str) -> Option<Vec<u8>> {
    text.split(',')
        .map(
            |key| match (key.strip_prefix("ctrl-").map(str::as_bytes), key.as_bytes()) {
                (Some([letter @ b'a'..=b'z']), _) => Some(letter - b'a' + 1),
                (Some(b"@"), _) => Some(0),
                (Some(b"["), _) => Some(27),
                (Some(b"\\"), _) => Some(28),
                (Some(b"]"), _) => Some(29),
                (Some(b"^"), _) => Some(30),
                (Some(b"_"), _) => Some(31),
                (None, [byte]) if byte.is_ascii() => Some(*byte),
                _ => None,
            },
        )
        .collect()
}

/// Watches typed bytes for the detach sequence, which may arrive in pieces.
#[derive(Debug)]
pub struct DetachWatch {
    keys: Vec<u8>,
    matched: usize,
}

/// What came of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    /// To be passed on.
    pub pass: Vec<u8>,
    /// The sequence is complete: the client leaves.
    pub detached: bool,
}

impl DetachWatch {
    /// Watches for these keys; an empty sequence never matches.
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes a piece of input; keys that begin the sequence are held back until it is decided.
    pub fn feed(&mut self, piece: &[u8]) -> Typed {
        if self.keys.is_empty() {
            return Typed {
                pass: piece.to_vec(),
                detached: false,
            };
        }
        let mut pass = Vec::with_capacity(piece.len());
        for byte in piece {
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Typed {
                        pass,
                        detached: true,
                    };
                }
                continue;
            }
            pass.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            if *byte == self.keys[0] && self.keys.len() > 1 {
                self.matched = 1;
            } else {
                pass.push(*byte);
            }
        }
        Typed {
            pass,
            detached: false,
        }
    }

    /// What was held back, when the input ends.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = self.keys[..self.matched].to_vec();
        self.matched = 0;
        held
    }
}

#[cfg(test)]
mod tests {
    use super::{DetachWatch, detach_keys};

    #[test]
    fn keys() {
        assert_eq!(detach_keys("ctrl-p,ctrl-q"), Some(vec![16, 17]));
        assert_eq!(detach_keys("a,ctrl-@,ctrl-["), Some(vec![b'a', 0, 27]));
        for text in ["", "ctrl-", "ctrl-P", "ab", "ctrl-ä", "a,,b"] {
            assert_eq!(detach_keys(text), None, "{text}");
        }
    }

    #[test]
    fn a_sequence_is_found_across_pieces_and_else_passed_on() {
        let mut watch = DetachWatch::new(vec![16, 17]);
        let mut feed = |piece: &[u8]| {
            let typed = watch.feed(piece);
            (typed.pass, typed.detached)
        };
        assert_eq!(feed(b"ls\n"), (b"ls\n".to_vec(), false));
        assert_eq!(feed(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(feed(b"b"), (b"\x10b".to_vec(), false));
        assert_eq!(feed(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(feed(b"\x11rest"), (Vec::new(), true));
        assert_eq!(watch.finish(), Vec::<u8>::new());
    }

    #[test]
    fn one_key_is_a_sequence_too() {
        let mut watch = DetachWatch::new(vec![b'x']);
        assert!(watch.feed(b"abxd").detached);
        assert_eq!(DetachWatch::new(Vec::new()).feed(b"x").pass, b"x");
    }
}
