//! A container's way onto its networks and off them.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};

use weft_network::{
    Attach, AttachError, Attachment, DEFAULT_NETWORK, ErrorKind, Mac, PortSpec as NetPort,
    Protocol as NetProtocol,
};

use crate::container::record::{AttachmentRecord, PublishedPort, Record};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::namespaces::Namespaces;
use crate::netfiles::Place;
use crate::spec::{NetworkAttach, NetworkMode, Protocol, Resolved, Spec};

mod names;
mod objects;

pub(crate) use names::rename_in;
pub use objects::NetworkView;

impl Engine {
    /// Puts a container onto a further network, at once when it runs.
    ///
    /// # Errors
    /// No such network or container, it is on it already, or it has no network of its own.
    pub async fn connect(
        &self,
        network: &str,
        reference: &str,
        attach: NetworkAttach,
    ) -> Result<()> {
        let network = self.network(network)?;
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        // An end is seen to before or after, not meanwhile.
        let _life = container.life.lock().await;
        let mut record = container.record();
        let NetworkMode::Networks(list) = &mut record.spec.network else {
            return Err(EngineError::conflict(format!(
                "container {reference} has no network of its own: it cannot be connected to another"
            )));
        };
        let attach = NetworkAttach {
            network: network.name.clone(),
            ..attach
        };
        if list
            .iter()
            .any(|n| self.network(&n.network).is_ok_and(|n| n.id == network.id))
        {
            return Err(EngineError::new(
                ErrorCode::Forbidden,
                format!(
                    "endpoint with name {} already exists in network {}",
                    record.name, network.name
                ),
            ));
        }
        list.push(attach.clone());
        if record.state.status.is_up() {
            let pid = record.state.pid;
            let index = next_index(&record.attachments);
            // The ports are where the default route leads: here, if it led nowhere before.
            let publish =
                !network.internal && record.attachments.iter().all(|a| a.gateway.is_none());
            let copy = record.clone();
            let made = self
                .blocking(move |engine| {
                    let netns =
                        weft_sys::namespace::of_process(pid, weft_sys::namespace::Kind::Network)
                            .map_err(|e| {
                                EngineError::internal("open the container's network namespace", e)
                            })?;
                    let made = engine
                        .attach_one(&copy, &attach, netns.as_fd(), index, publish)
                        .and_then(|made| {
                            engine.set_upstreams(&copy, std::slice::from_ref(&made))?;
                            Ok(made)
                        });
                    if made.is_err() {
                        let _ = engine.inner.network.detach(&copy.id, Some(&attach.network));
                    }
                    made
                })
                .await?;
            record.attachments.push(made);
            self.follow_networks(&record, Vec::new()).await;
        }
        self.save(&container, |r| {
            r.spec.network = record.spec.network;
            r.attachments = record.attachments;
        })?;
        if record.state.status.is_up() {
            let more = [("container", container.id.as_str())];
            self.network_event("connect", &network.id, &network.name, more);
        }
        Ok(())
    }

    /// Takes a container off a network.
    ///
    /// # Errors
    /// It is not on it.
    pub async fn disconnect(&self, network: &str, reference: &str) -> Result<()> {
        let network = self.network(network)?;
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        // An end is seen to before or after, not meanwhile.
        let _life = container.life.lock().await;
        let mut record = container.record();
        let NetworkMode::Networks(list) = &mut record.spec.network else {
            return Err(EngineError::conflict(format!(
                "container {reference} is on no network"
            )));
        };
        let before = list.len();
        list.retain(|n| self.network(&n.network).is_ok_and(|n| n.id != network.id));
        if list.len() == before {
            return Err(EngineError::new(
                ErrorCode::Forbidden,
                format!(
                    "container {reference} is not connected to network {}",
                    network.name
                ),
            ));
        }
        let (id, network_id) = (container.id.clone(), network.id.clone());
        self.blocking(move |engine| engine.inner.network.detach(&id, Some(&network_id)))
            .await
            .map_err(|e| EngineError::internal(format!("disconnect container {reference}"), e))?;
        let there = self.inner.network.attachments(&container.id);
        let here = record.attachments.iter();
        let left = here.filter(|a| a.network_id == network.id);
        let left = left.filter_map(Place::of).collect();
        follow(&mut record.attachments, &there);
        if record.state.status.is_up() {
            self.follow_networks(&record, left).await;
        }
        self.save(&container, |r| {
            r.spec.network = record.spec.network;
            r.attachments = record.attachments;
        })?;
        let more = [("container", container.id.as_str())];
        self.network_event("disconnect", &network.id, &network.name, more);
        Ok(())
    }

    /// Puts a starting container onto its networks. A prepared sandbox is taken apart on the way:
    /// its namespaces are then the container's.
    pub(crate) fn attach_networks(
        &self,
        record: &Record,
        namespaces: &mut Namespaces,
    ) -> Result<Vec<AttachmentRecord>> {
        let mut made = Vec::new();
        if let Some(prepared) = namespaces.prepared.take() {
            let wish = first_wish(record);
            let netns = prepared.sandbox().as_fd().try_clone_to_owned();
            let netns =
                netns.map_err(|e| EngineError::internal("duplicate a network namespace", e))?;
            let interface = interface(0);
            // The default network is never internal.
            let request = self.request(record, &wish, netns.as_fd(), &interface, true)?;
            let (attachment, reserved) = self
                .inner
                .network
                .claim(&request, prepared)
                .map_err(|e| attach_failed(record, e))?;
            let (user, net) = reserved.into_parts();
            namespaces.user = Some(user);
            namespaces.net = Some(net);
            made.push(attachment_record(&attachment, &wish.aliases));
        }
        let Some(netns) = &namespaces.net else {
            return Ok(made);
        };
        if let NetworkMode::Networks(list) = &record.spec.network {
            let publishing = self.publishing(list);
            for (index, attach) in list.iter().enumerate().skip(made.len()) {
                let publish = publishing == Some(index);
                made.push(self.attach_one(record, attach, netns.as_fd(), index, publish)?);
            }
        }
        Ok(made)
    }

    /// On a user network the network's own server answers first; `--dns` is whom it asks then.
    pub(crate) fn set_upstreams(&self, record: &Record, made: &[AttachmentRecord]) -> Result<()> {
        let servers: Vec<IpAddr> = record
            .spec
            .dns
            .servers
            .iter()
            .copied()
            .map(IpAddr::V4)
            .collect();
        if servers.is_empty() || made.iter().all(|a| a.resolver.is_none()) {
            return Ok(());
        }
        self.inner
            .network
            .set_upstreams(&record.id, &servers)
            .map_err(|e| {
                EngineError::internal(
                    format!("set the name servers of container {}", record.name),
                    e,
                )
            })
    }

    /// Which of a container's networks gets its ports: the one that gives the default route. None of
    /// internal ones: who has left the others runs without.
    fn publishing(&self, list: &[NetworkAttach]) -> Option<usize> {
        let leads_outside = |n: &NetworkAttach| self.network(&n.network).is_ok_and(|n| !n.internal);
        list.iter().position(leads_outside)
    }

    /// Refuses ports that no network of a new container could publish, and more than can be found.
    pub(crate) fn check_ports(
        &self,
        spec: &Spec,
        resolved: &Resolved,
        list: &[NetworkAttach],
    ) -> Result<()> {
        let ports = ports(spec, resolved);
        if let (Some(port), Some(first)) = (ports.first(), list.first())
            && self.publishing(list).is_none()
        {
            let network = self.network(&first.network)?.name;
            return Err(EngineError::invalid(format!(
                "cannot publish port {}/{} on network {network}: the network is internal; leave the \
                 port out, or add a network that is not",
                port.container_port, port.protocol
            )));
        }
        check_count(&ports)
    }

    fn attach_one(
        &self,
        record: &Record,
        attach: &NetworkAttach,
        netns: BorrowedFd<'_>,
        index: usize,
        publish: bool,
    ) -> Result<AttachmentRecord> {
        let interface = interface(index);
        let request = self.request(record, attach, netns, &interface, publish)?;
        let made = self
            .inner
            .network
            .attach(&request)
            .map_err(|e| attach_failed(record, e))?;
        Ok(attachment_record(&made, &attach.aliases))
    }

    fn request<'a>(
        &self,
        record: &'a Record,
        attach: &'a NetworkAttach,
        netns: BorrowedFd<'a>,
        interface: &'a str,
        publish: bool,
    ) -> Result<Attach<'a>> {
        self.network(&attach.network)?;
        let mac = attach
            .mac
            .as_deref()
            .map(str::parse::<Mac>)
            .transpose()
            .map_err(|e| {
                let what = format!("read the hardware address of container {}", record.name);
                EngineError::caused(ErrorCode::Invalid, what, e)
            })?;
        let network = match attach.network.as_str() {
            "" | "default" => DEFAULT_NETWORK,
            name => name,
        };
        Ok(Attach {
            container: &record.id,
            network,
            netns,
            names: names::of(record, &attach.aliases),
            ip: attach.ip.map(IpAddr::V4),
            mac,
            ports: match publish {
                true => ports(&record.spec, &record.resolved),
                false => Vec::new(),
            },
            interface,
        })
    }
}

fn interface(index: usize) -> String {
    format!("eth{index}")
}

/// A number above those of all interfaces, so that the default route stays where it leads, and the
/// published ports with it.
fn next_index(attachments: &[AttachmentRecord]) -> usize {
    let number = |a: &AttachmentRecord| a.interface.strip_prefix("eth")?.parse::<usize>().ok();
    let highest = attachments.iter().filter_map(number).max();
    highest.map_or(0, |highest| highest + 1)
}

/// Brings what a container's record says of its networks to what is there: who leaves a network
/// may publish its ports on the next.
pub(crate) fn follow(records: &mut Vec<AttachmentRecord>, there: &[Attachment]) {
    records.retain_mut(|record| {
        let Some(made) = there.iter().find(|a| a.network_id == record.network_id) else {
            return false;
        };
        record.ports = made.ports.iter().map(published).collect();
        true
    });
}

fn first_wish(record: &Record) -> NetworkAttach {
    match &record.spec.network {
        NetworkMode::Networks(list) => list.first().cloned().unwrap_or_default(),
        _ => NetworkAttach::default(),
    }
}

fn attach_failed(record: &Record, error: AttachError) -> EngineError {
    EngineError::caused(
        code(error.kind()),
        format!("connect container {} to its network", record.name),
        error,
    )
}

/// Most ports of one protocol whose number on the machine is left to us: half of those there are
/// for that (RFC 6335 §6), so that other containers find some, too.
const MOST_CHOSEN_PORTS: usize = 8192;

fn check_count(ports: &[NetPort]) -> Result<()> {
    for protocol in [NetProtocol::Tcp, NetProtocol::Udp] {
        let chosen = |p: &&NetPort| p.protocol == protocol && p.host_port.is_none();
        let count = ports.iter().filter(chosen).count();
        if count > MOST_CHOSEN_PORTS {
            return Err(EngineError::invalid(format!(
                "cannot publish {count} {protocol} ports on ports of weft's choosing: \
                 {MOST_CHOSEN_PORTS} are the most for one container; publish those that are needed \
                 with -p, or use --network host"
            )));
        }
    }
    Ok(())
}

fn ports(spec: &Spec, resolved: &Resolved) -> Vec<NetPort> {
    let mut ports: Vec<NetPort> = spec
        .ports
        .iter()
        .map(|p| NetPort {
            host_ip: p.host_ip.map(IpAddr::V4),
            host_port: p.host_ports,
            container_port: p.container_port,
            protocol: protocol(p.protocol),
        })
        .collect();
    if spec.publish_all {
        let asked: HashSet<_> = ports
            .iter()
            .map(|p| (p.container_port, p.protocol))
            .collect();
        for (port, kind) in &resolved.exposed {
            if !asked.contains(&(*port, protocol(*kind))) {
                ports.push(NetPort {
                    host_ip: None,
                    host_port: None,
                    container_port: *port,
                    protocol: protocol(*kind),
                });
            }
        }
    }
    ports
}

fn protocol(protocol: Protocol) -> NetProtocol {
    match protocol {
        Protocol::Tcp => NetProtocol::Tcp,
        Protocol::Udp => NetProtocol::Udp,
    }
}

fn published(port: &weft_network::PublishedPort) -> PublishedPort {
    PublishedPort {
        host_ip: port.host_ip,
        host_port: port.host_port,
        container_port: port.container_port,
        protocol: match port.protocol {
            NetProtocol::Tcp => Protocol::Tcp,
            NetProtocol::Udp => Protocol::Udp,
        },
    }
}

fn attachment_record(made: &Attachment, aliases: &[String]) -> AttachmentRecord {
    AttachmentRecord {
        network: made.network.clone(),
        network_id: made.network_id.clone(),
        endpoint_id: made.endpoint_id.clone(),
        interface: made.interface.clone(),
        address: Some(made.address),
        prefix_len: made.prefix_len,
        gateway: made.gateway,
        mac: made.mac.to_string(),
        aliases: aliases.to_vec(),
        names: match made.resolver {
            Some(_) => made.names.clone(),
            None => Vec::new(),
        },
        resolver: made.resolver,
        ports: made.ports.iter().map(published).collect(),
    }
}

/// The address `host-gateway` means for a container.
pub(crate) fn host_gateway(attachments: &[AttachmentRecord]) -> Ipv4Addr {
    attachments
        .iter()
        .find_map(|a| a.gateway)
        .unwrap_or(Ipv4Addr::LOCALHOST)
}

fn code(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::Exists => ErrorCode::Exists,
        ErrorKind::Conflict => ErrorCode::Conflict,
        ErrorKind::Invalid => ErrorCode::Invalid,
        ErrorKind::Exhausted => ErrorCode::Exhausted,
        ErrorKind::Internal => ErrorCode::Internal,
    }
}
