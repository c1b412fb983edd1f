//! Owns the blocking ends of a copy's stream: a slow or silent client does not keep the container
//! from being started or removed. Never used by the runtime's own threads.

use std::io::{self, Read, Write};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A stream that fails once its copy has to leave.
pub(super) struct Interruptible<T> {
    inner: T,
    leave: watch::Receiver<u64>,
    /// What `leave` says as long as it may stay.
    stays: u64,
    runtime: Handle,
}

impl<T> Interruptible<T> {
    pub fn new(inner: T, leave: watch::Receiver<u64>, runtime: Handle) -> Self {
        let stays = *leave.borrow();
        Self {
            inner,
            leave,
            stays,
            runtime,
        }
    }
    /// What `operation` answers, unless the copy has to leave first.
    fn unless_left<R>(
        &mut self,
        operation: impl AsyncFnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let Self {
            inner,
            leave,
            stays,
            runtime,
        } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                error = left(leave, *stays) => Err(error),
                answer = operation(inner) => answer,
            }
        })
    }
}

async fn left(leave: &mut watch::Receiver<u64>, stays: u64) -> io::Error {
    // The sender lives in the container; gone, it is removed.
    let _ = leave.wait_for(|now| *now != stays).await;
    io::Error::other("the container was started or removed meanwhile")
}

impl<T: AsyncRead + Unpin> Read for Interruptible<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.unless_left(async |inner| inner.read(buffer).await)
    }
}

impl<T: AsyncWrite + Unpin> Write for Interruptible<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_left(async |inner| inner.write(bytes).await)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_left(async |inner| inner.flush().await)
    }
}
