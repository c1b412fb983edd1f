//! Leading a container's published ports to another of its networks when it leaves theirs.
//!
//! They are on the network its default route leads to, for answers go that way; a container that
//! is only on internal networks has none. Never: choosing ports; those it has, it keeps.

use std::collections::HashSet;

use rustix::io::Errno;

use crate::conntrack::Flow;
use crate::host::Host;
use crate::inside::rank;
use crate::netlink::{Batch, KernelError};
use crate::nft::{Element, Op};
use crate::record::{EndpointRecord, RecordError};
use crate::rtnetlink;
use crate::ruleset;
use crate::state::{Endpoint, EndpointKey, State};

/// Ports cannot be led elsewhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandOverError {
    #[error("cannot lead its published ports to another of its networks")]
    Ports(#[source] KernelError),
    #[error(transparent)]
    Record(RecordError),
}

impl Host {
    /// Leads the ports of an endpoint that is about to go to the container's next network, if there
    /// is one with an outside.
    ///
    /// A crash on the way leaves both records with the ports: [`published_once`] goes back.
    pub(crate) fn hand_over(
        &self,
        state: &mut State,
        from: &EndpointKey,
    ) -> Result<(), HandOverError> {
        let leaving = &state.endpoints[from];
        let Some(to) = heir(state, from).filter(|_| !leaving.attachment.ports.is_empty()) else {
            return Ok(());
        };
        let address = leaving.attachment.address;
        let old = leaving.port_rules();
        state.move_ports(from, &to);
        let done = self.lead_to(state, &to, old.iter().map(ruleset::port_element));
        match done {
            Ok(()) => self.sweeper().flows([Flow::To(address)]),
            Err(_) => state.move_ports(&to, from),
        }
        done
    }

    fn lead_to(
        &self,
        state: &State,
        to: &EndpointKey,
        old: impl Iterator<Item = Element>,
    ) -> Result<(), HandOverError> {
        let heir = &state.endpoints[to];
        self.store()
            .save_endpoint(&EndpointRecord::new(heir))
            .map_err(HandOverError::Record)?;
        let mut batch = Batch::new();
        rtnetlink::set_hairpin(&mut batch, &heir.link);
        match self.route().run(batch) {
            // Whoever is root in the container can delete the interface.
            Err(error) if error.is(Errno::NODEV) => {}
            other => other.map_err(HandOverError::Ports)?,
        }
        let new = heir.port_rules();
        let new = new.iter().map(ruleset::port_element).map(Op::AddElement);
        let ops: Vec<Op> = old.map(Op::DeleteElement).chain(new).collect();
        self.change_rules(state, &ops).map_err(HandOverError::Ports)
    }
}

/// Where the container's default route leads once `from` is gone.
fn heir(state: &State, from: &EndpointKey) -> Option<EndpointKey> {
    let fits = |(key, endpoint): &(&EndpointKey, &Endpoint)| {
        key.0 == from.0 && key.1 != from.1 && endpoint.attachment.gateway.is_some()
    };
    let all = state.endpoints.iter().filter(fits);
    all.min_by_key(|(_, endpoint)| rank(&endpoint.attachment.interface))
        .map(|(key, _)| key.clone())
}

/// Leaves the ports of each container to the first of its networks that has them: the second got
/// them in a hand-over that never ended.
pub(crate) fn published_once(endpoints: &mut [EndpointRecord]) {
    endpoints.sort_by_key(|endpoint| rank(&endpoint.interface));
    let mut publishing = HashSet::new();
    for endpoint in endpoints {
        if !endpoint.ports.is_empty() && !publishing.insert(endpoint.container.clone()) {
            endpoint.ports.clear();
        }
    }
}
