//! A connection to a monitor: the workload's streams and its end, as seen from the daemon.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use weft_runtime::monitor::record::{ExitRecord, Record as _};
use weft_runtime::monitor::wire::{self, Decoder, Frame, Wants};

use crate::container::{AttachOptions, Ended};

/// Bytes of workload output taken from a monitor at once.
const READ_SIZE: usize = 32 * 1024;
/// A session that only waits for the end reads nothing larger than an exit record.
const READ_SIZE_EXIT: usize = 1024;

/// A client's session with a workload.
#[derive(Debug)]
pub struct Attached {
    reader: AttachedReader,
    writer: AttachedWriter,
}

/// The workload's output.
#[derive(Debug)]
pub struct AttachedReader {
    stream: OwnedReadHalf,
    decoder: Decoder,
    recorded: Option<Recorded>,
}

/// Completes once the engine itself has taken note of the workload's end.
pub(crate) struct Recorded(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Recorded {
    /// As soon as `seen` completes.
    pub(crate) fn when(seen: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(seen))
    }

    /// Waits for it.
    pub(crate) async fn seen(mut self) {
        self.0.as_mut().await;
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

/// The workload's input.
#[derive(Debug)]
pub struct AttachedWriter {
    stream: OwnedWriteHalf,
}

/// What comes out of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output; of a terminal: everything.
    Stdout(Bytes),
    /// Standard error.
    Stderr(Bytes),
    /// It has ended; nothing follows.
    Exit(Ended),
}

impl Attached {
    /// A session over a fresh socket pair; the second handle is the monitor's end.
    pub(crate) async fn pair(options: AttachOptions) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        Ok((Self::hello(ours, options).await?, theirs.into()))
    }

    /// A session with the monitor that listens on `socket`.
    pub(crate) async fn connect(socket: &Path, options: AttachOptions) -> io::Result<Self> {
        Self::hello(UnixStream::connect(socket).await?, options).await
    }

    async fn hello(stream: UnixStream, options: AttachOptions) -> io::Result<Self> {
        let wants = Wants {
            stdin: options.stdin,
            stdout: options.stdout,
            stderr: options.stderr,
            exit: true,
        };
        let streams = options.stdout || options.stderr;
        let (read, mut write) = stream.into_split();
        write
            .write_all(
                &Frame::Hello {
                    version: wire::VERSION,
                    wants,
                }
                .to_vec(),
            )
            .await?;
        let decoder = Decoder::new(if streams { READ_SIZE } else { READ_SIZE_EXIT });
        Ok(Self {
            reader: AttachedReader {
                stream: read,
                decoder,
                recorded: None,
            },
            writer: AttachedWriter { stream: write },
        })
    }

    /// Whoever reads of the end here finds it when asking the engine, too: the monitor tells each
    /// session by itself, and the engine's own may be the last to be read.
    pub(crate) fn ends_after(mut self, recorded: Recorded) -> Self {
        self.reader.recorded = Some(recorded);
        self
    }

    /// The two directions, to be used apart.
    pub fn split(self) -> (AttachedReader, AttachedWriter) {
        (self.reader, self.writer)
    }
}

impl AttachedReader {
    /// The next output; `None` when the monitor is gone without having told the end.
    pub async fn next(&mut self) -> Option<Output> {
        let end = match self.read().await {
            Some(Event::Output(output)) => return Some(output),
            Some(Event::Exit(record)) => Some(Output::Exit(ended(&record))),
            None => None,
        };
        if let Some(recorded) = &mut self.recorded {
            recorded.0.as_mut().await;
            self.recorded = None;
        }
        end
    }

    /// Waits for the end, dropping output.
    pub(crate) async fn exit(&mut self) -> Option<ExitRecord> {
        loop {
            if let Event::Exit(record) = self.read().await? {
                return Some(record);
            }
        }
    }

    /// The next output or the end as the monitor tells it, whether the engine has recorded that
    /// or not.
    pub(crate) async fn read(&mut self) -> Option<Event> {
        loop {
            match self.decoder.next() {
                Ok(Some(Frame::Stdout(b))) => {
                    return Some(Event::Output(Output::Stdout(Bytes::copy_from_slice(b))));
                }
                Ok(Some(Frame::Stderr(b))) => {
                    return Some(Event::Output(Output::Stderr(Bytes::copy_from_slice(b))));
                }
                Ok(Some(Frame::Exit(json))) => {
                    return ExitRecord::from_json(json).ok().map(Event::Exit);
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    let count = self.stream.read(self.decoder.space()).await.ok()?;
                    if count == 0 {
                        return None;
                    }
                    self.decoder.filled(count);
                }
                Err(error) => {
                    tracing::warn!(%error, "a monitor sent what is no frame");
                    return None;
                }
            }
        }
    }
}

/// What a monitor tells.
pub(crate) enum Event {
    Output(Output),
    Exit(ExitRecord),
}

/// The exit as clients see it.
pub(crate) fn ended(record: &ExitRecord) -> Ended {
    Ended {
        code: record.code,
        error: record.error.clone(),
    }
}

impl AttachedWriter {
    /// Bytes for the workload's standard input or terminal.
    ///
    /// # Errors
    /// The monitor is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(wire::PAYLOAD_MAX) {
            self.stream.write_all(&Frame::Stdin(chunk).to_vec()).await?;
        }
        Ok(())
    }

    /// Nothing more will come on standard input.
    ///
    /// # Errors
    /// The monitor is gone.
    pub async fn close_stdin(&mut self) -> io::Result<()> {
        self.stream.write_all(&Frame::StdinEof.to_vec()).await
    }

    /// The terminal's new size, in characters.
    ///
    /// # Errors
    /// The monitor is gone.
    pub async fn resize(&mut self, rows: u16, cols: u16) -> io::Result<()> {
        self.stream
            .write_all(&Frame::Resize { rows, cols }.to_vec())
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use weft_runtime::monitor::record;

    use super::*;

    fn exit() -> ExitRecord {
        ExitRecord {
            version: record::VERSION,
            pid: 1,
            code: 7,
            signal: None,
            oom_killed: false,
            timed_out: false,
            error: None,
            started_at_ns: 1,
            finished_at_ns: 2,
            boot_id: String::new(),
        }
    }

    /// The end is there to be read, but the engine has not recorded it.
    async fn held_back(monitor_says: &[u8], expect: Option<Output>) {
        let (note, mut noted) = tokio::sync::watch::channel(false);
        let options = AttachOptions {
            stdout: true,
            ..AttachOptions::default()
        };
        let (attached, monitor) = Attached::pair(options).await.unwrap();
        let recorded = Recorded::when(async move {
            let _ = noted.wait_for(|noted| *noted).await;
        });
        let (mut reader, _writer) = attached.ends_after(recorded).split();
        let mut monitor = std::os::unix::net::UnixStream::from(monitor);
        std::io::Write::write_all(&mut monitor, monitor_says).unwrap();
        drop(monitor);
        assert_eq!(
            reader.next().await,
            Some(Output::Stdout(Bytes::from_static(b"last")))
        );
        let mut next = std::pin::pin!(reader.next());
        for _ in 0..100 {
            let early = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
            assert!(early.is_pending(), "{early:?}");
            tokio::task::yield_now().await;
        }
        note.send(true).unwrap();
        assert_eq!(next.await, expect);
    }

    #[tokio::test]
    async fn a_client_reads_of_the_end_after_the_engine() {
        let mut says = Frame::Stdout(b"last").to_vec();
        held_back(&says, None).await;
        Frame::Exit(&exit().to_json()).encode(&mut says);
        let ended = Ended {
            code: 7,
            error: None,
        };
        held_back(&says, Some(Output::Exit(ended))).await;
    }
}
