//! Putting a container on a network: reserve and record, make the interface, configure it,
//! publish its ports.
//!
//! The record is written before anything is made, and nothing is undone here: whatever step
//! fails, [`Host::detach`] by the container's id clears what was done. Never: the container.

mod error;

pub use error::AttachError;

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use crate::conntrack::Flow;
use crate::frames;
use crate::host::Host;
use crate::inside::{self, Inside};
use crate::netlink::Batch;
use crate::nft::Op;
use crate::port::{Held, PortSpec, Protocol, PublishedPort, allocate};
use crate::record::{EndpointRecord, RecordError};
use crate::rtnetlink::{self, Veth};
use crate::ruleset;
use crate::state::{Endpoint, State};
use crate::subnet::{Mac, Subnet};

/// Longest interface name the kernel takes.
const LONGEST_INTERFACE: usize = 15;
const LONGEST_CONTAINER: usize = 128;

/// A container to put on a network.
#[derive(Debug, Clone)]
pub struct Attach<'a> {
    /// Its id: letters, digits, `_` and `-`.
    pub container: &'a str,
    /// The network's name or id.
    pub network: &'a str,
    /// Its network namespace.
    pub netns: BorrowedFd<'a>,
    /// Names it is found by on a user network: its own, aliases, its short id.
    pub names: Vec<String>,
    /// The address it wants, or the next free one.
    pub ip: Option<IpAddr>,
    /// The hardware address it wants, or a random one.
    pub mac: Option<Mac>,
    /// Ports to publish.
    pub ports: Vec<PortSpec>,
    /// The interface's name within: `eth0` for the first network.
    pub interface: &'a str,
}

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The container's id.
    pub container: String,
    /// The network's id.
    pub network_id: String,
    /// The network's name.
    pub network: String,
    /// 64 hexadecimal digits.
    pub endpoint_id: String,
    /// The interface's name within.
    pub interface: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Bits of the subnet's prefix.
    pub prefix_len: u8,
    /// Where its default route leads; internal networks have none.
    pub gateway: Option<Ipv4Addr>,
    /// The name server of a user network.
    pub resolver: Option<Ipv4Addr>,
    /// Its hardware address.
    pub mac: Mac,
    /// Names it is found by.
    pub names: Vec<String>,
    /// Resolvers its names are asked of, instead of the machine's; see [`Host::set_upstreams`].
    pub upstreams: Vec<IpAddr>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
}

/// The steps of an attach, in order.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Address and ports are reserved and recorded.
    Recorded,
    /// It may send as itself, once there is something to send by.
    Guarded,
    /// The veth pair exists.
    Linked,
    /// The interface within is up and has its address.
    Configured,
    /// Ports are published.
    Published,
}

impl Host {
    /// Puts a container on a network.
    ///
    /// # Errors
    /// When it fails halfway, [`Host::detach`] clears what was done.
    pub fn attach(&self, attach: &Attach<'_>) -> Result<Attachment, AttachError> {
        self.attach_until(attach, Step::Published)
    }

    /// As [`Self::attach`], but stops behind `last`, as if the process had died there.
    #[doc(hidden)]
    pub fn attach_until(&self, attach: &Attach<'_>, last: Step) -> Result<Attachment, AttachError> {
        check(attach)?;
        let reserved = self.reserve(attach)?;
        let attachment = reserved.attachment;
        let kernel = |error| AttachError::kernel(&attachment, error);
        if last >= Step::Guarded {
            let sender = frames::sender(&reserved.link, attachment.mac, attachment.address);
            self.add_sender(&self.state(), sender).map_err(kernel)?;
        }
        if last >= Step::Linked {
            self.make_link(attach, &attachment, &reserved.link)?;
        }
        if last >= Step::Configured {
            let inside = Inside {
                interface: &attachment.interface,
                address: attachment.address,
                subnet: reserved.subnet,
                gateway: attachment.gateway,
            };
            inside::configure(attach.netns, &inside).map_err(kernel)?;
        }
        if last >= Step::Published {
            self.publish(&attachment)?;
        }
        Ok(attachment)
    }

    /// Has the name servers of a container's networks ask these resolvers for what they do not
    /// know, instead of the machine's (`--dns`); none is the machine's again.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub fn set_upstreams(&self, container: &str, upstreams: &[IpAddr]) -> Result<(), RecordError> {
        let mut state = self.state();
        for endpoint in state.endpoints.values_mut() {
            if endpoint.attachment.container == container {
                endpoint.attachment.upstreams = upstreams.to_vec();
                self.store().save_endpoint(&EndpointRecord::new(endpoint))?;
                self.directory().add(&endpoint.attachment);
            }
        }
        Ok(())
    }

    /// Calls a container by other names on one of its networks from now on; one it is not on is
    /// none's business.
    ///
    /// # Errors
    /// When it cannot be recorded; then the old names stay.
    pub fn set_names(
        &self,
        container: &str,
        network: &str,
        names: Vec<String>,
    ) -> Result<(), RecordError> {
        let mut state = self.state();
        let key = (container.to_owned(), network.to_owned());
        let Some(endpoint) = state.endpoints.get_mut(&key) else {
            return Ok(());
        };
        let mut old = endpoint.attachment.clone();
        if old.names == names {
            return Ok(());
        }
        endpoint.attachment.names = names;
        if let Err(error) = self.store().save_endpoint(&EndpointRecord::new(endpoint)) {
            std::mem::swap(&mut endpoint.attachment, &mut old);
            return Err(error);
        }
        self.directory().replace(&old, &endpoint.attachment);
        Ok(())
    }

    fn reserve(&self, attach: &Attach<'_>) -> Result<Reserved, AttachError> {
        let mut state = self.state();
        let network = state
            .resolve(attach.network)
            .ok_or_else(|| AttachError::NetworkNotFound(attach.network.to_owned()))?
            .to_owned();
        self.ensure_bridge(&mut state, &network)?;
        let address = choose_address(&mut state, &network, attach.ip)?;
        let mac = attach.mac.unwrap_or_else(Mac::random);
        let link = self.new_link_name();
        self.record(&mut state, attach, &network, Place { address, mac, link })
    }

    /// Holds the ports, then writes the endpoint down; nothing was made in the kernel before.
    pub(crate) fn record(
        &self,
        state: &mut State,
        attach: &Attach<'_>,
        network: &str,
        place: Place,
    ) -> Result<Reserved, AttachError> {
        let net = &state.networks[network].network;
        let key = (attach.container.to_owned(), network.to_owned());
        if state.endpoints.contains_key(&key) {
            return Err(AttachError::AlreadyAttached {
                container: key.0,
                network: net.name.clone(),
            });
        }
        if let (true, Some(port)) = (net.internal, attach.ports.first()) {
            return Err(AttachError::Internal {
                port: port.container_port,
                protocol: port.protocol,
                network: net.name.clone(),
            });
        }
        let held = hold_all(&attach.ports, state)?;
        let attachment = Attachment {
            container: key.0,
            network_id: key.1,
            network: net.name.clone(),
            endpoint_id: weft_stdx::id::random_hex(32),
            interface: attach.interface.to_owned(),
            address: place.address,
            prefix_len: net.subnet.prefix(),
            gateway: (!net.internal).then_some(net.gateway),
            resolver: (!net.is_default).then_some(net.gateway),
            mac: place.mac,
            names: attach.names.clone(),
            upstreams: Vec::new(),
            ports: held.iter().map(|held| held.port).collect(),
        };
        let (subnet, name) = (net.subnet, net.name.clone());
        let endpoint = Endpoint {
            attachment: attachment.clone(),
            link: place.link.clone(),
            serial: state.next_serial(),
            held,
        };
        self.store()
            .save_endpoint(&EndpointRecord::new(&endpoint))
            .map_err(|source| AttachError::Record {
                container: attachment.container.clone(),
                network: name,
                source,
            })?;
        state.insert(endpoint);
        Ok(Reserved {
            attachment,
            link: place.link,
            subnet,
        })
    }

    fn make_link(
        &self,
        attach: &Attach<'_>,
        attachment: &Attachment,
        link: &str,
    ) -> Result<(), AttachError> {
        let make = || {
            let (bridge, mtu) = self.bridge_of(&attachment.network_id);
            let mut batch = Batch::new();
            let veth = Veth {
                name: link,
                bridge,
                mtu,
                netns: attach.netns,
                peer_name: &attachment.interface,
                peer_mac: attachment.mac,
            };
            rtnetlink::new_veth(&mut batch, &veth);
            let serves = self.state().serves(&attachment.network_id);
            if serves || !attachment.ports.is_empty() {
                rtnetlink::set_hairpin(&mut batch, link);
            }
            self.route().run(batch)
        };
        match make() {
            Ok(()) => return Ok(()),
            // An interface of this name may be on its way out.
            Err(error) if error.is(Errno::EXIST) => self.sweeper().flush(),
            // Somebody may have deleted the bridge.
            Err(error) if error.is(Errno::INVAL) || error.is(Errno::NODEV) => {
                let mut state = self.state();
                if let Some(net) = state.networks.get_mut(&attachment.network_id) {
                    net.bridge = None;
                }
                self.ensure_bridge(&mut state, &attachment.network_id)?;
            }
            Err(error) => return Err(AttachError::kernel(attachment, error)),
        }
        make().map_err(|error| AttachError::kernel(attachment, error))
    }

    /// Leads the attachment's ports to it and makes its names known.
    pub(crate) fn publish(&self, attachment: &Attachment) -> Result<(), AttachError> {
        if !attachment.ports.is_empty() {
            let key = (attachment.container.clone(), attachment.network_id.clone());
            let state = self.state();
            let ops: Vec<Op> = state
                .endpoints
                .get(&key)
                .into_iter()
                .flat_map(Endpoint::port_rules)
                .map(|rule| Op::AddElement(ruleset::port_element(&rule)))
                .collect();
            self.change_rules(&state, &ops)
                .map_err(|error| AttachError::kernel(attachment, error))?;
        }
        let udp = attachment
            .ports
            .iter()
            .filter(|port| port.protocol == Protocol::Udp);
        self.sweeper()
            .flows(udp.map(|port| Flow::Unpublished(port.host_port)));
        self.directory().add(attachment);
        Ok(())
    }
}

/// Where an endpoint is to be.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: Mac,
    pub(crate) link: String,
}

/// An endpoint that is written down.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) attachment: Attachment,
    link: String,
    subnet: Subnet,
}

pub(crate) fn check(attach: &Attach<'_>) -> Result<(), AttachError> {
    let plain = |text: &str, extra: &[char]| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
    };
    if attach.container.len() > LONGEST_CONTAINER || !plain(attach.container, &['_', '-']) {
        return Err(AttachError::BadContainer(attach.container.to_owned()));
    }
    if attach.interface.len() > LONGEST_INTERFACE || !plain(attach.interface, &['_', '-']) {
        return Err(AttachError::BadInterface(attach.interface.to_owned()));
    }
    Ok(())
}

fn choose_address(
    state: &mut State,
    network: &str,
    asked: Option<IpAddr>,
) -> Result<Ipv4Addr, AttachError> {
    let net = state
        .networks
        .get_mut(network)
        .expect("the network was resolved under the same lock");
    let (name, subnet) = (net.network.name.clone(), net.network.subnet);
    match asked {
        None => net.next_address().ok_or(AttachError::AddressesExhausted {
            network: name,
            subnet,
        }),
        Some(IpAddr::V6(_)) => Err(AttachError::Ipv6(asked.expect("just matched"))),
        Some(IpAddr::V4(address)) if !net.is_usable(address) => Err(AttachError::BadAddress {
            address,
            network: name,
            subnet,
        }),
        Some(IpAddr::V4(address)) if net.is_used(address) => Err(AttachError::AddressInUse {
            address,
            network: name,
        }),
        Some(IpAddr::V4(address)) => Ok(address),
    }
}

/// Holds every port or none: what was held is let go when a later one fails.
fn hold_all(specs: &[PortSpec], state: &State) -> Result<Vec<Held>, AttachError> {
    let mut held: Vec<Held> = Vec::with_capacity(specs.len());
    for spec in specs {
        held.push(allocate(spec, state)?);
    }
    Ok(held)
}
