//! `weft port-forward`: ports here that lead to ports of a pod.
//!
//! Owns listening, and going on over a server that is started again. It ends with the pod.

mod ports;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use weft_client::Request;
use weft_client::cluster::{ApiError, Socket};

use self::ports::Pair;
use super::wait;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::patience::Patience;
use crate::objects::pods::forward::{Opening, PROTOCOL, carry};
use crate::objects::pods::{self, Preference};
use crate::printer::Printer;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "port-forward",
    Args,
    "Lead ports here to ports of a pod: weft port-forward TYPE/NAME [LOCAL:]REMOTE"
);

/// Connections that wait for a server that is away.
const WAITING: usize = 16;
/// Pause after a connection that could not be taken: there are too many open files, mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// Flags of `port-forward`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pod, or TYPE/NAME of what has pods
    #[arg(value_name = "POD")]
    word: String,
    /// [LOCAL:]REMOTE: numbers, or for REMOTE a name that it has; without a number before the colon, any
    #[arg(value_name = "PORT", required = true)]
    ports: Vec<String>,
    /// Addresses to listen on, with commas between them; localhost is 127.0.0.1 and ::1
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    address: Vec<String>,
    /// How long to wait for the first pod
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m")]
    pod_running_timeout: Duration,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Forwards until the pod ends.
    pub async fn run(self, session: &Session) -> Outcome {
        let addresses = addresses(&self.address)?;
        let api = Api::open(&self.connect, session)?;
        let object = pods::named(&api, &self.word).await?;
        let service = (object["kind"] == "Service").then(|| object.clone());
        let patience = self.pod_running_timeout;
        let (pod, _) = pods::one_of(&api, object, Preference::Session, patience).await?;
        let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
        if phase != "Running" {
            return Err(CliError::new(format!(
                "unable to forward port because pod is not running. Current status={phase}"
            )));
        }
        let pairs = self.ports.iter();
        let pairs = pairs.map(|text| Pair::parse(text, service.as_ref(), &pod));
        let pairs: Vec<Pair> = pairs.collect::<Result<_, _>>()?;
        let forward = Forward { api: &api, pod };
        // First of all: who may not forward is to learn of it before anybody connects.
        let socket = forward.socket().await?;
        let (sender, mut openings) = mpsc::channel(WAITING);
        for pair in pairs {
            for (listener, local) in listeners(&addresses, pair.local).await? {
                let shown = listener.local_addr().unwrap_or(local);
                api.printer
                    .line(&format!("Forwarding from {shown} -> {}", pair.remote))?;
                let (sender, printer) = (sender.clone(), api.printer);
                tokio::spawn(accept(listener, shown.port(), pair.remote, sender, printer));
            }
        }
        Err(forward.run(socket, &mut openings).await)
    }
}

/// The addresses that words name; whether all of a word are needed.
fn addresses(words: &[String]) -> Result<Vec<(Vec<IpAddr>, bool)>, CliError> {
    let mut found = Vec::new();
    for word in words {
        match (word.as_str(), word.parse()) {
            ("localhost", _) => {
                let both = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                found.push((both, false));
            }
            (_, Ok(address)) => found.push((vec![address], true)),
            _ => return Err(CliError::usage(format!("{word} is not a valid IP"))),
        }
    }
    Ok(found)
}

/// Listens on all addresses; on the same port everywhere, if any will do.
async fn listeners(
    addresses: &[(Vec<IpAddr>, bool)],
    mut port: u16,
) -> Result<Vec<(TcpListener, SocketAddr)>, CliError> {
    let mut all = Vec::new();
    for (some, are_needed) in addresses {
        let (before, mut failed) = (all.len(), None);
        for address in some {
            let address = SocketAddr::new(*address, port);
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    port = listener.local_addr().map_or(port, |bound| bound.port());
                    all.push((listener, address));
                }
                Err(error) => {
                    let error = CliError::because(format!("listen on {address}"), &error);
                    failed =
                        Some(error.hint(
                            "another port here stands before a colon: 8080:80, or :80 for any",
                        ));
                }
            }
        }
        match failed {
            Some(error) if *are_needed || all.len() == before => return Err(error),
            _ => {}
        }
    }
    Ok(all)
}

/// Takes who connects, for ever.
async fn accept(
    listener: TcpListener,
    local: u16,
    remote: u16,
    openings: mpsc::Sender<Opening>,
    printer: Printer,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let _ = printer.line(&format!("Handling connection for {local}"));
        let opening = Opening {
            remote,
            local,
            stream,
        };
        if openings.send(opening).await.is_err() {
            return;
        }
    }
}

/// A pod whose ports are forwarded.
struct Forward<'a> {
    api: &'a Api,
    pod: Value,
}

impl Forward<'_> {
    async fn socket(&self) -> Result<Socket, ApiError> {
        let (name, namespace) = pods::place(&self.pod);
        let path = pods::path(namespace, &[name, "portforward"]);
        let request = Request::get(format!("forward ports to pod/{name}"), &path);
        self.api.cluster.socket(&request, &[PROTOCOL]).await
    }

    /// Ends with the pod, or with what no patience helps against: why.
    async fn run(&self, socket: Socket, openings: &mut mpsc::Receiver<Opening>) -> CliError {
        tokio::select! {
            ended = self.ended() => ended,
            failed = self.carry_on(socket, openings) => failed,
        }
    }

    /// Watches the pod to its end. Who may not watch it learns of its end when the connection does.
    async fn ended(&self) -> CliError {
        let (name, namespace) = pods::place(&self.pod);
        let watching = async {
            let target = Target {
                kind: self.api.kind("pods").await?.clone(),
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
            };
            let is_over = |now: Option<&Value>| now.is_none_or(|now| self.over(now).is_some());
            wait::until(self.api, &target, None, is_over).await
        };
        if watching.await.is_err() {
            return std::future::pending().await;
        }
        let ended = self.look().await.ok().flatten();
        ended.unwrap_or_else(|| gone(name))
    }

    /// Over all connections that break.
    async fn carry_on(
        &self,
        mut socket: Socket,
        openings: &mut mpsc::Receiver<Opening>,
    ) -> CliError {
        // That it is waited for, who watches says.
        let mut patience = Patience::new(self.api.printer);
        loop {
            let lost = carry(socket, openings, self.api.printer).await;
            if let Some(error) = lost.filter(|error| !error.is_passing()) {
                return error.into();
            }
            patience.answered();
            socket = loop {
                // A server that ends sockets at once is not to be asked without end.
                patience.pause().await;
                match self.again().await {
                    Ok(Ok(socket)) => break socket,
                    Ok(Err(ended)) => return ended,
                    Err(error) if error.is_passing() => {}
                    Err(error) => {
                        // It may be that the pod has ended only now.
                        let ended = self.look().await.ok().flatten();
                        return ended.unwrap_or_else(|| error.into());
                    }
                }
            };
        }
    }

    /// A socket anew, or why there is none any more.
    async fn again(&self) -> Result<Result<Socket, CliError>, ApiError> {
        match self.look().await? {
            Some(ended) => Ok(Err(ended)),
            None => self.socket().await.map(Ok),
        }
    }

    /// Why there is nothing to forward to any more, if so.
    async fn look(&self) -> Result<Option<CliError>, ApiError> {
        let (name, namespace) = pods::place(&self.pod);
        let request = Request::get(format!("get pod/{name}"), &pods::path(namespace, &[name]));
        let now: Value = match self.api.ask(&request).await {
            Ok(answer) => answer.json()?,
            Err(error) if error.is_not_found() => return Ok(Some(gone(name))),
            Err(error) => return Err(error),
        };
        Ok(self.over(&now))
    }

    /// The same, as the pod is now.
    fn over(&self, now: &Value) -> Option<CliError> {
        let (name, _) = pods::place(&self.pod);
        if now["metadata"]["uid"] != self.pod["metadata"]["uid"] {
            return Some(gone(name));
        }
        match now["status"]["phase"].as_str() {
            Some(phase @ ("Succeeded" | "Failed")) => Some(CliError::new(format!(
                "pod {name} has ended ({phase}): nothing is forwarded any more"
            ))),
            _ => None,
        }
    }
}

fn gone(name: &str) -> CliError {
    CliError::new(format!(
        "pod {name} was deleted: nothing is forwarded any more"
    ))
}
