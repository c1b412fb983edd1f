//! What runs on this machine, for clients of its server: logs, commands, ports of pods.
//!
//! ```text
//!   typed ─► [channel] ─► the engine's session ─► [channel] ─► said
//!                └ either side goes: the other is told
//! ```
//! Never: finds out which container is meant, or who may.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use weft_api::ErrorCode;
use weft_apiserver::{
    Answering, Command, Line, Log, Nodes, Pipe, Said, Session, Streams, Typed, Wanted,
};
use weft_control::{Failure, Reason};
use weft_engine::container::{AttachOptions, ExecOptions, LogOptions};
use weft_engine::session::{Attached, AttachedReader, AttachedWriter};
use weft_engine::{Engine, EngineError, Output};
use weft_sys::namespace::{self, Kind};

/// Pieces of a log that wait to be sent.
const LINES_WAITING: usize = 64;
/// Pieces of input and output that wait, of each session: of 32 KiB at most.
const PIECES_WAITING: usize = 8;
/// How long a port of a pod may take to answer: it is on this machine.
const CONNECTING: Duration = Duration::from_secs(10);

/// This machine.
pub(crate) struct Here {
    engine: Engine,
}

impl fmt::Debug for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Here")
    }
}

impl Here {
    pub(crate) fn new(engine: Engine) -> Here {
        Here { engine }
    }
}

impl Nodes for Here {
    fn logs<'a>(&'a self, container: &'a str, wanted: Wanted) -> Answering<'a, Log> {
        let options = LogOptions {
            stdout: wanted.stdout,
            stderr: wanted.stderr,
            follow: wanted.follow,
            since_ns: wanted.since_ns,
            until_ns: None,
            tail: wanted.tail,
        };
        Box::pin(async move {
            let mut log = self
                .engine
                .logs(container, options)
                .await
                .map_err(failure)?;
            let (lines, log_here) = mpsc::channel(LINES_WAITING);
            let told = lines.clone();
            let telling = async move {
                while let Some(entry) = log.next().await {
                    let line = entry.map_err(failure).map(|entry| Line {
                        time_ns: entry.time_ns,
                        bytes: entry.bytes,
                    });
                    if lines.send(line).await.is_err() {
                        return;
                    }
                }
            };
            tokio::spawn(async move {
                tokio::select! {
                    () = telling => {}
                    () = told.closed() => {}
                }
            });
            Ok(log_here)
        })
    }

    fn exec<'a>(&'a self, container: &'a str, command: Command) -> Answering<'a, Session> {
        let wants = wants(command.streams);
        Box::pin(async move {
            let options = ExecOptions {
                args: command.args,
                tty: command.tty,
                attach_stdin: wants.stdin,
                attach_stdout: wants.stdout,
                attach_stderr: wants.stderr,
                ..ExecOptions::default()
            };
            let engine = &self.engine;
            let id = engine.exec_create(container, options).await;
            let id = id.map_err(failure)?;
            let started = engine.exec_start(&id, wants, None).await;
            let attached = match started {
                Ok(Some(attached)) => attached,
                Ok(None) => {
                    engine.exec_forget(&id);
                    return Err(Failure::internal("a session without streams was started"));
                }
                Err(error) => {
                    engine.exec_forget(&id);
                    return Err(failure(error));
                }
            };
            let engine = engine.clone();
            Ok(session(attached, wants.stdin, move || {
                if let Err(error) = engine.exec_hang_up(&id) {
                    tracing::warn!(%error, "a command whose client has left could not be told");
                }
                engine.exec_forget(&id);
            }))
        })
    }

    fn attach<'a>(&'a self, container: &'a str, streams: Streams) -> Answering<'a, Session> {
        Box::pin(async move {
            let wants = wants(streams);
            let attached = self.engine.attach(container, wants).await;
            Ok(session(attached.map_err(failure)?, wants.stdin, || {}))
        })
    }

    fn connect<'a>(&'a self, uid: &'a str, port: u16) -> Answering<'a, Box<dyn Pipe>> {
        Box::pin(async move {
            let sandbox = self.engine.sandbox(&weft_drivers::sandbox_name(uid));
            let sandbox = sandbox.map_err(failure)?;
            if !sandbox.ready {
                return Err(Failure::internal("the pod has no network now"));
            }
            // Without an address of its own it is in the network of the machine.
            let netns = sandbox.address.map(|_| sandbox.netns.clone());
            let stream = connect_within(netns, port).await;
            let stream = stream.map_err(|error| {
                Failure::internal(format!(
                    "connect to localhost:{port} inside the pod: {error}"
                ))
            })?;
            // What is typed at the other end is waited for.
            let _ = stream.set_nodelay(true);
            let pipe: Box<dyn Pipe> = Box::new(stream);
            Ok(pipe)
        })
    }
}

fn wants(streams: Streams) -> AttachOptions {
    AttachOptions {
        stdin: streams.stdin,
        stdout: streams.stdout,
        stderr: streams.stderr,
    }
}

/// What the engine answers, as clients of the cluster are told.
fn failure(error: EngineError) -> Failure {
    let reason = match error.code {
        ErrorCode::NotFound => Reason::NotFound,
        ErrorCode::Exhausted => Reason::TooManyRequests,
        ErrorCode::Conflict | ErrorCode::Invalid => Reason::BadRequest,
        _ => Reason::InternalError,
    };
    Failure::new(reason, error.to_string())
}

/// Carries both ways until either side is gone; `end` is called then.
fn session(attached: Attached, stdin: bool, end: impl FnOnce() + Send + 'static) -> Session {
    let (typed, typing) = mpsc::channel(PIECES_WAITING);
    let (saying, said) = mpsc::channel(PIECES_WAITING);
    let (reader, writer) = attached.split();
    tokio::spawn(async move {
        let gone = saying.clone();
        tokio::select! {
            () = print(reader, saying) => {}
            () = feed(writer, typing, stdin) => {}
            () = gone.closed() => {}
        }
        end();
    });
    Session { typed, said }
}

async fn print(mut reader: AttachedReader, saying: mpsc::Sender<Said>) {
    while let Some(output) = reader.next().await {
        let said = match output {
            Output::Stdout(bytes) => Said::Stdout(bytes),
            Output::Stderr(bytes) => Said::Stderr(bytes),
            Output::Exit(ended) => Said::Exit(ended.code),
        };
        let is_over = matches!(said, Said::Exit(_));
        if saying.send(said).await.is_err() || is_over {
            return;
        }
    }
}

/// Never ends by itself: output comes when all input has gone.
async fn feed(mut writer: AttachedWriter, mut typing: mpsc::Receiver<Typed>, stdin: bool) {
    while let Some(typed) = typing.recv().await {
        let done = match typed {
            Typed::Bytes(bytes) if stdin => writer.write(&bytes).await,
            Typed::End if stdin => writer.close_stdin().await,
            Typed::Bytes(_) | Typed::End => Ok(()),
            Typed::Size { rows, cols } => writer.resize(rows, cols).await,
        };
        if done.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// Connects to localhost within a network namespace. A thread of its own goes there, and ends there.
async fn connect_within(netns: Option<PathBuf>, port: u16) -> io::Result<TcpStream> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("weft-port".to_owned())
        .spawn(move || {
            let _ = answer.send(connect_blocking(netns.as_deref(), port));
        })?;
    let ended = |_| io::Error::other("the thread that connects has ended");
    let stream = answered.await.map_err(ended)??;
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

fn connect_blocking(netns: Option<&Path>, port: u16) -> io::Result<std::net::TcpStream> {
    if let Some(netns) = netns {
        namespace::join(std::fs::File::open(netns)?, Kind::Network)?;
    }
    let to = |address: SocketAddr| std::net::TcpStream::connect_timeout(&address, CONNECTING);
    to((Ipv4Addr::LOCALHOST, port).into()).or_else(|error| {
        // The first is what is told: most listen there.
        to((Ipv6Addr::LOCALHOST, port).into()).map_err(|_| error)
    })
}
