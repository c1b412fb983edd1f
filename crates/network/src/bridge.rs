//! A network's bridge: made when the first container comes, with the rules before it.
//!
//! Never: bridges that are not a network's.

use rustix::io::Errno;

use crate::frames;
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

/// How often a bridge is made while other engines make theirs with the same addresses.
const MOST_TRIES: usize = 16;
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
            Some(link) if link.is_bridge() => self.make_bridge(state, id).map_err(kernel)?,
            Some(_) => {
                let what = format!("use interface {bridge}, which is not a bridge");
                return Err(kernel(KernelError::new(what, Errno::EXIST)));
            }
            None => self.make_where_free(state, id)?,
        };
        let net = state.networks.get_mut(id).expect("looked up above");
        net.bridge = Some(index);
        if !net.network.is_default {
            self.directory().add_zone(&net.network);
        }
        // It may have moved.
        self.serve_again(state).map_err(kernel)
    }

    /// Makes a bridge that does not exist, with addresses nobody has. Another engine of this
    /// machine may make one between the look and the making; so there is a look afterwards, and
    /// whoever finds the other gives way.
    fn make_where_free(&self, state: &mut State, id: &str) -> Result<u32, NetworkError> {
        let name = state.networks[id].network.name.clone();
        let kernel = |source| NetworkError::Kernel {
            network: name.clone(),
            source,
        };
        let mut tries = 0;
        loop {
            self.avoid_occupied(state, id)?;
            let index = self.make_bridge(state, id).map_err(kernel)?;
            let net = &state.networks[id];
            let (subnet, bridge) = (net.network.subnet, net.network.bridge.clone());
            // Who is on it already cannot give way.
            if !net.is_unused() {
                return Ok(index);
            }
            let occupied = self.occupied(state, Some(id))?;
            let Some(other) = occupant(subnet, &occupied) else {
                return Ok(index);
            };
            self.delete_bridge(&bridge).map_err(kernel)?;
            self.reconcile(state).map_err(kernel)?;
            tries += 1;
            if tries == MOST_TRIES {
                let other = other.by.clone();
                return Err(NetworkError::Overlap { subnet, other });
            }
        }
    }

    /// Since the network was defined, its addresses may have come into use on this machine. It then
    /// moves, when nobody is on it or asked for them; otherwise it is refused.
    fn avoid_occupied(&self, state: &mut State, id: &str) -> Result<(), NetworkError> {
        let occupied = self.occupied(state, Some(id))?;
        let net = state.networks.get_mut(id).expect("looked up by the caller");
        let Some(other) = occupant(net.network.subnet, &occupied) else {
            return Ok(());
        };
        if !(net.network.is_movable && net.is_unused()) {
            return Err(NetworkError::Overlap {
                subnet: net.network.subnet,
                other: other.by.clone(),
            });
        }
        let subnet = self.choose_subnet(net.network.is_default, &occupied)?;
        net.move_to(subnet, gateway_of(subnet, None)?);
        self.store()
            .save_network(&NetworkRecord::from(&net.network))
            .map_err(|source| NetworkError::Record {
                network: net.network.name.clone(),
                source,
            })
    }

    /// Rules first, then the bridge, then what opens it: there is no moment without a guard.
    /// What is there already stays as it is.
    fn make_bridge(&self, state: &State, id: &str) -> Result<u32, KernelError> {
        let net = &state.networks[id];
        let network = &net.network;
        let rules = net.rules(&state.services);
        let ops: Vec<Op> = ruleset::network_elements(&rules)
            .into_iter()
            .map(Op::AddElement)
            .collect();
        let lifted = frames::lifted(&rules);
        let done = self
            .change_rules_exactly(&ops)
            .and_then(|()| self.rules().add_frames(lifted));
        if done.is_err() {
            self.reconcile_with(state, Some(rules))?;
        }
        let mut batch = Batch::new();
        rtnetlink::new_bridge(&mut batch, &network.bridge, Mac::of(id), network.mtu);
        // In one call with the bridge: there is no moment in which it is nobody's.
        rtnetlink::set_alias(&mut batch, &network.bridge, &self.alias(id));
        match self.route().run(batch) {
            Err(error) if !error.is(Errno::EXIST) => return Err(error),
            _ => {}
        }
        self.equip_bridge(state, id)
    }

    /// Gives a bridge its settings, its address and its ports, as far as they are missing, and
    /// answers with its number.
    pub(crate) fn equip_bridge(&self, state: &State, id: &str) -> Result<u32, KernelError> {
        let network = &state.networks[id].network;
        let mut route = self.route();
        let link = rtnetlink::find_link(&mut route, &network.bridge)?.ok_or_else(|| {
            let what = format!("find bridge {}", network.bridge);
            KernelError::new(what, Errno::NODEV)
        })?;
        no_ipv6(&network.bridge)?;
        // See docs/design/0002-loopback-publishing.md.
        set(&format!("ipv4/conf/{}/route_localnet", network.bridge), "1")?;
        let mut batch = Batch::new();
        rtnetlink::set_alias(&mut batch, &network.bridge, &self.alias(id));
        rtnetlink::new_address(&mut batch, link.index, network.gateway, network.subnet);
        rtnetlink::set_up(&mut batch, link.index);
        for (port, is_published) in state.links_on(id) {
            rtnetlink::set_bridge(&mut batch, &port, link.index);
            if is_published {
                rtnetlink::set_hairpin(&mut batch, &port);
            }
        }
        // The address is there already, or a port is on its way out.
        let harmless = |error: &KernelError| error.is(Errno::EXIST) || error.is(Errno::NODEV);
        let mut errors = route.run_all(batch)?.into_iter().map(|(_, error)| error);
        if let Some(error) = errors.find(|error| !harmless(error)) {
            return Err(error);
        }
        drop(route);
        if !network.internal {
            self.forward()?;
        }
        Ok(link.index)
    }

    /// By what a network's bridge is known as this instance's.
    fn alias(&self, id: &str) -> String {
        format!("weft:{}:{id}", self.config().instance)
    }

    /// Deletes bridges of this instance that no record claims.
    pub(crate) fn delete_orphans(
        &self,
        state: &State,
        links: &[rtnetlink::Link],
    ) -> Result<(), KernelError> {
        let ours = self.alias("");
        let claimed = |name: &str| state.networks.values().any(|n| n.network.bridge == name);
        let orphans = links.iter().filter(|link| {
            let alias = link.alias.as_deref().unwrap_or_default();
            link.is_bridge() && alias.starts_with(&ours) && !claimed(&link.name)
        });
        for orphan in orphans {
            tracing::warn!(
                bridge = orphan.name,
                "a bridge without a network is removed"
            );
            self.delete_bridge(&orphan.name)?;
        }
        Ok(())
    }

    /// Deletes a bridge, if there is one of this name.
    pub(crate) fn delete_bridge(&self, name: &str) -> Result<(), KernelError> {
        let mut route = self.route();
        match rtnetlink::find_link(&mut route, name)? {
            Some(link) if link.is_bridge() => {
                let mut batch = Batch::new();
                rtnetlink::delete_link(&mut batch, name);
                match route.run(batch) {
                    // Somebody was faster.
                    Err(error) if error.is(Errno::NODEV) => Ok(()),
                    other => other,
                }
            }
            _ => Ok(()),
        }
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
