//! Putting back what somebody else took away: rules, bridges, a bridge's ports.
//!
//! Never: what a container did within its own namespace.

use crate::host::Host;
use crate::netlink::KernelError;
use crate::network::NetworkError;
use crate::rtnetlink;
use crate::state::State;
use crate::watch::Heard;

impl Host {
    /// Looks after what was heard of, and puts back what is missing.
    pub(crate) fn repair(&self, heard: &Heard) -> Result<(), NetworkError> {
        let mut state = self.state();
        if heard.rules {
            let changed = self.reconcile(&state).map_err(|source| {
                let network = "rules".to_owned();
                NetworkError::Kernel { network, source }
            })?;
            if changed {
                let by = heard.by.as_deref().unwrap_or("somebody");
                self.warn(format!(
                    "{by} changed weft's nftables rules; they were put back"
                ));
            }
        }
        if heard.bridges {
            self.repair_bridges(&mut state)?;
        }
        Ok(())
    }

    /// Makes bridges again that have ports, and brings up those that are down.
    fn repair_bridges(&self, state: &mut State) -> Result<(), NetworkError> {
        let known: Vec<String> = state
            .networks
            .iter()
            .filter(|(id, net)| net.bridge.is_some() || !state.links_on(id).is_empty())
            .map(|(id, _)| id.clone())
            .collect();
        for id in known {
            let net = state.networks.get_mut(&id).expect("just listed");
            let (name, bridge) = (net.network.name.clone(), net.network.bridge.clone());
            let kernel = |source| NetworkError::Kernel {
                network: name.clone(),
                source,
            };
            let found = rtnetlink::find_link(&mut self.route(), &bridge).map_err(kernel)?;
            if found
                .as_ref()
                .is_some_and(|l| Some(l.index) == net.bridge && l.is_up)
            {
                continue;
            }
            net.bridge = None;
            // One that nobody is on is made when somebody comes.
            if found.is_some() || !state.links_on(&id).is_empty() {
                self.ensure_bridge(state, &id)?;
                self.warn(format!(
                    "somebody took bridge {bridge} down; it was put back"
                ));
            }
        }
        Ok(())
    }

    /// Completes bridges whose making a crash cut short.
    pub(crate) fn equip_bridges(&self, state: &State) -> Result<(), KernelError> {
        for (id, net) in &state.networks {
            if net.bridge.is_some() {
                self.equip_bridge(state, id)?;
            }
        }
        Ok(())
    }
}
