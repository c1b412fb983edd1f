//! Defining networks and removing them: names, subnets, records.
//!
//! Never: bridges being made; the first container's coming does that.

use std::collections::BTreeMap;

use crate::Attachment;
use crate::host::{Host, short_hash};
use crate::netlink::KernelError;
use crate::network::{
    DEFAULT_NETWORK, Network, NetworkError, NetworkSpec, Occupied, check_name, first_free,
    gateway_of, mtu_of, occupant,
};
use crate::record::NetworkRecord;
use crate::rtnetlink;
use crate::services::Serving;
use crate::state::{Net, State};
use crate::subnet::Subnet;

impl Host {
    /// Every network, the default one first, then by name.
    pub fn networks(&self) -> Vec<Network> {
        let state = self.state();
        let mut networks: Vec<Network> = state
            .networks
            .keys()
            .filter_map(|id| state.network(id))
            .collect();
        networks.sort_by(|a, b| (!a.is_default, &a.name).cmp(&(!b.is_default, &b.name)));
        networks
    }

    /// The network of this name, id, or unique beginning of an id.
    pub fn find(&self, name_or_id: &str) -> Option<Network> {
        let state = self.state();
        state.network(state.resolve(name_or_id)?)
    }

    /// Defines a network. Its bridge is made when the first container comes.
    ///
    /// # Errors
    /// When the name or the subnet is taken, or something is not supported.
    pub fn create(&self, spec: NetworkSpec) -> Result<Network, NetworkError> {
        check_name(&spec.name)?;
        let mtu = mtu_of(&spec.options, self.config().mtu)?;
        let mut state = self.state();
        if state
            .networks
            .values()
            .any(|net| net.network.name == spec.name)
        {
            return Err(NetworkError::Exists(spec.name));
        }
        let occupied = self.occupied(&state, None)?;
        let subnet = match spec.subnet {
            Some(subnet) => match occupant(subnet, &occupied) {
                Some(other) => {
                    return Err(NetworkError::Overlap {
                        subnet,
                        other: other.by.clone(),
                    });
                }
                None => subnet,
            },
            None => self.choose_subnet(false, &occupied)?,
        };
        let id = weft_stdx::id::random_hex(32);
        let network = Network {
            bridge: format!("wf-{}", &id[..8]),
            id,
            name: spec.name,
            subnet,
            gateway: gateway_of(subnet, spec.gateway)?,
            mtu,
            internal: spec.internal,
            is_default: false,
            is_movable: spec.subnet.is_none() && spec.gateway.is_none(),
            labels: spec.labels,
            options: spec.options,
            created_ns: weft_stdx::clock::unix_ns(),
            endpoints: Vec::new(),
        };
        self.keep(&mut state, network.clone())?;
        self.serve_again(&mut state)
            .map_err(|source| NetworkError::Kernel {
                network: network.name.clone(),
                source,
            })?;
        Ok(network)
    }

    /// Removes a network nobody is on.
    ///
    /// # Errors
    /// When there is none, it is in use, or it is the default one.
    pub fn remove(&self, name_or_id: &str) -> Result<Network, NetworkError> {
        let mut state = self.state();
        let id = state
            .resolve(name_or_id)
            .ok_or_else(|| NetworkError::NotFound(name_or_id.to_owned()))?
            .to_owned();
        let network = state.network(&id).expect("resolved under the same lock");
        if network.is_default {
            return Err(NetworkError::IsDefault(network.name));
        }
        if !network.endpoints.is_empty() {
            let short = |a: &Attachment| a.container.get(..12).unwrap_or(&a.container).to_owned();
            let containers: Vec<String> = network.endpoints.iter().map(short).collect();
            return Err(NetworkError::InUse {
                network: network.name,
                containers: containers.join(", "),
            });
        }
        let kernel = |source| NetworkError::Kernel {
            network: network.name.clone(),
            source,
        };
        self.directory().remove_zone(&id);
        self.delete_bridge(&network.bridge).map_err(kernel)?;
        if let Some(net) = state.networks.get_mut(&id) {
            net.bridge = None;
        }
        self.reconcile(&state).map_err(kernel)?;
        self.store()
            .remove_network(&id)
            .map_err(|source| NetworkError::Record {
                network: network.name.clone(),
                source,
            })?;
        state.networks.remove(&id);
        Ok(network)
    }

    /// Takes every bridge and the nftables tables away, as long as no container is on any network;
    /// says whether it did. The records stay: the next attach makes it all again.
    ///
    /// # Errors
    /// The kernel refused; what is left goes the next time.
    pub fn dismantle(&self) -> Result<bool, KernelError> {
        self.sweep();
        let mut state = self.state();
        if !state.endpoints.is_empty() {
            return Ok(false);
        }
        let mut failed = None;
        for net in state.networks.values_mut() {
            match self.delete_bridge(&net.network.bridge) {
                Ok(()) => net.bridge = None,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.rules().delete()?;
        state.services = Serving::default();
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(true)
    }

    /// Whose addresses a new network must not have: other networks', and this machine's routes.
    pub(crate) fn occupied(
        &self,
        state: &State,
        except: Option<&str>,
    ) -> Result<Vec<Occupied>, NetworkError> {
        let mut occupied: Vec<Occupied> = state
            .networks
            .values()
            .map(|net| &net.network)
            .filter(|network| Some(network.id.as_str()) != except)
            .map(|network| Occupied {
                subnet: network.subnet,
                by: format!("network {} ({})", network.name, network.subnet),
            })
            .collect();
        let mut route = self.route();
        let list = rtnetlink::links(&mut route)
            .and_then(|links| Ok((links, rtnetlink::routes(&mut route)?)));
        let (links, routes) = list.map_err(|source| NetworkError::Kernel {
            network: DEFAULT_NETWORK.to_owned(),
            source,
        })?;
        for route in routes {
            let link = links.iter().find(|link| link.index == route.index);
            let name = link.map_or("another", |link| link.name.as_str());
            // Our own bridges stand for their networks, which are listed above.
            let ours = state
                .networks
                .values()
                .any(|net| net.network.bridge == name);
            if !ours {
                occupied.push(Occupied {
                    subnet: route.destination,
                    by: format!("route {} of interface {name}", route.destination),
                });
            }
        }
        Ok(occupied)
    }

    /// A subnet nobody has, for the default network or another.
    pub(crate) fn choose_subnet(
        &self,
        is_default: bool,
        occupied: &[Occupied],
    ) -> Result<Subnet, NetworkError> {
        if is_default {
            let candidates = &self.config().default_subnets;
            return first_free(candidates.iter().copied(), occupied)
                .ok_or_else(|| NetworkError::NoSubnetLeft(list(candidates)));
        }
        let pools = &self.config().pools;
        let prefix = self.config().pool_prefix;
        first_free(pools.iter().flat_map(|pool| pool.parts(prefix)), occupied)
            .ok_or_else(|| NetworkError::NoSubnetLeft(list(pools)))
    }

    pub(crate) fn define_default(&self, state: &mut State) -> Result<(), NetworkError> {
        if state.networks.values().any(|net| net.network.is_default) {
            return Ok(());
        }
        let occupied = self.occupied(state, None)?;
        let subnet = self.choose_subnet(true, &occupied)?;
        let network = Network {
            id: weft_stdx::id::random_hex(32),
            name: DEFAULT_NETWORK.to_owned(),
            subnet,
            gateway: gateway_of(subnet, None)?,
            bridge: default_bridge(&self.config().instance),
            mtu: self.config().mtu,
            internal: false,
            is_default: true,
            is_movable: true,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            created_ns: weft_stdx::clock::unix_ns(),
            endpoints: Vec::new(),
        };
        self.keep(state, network)
    }

    fn keep(&self, state: &mut State, network: Network) -> Result<(), NetworkError> {
        self.store()
            .save_network(&NetworkRecord::from(&network))
            .map_err(|source| NetworkError::Record {
                network: network.name.clone(),
                source,
            })?;
        state.networks.insert(network.id.clone(), Net::new(network));
        Ok(())
    }
}

fn list(subnets: &[Subnet]) -> String {
    let texts: Vec<String> = subnets.iter().map(Subnet::to_string).collect();
    texts.join(", ")
}

/// `weft0` for the instance everybody has; another has its own digits or a hash in the name.
fn default_bridge(instance: &str) -> String {
    if instance == "weft" {
        return "weft0".to_owned();
    }
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match instance.strip_prefix("weft-") {
        Some(digits) if digits.len() == 6 && digits.chars().all(hex) => format!("wf{digits}"),
        _ => format!("wf{}", short_hash(instance)),
    }
}
