//! Names and addresses of the containers on user networks.
//!
//! Never: sockets, the wire format.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::attach::Attachment;
use crate::dns::zone::Names;
use crate::network::Network;
use crate::services::Services;
use crate::subnet::Subnet;

/// A user network's names.
#[derive(Debug, Clone)]
struct Zone {
    place: Place,
    /// In lower case; a name shared by several containers has all their addresses.
    names: HashMap<String, Vec<Ipv4Addr>>,
    addresses: HashMap<Ipv4Addr, String>,
    /// Resolvers that containers ask instead of the machine's.
    upstreams: HashMap<Ipv4Addr, Vec<IpAddr>>,
}

impl Zone {
    fn add(&mut self, attachment: &Attachment) {
        for name in &attachment.names {
            let addresses = self.names.entry(name.to_ascii_lowercase()).or_default();
            if !addresses.contains(&attachment.address) {
                addresses.push(attachment.address);
            }
        }
        if let Some(first) = attachment.names.first() {
            let name = first.to_ascii_lowercase();
            self.addresses.insert(attachment.address, name);
        }
        self.upstreams.remove(&attachment.address);
        if !attachment.upstreams.is_empty() {
            let upstreams = attachment.upstreams.clone();
            self.upstreams.insert(attachment.address, upstreams);
        }
    }

    fn remove(&mut self, attachment: &Attachment) {
        for name in &attachment.names {
            let name = name.to_ascii_lowercase();
            if let Some(addresses) = self.names.get_mut(&name) {
                addresses.retain(|address| *address != attachment.address);
                if addresses.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
        self.addresses.remove(&attachment.address);
        self.upstreams.remove(&attachment.address);
    }
}

/// Where queries of a network arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The network's name, which its containers' names may end with.
    pub(crate) name: String,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) subnet: Subnet,
    /// Nothing is asked elsewhere for its containers.
    pub(crate) internal: bool,
}

/// The names of every user network that has a bridge.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    zones: Mutex<HashMap<String, Zone>>,
    services: Mutex<Arc<Names>>,
    changed: Notify,
}

impl Directory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Zone>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Services as they are to be found from now on.
    pub(crate) fn set_services(&self, services: Arc<Services>) {
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Names::new(services));
    }

    /// The zone of services, if the network's containers have it.
    pub(crate) fn services(&self, network: &str, name: &str) -> Option<Arc<Names>> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services
            .is_for(network, name)
            .then(|| Arc::clone(&services))
    }

    /// Whether an address is of a network whose containers have services.
    pub(crate) fn serves(&self, names: &Names, address: Ipv4Addr) -> bool {
        let zones = self.lock();
        let is_of = |(id, zone): (&String, &Zone)| {
            zone.place.subnet.contains(address) && names.is_for(id, &zone.place.name)
        };
        zones.iter().any(is_of)
    }

    pub(crate) fn add_zone(&self, network: &Network) {
        self.lock()
            .entry(network.id.clone())
            .or_insert_with(|| Zone {
                place: Place {
                    name: network.name.to_ascii_lowercase(),
                    gateway: network.gateway,
                    subnet: network.subnet,
                    internal: network.internal,
                },
                names: HashMap::new(),
                addresses: HashMap::new(),
                upstreams: HashMap::new(),
            });
        self.changed.notify_one();
    }

    pub(crate) fn remove_zone(&self, network: &str) {
        self.lock().remove(network);
        self.changed.notify_one();
    }

    pub(crate) fn add(&self, attachment: &Attachment) {
        if let Some(zone) = self.lock().get_mut(&attachment.network_id) {
            zone.add(attachment);
        }
    }

    pub(crate) fn remove(&self, attachment: &Attachment) {
        if let Some(zone) = self.lock().get_mut(&attachment.network_id) {
            zone.remove(attachment);
        }
    }

    /// Nobody finds a name missing that both have.
    pub(crate) fn replace(&self, old: &Attachment, new: &Attachment) {
        if let Some(zone) = self.lock().get_mut(&new.network_id) {
            zone.remove(old);
            zone.add(new);
        }
    }

    /// The addresses of a name, the first one another at each call; `None` when it is unknown.
    pub(crate) fn addresses(&self, network: &str, name: &str) -> Option<Vec<Ipv4Addr>> {
        let mut zones = self.lock();
        let addresses = zones.get_mut(network)?.names.get_mut(name)?;
        let answer = addresses.clone();
        addresses.rotate_left(1);
        Some(answer)
    }

    /// The first name of an address of the network.
    pub(crate) fn name(&self, network: &str, address: Ipv4Addr) -> Option<String> {
        self.lock().get(network)?.addresses.get(&address).cloned()
    }

    /// The resolvers the container at `address` asks instead of the machine's.
    pub(crate) fn upstreams(&self, network: &str, address: Ipv4Addr) -> Vec<IpAddr> {
        let zones = self.lock();
        let zone = zones.get(network);
        zone.and_then(|zone| zone.upstreams.get(&address).cloned())
            .unwrap_or_default()
    }

    /// The networks that have a bridge, by id.
    pub(crate) fn places(&self) -> HashMap<String, Place> {
        let zones = self.lock();
        let places = zones
            .iter()
            .map(|(id, zone)| (id.clone(), zone.place.clone()));
        places.collect()
    }

    /// Returns when networks came or went since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
