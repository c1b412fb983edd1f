//! Asking the machine's resolvers on behalf of a container.
//!
//! Every question goes out from a socket of its own, connected to the resolver and under a
//! random id, so that only the resolver can answer it (RFC 5452). Never: caching.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::upstream::{Upstream, servers};

/// How long one resolver may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest UDP answer read.
const LARGEST: usize = 4096;

/// By which transport a question came, and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// Asks the machine's resolvers.
#[derive(Debug)]
pub(crate) struct Forwarder {
    upstream: Upstream,
}

impl Forwarder {
    pub(crate) fn new(resolv_conf: PathBuf) -> Forwarder {
        Forwarder {
            upstream: Upstream::new(resolv_conf),
        }
    }

    /// The first answer to `query`, with the query's own id: of `instead` when there are any,
    /// else of the machine's resolvers; `None` when none answers.
    pub(crate) async fn ask(
        &self,
        query: &[u8],
        transport: Transport,
        instead: &[IpAddr],
    ) -> Option<Vec<u8>> {
        let own_id: [u8; 2] = query.get(..2)?.try_into().ok()?;
        let servers = match instead {
            [] => self.upstream.servers(),
            instead => servers(instead),
        };
        for server in servers {
            let mut question = query.to_vec();
            question[..2].copy_from_slice(&random_id());
            let asked = async {
                match transport {
                    Transport::Udp => by_udp(server, &question).await,
                    Transport::Tcp => by_tcp(server, &question).await,
                }
            };
            match timeout(PATIENCE, asked).await {
                Ok(Ok(mut answer)) => {
                    answer[..2].copy_from_slice(&own_id);
                    return Some(answer);
                }
                Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver failed"),
                Err(_) => tracing::debug!(%server, "a resolver did not answer"),
            }
        }
        None
    }
}

fn random_id() -> [u8; 2] {
    let mut id = [0u8; 2];
    // The pool is ready after boot; the port is random as well.
    let _ = getrandom(&mut id, GetRandomFlags::empty());
    id
}

async fn by_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0u8; LARGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if answers(&buffer[..length], question) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_message(&mut stream, question).await?;
    let answer = read_message(&mut stream).await?;
    match answers(&answer, question) {
        true => Ok(answer),
        false => Err(io::Error::other("the answer is to another question")),
    }
}

/// Whether this is an answer to the question: same id, same question, marked as an answer.
fn answers(answer: &[u8], question: &[u8]) -> bool {
    let (Some(theirs), Some(ours)) = (answer.get(..12), question.get(..12)) else {
        return false;
    };
    let asked = question_section(question);
    theirs[..2] == ours[..2]
        && theirs[2] & 0x80 != 0
        && asked.is_some_and(|asked| {
            question_section(answer).is_some_and(|echoed| echoed.eq_ignore_ascii_case(asked))
        })
}

/// The bytes of the one question of a message: its labels, type and class.
fn question_section(message: &[u8]) -> Option<&[u8]> {
    let mut end = 12;
    loop {
        match *message.get(end)? {
            0 => break,
            length if length < 64 => end += 1 + usize::from(length),
            _ => return None,
        }
    }
    message.get(12..end + 5)
}

/// Reads a message with its length before it (RFC 1035 §4.2.2).
pub(crate) async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0u8; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes a message with its length before it.
pub(crate) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    stream.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(id: u16, flags: u8, name: &[u8]) -> Vec<u8> {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
        bytes
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let question = message(7, 1, b"\x01a\x03org");
        assert!(answers(&message(7, 0x81, b"\x01A\x03ORG"), &question));
        assert!(!answers(&message(8, 0x81, b"\x01a\x03org"), &question));
        assert!(!answers(&message(7, 0x01, b"\x01a\x03org"), &question));
        assert!(!answers(&message(7, 0x81, b"\x01b\x03org"), &question));
        assert!(!answers(&[7; 3], &question));
    }

    proptest! {
        #[test]
        fn any_bytes_are_compared_without_a_panic(a in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = answers(&a, &message(7, 1, b"\x01a\x03org"));
        }
    }
}
