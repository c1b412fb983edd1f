//! Owns reading what the workload writes: one of its pipes, or its terminal.
//! Never: where it goes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::log::Stream;

/// Most bytes taken at once.
pub(super) const READ_MAX: usize = super::wire::PAYLOAD_MAX;

/// An open output of the workload.
#[derive(Debug)]
pub(super) struct Output {
    fd: OwnedFd,
    pub(super) stream: Stream,
    terminal: bool,
    over: bool,
}

/// What [`Output::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing ever again.
    End,
}

impl Output {
    pub(super) fn pipe(fd: OwnedFd, stream: Stream) -> io::Result<Self> {
        super::set_nonblocking(&fd)?;
        Ok(Self {
            fd,
            stream,
            terminal: false,
            over: false,
        })
    }

    pub(super) fn terminal(fd: OwnedFd) -> io::Result<Self> {
        super::set_nonblocking(&fd)?;
        Ok(Self {
            fd,
            stream: Stream::Stdout,
            terminal: true,
            over: false,
        })
    }

    /// Reads what is there into `buffer`.
    ///
    /// A terminal gives 4 KiB at most at a time, so it is asked until the buffer is full.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Found {
        let found = self.try_read(buffer);
        self.over |= found == Found::End;
        found
    }

    /// Whether it ended.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    fn try_read(&self, buffer: &mut [u8]) -> Found {
        let mut filled = 0;
        loop {
            match rustix::io::read(&self.fd, &mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Found::End,
                Ok(count) => {
                    filled += count;
                    if count == 0 || !self.terminal || filled == buffer.len() {
                        return Found::Bytes(filled);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) if filled > 0 => return Found::Bytes(filled),
                Err(Errno::AGAIN) => return Found::Nothing,
                // A terminal whose last holder is gone answers EIO.
                Err(_) => return Found::End,
            }
        }
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
