//! Writes a container's output to our stdout and stderr without holding up anything else.
//!
//! Owns the wait for a slow reader. The descriptors are shared with whoever started us, so they
//! are never switched to non-blocking.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How much is written when the descriptor says it is ready: a pipe takes that much without
/// blocking (PIPE_BUF).
const READY_BYTES: usize = 4096;

/// Which of our streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Output {
    /// Writes all of `bytes`, letting other work go on while the reader is slow.
    pub async fn write_all(self, bytes: &[u8]) -> std::io::Result<()> {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let fd = match self {
            Output::Stdout => stdout.as_fd(),
            Output::Stderr => stderr.as_fd(),
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            wait_writable(fd).await?;
            let piece = &rest[..rest.len().min(READY_BYTES)];
            match rustix::io::write(fd, piece) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

async fn wait_writable(fd: BorrowedFd<'_>) -> std::io::Result<()> {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    if poll(&mut fds, Some(&at_once)).is_ok_and(|count| count > 0) {
        return Ok(());
    }
    // Waited for in a thread: registering a descriptor that others share would leave marks on it.
    let fd = fd.try_clone_to_owned()?;
    let waited = tokio::task::spawn_blocking(move || {
        let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))
    });
    waited.await.map_err(std::io::Error::other)??;
    Ok(())
}
