//! What a node does with the containers of its pods for a client: logs, commands, ports.
//!
//! ```text
//!   client ─► path, rights ─► which container ─► Nodes ─► two bounded channels, or a byte stream
//! ```
//! A session is over when either side drops its end of the channels.
//! Never: which container is meant (`containers`), or how any of it looks on the wire.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use weft_control::{Failure, Reason};

use crate::gate::Answering;

/// Sessions and forwarded ports at once, of all clients: their connections are out of the count of
/// those that speak HTTP.
const SESSIONS_MAX: usize = 1024;

/// Reaches what runs.
pub trait Nodes: Send + Sync + fmt::Debug {
    /// What a container has written, by its id in a pod's status.
    ///
    /// # Errors
    /// There is no such container, or no log of it.
    fn logs<'a>(&'a self, container: &'a str, wanted: Wanted) -> Answering<'a, Log>;

    /// Runs a command in a container. It is told to end when the session is dropped.
    ///
    /// # Errors
    /// The container does not run, or the command can't be run there.
    fn exec<'a>(&'a self, container: &'a str, command: Command) -> Answering<'a, Session>;

    /// Joins the streams of a container's own process.
    ///
    /// # Errors
    /// It does not run.
    fn attach<'a>(&'a self, container: &'a str, streams: Streams) -> Answering<'a, Session>;

    /// Connects to a port of a pod, by its uid, as its own processes would: at its localhost.
    ///
    /// # Errors
    /// The pod does not run, or nobody listens.
    fn connect<'a>(&'a self, uid: &'a str, port: u16) -> Answering<'a, Box<dyn Pipe>>;
}

/// Bytes both ways.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// Which part of a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Go on with what comes, until the container ends.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<usize>,
    /// Not before, in unix nanoseconds.
    pub since_ns: Option<i64>,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// A piece of a log.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was written, in unix nanoseconds.
    pub time_ns: i64,
    /// With its line feed, if it is a whole line, or the end of one.
    pub bytes: Bytes,
}

/// Pieces of a log, oldest first, and what broke it off.
pub type Log = mpsc::Receiver<Result<Line, Failure>>;

/// Which streams a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// A command to run.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// On a terminal of its own.
    pub tty: bool,
    /// What of it the client sees.
    pub streams: Streams,
}

/// Streams to and from a process.
#[derive(Debug)]
pub struct Session {
    /// What the client says.
    pub typed: mpsc::Sender<Typed>,
    /// What the process says; the end without an exit is one that nobody knows of.
    pub said: mpsc::Receiver<Said>,
}

/// What a client says.
#[derive(Clone, Debug)]
pub enum Typed {
    /// Input.
    Bytes(Bytes),
    /// No more input comes.
    End,
    /// The terminal's new size.
    Size {
        /// Lines.
        rows: u16,
        /// Characters in each.
        cols: u16,
    },
}

/// What a process says.
#[derive(Clone, Debug)]
pub enum Said {
    /// Standard output; of a terminal: everything.
    Stdout(Bytes),
    /// Standard error.
    Stderr(Bytes),
    /// It has ended with this code; nothing follows.
    Exit(i32),
}

/// How many sessions there may be.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Semaphore>);

impl Default for Sessions {
    fn default() -> Sessions {
        Sessions(Arc::new(Semaphore::new(SESSIONS_MAX)))
    }
}

impl Sessions {
    /// Room for one more, while it is held.
    ///
    /// # Errors
    /// There is none: 429.
    pub(crate) fn begin(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map_err(|_| {
            let message = format!("{SESSIONS_MAX} sessions with pods are open: try again later");
            Failure::new(Reason::TooManyRequests, message)
        })
    }
}
