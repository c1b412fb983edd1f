//! What the two sides of a launch tell each other, over a sequenced-packet socket.
//!
//! Both sides are the same executable, so this is no format that has to last. Never: blocks
//! without end: the other side's death is an end of file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use weft_sys::trampoline::{self, REPORT};

use super::step::{Failure, Step};

/// Longest message: a failure whose object is a path.
const LONGEST: usize = 5 * 1024;

/// First byte of every message but the trampoline's report, which begins with an errno.
const MAGIC: u8 = 0xff;

/// A message.
#[derive(Debug)]
pub enum Message {
    /// Child: the namespaces are there; runtime hooks may run now.
    Namespaces,
    /// Child: all is in place; the terminal's master, if there is one.
    Ready(Option<OwnedFd>),
    /// Parent: go on.
    Go,
    /// Child: it went wrong, and the child is gone.
    Failed(Failure),
    /// The other side has closed: for the child the parent is gone, for the parent the program
    /// runs, or the child was killed.
    Closed,
}

/// One side of the channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Makes both sides.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Channel(one), Channel(other)))
    }

    /// Uses a connected socket of the same type.
    pub fn over(socket: OwnedFd) -> Channel {
        Channel(socket)
    }

    /// Sends `message`.
    pub fn send(&self, message: &Message) -> io::Result<()> {
        let mut bytes = vec![MAGIC];
        let mut fds: Vec<BorrowedFd<'_>> = Vec::new();
        match message {
            Message::Namespaces => bytes.push(b'n'),
            Message::Go => bytes.push(b'g'),
            Message::Ready(terminal) => {
                bytes.push(b'r');
                fds.extend(terminal.iter().map(AsFd::as_fd));
            }
            Message::Failed(failure) => {
                bytes.extend([b'f', failure.step as u8]);
                bytes.extend(failure.errno.to_le_bytes());
                let object = failure.object.as_bytes();
                bytes.extend(&object[..object.len().min(LONGEST - bytes.len())]);
            }
            Message::Closed => return Ok(()),
        }
        weft_sys::fd::send(&self.0, &bytes, &fds)
    }

    /// Waits for the next message.
    pub fn receive(&self) -> io::Result<Message> {
        let mut buffer = [0_u8; LONGEST];
        let (length, fds) = match weft_sys::fd::receive(&self.0, &mut buffer) {
            // The other side ended with something of ours unread, which is told once, and before
            // what it said last.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                weft_sys::fd::receive(&self.0, &mut buffer)?
            }
            other => other?,
        };
        let message = match &buffer[..length] {
            [] => Message::Closed,
            [MAGIC, b'n'] => Message::Namespaces,
            [MAGIC, b'g'] => Message::Go,
            [MAGIC, b'r'] => Message::Ready(fds.into_iter().next()),
            [MAGIC, b'f', step, a, b, c, d, object @ ..] => Message::Failed(Failure {
                step: Step::from_byte(*step),
                object: String::from_utf8_lossy(object).into_owned(),
                errno: i32::from_le_bytes([*a, *b, *c, *d]),
            }),
            report if report.len() == REPORT => {
                let report: [u8; REPORT] = report.try_into().expect("the length was checked");
                let (step, error) = trampoline::read_report(report);
                let step = match step {
                    trampoline::Step::Execute => Step::Execute,
                    trampoline::Step::Filter => Step::Seccomp,
                };
                Message::Failed(Failure::new(step, "", &error))
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(message)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_it_was_sent() {
        let (parent, child) = Channel::pair().unwrap();
        let failure = Failure {
            step: Step::Mount,
            object: "/proc".to_owned(),
            errno: 1,
        };
        child.send(&Message::Failed(failure.clone())).unwrap();
        drop(child);
        assert!(matches!(parent.receive().unwrap(), Message::Failed(got) if got == failure));
        assert!(matches!(parent.receive().unwrap(), Message::Closed));
    }

    #[test]
    fn the_last_words_are_heard_of_who_did_not_listen() {
        let (parent, child) = Channel::pair().unwrap();
        parent.send(&Message::Go).unwrap();
        let failure = Failure {
            step: Step::Mount,
            object: String::new(),
            errno: 1,
        };
        child.send(&Message::Failed(failure.clone())).unwrap();
        drop(child);
        assert!(matches!(parent.receive().unwrap(), Message::Failed(got) if got == failure));
        assert!(matches!(parent.receive().unwrap(), Message::Closed));
    }

    #[test]
    fn an_overlong_object_is_cut_and_not_lost() {
        let (parent, child) = Channel::pair().unwrap();
        let failure = Failure {
            step: Step::Mount,
            object: "x".repeat(2 * LONGEST),
            errno: 1,
        };
        child.send(&Message::Failed(failure)).unwrap();
        assert!(matches!(parent.receive().unwrap(), Message::Failed(got) if got.errno == 1));
    }
}
