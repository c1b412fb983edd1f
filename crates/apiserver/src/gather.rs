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
//!
//! Waiting costs a look at the whole connection. Where one watch is all there is, it brings nothing: after a few waits
//! in vain it is only tried now and then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes after which nothing more is gathered.
const FULL: usize = 64 << 10;
/// A buffer of so many bytes is kept while nothing is written.
const KEPT: usize = 1 << 10;
/// So many waits in vain, and what is written is handed on at once.
const VAIN_MAX: u8 = 2;
/// After so many times, waiting is tried again.
const AT_ONCE_MAX: u8 = 16;

/// A stream whose writes are gathered until it is flushed.
#[derive(Debug)]
pub(crate) struct Gather<S> {
    inner: S,
    buffer: Vec<u8>,
    /// How much of the buffer has been written.
    written: usize,
    wait: Wait,
    /// How many of the last waits brought nothing.
    vain: u8,
    /// How often there was no wait since.
    at_once: u8,
}

/// Whether others had the chance to write.
#[derive(Debug)]
enum Wait {
    Not,
    /// They have it now; so much was there before.
    Since(usize),
    Over,
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub(crate) fn new(inner: S) -> Gather<S> {
        Gather {
            inner,
            buffer: Vec::new(),
            written: 0,
            wait: Wait::Not,
            vain: 0,
            at_once: 0,
        }
    }

    /// Whether others may have something to write too.
    fn is_worth_waiting(&mut self) -> bool {
        if self.vain < VAIN_MAX || self.at_once >= AT_ONCE_MAX {
            self.at_once = 0;
            return true;
        }
        self.at_once += 1;
        false
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
        match self.wait {
            Wait::Not if !self.buffer.is_empty() => {
                self.wait = Wait::Over;
                if self.is_worth_waiting() {
                    self.wait = Wait::Since(self.buffer.len());
                    // A task that wakes itself comes last.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            Wait::Since(before) => {
                self.wait = Wait::Over;
                self.vain = match self.buffer.len() == before {
                    true => self.vain.saturating_add(1),
                    false => 0,
                };
            }
            Wait::Not | Wait::Over => {}
        }
        ready!(self.poll_empty(context))?;
        self.wait = Wait::Not;
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
    async fn who_writes_alone_waits_now_and_then_only() {
        let (mut gather, writes, mut far) = pair(1000);
        let mut waits = Vec::new();
        for _ in 0..40 {
            gather.write_all(b"x").await.unwrap();
            let has_waited = gather.flush().now_or_never().is_none();
            gather.flush().await.unwrap();
            waits.push(has_waited);
        }
        let waited: Vec<usize> = (0..40).filter(|at| waits[*at]).collect();
        assert_eq!(waited, [0, 1, 18, 35]);
        assert_eq!(*writes.lock().unwrap(), [1; 40]);
        // Somebody else comes along while it is tried: the next are waited for again.
        let mut expected = 40;
        for _ in 0..20 {
            gather.write_all(b"x").await.unwrap();
            let has_waited = gather.flush().now_or_never().is_none();
            if has_waited {
                gather.write_all(b"y").await.unwrap();
                gather.flush().await.unwrap();
            }
            expected += 1 + usize::from(has_waited);
        }
        let last: Vec<usize> = writes.lock().unwrap()[55..].to_vec();
        assert_eq!(last, [2; 5]);
        let mut all = vec![0; expected];
        far.read_exact(&mut all).await.unwrap();
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
