//! Networks as the faces see them: made, shown, removed, pruned.

use std::collections::BTreeMap;

use weft_network::{DEFAULT_NETWORK, Network, NetworkSpec};

use crate::container::record::AttachmentRecord;
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::spec::NetworkMode;

/// A network and the containers on it.
#[derive(Debug, Clone)]
pub struct NetworkView {
    /// The network.
    pub network: Network,
    /// Running containers on it: id, name, attachment.
    pub containers: Vec<(String, String, AttachmentRecord)>,
}

impl Engine {
    /// Every network, the default one first.
    pub fn networks(&self) -> Vec<NetworkView> {
        self.inner
            .network
            .networks()
            .into_iter()
            .map(|n| self.network_view(n))
            .collect()
    }

    /// One network, by name or id.
    ///
    /// # Errors
    /// No such network.
    pub fn inspect_network(&self, reference: &str) -> Result<NetworkView> {
        Ok(self.network_view(self.network(reference)?))
    }

    fn network_view(&self, network: Network) -> NetworkView {
        let mut containers = Vec::new();
        for container in self.inner.containers.all() {
            container.with(|r| {
                let here = r.attachments.iter().filter(|a| a.network_id == network.id);
                containers.extend(here.map(|a| (r.id.clone(), r.name.clone(), a.clone())));
            });
        }
        NetworkView {
            network,
            containers,
        }
    }

    /// The network `reference` names; empty and Docker's words for it mean the default one.
    pub(crate) fn network(&self, reference: &str) -> Result<Network> {
        let name = if matches!(reference, "" | "default" | "bridge") {
            DEFAULT_NETWORK
        } else {
            reference
        };
        self.inner.network.find(name).ok_or_else(|| {
            EngineError::new(
                ErrorCode::NotFound,
                format!("network {reference} not found"),
            )
        })
    }

    /// Makes a network; answers its id.
    ///
    /// # Errors
    /// The name is taken or none, the subnet overlaps, none is left.
    pub async fn create_network(&self, spec: NetworkSpec) -> Result<String> {
        let name = spec.name.clone();
        let network = self
            .blocking(move |engine| engine.inner.network.create(spec))
            .await
            .map_err(|e| {
                EngineError::caused(super::code(e.kind()), format!("create network {name}"), e)
            })?;
        self.network_event("create", &network.id, &network.name, []);
        Ok(network.id)
    }

    /// Removes a network.
    ///
    /// # Errors
    /// No such network, or a container is on it.
    pub async fn remove_network(&self, reference: &str) -> Result<()> {
        let network = self.network(reference)?;
        let on_it = self.network_view(network.clone()).containers;
        if !on_it.is_empty() {
            let names: Vec<String> = on_it.into_iter().map(|(_, name, _)| name).collect();
            return Err(EngineError::conflict(format!(
                "network {reference} has active endpoints: {}; stop or disconnect them first",
                names.join(", ")
            )));
        }
        let id = network.id.clone();
        self.blocking(move |engine| engine.inner.network.remove(&id))
            .await
            .map_err(|e| {
                EngineError::caused(
                    super::code(e.kind()),
                    format!("remove network {reference}"),
                    e,
                )
            })?;
        self.network_event("destroy", &network.id, &network.name, []);
        Ok(())
    }

    /// Removes networks no container is on or will be on at its next start.
    ///
    /// # Errors
    /// The first that can't be removed.
    pub async fn prune_networks(&self, filter: &crate::PruneFilter) -> Result<Vec<String>> {
        self.check_all_readable("networks")?;
        let mut wanted = Vec::new();
        for container in self.inner.containers.all() {
            container.with(|r| {
                if let NetworkMode::Networks(list) = &r.spec.network {
                    wanted.extend(list.iter().map(|n| n.network.clone()));
                }
            });
        }
        let mut removed = Vec::new();
        for view in self.networks() {
            let network = view.network;
            let used = !view.containers.is_empty()
                || wanted.contains(&network.name)
                || wanted.contains(&network.id);
            let old = filter.until_ns.is_none_or(|u| network.created_ns < u);
            if !network.is_default && !used && old && filter.allows(&network.labels) {
                self.remove_network(&network.id).await?;
                removed.push(network.name);
            }
        }
        self.tell_pruned("network", 0);
        Ok(removed)
    }

    /// Tells that a container is on these networks (`connect`), or not any more (`disconnect`).
    pub(crate) fn tell_attached(&self, action: &str, container: &str, places: &[AttachmentRecord]) {
        for place in places {
            let more = [("container", container)];
            self.network_event(action, &place.network_id, &place.network, more);
        }
    }

    pub(super) fn network_event<const N: usize>(
        &self,
        action: &str,
        id: &str,
        name: &str,
        more: [(&str, &str); N],
    ) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), name.to_owned()),
            ("type".to_owned(), "bridge".to_owned()),
        ]);
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value.to_owned())));
        self.inner.events.emit("network", action, id, attributes);
    }
}
