//! Taking containers off networks: by id alone, whatever of the attachment exists.
//!
//! Never: waiting for interfaces to be deleted, but where the container goes on without one.

use std::collections::HashSet;

use crate::conntrack::Flow;
use crate::handover::HandOverError;
use crate::host::Host;
use crate::netlink::KernelError;
use crate::nft::Op;
use crate::record::RecordError;
use crate::ruleset;
use crate::state::{EndpointKey, State};

/// Some of what was to be released is not; trying again is safe.
#[derive(Debug, thiserror::Error)]
#[error("cannot release the network of container {container}")]
pub struct DetachError {
    /// The container.
    container: String,
    /// The first reason.
    #[source]
    source: ReleaseError,
    /// Further failures, of this and other containers.
    others: Vec<DetachError>,
}

impl DetachError {
    /// Further failures beside the first.
    pub fn others(&self) -> &[DetachError] {
        &self.others
    }

    fn collect(errors: Vec<DetachError>) -> Result<(), DetachError> {
        let mut errors = errors.into_iter();
        match errors.next() {
            None => Ok(()),
            Some(first) => Err(DetachError {
                others: errors.collect(),
                ..first
            }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ReleaseError {
    #[error("cannot unpublish its ports")]
    Ports(#[source] KernelError),
    #[error(transparent)]
    HandOver(HandOverError),
    #[error(transparent)]
    Record(RecordError),
}

impl Host {
    /// Takes a container off a network, or off all; one that is on none is fine. Its published
    /// ports go with its default route to the next of its networks, if there is one.
    ///
    /// # Errors
    /// When something could not be released; the rest is, and calling again tries again.
    pub fn detach(&self, container: &str, network: Option<&str>) -> Result<(), DetachError> {
        let mut state = self.state();
        let id = match network {
            None => None,
            Some(name) => match state.resolve(name) {
                Some(id) => Some(id.to_owned()),
                None => return Ok(()),
            },
        };
        let keys = keys(&state, |key| {
            key.0 == container && id.as_ref().is_none_or(|id| key.1 == *id)
        });
        let released = self.release_all(&mut state, keys, id.is_some());
        drop(state);
        if id.is_some() {
            self.sweeper().flush();
        }
        released
    }

    /// Takes every container that is not in `containers` off its networks: for the start of the
    /// daemon, when it knows which ones live.
    ///
    /// # Errors
    /// As [`Self::detach`].
    pub fn retain(&self, containers: &HashSet<String>) -> Result<(), DetachError> {
        let mut state = self.state();
        let keys = keys(&state, |key| !containers.contains(&key.0));
        self.release_all(&mut state, keys, false)
    }

    /// `hand_over`: what stays of the container gets its ports.
    fn release_all(
        &self,
        state: &mut State,
        keys: Vec<EndpointKey>,
        hand_over: bool,
    ) -> Result<(), DetachError> {
        let mut errors = Vec::new();
        for key in keys {
            let handed = match hand_over {
                true => self.hand_over(state, &key).map_err(ReleaseError::HandOver),
                false => Ok(()),
            };
            if let Err(source) = handed.and_then(|()| self.release(state, &key)) {
                errors.push(DetachError {
                    container: key.0,
                    source,
                    others: Vec::new(),
                });
            }
        }
        DetachError::collect(errors)
    }

    /// The record goes last: as long as it is there, releasing can be tried again.
    fn release(&self, state: &mut State, key: &EndpointKey) -> Result<(), ReleaseError> {
        let endpoint = &state.endpoints[key];
        let ops: Vec<Op> = endpoint
            .port_rules()
            .iter()
            .map(|rule| Op::DeleteElement(ruleset::port_element(rule)))
            .collect();
        self.directory().remove(&endpoint.attachment);
        self.sweeper().links([endpoint.link.clone()]);
        if !ops.is_empty() {
            self.sweeper()
                .flows([Flow::To(endpoint.attachment.address)]);
        }
        if let Err(error) = self.change_rules_exactly(&ops) {
            // One of them is not there: what is has to be found out.
            let endpoint = state.remove(key).expect("just looked up");
            if let Err(again) = self.reconcile(state) {
                state.insert(endpoint);
                tracing::debug!(error = &error as &dyn std::error::Error, "unpublishing");
                return Err(ReleaseError::Ports(again));
            }
            state.insert(endpoint);
        }
        self.store()
            .remove_endpoint(&key.0, &key.1)
            .map_err(ReleaseError::Record)?;
        state.remove(key);
        Ok(())
    }
}

fn keys(state: &State, which: impl Fn(&EndpointKey) -> bool) -> Vec<EndpointKey> {
    let mut keys: Vec<_> = state
        .endpoints
        .keys()
        .filter(|key| which(key))
        .cloned()
        .collect();
    keys.sort();
    keys
}
