//! `pods/NAME/portforward`: connections to ports of a pod, as streams of SPDY within a WebSocket.
//!
//! ```text
//!   client ─► open "error" n ─► open "data" n ─► a connection to the port
//!          ◄──── data, both ways, each ended for itself ────►
//!          ◄──── "error" n: why not; its end: it is over ────
//! ```
//! The client knows no windows: one connection that takes nothing holds up the others of the same
//! client, as upstream. Nothing is kept beyond [`WAITING`].
//! Never: connects; a node does.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use weft_api::spdy::{self, Frame, Headers, Reader, Refusal, Writer};
use weft_control::{Failure, Object};

use crate::answer::Answer;
use crate::nodes::{Nodes, Pipe};
use crate::pods::Asked;
use crate::socket::{Incoming, Offer, Outgoing, PING};

const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
/// Connections at once of one client.
const CONNECTIONS_MAX: usize = 256;
/// Pieces that wait: to go to the client, and to go to each connection.
const WAITING: usize = 8;
/// Bytes taken from a pod at once.
const PIECE: usize = 32 << 10;

/// Forwards ports to `pod`, as many and as long as the client likes.
///
/// # Errors
/// The pod does not run, or the client does not speak as it should.
pub(crate) async fn answer(asked: &Asked<'_>, pod: &Object) -> Result<Answer, Failure> {
    let phase = pod.text(&["status", "phase"]).unwrap_or("Pending");
    if phase != "Running" {
        let message =
            format!("unable to forward port because pod is not running. Current status={phase}");
        return Err(Failure::bad_request(message));
    }
    let uid = pod.meta().text("uid").to_owned();
    let offer = Offer::of(asked.head, &[PROTOCOL])?;
    let nodes = asked.nodes()?;
    let permit = asked.server.sessions.begin()?;
    let ending = asked.ending().await?;
    offer.take(move |incoming, outgoing| async move {
        let _permit = permit;
        let (out, waiting) = mpsc::channel(WAITING);
        let mut client = Client {
            nodes,
            uid: uid.into(),
            out,
            writer: Writer::default(),
            streams: HashMap::new(),
            connections: JoinSet::new(),
        };
        tokio::select! {
            () = client.serve(incoming) => {}
            () = send(outgoing, waiting) => {}
            () = ending => {}
        }
    })
}

/// Ends when the client takes nothing more.
async fn send(mut outgoing: Outgoing, mut waiting: mpsc::Receiver<Bytes>) {
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let is_there = tokio::select! {
            frame = waiting.recv() => match frame {
                Some(frame) => outgoing.send(frame).await,
                None => return outgoing.close().await,
            },
            _ = pings.tick() => outgoing.ping().await,
        };
        if !is_there {
            return;
        }
    }
}

/// A stream that a client has opened.
enum Stream {
    /// Where it is told why a connection failed; of a request, to a port.
    Error { request: String, port: u16 },
    /// A connection, and where it is told of it.
    Data {
        /// Nothing: no more comes.
        input: Option<mpsc::Sender<Bytes>>,
        error: u32,
        task: AbortHandle,
    },
}

/// One that forwards ports. Dropped, all its connections end.
struct Client {
    nodes: Arc<dyn Nodes>,
    uid: Arc<str>,
    out: mpsc::Sender<Bytes>,
    writer: Writer,
    /// At most two for each connection there may be.
    streams: HashMap<u32, Stream>,
    /// They answer with their stream.
    connections: JoinSet<u32>,
}

impl Client {
    async fn serve(&mut self, mut incoming: Incoming) {
        let mut reader = Reader::default();
        loop {
            let bytes = tokio::select! {
                bytes = incoming.next() => bytes,
                Some(ended) = self.connections.join_next() => {
                    if let Ok(stream) = ended {
                        self.forget(stream);
                    }
                    continue;
                }
            };
            let Some(bytes) = bytes else { return };
            reader.push(&bytes);
            loop {
                match reader.next() {
                    Ok(Some(frame)) => self.take(frame).await,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(%error, "a client that forwards ports is not understood");
                        return;
                    }
                }
            }
        }
    }

    fn forget(&mut self, stream: u32) {
        if let Some(Stream::Data { error, .. }) = self.streams.remove(&stream) {
            self.streams.remove(&error);
        }
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Open { stream, headers } => {
                let answer = match self.open(stream, &headers) {
                    Ok(()) => self.writer.reply(stream),
                    Err(why) => spdy::reset(stream, why),
                };
                let _ = self.out.send(answer).await;
            }
            Frame::Data {
                stream,
                bytes,
                is_last,
            } => {
                let Some(Stream::Data { input, .. }) = self.streams.get_mut(&stream) else {
                    return;
                };
                if let Some(input) = input.as_ref().filter(|_| !bytes.is_empty()) {
                    // A connection that has ended takes nothing.
                    let _ = input.send(bytes).await;
                }
                if is_last {
                    *input = None;
                }
            }
            Frame::Reset { stream } => {
                let Some(Stream::Data { task, error, .. }) = self.streams.get(&stream) else {
                    return;
                };
                task.abort();
                let over = spdy::data(*error, &[], true);
                self.forget(stream);
                let _ = self.out.send(over).await;
            }
            Frame::Ping { id } => {
                let _ = self.out.send(spdy::ping(id)).await;
            }
            // It goes when its connections have ended.
            Frame::GoAway => {}
        }
    }

    fn open(&mut self, stream: u32, headers: &Headers) -> Result<(), Refusal> {
        let port: u16 = headers
            .text("port")
            .parse()
            .map_err(|_| Refusal::Protocol)?;
        // A client's numbers are odd (2.3.2).
        if stream.is_multiple_of(2) || port == 0 || self.streams.contains_key(&stream) {
            return Err(Refusal::Protocol);
        }
        if self.streams.len() >= 2 * CONNECTIONS_MAX {
            return Err(Refusal::Refused);
        }
        let request = headers.text("requestid");
        let opened = match headers.text("streamtype") {
            "error" => Stream::Error {
                request: request.to_owned(),
                port,
            },
            "data" => {
                let error = self.streams.iter().find_map(|(id, one)| {
                    let is_its = matches!(one, Stream::Error { request: its, port: to }
                        if its == request && *to == port);
                    is_its.then_some(*id)
                });
                self.connect(stream, error.ok_or(Refusal::Protocol)?, port)
            }
            _ => return Err(Refusal::Protocol),
        };
        self.streams.insert(stream, opened);
        Ok(())
    }

    fn connect(&mut self, stream: u32, error: u32, port: u16) -> Stream {
        let (input, typed) = mpsc::channel(WAITING);
        let (nodes, uid, out) = (
            Arc::clone(&self.nodes),
            Arc::clone(&self.uid),
            self.out.clone(),
        );
        let task = self.connections.spawn(async move {
            let why = match nodes.connect(&uid, port).await {
                Ok(pipe) => {
                    carry(pipe, typed, &out, stream).await;
                    String::new()
                }
                Err(failure) => {
                    format!(
                        "error forwarding port {port} to pod {uid}: {}",
                        failure.message
                    )
                }
            };
            let _ = out.send(spdy::data(error, why.as_bytes(), true)).await;
            if !why.is_empty() {
                let _ = out.send(spdy::data(stream, &[], true)).await;
            }
            stream
        });
        Stream::Data {
            input: Some(input),
            error,
            task,
        }
    }
}

/// Both ways until each has ended: what one side has finished, the other may go on with.
async fn carry(
    pipe: Box<dyn Pipe>,
    mut typed: mpsc::Receiver<Bytes>,
    out: &mpsc::Sender<Bytes>,
    stream: u32,
) {
    let (mut from, mut to) = tokio::io::split(pipe);
    let forth = async {
        while let Some(bytes) = typed.recv().await {
            if to.write_all(&bytes).await.is_err() {
                // It may still have something to say.
                typed.close();
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    let back = async {
        let mut buffer = BytesMut::with_capacity(PIECE);
        loop {
            buffer.clear();
            buffer.reserve(PIECE);
            let count = from.read_buf(&mut buffer).await.unwrap_or(0);
            let frame = spdy::data(stream, &buffer[..count], count == 0);
            if out.send(frame).await.is_err() || count == 0 {
                return;
            }
        }
    };
    tokio::join!(forth, back);
}
