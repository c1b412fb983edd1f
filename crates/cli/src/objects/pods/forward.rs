//! Connections to ports of a pod, as streams of SPDY within a socket.
//!
//! ```text
//!   who connects here ─► open "error" n ─► open "data" n+2 ─► a connection in the pod
//!                    ◄──── data, both ways, each ended for itself ────►
//!                    ◄──── "error" n: why not; its end: it is over ────
//! ```
//! One that takes nothing holds up the others of the same socket: the protocol has no windows. Nothing
//! is kept beyond [`WAITING`].
//! Never: listens, or begins a socket anew; who forwards does.

use std::collections::HashMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use weft_api::spdy::{self, Frame, Reader, Refusal, Writer};
use weft_client::Bytes;
use weft_client::cluster::{ApiError, Socket, SocketReader, SocketWriter};

use crate::printer::Printer;

/// What is spoken.
pub const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
/// Connections at once; others wait to be taken.
const CONNECTIONS_MAX: usize = 200;
/// Pieces that wait: to go to the server, and to go to each connection.
const WAITING: usize = 8;
/// Bytes taken from a connection at once.
const PIECE: usize = 32 << 10;
/// Most bytes of why a connection failed.
const WHY_BYTES_MAX: usize = 8 << 10;
/// How often the server is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// Numbers of streams end here; then the socket is begun anew.
const STREAM_MAX: u32 = 0x7fff_fff0;

/// Somebody who has connected.
pub struct Opening {
    /// The port of the pod.
    pub remote: u16,
    /// The port here.
    pub local: u16,
    /// The connection.
    pub stream: TcpStream,
}

/// Carries connections until the socket ends; why, if the server has not said good-bye.
pub async fn carry(
    socket: Socket,
    openings: &mut mpsc::Receiver<Opening>,
    printer: Printer,
) -> Option<ApiError> {
    let (out, waiting) = mpsc::channel(WAITING);
    let mut client = Client {
        out,
        writer: Writer::default(),
        next: 1,
        streams: HashMap::new(),
        connections: JoinSet::new(),
        printer,
    };
    tokio::select! {
        ended = client.serve(socket.reader, openings) => ended,
        lost = send(socket.writer, waiting) => Some(lost),
    }
}

/// Ends when the connection breaks.
async fn send(mut writer: SocketWriter, mut waiting: mpsc::Receiver<Bytes>) -> ApiError {
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let sent = tokio::select! {
            Some(frame) = waiting.recv() => writer.send(frame).await,
            _ = pings.tick() => writer.ping().await,
        };
        if let Err(error) = sent {
            return error;
        }
    }
}

/// A stream that we have opened.
enum Stream {
    /// Where it is told why a connection failed.
    Error {
        data: u32,
        /// The pod's port, and ours.
        ports: (u16, u16),
        why: Vec<u8>,
    },
    /// A connection.
    Data {
        /// Nothing: no more comes.
        input: Option<mpsc::Sender<Bytes>>,
        error: u32,
        task: AbortHandle,
    },
}

/// One side of a socket. Dropped, all its connections end.
struct Client {
    out: mpsc::Sender<Bytes>,
    writer: Writer,
    next: u32,
    /// Two for each connection.
    streams: HashMap<u32, Stream>,
    /// They answer with their stream.
    connections: JoinSet<u32>,
    printer: Printer,
}

impl Client {
    async fn serve(
        &mut self,
        mut socket: SocketReader,
        openings: &mut mpsc::Receiver<Opening>,
    ) -> Option<ApiError> {
        let mut frames = Reader::default();
        loop {
            let has_room = self.connections.len() < CONNECTIONS_MAX && self.next < STREAM_MAX;
            if self.next >= STREAM_MAX && self.connections.is_empty() {
                return None;
            }
            tokio::select! {
                message = socket.next() => match message {
                    Ok(Some(bytes)) => frames.push(&bytes),
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                },
                Some(opening) = openings.recv(), if has_room => self.open(opening).await,
                Some(ended) = self.connections.join_next() => {
                    if let Ok(data) = ended {
                        self.forget(data);
                    }
                }
            }
            loop {
                match frames.next() {
                    Ok(Some(frame)) => self.take(frame).await,
                    Ok(None) => break,
                    Err(why) => {
                        return Some(ApiError::Answer {
                            what: "forward ports".to_owned(),
                            why: why.to_owned(),
                        });
                    }
                }
            }
        }
    }

    async fn open(&mut self, opening: Opening) {
        let (error, data) = (self.next, self.next + 2);
        self.next += 4;
        let (port, request) = (opening.remote.to_string(), (error / 4).to_string());
        let pairs = |kind| {
            [
                ("streamtype", kind),
                ("port", port.as_str()),
                ("requestid", request.as_str()),
            ]
        };
        // We have nothing to say on the first one.
        let frames = [
            self.writer.open(error, &pairs("error")),
            spdy::data(error, &[], true),
            self.writer.open(data, &pairs("data")),
        ];
        for frame in frames {
            let _ = self.out.send(frame).await;
        }
        let (input, typed) = mpsc::channel(WAITING);
        let ports = (opening.remote, opening.local);
        let (out, stream) = (self.out.clone(), opening.stream);
        let task = self.connections.spawn(async move {
            pass(stream, typed, &out, data).await;
            data
        });
        let why = Vec::new();
        self.streams
            .insert(error, Stream::Error { data, ports, why });
        let input = Some(input);
        self.streams
            .insert(data, Stream::Data { input, error, task });
    }

    fn forget(&mut self, data: u32) {
        if let Some(Stream::Data { error, .. }) = self.streams.remove(&data) {
            // Why it failed may still come.
            if let Some(Stream::Error { why, .. }) = self.streams.get(&error)
                && why.is_empty()
            {
                self.streams.remove(&error);
            }
        }
    }

    /// Ends a connection at once.
    fn cut(&mut self, data: u32) {
        if let Some(Stream::Data { task, .. }) = self.streams.get(&data) {
            task.abort();
        }
        self.forget(data);
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Data {
                stream,
                bytes,
                is_last,
            } => match self.streams.get_mut(&stream) {
                Some(Stream::Data { input, .. }) => {
                    if let Some(input) = input.as_ref().filter(|_| !bytes.is_empty()) {
                        // A connection that has ended takes nothing.
                        let _ = input.send(bytes).await;
                    }
                    if is_last {
                        *input = None;
                    }
                }
                Some(Stream::Error { why, .. }) => {
                    let room = WHY_BYTES_MAX.saturating_sub(why.len());
                    why.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    if is_last {
                        self.failed(stream);
                    }
                }
                None => {}
            },
            Frame::Reset { stream } => match self.streams.get(&stream) {
                Some(Stream::Error { data, .. }) => {
                    let data = *data;
                    self.cut(data);
                }
                Some(Stream::Data { .. }) => self.cut(stream),
                None => {}
            },
            // A server that asks is not kept waiting by connections; nor are they by it.
            Frame::Ping { id } => drop(self.out.try_send(spdy::ping(id))),
            // Servers open nothing here.
            Frame::Open { stream, .. } => {
                drop(self.out.try_send(spdy::reset(stream, Refusal::Refused)));
            }
            Frame::GoAway => {}
        }
    }

    /// All that is to be said of why a connection failed has been said.
    fn failed(&mut self, error: u32) {
        let Some(Stream::Error { data, ports, why }) = self.streams.remove(&error) else {
            return;
        };
        if why.is_empty() {
            return;
        }
        let (remote, local) = ports;
        let why = String::from_utf8_lossy(&why);
        let why = why.trim();
        self.printer
            .talk(&format!("weft: forward port {local} to {remote}: {why}"));
        self.cut(data);
    }
}

/// Both ways until each has ended: what one side has finished, the other may go on with.
async fn pass(
    stream: TcpStream,
    mut typed: mpsc::Receiver<Bytes>,
    out: &mpsc::Sender<Bytes>,
    data: u32,
) {
    let _ = stream.set_nodelay(true);
    let (mut from, mut to) = stream.into_split();
    let forth = async {
        let mut buffer = vec![0; PIECE];
        loop {
            let (count, is_broken) = match from.read(&mut buffer).await {
                Ok(count) => (count, false),
                Err(_) => (0, true),
            };
            let frame = match is_broken {
                true => spdy::reset(data, Refusal::Refused),
                false => spdy::data(data, &buffer[..count], count == 0),
            };
            if out.send(frame).await.is_err() || count == 0 {
                return;
            }
        }
    };
    let back = async {
        while let Some(bytes) = typed.recv().await {
            if to.write_all(&bytes).await.is_err() {
                typed.close();
                // Who asked has gone: nobody in the pod is to go on talking.
                let _ = out.send(spdy::reset(data, Refusal::Refused)).await;
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(forth, back);
}
