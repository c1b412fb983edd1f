//! Moves bytes between our standard streams and a container's.
//!
//! ```text
//!   stdin ─(thread, bounded)─▶ detach keys ─▶ ┌────────┐
//!                                             │ engine │
//!   stdout/stderr ◀─ demultiplexer ◀───────── └────────┘
//! ```
//! Both directions go on at the same time; a slow reader of ours holds back only its own.

use std::io::Read as _;

use tokio::sync::mpsc;
use weft_client::stdcopy::{Channel, Demux};
use weft_client::{Bytestream, Duplex, DuplexReader, DuplexWriter};

use super::detach::DetachKeys;
use super::output::Output;
use crate::error::CliError;
use crate::printer::write_error;

/// Pieces of stdin read ahead.
const STDIN_PIECES_MAX: usize = 4;
/// Size of one piece, in bytes.
const PIECE_BYTES: usize = 16 << 10;
/// Size of one read from the engine, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Why pumping ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The engine closed its side: the workload has ended, or nothing of it is attached.
    Stream,
    /// The detach keys were typed.
    Detached,
}

/// What is connected.
#[derive(Debug)]
pub struct Streams {
    /// Pass our stdin on.
    pub stdin: bool,
    /// The other side is a terminal: its bytes are not framed.
    pub tty: bool,
    /// Keys that end it; only looked for in a terminal.
    pub detach_keys: Option<DetachKeys>,
}

/// Pumps until one side ends.
pub async fn pump(duplex: Duplex, streams: Streams) -> Result<Ended, CliError> {
    let Duplex { reader, writer, .. } = duplex;
    let framed = !streams.tty;
    let output = copy_out(reader, framed);
    let input = copy_in(writer, streams);
    tokio::select! {
        biased;
        done = output => done.map(|()| Ended::Stream),
        done = input => done,
    }
}

/// Ends only when the detach keys were typed: after the end of stdin, output goes on.
async fn copy_in(mut writer: DuplexWriter, streams: Streams) -> Result<Ended, CliError> {
    if streams.stdin {
        let mut keys = streams.detach_keys;
        let mut pieces = read_stdin();
        let mut passed = Vec::new();
        while let Some(piece) = pieces.recv().await {
            passed.clear();
            let detached = match &mut keys {
                Some(keys) => keys.filter(&piece, &mut passed),
                None => {
                    passed.extend_from_slice(&piece);
                    false
                }
            };
            // The workload may have ended, or closed its stdin: its output says what matters.
            if writer.write_all(&passed).await.is_err() {
                break;
            }
            if detached {
                return Ok(Ended::Detached);
            }
        }
        // A terminal has no end of input of its own.
        if !streams.tty {
            let _ = writer.close().await;
        }
    }
    let _open = writer;
    std::future::pending().await
}

/// Reads stdin in a thread of its own: it may be anything, and blocks. The thread ends with the
/// process.
pub fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(STDIN_PIECES_MAX);
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match std::io::stdin().lock().read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
    receiver
}

async fn copy_out(mut reader: DuplexReader, framed: bool) -> Result<(), CliError> {
    let mut buffer = vec![0; READ_BYTES];
    let mut sink = Sink::new(framed);
    loop {
        let count = match reader.read(&mut buffer).await {
            Ok(0) => return sink.finish(),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(CliError::because("read the container's output", &error)),
        };
        sink.write(&buffer[..count]).await?;
    }
}

/// Writes a stream of bytes, framed or not, to stdout and stderr.
pub async fn copy_stream(mut bytes: Bytestream, framed: bool) -> Result<(), CliError> {
    let mut sink = Sink::new(framed);
    while let Some(piece) = bytes.next().await? {
        sink.write(&piece).await?;
    }
    sink.finish()
}

struct Sink {
    demux: Option<Demux>,
}

impl Sink {
    fn new(framed: bool) -> Sink {
        Sink {
            demux: framed.then(Demux::default),
        }
    }

    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), CliError> {
        let Some(demux) = &mut self.demux else {
            return put(Output::Stdout, bytes).await;
        };
        while let Some((channel, payload)) = demux
            .next(&mut bytes)
            .map_err(|error| CliError::new(error.to_string()))?
        {
            match channel {
                Channel::Stdout => put(Output::Stdout, payload).await?,
                Channel::Stderr => put(Output::Stderr, payload).await?,
                Channel::System => {
                    return Err(CliError::new(format!(
                        "read the container's output: {}",
                        String::from_utf8_lossy(payload).trim_end()
                    )));
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), CliError> {
        match self.demux {
            Some(demux) => demux
                .finish()
                .map_err(|error| CliError::new(error.to_string())),
            None => Ok(()),
        }
    }
}

async fn put(output: Output, bytes: &[u8]) -> Result<(), CliError> {
    output
        .write_all(bytes)
        .await
        .map_err(|error| write_error(&error))
}
