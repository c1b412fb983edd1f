//! Small writes of one connection, gathered into few.
//!
//! One change wakes all watches of a connection, and each writes its event by itself. A system call
//! and a TLS record for each of them would cost more than all the rest.
//!
//! ```text
//!   event ─► write ─┐
//!   event ─► write ─┼─► buffer ─► flush: once around the run queue, for others to write ─► TLS
//!   event ─► write ─┘       └─ full: at once
//! ```

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes after which nothing more is gathered.
const FULL: usize = 64 << 10;
/// A buffer of so many bytes is kept while nothing is written.
const KEPT: usize = 1 << 10;

/// A stream whose writes are gathered until it is flushed.
#[derive(Debug)]
pub(crate) struct Gather<S> {
    inner: S,
    buffer: Vec<u8>,
    /// How much of the buffer has been written.
    written: usize,
    /// Whoever else has something to write had the chance to.
    has_waited: bool,
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub(crate) fn new(inner: S) -> Gather<S> {
        Gather {
            inner,
            buffer: Vec::new(),
            written: 0,
            has_waited: false,
        }
    }

    /// Hands on all that was gathered.
    fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let rest = &self.buffer[self.written..];
            match ready!(Pin::new(&mut self.inner).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.written = 0;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= FULL {
            ready!(self.poll_empty(context))?;
        }
        let count = bytes.len().min(FULL);
        self.buffer.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_waited && !self.buffer.is_empty() {
            self.has_waited = true;
            // A task that wakes itself comes last.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_empty(context))?;
        self.has_waited = false;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Notes how much each write brought.
    struct Noting(tokio::io::DuplexStream, Arc<Mutex<Vec<usize>>>);

    impl AsyncWrite for Noting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.0).poll_write(context, bytes))?;
            self.1.lock().unwrap().push(written);
            Poll::Ready(Ok(written))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    fn pair(
        room: usize,
    ) -> (
        Gather<Noting>,
        Arc<Mutex<Vec<usize>>>,
        tokio::io::DuplexStream,
    ) {
        let (near, far) = tokio::io::duplex(room);
        let writes = Arc::new(Mutex::new(Vec::new()));
        (Gather::new(Noting(near, Arc::clone(&writes))), writes, far)
    }

    #[tokio::test]
    async fn what_others_write_meanwhile_goes_along() {
        let (mut gather, writes, mut far) = pair(1000);
        gather.write_all(b"one").await.unwrap();
        assert!(gather.flush().now_or_never().is_none(), "it waits once");
        assert!(writes.lock().unwrap().is_empty());
        gather.write_all(b"two").await.unwrap();
        gather.flush().await.unwrap();
        assert_eq!(*writes.lock().unwrap(), [6]);
        let mut all = [0; 6];
        far.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"onetwo");
    }

    #[tokio::test]
    async fn much_is_handed_on_as_it_is_taken_and_whole() {
        // The other end takes less than what is gathered.
        let (mut gather, _, mut far) = pair(777);
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let writing = async move {
            for piece in sent.chunks(70_001) {
                gather.write_all(piece).await.unwrap();
            }
            gather.shutdown().await.unwrap();
        };
        let mut found = Vec::new();
        let (read, ()) = tokio::join!(far.read_to_end(&mut found), writing);
        assert_eq!(read.unwrap(), expected.len());
        assert!(found == expected);
    }

    #[tokio::test]
    async fn who_has_stopped_reading_is_not_written_to_without_end() {
        let (mut gather, _, far) = pair(100);
        let mut taken = 0;
        while let Some(count) = gather.write(&[0; 5000]).now_or_never() {
            taken += count.unwrap();
            assert!(taken < 2 * FULL);
        }
        drop(far);
        assert!(gather.flush().await.is_err());
    }
}
