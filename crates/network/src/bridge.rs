//! A network's bridge: made when the first container comes, with the rules before it.
//!
//! Never: bridges that are not a network's.

use crate::host::Host;
use crate::inside::{no_ipv6, set};
use crate::netlink::{Batch, KernelError};
use crate::network::{NetworkError, gateway_of, occupant};
use crate::nft::Op;
use crate::record::NetworkRecord;
use crate::rtnetlink;
use crate::ruleset;
use crate::state::State;
use crate::subnet::Mac;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

impl Host {
    /// Makes sure that the network's bridge exists, is up, and is guarded.
    pub(crate) fn ensure_bridge(&self, state: &mut State, id: &str) -> Result<(), NetworkError> {
        let net = &state.networks[id];
        if net.bridge.is_some() {
            return Ok(());
        }
        let name = net.network.name.clone();
        let kernel = |source| NetworkError::Kernel {
            network: name.clone(),
            source,
        };
        let bridge = net.network.bridge.clone();
        let found = rtnetlink::find_link(&mut self.route(), &bridge).map_err(kernel)?;
        let index = match found {
            Some(link) if link.kind.as_deref() == Some("bridge") => link.index,
            Some(_) => {
                let what = format!("use interface {bridge}, which is not a bridge");
                return Err(kernel(KernelError::new(what, rustix::io::Errno::EXIST)));
            }
            None => {
                self.avoid_occupied(state, id)?;
                self.make_bridge(state, id).map_err(kernel)?
            }
        };
        let net = state.networks.get_mut(id).expect("looked up above");
        net.bridge = Some(index);
        if !net.network.is_default {
            self.directory().add_zone(&net.network);
        }
        Ok(())
    }

    /// Since the network was defined, its addresses may have come into use on this machine. The
    /// default network then moves, when nobody is on it; another one is refused.
    fn avoid_occupied(&self, state: &mut State, id: &str) -> Result<(), NetworkError> {
        let occupied = self.occupied(state, Some(id))?;
        let net = state.networks.get_mut(id).expect("looked up by the caller");
        let Some(other) = occupant(net.network.subnet, &occupied) else {
            return Ok(());
        };
        if !(net.network.is_default && net.is_unused()) {
            return Err(NetworkError::Overlap {
                subnet: net.network.subnet,
                other: other.by.clone(),
            });
        }
        let subnet = self.choose_default_subnet(&occupied)?;
        net.move_to(subnet, gateway_of(subnet, None)?);
        self.store()
            .save_network(&NetworkRecord::from(&net.network))
            .map_err(|source| NetworkError::Record {
                network: net.network.name.clone(),
                source,
            })
    }

    /// Rules first, then the bridge, then what opens it: there is no moment without a guard.
    fn make_bridge(&self, state: &State, id: &str) -> Result<u32, KernelError> {
        let net = &state.networks[id];
        let network = &net.network;
        let ops: Vec<Op> = ruleset::network_elements(&net.rules())
            .into_iter()
            .map(Op::AddElement)
            .collect();
        if self.change_rules_exactly(&ops).is_err() {
            self.reconcile_with(state, Some(net.rules()))?;
        }
        let mut batch = Batch::new();
        rtnetlink::new_bridge(&mut batch, &network.bridge, Mac::random(), network.mtu);
        let mut route = self.route();
        route.run(batch)?;
        let link = rtnetlink::find_link(&mut route, &network.bridge)?.ok_or_else(|| {
            let what = format!("find bridge {}", network.bridge);
            KernelError::new(what, rustix::io::Errno::NODEV)
        })?;
        no_ipv6(&network.bridge)?;
        // See docs/design/0002-loopback-publishing.md.
        set(&format!("ipv4/conf/{}/route_localnet", network.bridge), "1")?;
        let mut batch = Batch::new();
        rtnetlink::new_address(&mut batch, link.index, network.gateway, network.subnet);
        rtnetlink::set_up(&mut batch, link.index);
        route.run(batch)?;
        drop(route);
        if !network.internal {
            self.forward()?;
        }
        Ok(link.index)
    }

    /// Lets the machine route for its containers, and remembers that weft did it.
    fn forward(&self) -> Result<(), KernelError> {
        let is_on = std::fs::read(FORWARDING).is_ok_and(|text| text.starts_with(b"1"));
        if is_on {
            return Ok(());
        }
        set("ipv4/ip_forward", "1")?;
        self.warn(
            "IPv4 forwarding was off (net.ipv4.ip_forward=0); weft turned it on for its networks"
                .to_owned(),
        );
        Ok(())
    }
}
