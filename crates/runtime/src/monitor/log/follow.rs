//! Owns following a log as it grows: a reader, and a descriptor that tells when to look again.
//! Never: blocking.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::line::LogLine;
use super::reader::{ReadError, Reader, Select};

/// Gives a log's records, and goes on as more come. No record is lost or given twice when files
/// are rotated, unless they are removed before they could be read.
///
/// Take records with [`next`](Self::next) until there is none, wait until the descriptor is
/// readable, and begin again.
#[derive(Debug)]
pub struct Follower {
    reader: Reader,
    events: OwnedFd,
}

impl Follower {
    /// Opens the log whose newest file is or will be at `path`; its directory must exist.
    ///
    /// # Errors
    /// Whatever watching or opening answers.
    pub fn open(path: &Path, select: Select) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let reader = Reader::open(path, select).map_err(io::Error::other)?;
        let directory = format!("/proc/self/fd/{}", reader.files.directory().as_raw_fd());
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&events, directory, flags)?;
        Ok(Self { reader, events })
    }

    /// The next record, or `None` when it has to be waited for.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(
        clippy::should_implement_trait,
        reason = "the record borrows from the follower"
    )]
    pub fn next(&mut self) -> Result<Option<LogLine<'_>>, ReadError> {
        // What happened up to here is in what is read now.
        loop {
            if self.reader.advance()? {
                return Ok(self.reader.line());
            }
            if !self.clear() {
                return Ok(None);
            }
        }
    }

    /// Forgets events; whether there were any.
    fn clear(&self) -> bool {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut any = false;
        loop {
            match rustix::io::read(&self.events, &mut buffer[..]) {
                Ok((read, _)) if !read.is_empty() => any = true,
                Err(Errno::INTR) => {}
                _ => return any,
            }
        }
    }
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl AsRawFd for Follower {
    fn as_raw_fd(&self) -> RawFd {
        self.events.as_raw_fd()
    }
}
