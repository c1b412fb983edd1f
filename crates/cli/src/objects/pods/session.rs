//! A process in a pod and our streams, over a socket.
//!
//! ```text
//!   Input ──────▶ [0 stdin][4 size][255 close] ─▶ ┌────────┐
//!                                                 │ server │
//!   Output ◀──── [1 stdout][2 stderr] ◀────────── └────────┘
//!   its end ◀─── [3 Status] ◀────────────────────────┘
//! ```
//! Owns what goes where. Never: makes a terminal raw; who asks for one does.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use weft_client::cluster::{SocketReader, SocketWriter};
use weft_client::{Bytes, Request, Upload};

use super::channels::{self, CLOSE, ERROR, End, STDERR, STDIN, STDOUT, V4, V5};
use crate::commands::attach::until_signal;
use crate::error::CliError;
use crate::objects::connect::Api;
use crate::printer::write_error;
use crate::terminal::output::Output;
use crate::terminal::pump::read_stdin;
use crate::terminal::raw;
use crate::terminal::signals::{Caught, Resized};

/// How often the server is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// Most bytes kept of what a process complains of.
const COMPLAINTS_BYTES_MAX: usize = 8 << 10;

/// What a process reads.
pub enum Input {
    /// Nothing.
    Nothing,
    /// Our standard input.
    Ours,
    /// Bytes that are made meanwhile.
    Made(Upload),
}

impl Input {
    fn is_there(&self) -> bool {
        !matches!(self, Input::Nothing)
    }
}

/// Where what a process says goes.
pub enum Sink {
    /// To our standard streams.
    Ours,
    /// Its output to somebody else; what it complains of is kept.
    Taken(mpsc::Sender<Bytes>),
}

/// How a process ended, and what it complained of where nobody else was told.
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it complained of.
    pub complaints: String,
}

/// A process in a pod.
pub struct Process {
    /// How to have it: the path, and what is to run.
    pub request: Request,
    /// What it reads.
    pub input: Input,
    /// Where its words go.
    pub sink: Sink,
    /// It has a terminal.
    pub tty: bool,
    /// Changes of ours, told to it.
    pub resized: Option<Resized>,
    /// Signals that end us.
    pub ending: Option<Caught>,
}

impl Process {
    /// One that has our streams and no terminal.
    pub fn plain(request: Request, input: Input, sink: Sink) -> Process {
        Process {
            request,
            input,
            sink,
            tty: false,
            resized: None,
            ending: None,
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It is refused, or the connection broke.
    pub async fn run(self, api: &Api) -> Result<Outcome, CliError> {
        let request = self
            .request
            .query_true("stdin", self.input.is_there())
            .query_true("stdout", true)
            .query_true("stderr", !self.tty)
            .query_true("tty", self.tty);
        // Without v5 a process that reads to the end of its input would wait for ever.
        let protocols: &[&'static str] = match self.input.is_there() && !self.tty {
            true => &[V5],
            false => &[V5, V4],
        };
        let socket = api.cluster.socket(&request, protocols).await?;
        let speaking = speak(
            socket.writer,
            self.input,
            self.resized,
            socket.protocol == V5,
        );
        tokio::select! {
            biased;
            outcome = listen(socket.reader, self.sink) => outcome,
            code = until_signal(self.ending) => Err(CliError::silent(code)),
            failed = speaking => Err(failed),
        }
    }
}

/// Until the server has said how it ended.
async fn listen(mut reader: SocketReader, sink: Sink) -> Result<Outcome, CliError> {
    let (mut end, mut complaints) = (None, Vec::new());
    while let Some(message) = reader.next().await? {
        let Some(channel) = message.first().copied() else {
            continue;
        };
        let bytes = message.slice(1..);
        match (channel, &sink) {
            (STDOUT | STDERR, _) if bytes.is_empty() => {}
            (STDOUT, Sink::Ours) => put(Output::Stdout, &bytes).await?,
            (STDERR, Sink::Ours) => put(Output::Stderr, &bytes).await?,
            // Who takes it no more has said why.
            (STDOUT, Sink::Taken(to)) => drop(to.send(bytes).await),
            (STDERR, Sink::Taken(_)) => {
                let room = COMPLAINTS_BYTES_MAX.saturating_sub(complaints.len());
                complaints.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            (ERROR, _) if !bytes.is_empty() => end = Some(channels::end(&bytes)),
            _ => {}
        }
        if end.is_some() {
            break;
        }
    }
    let end = end.unwrap_or_else(|| {
        let lost = "the server closed the connection while the command ran";
        End::Failed(CliError::new(lost))
    });
    Ok(Outcome {
        end,
        complaints: String::from_utf8_lossy(&complaints).trim_end().to_owned(),
    })
}

async fn put(output: Output, bytes: &[u8]) -> Result<(), CliError> {
    let written = output.write_all(bytes).await;
    written.map_err(|error| write_error(&error))
}

/// Ends only when what is to be sent cannot be made.
async fn speak(
    mut writer: SocketWriter,
    input: Input,
    mut resized: Option<Resized>,
    is_v5: bool,
) -> CliError {
    let mut pieces = Pieces::of(input);
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut size = resized.is_some().then(raw::size).flatten();
    loop {
        if let Some((rows, columns)) = size.take()
            && writer.send(channels::size(rows, columns)).await.is_err()
        {
            break;
        }
        let sent = tokio::select! {
            piece = pieces.next() => match piece {
                Some(Ok(bytes)) => writer.send(channels::on(STDIN, &bytes)).await,
                Some(Err(error)) => return CliError::because("read what is to be sent", &error),
                None => {
                    pieces = Pieces::None;
                    match is_v5 {
                        true => writer.send(vec![CLOSE, STDIN]).await,
                        false => Ok(()),
                    }
                }
            },
            () = changed(&mut resized) => {
                size = raw::size();
                Ok(())
            }
            _ = pings.tick() => writer.ping().await,
        };
        if sent.is_err() {
            break;
        }
    }
    // The process may be gone: what it said last says what matters.
    std::future::pending().await
}

async fn changed(resized: &mut Option<Resized>) {
    match resized {
        Some(resized) => resized.next().await,
        None => std::future::pending().await,
    }
}

/// Where input comes from.
enum Pieces {
    None,
    Ours(mpsc::Receiver<Vec<u8>>),
    Made(Upload),
}

impl Pieces {
    fn of(input: Input) -> Pieces {
        match input {
            Input::Nothing => Pieces::None,
            Input::Ours => Pieces::Ours(read_stdin()),
            Input::Made(upload) => Pieces::Made(upload),
        }
    }

    /// Nothing: it has ended. Never, where there is none.
    async fn next(&mut self) -> Option<std::io::Result<Bytes>> {
        match self {
            Pieces::None => std::future::pending().await,
            Pieces::Ours(pieces) => pieces.recv().await.map(|piece| Ok(piece.into())),
            Pieces::Made(upload) => upload.recv().await,
        }
    }
}
