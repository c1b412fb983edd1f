//! Owns the way from attach clients to the workload's stdin or terminal.
//! Bounded: holds what one frame may bring beyond [`FULL`], and says when it wants no more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// From so many waiting bytes on no more are taken from clients.
const FULL: usize = 64 * 1024;

/// stdin of the workload, our end.
#[derive(Debug)]
pub(super) struct Input {
    /// `None`: closed, or never there; what comes is dropped.
    fd: Option<OwnedFd>,
    waiting: Vec<u8>,
    /// `waiting[..written]` is through.
    written: usize,
    ending: bool,
}

impl Input {
    pub(super) fn new(fd: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(fd) = &fd {
            super::set_nonblocking(fd)?;
        }
        Ok(Self {
            fd,
            waiting: Vec::new(),
            written: 0,
            ending: false,
        })
    }

    /// Whether clients should hold back.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() - self.written >= FULL
    }

    /// What to wait for with `OUT`, while something waits to be written.
    pub(super) fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.fd.as_ref()?;
        (self.written < self.waiting.len()).then(|| fd.as_fd())
    }

    /// Takes bytes from a client.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.fd.is_some() && !self.ending {
            self.waiting.extend_from_slice(bytes);
            self.write();
        }
    }

    /// Ends stdin once all that waits is written.
    pub(super) fn end(&mut self) {
        self.ending = true;
        self.write();
    }

    /// Writes what the workload takes now.
    pub(super) fn write(&mut self) {
        while let Some(fd) = &self.fd {
            let rest = &self.waiting[self.written..];
            if rest.is_empty() {
                self.waiting.clear();
                self.written = 0;
                if self.ending {
                    self.fd = None;
                }
                return;
            }
            match rustix::io::write(fd, rest) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // Keeps the buffer as small as what waits.
                    self.waiting.drain(..self.written);
                    self.written = 0;
                    return;
                }
                Err(_) => self.close(),
            }
        }
    }

    /// Nobody reads any more.
    fn close(&mut self) {
        self.fd = None;
        self.waiting = Vec::new();
        self.written = 0;
    }

    /// Gives memory back when nothing waits.
    pub(super) fn shrink(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn stdin_waits_for_the_reader_and_then_ends() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let mut input = Input::new(Some(write)).unwrap();
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let mut rest = &sent[..];
        while !input.is_full() {
            input.push(&rest[..10_000]);
            rest = &rest[10_000..];
        }
        assert!(input.wants_write().is_some());
        input.end();
        input.push(b"too late");
        let mut read = std::fs::File::from(read);
        let mut got = Vec::new();
        let mut buffer = vec![0; 30_000];
        loop {
            match read.read(&mut buffer).unwrap() {
                0 => break,
                count => got.extend_from_slice(&buffer[..count]),
            }
            input.write();
        }
        assert_eq!(got, sent[..sent.len() - rest.len()]);
        assert!(input.wants_write().is_none());
    }

    #[test]
    fn a_reader_that_went_away_is_not_waited_for() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let mut input = Input::new(Some(write)).unwrap();
        drop(read);
        input.push(b"x");
        assert!(input.wants_write().is_none());
        input.push(b"y");
        assert!(!input.is_full());
    }
}
