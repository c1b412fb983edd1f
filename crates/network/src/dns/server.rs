//! A network's name server: UDP and TCP on its bridge's address.
//!
//! Only the network's own containers are answered. Never: what the answer is; see `answer`.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use rustix::net::sockopt::set_ip_freebind;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Decision, Zone, decide, encode, failure, finish, udp_limit};
use super::forward::{Forwarder, Transport, read_message, write_message};

const PORT: u16 = 53;
/// Queries of one network that wait for a resolver at the same time; more are told to try later.
const MOST_FORWARDED: usize = 128;
/// TCP connections of one network at the same time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 64;
/// Queries answered on one connection before it is closed.
const MOST_PER_CONNECTION: usize = 100;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);
const LARGEST_QUERY: usize = 4096;
const LARGEST_TCP: usize = 65535;
/// How long accepting pauses after the kernel refused, for want of descriptors for instance.
const PAUSE: Duration = Duration::from_millis(100);

/// A name server that is bound.
#[derive(Debug)]
pub(crate) struct Server {
    zone: Arc<Zone>,
    forwarder: Arc<Forwarder>,
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    forwarded: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// Binds the network's gateway address, even if it is not there at the moment.
    pub(crate) async fn bind(zone: Zone, forwarder: Arc<Forwarder>) -> io::Result<Server> {
        let address = SocketAddr::V4(SocketAddrV4::new(zone.place.gateway, PORT));
        let udp = UdpSocket::bind(address).await?;
        let tcp = TcpSocket::new_v4()?;
        set_ip_freebind(&tcp, true)?;
        tcp.set_reuseaddr(true)?;
        tcp.bind(address)?;
        Ok(Server {
            zone: Arc::new(zone),
            forwarder,
            udp: Arc::new(udp),
            tcp: tcp.listen(MOST_CONNECTIONS as u32)?,
            forwarded: Arc::new(Semaphore::new(MOST_FORWARDED)),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        })
    }

    /// Answers until it is dropped, and with it everything it began.
    pub(crate) async fn run(self) {
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0u8; LARGEST_QUERY];
        loop {
            while tasks.try_join_next().is_some() {}
            let room = Arc::clone(&self.connections);
            let accepted = async {
                let place = room.acquire_owned().await.expect("it is never closed");
                (place, self.tcp.accept().await)
            };
            tokio::select! {
                received = self.udp.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => self.datagram(&buffer[..length], from, &mut tasks).await,
                    // An earlier answer was refused by who had asked.
                    Err(error) => tracing::debug!(%error, "reading name queries"),
                },
                (place, accepted) = accepted => match accepted {
                    Ok((stream, from)) if self.is_ours(from) => {
                        tasks.spawn(self.session().connection(stream, from, place));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "accepting name queries");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    fn is_ours(&self, from: SocketAddr) -> bool {
        let place = &self.zone.place;
        matches!(from.ip(), IpAddr::V4(address)
            if place.subnet.contains(address) && address != place.gateway)
    }

    fn session(&self) -> Session {
        Session {
            zone: Arc::clone(&self.zone),
            forwarder: Arc::clone(&self.forwarder),
            forwarded: Arc::clone(&self.forwarded),
        }
    }

    async fn datagram(&self, query: &[u8], from: SocketAddr, tasks: &mut JoinSet<()>) {
        if !self.is_ours(from) {
            return;
        }
        let limit = udp_limit(query);
        let now = match decide(&self.zone, query) {
            Decision::Ignore => None,
            Decision::Answer(message) => encode(&message, limit),
            other => match Arc::clone(&self.forwarded).try_acquire_owned() {
                Err(_) => unanswered(&other, limit),
                Ok(place) => {
                    let (session, socket) = (self.session(), Arc::clone(&self.udp));
                    let query = query.to_vec();
                    tasks.spawn(async move {
                        let _place = place;
                        let by = Transport::Udp;
                        let answer = session.elsewhere(other, &query, by, from, limit).await;
                        reply(&socket, answer, from).await;
                    });
                    None
                }
            },
        };
        reply(&self.udp, now, from).await;
    }
}

async fn reply(socket: &UdpSocket, answer: Option<Vec<u8>>, to: SocketAddr) {
    if let Some(answer) = answer
        && let Err(error) = socket.send_to(&answer, to).await
    {
        tracing::debug!(%error, %to, "answering a name query");
    }
}

/// A resolver's answer as it is, or marked as cut when the container cannot take it.
fn cut(answer: Vec<u8>, limit: usize) -> Vec<u8> {
    if answer.len() <= limit {
        return answer;
    }
    hickory_proto::op::Message::from_vec(&answer)
        .ok()
        .and_then(|message| message.truncate().to_vec().ok())
        .unwrap_or(answer)
}

/// What is said when no resolver answers.
fn unanswered(decision: &Decision, limit: usize) -> Option<Vec<u8>> {
    let message = match decision {
        Decision::Ignore => return None,
        Decision::Answer(message) | Decision::Forward(message) => message,
        Decision::Follow { begun, .. } => begun,
    };
    encode(&failure(message, ResponseCode::ServFail), limit)
}

/// What a connection needs of its server.
struct Session {
    zone: Arc<Zone>,
    forwarder: Arc<Forwarder>,
    forwarded: Arc<Semaphore>,
}

impl Session {
    /// Asks the resolvers of the container at `from`, or the machine's.
    async fn ask(&self, query: &[u8], by: Transport, from: SocketAddr) -> Option<Vec<u8>> {
        let instead = match from.ip() {
            IpAddr::V4(address) => self.zone.upstreams(address),
            IpAddr::V6(_) => Vec::new(),
        };
        self.forwarder.ask(query, by, &instead).await
    }

    async fn connection(
        self,
        mut stream: TcpStream,
        from: SocketAddr,
        _place: OwnedSemaphorePermit,
    ) {
        for _ in 0..MOST_PER_CONNECTION {
            let Ok(Ok(query)) = timeout(SILENCE, read_message(&mut stream)).await else {
                return;
            };
            let Some(answer) = self.answer(&query, from).await else {
                return;
            };
            let written = timeout(SILENCE, write_message(&mut stream, &answer)).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn answer(&self, query: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        let elsewhere = match decide(&self.zone, query) {
            Decision::Ignore => return None,
            Decision::Answer(message) => return encode(&message, LARGEST_TCP),
            other => other,
        };
        match self.forwarded.try_acquire() {
            Ok(_place) => {
                let by = Transport::Tcp;
                self.elsewhere(elsewhere, query, by, from, LARGEST_TCP)
                    .await
            }
            Err(_) => unanswered(&elsewhere, LARGEST_TCP),
        }
    }

    /// Has a resolver answer the query, or the rest of it.
    async fn elsewhere(
        &self,
        decision: Decision,
        query: &[u8],
        by: Transport,
        from: SocketAddr,
        limit: usize,
    ) -> Option<Vec<u8>> {
        match decision {
            Decision::Ignore => None,
            Decision::Answer(message) => encode(&message, limit),
            Decision::Forward(_) => match self.ask(query, by, from).await {
                Some(answer) => Some(cut(answer, limit)),
                None => unanswered(&decision, limit),
            },
            Decision::Follow { begun, query } => {
                let answer = self.ask(&query, by, from).await;
                encode(&finish(begun, answer.as_deref()), limit)
            }
        }
    }
}
