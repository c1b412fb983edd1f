//! What the engine knows in memory: networks with their free addresses, endpoints with their
//! held ports. Read from the records at start.
//!
//! Never: the kernel, the disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use crate::attach::Attachment;
use crate::frames;
use crate::network::Network;
use crate::nft::Element;
use crate::port::{Held, Known, Protocol};
use crate::ruleset::{NetworkRules, PortRule};
use crate::services::Serving;
use crate::subnet::{Mac, Subnet};

/// A network and its addresses.
#[derive(Debug)]
pub(crate) struct Net {
    /// Its endpoints are left out: they are in [`State::endpoints`].
    pub(crate) network: Network,
    /// The number of its bridge, once that is known to exist.
    pub(crate) bridge: Option<u32>,
    used: BTreeSet<Ipv4Addr>,
    /// The address given last.
    last: Ipv4Addr,
}

impl Net {
    pub(crate) fn new(network: Network) -> Net {
        Net {
            last: network.gateway,
            network,
            bridge: None,
            used: BTreeSet::new(),
        }
    }

    pub(crate) fn rules(&self, serving: &Serving) -> NetworkRules {
        NetworkRules {
            bridge: self.network.bridge.clone(),
            subnet: self.network.subnet,
            gateway: self.network.gateway,
            internal: self.network.internal,
            serves: serving.includes(&self.network),
            mac: Mac::of(&self.network.id),
        }
    }

    /// Whether an endpoint may have this address, were it free.
    pub(crate) fn is_usable(&self, address: Ipv4Addr) -> bool {
        let subnet = self.network.subnet;
        subnet.contains(address)
            && address != self.network.gateway
            && address != subnet.network()
            && address != subnet.broadcast()
    }

    pub(crate) fn is_used(&self, address: Ipv4Addr) -> bool {
        self.used.contains(&address)
    }

    /// The next free address after the one given last, so that one just released rests.
    pub(crate) fn next_address(&mut self) -> Option<Ipv4Addr> {
        let base = u32::from(self.network.subnet.network());
        let size = u32::from(self.network.subnet.broadcast()) - base + 1;
        let start = u32::from(self.last) - base;
        let free = (1..=size)
            .map(|step| Ipv4Addr::from(base + (start + step) % size))
            .find(|address| self.is_usable(*address) && !self.is_used(*address))?;
        self.last = free;
        Some(free)
    }

    pub(crate) fn take(&mut self, address: Ipv4Addr) {
        self.used.insert(address);
    }

    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        self.used.remove(&address);
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.used.is_empty()
    }

    /// Moves a network nobody is on to another subnet.
    pub(crate) fn move_to(&mut self, subnet: Subnet, gateway: Ipv4Addr) {
        self.network.subnet = subnet;
        self.network.gateway = gateway;
        self.last = gateway;
    }
}

/// A container's place on a network.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) attachment: Attachment,
    /// The machine's end of the veth pair.
    pub(crate) link: String,
    /// Grows with every endpoint.
    pub(crate) serial: u64,
    /// Keeps others from its ports until it is dropped.
    pub(crate) held: Vec<Held>,
}

impl Endpoint {
    pub(crate) fn sender(&self) -> Element {
        frames::sender(&self.link, self.attachment.mac, self.attachment.address)
    }

    pub(crate) fn port_rules(&self) -> Vec<PortRule> {
        let attachment = &self.attachment;
        let rule = |port: &crate::PublishedPort| PortRule {
            host_ip: port.host_ip,
            host_port: port.host_port,
            protocol: port.protocol,
            to: attachment.address,
            to_port: port.container_port,
        };
        attachment.ports.iter().map(rule).collect()
    }
}

/// A port of a bridge that nobody has claimed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vacant {
    pub(crate) network: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: Mac,
}

/// Container and network.
pub(crate) type EndpointKey = (String, String);

/// Everything known.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) networks: BTreeMap<String, Net>,
    pub(crate) endpoints: HashMap<EndpointKey, Endpoint>,
    /// By the machine's end of the veth pair.
    pub(crate) vacant: BTreeMap<String, Vacant>,
    pub(crate) services: Serving,
    published: HashMap<(Protocol, u16), Vec<(Ipv4Addr, String)>>,
    serial: u64,
}

impl State {
    /// The network of this name, id or unique beginning of an id.
    pub(crate) fn resolve(&self, name_or_id: &str) -> Option<&str> {
        if let Some((id, _)) = self.networks.get_key_value(name_or_id) {
            return Some(id);
        }
        let named = |net: &&Net| net.network.name == name_or_id;
        if let Some(net) = self.networks.values().find(named) {
            return Some(&net.network.id);
        }
        let mut beginning = self
            .networks
            .keys()
            .filter(|id| !name_or_id.is_empty() && id.starts_with(name_or_id));
        match (beginning.next(), beginning.next()) {
            (Some(id), None) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Adds an endpoint, its address and its ports.
    pub(crate) fn insert(&mut self, endpoint: Endpoint) {
        let attachment = &endpoint.attachment;
        let newest = endpoint.serial > self.serial;
        self.serial = self.serial.max(endpoint.serial);
        if let Some(net) = self.networks.get_mut(&attachment.network_id) {
            net.take(attachment.address);
            if newest {
                net.last = attachment.address;
            }
        }
        for port in &attachment.ports {
            let holder = (port.host_ip, attachment.container.clone());
            let key = (port.protocol, port.host_port);
            self.published.entry(key).or_default().push(holder);
        }
        let key = (attachment.container.clone(), attachment.network_id.clone());
        self.endpoints.insert(key, endpoint);
    }

    /// Removes an endpoint; its address and ports are free again.
    pub(crate) fn remove(&mut self, key: &EndpointKey) -> Option<Endpoint> {
        let endpoint = self.endpoints.remove(key)?;
        if let Some(net) = self.networks.get_mut(&key.1) {
            net.release(endpoint.attachment.address);
        }
        for port in &endpoint.attachment.ports {
            let at = (port.protocol, port.host_port);
            if let Some(holders) = self.published.get_mut(&at) {
                holders
                    .retain(|(address, container)| *address != port.host_ip || *container != key.0);
                if holders.is_empty() {
                    self.published.remove(&at);
                }
            }
        }
        Some(endpoint)
    }

    /// Gives one endpoint's ports to another of the same container.
    pub(crate) fn move_ports(&mut self, from: &EndpointKey, to: &EndpointKey) {
        let Some(leaving) = self.endpoints.get_mut(from) else {
            return;
        };
        let ports = std::mem::take(&mut leaving.attachment.ports);
        let held = std::mem::take(&mut leaving.held);
        if let Some(endpoint) = self.endpoints.get_mut(to) {
            endpoint.attachment.ports = ports;
            endpoint.held = held;
        }
    }

    /// Everything that may send, for the table that keeps others from it.
    pub(crate) fn senders(&self) -> Vec<Element> {
        let claimed = self.endpoints.values().map(Endpoint::sender);
        let vacant = self
            .vacant
            .iter()
            .map(|(link, vacant)| frames::sender(link, vacant.mac, vacant.address));
        claimed.chain(vacant).collect()
    }

    /// The machine's ends of everything on a network, and whether each may be led to itself: it
    /// has published ports, or services.
    pub(crate) fn links_on(&self, network: &str) -> Vec<(String, bool)> {
        let serves = self.serves(network);
        let claimed = self
            .endpoints
            .values()
            .filter(|endpoint| endpoint.attachment.network_id == network)
            .map(|e| (e.link.clone(), serves || !e.attachment.ports.is_empty()));
        let vacant = self
            .vacant
            .iter()
            .filter(|(_, vacant)| vacant.network == network)
            .map(|(link, _)| (link.clone(), serves));
        claimed.chain(vacant).collect()
    }

    /// Whether containers of the network use services.
    pub(crate) fn serves(&self, network: &str) -> bool {
        let net = self.networks.get(network);
        net.is_some_and(|net| self.services.includes(&net.network))
    }

    /// What `Network::endpoints` shows.
    pub(crate) fn network(&self, id: &str) -> Option<Network> {
        let mut network = self.networks.get(id)?.network.clone();
        network.endpoints = self
            .endpoints
            .values()
            .filter(|endpoint| endpoint.attachment.network_id == id)
            .map(|endpoint| endpoint.attachment.clone())
            .collect();
        network
            .endpoints
            .sort_by(|a, b| a.container.cmp(&b.container));
        Some(network)
    }
}

impl Known for State {
    fn publisher(&self, address: Ipv4Addr, port: u16, protocol: Protocol) -> Option<String> {
        if let Some(service) = self.services.holder(protocol, port) {
            return Some(format!("service {service}"));
        }
        let holders = self.published.get(&(protocol, port))?;
        let clash =
            |held: Ipv4Addr| held == address || held.is_unspecified() || address.is_unspecified();
        let (_, container) = holders.iter().find(|(held, _)| clash(*held))?;
        let short = container.get(..12).unwrap_or(container);
        Some(format!("container {short}"))
    }

    fn is_gateway(&self, address: Ipv4Addr) -> bool {
        self.networks
            .values()
            .any(|net| net.network.gateway == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(subnet: &str) -> Net {
        let subnet: Subnet = subnet.parse().unwrap();
        Net::new(Network {
            id: "ab".into(),
            name: "n".into(),
            subnet,
            gateway: subnet.nth(1).unwrap(),
            bridge: "wf-ab".into(),
            mtu: 1500,
            internal: false,
            is_default: false,
            is_movable: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            created_ns: 0,
            endpoints: Vec::new(),
        })
    }

    #[test]
    fn addresses_go_round_and_end() {
        let mut net = net("10.0.0.0/29");
        let mut given = Vec::new();
        while let Some(address) = net.next_address() {
            net.take(address);
            given.push(address.octets()[3]);
        }
        assert_eq!(given, [2, 3, 4, 5, 6]);
        net.release(Ipv4Addr::new(10, 0, 0, 3));
        net.release(Ipv4Addr::new(10, 0, 0, 6));
        assert_eq!(net.next_address(), Some(Ipv4Addr::new(10, 0, 0, 3)));
    }

    #[test]
    fn an_address_just_released_rests() {
        let mut net = net("10.0.0.0/24");
        let first = net.next_address().unwrap();
        net.take(first);
        net.release(first);
        assert_eq!(net.next_address(), Some(Ipv4Addr::new(10, 0, 0, 3)));
    }

    #[test]
    fn names_and_beginnings_of_ids_resolve() {
        let mut state = State::default();
        for id in ["abc1", "abd2"] {
            let mut one = net("10.0.0.0/24");
            one.network.id = id.into();
            one.network.name = format!("name-{id}");
            state.networks.insert(id.into(), one);
        }
        assert_eq!(state.resolve("name-abc1"), Some("abc1"));
        assert_eq!(state.resolve("abd"), Some("abd2"));
        assert_eq!(state.resolve("ab"), None);
        assert_eq!(state.resolve(""), None);
    }
}
