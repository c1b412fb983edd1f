//! What there is: nodes with their load, bodies, namespaces, images. Each change gives the node a
//! new version and is noted in `changes`.
//! Never knows of rankings, which follow it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bodies::Bodies;
use crate::body::Namespaces;
use crate::changes::Changes;
use crate::names::{Name, Names};
use crate::node::{Node, Site};
use crate::spot::{self, Load, Spot};
use crate::topology::Topologies;

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) names: Names,
    pub(crate) spots: Vec<Spot>,
    pub(crate) bodies: Bodies,
    pub(crate) namespaces: Namespaces,
    /// How many nodes have an image.
    pub(crate) images: HashMap<Name, u64>,
    /// How many nodes there are.
    pub(crate) nodes: usize,
    pub(crate) changes: Changes,
    pub(crate) topologies: Topologies,
    by_name: HashMap<Name, u32>,
    free: Vec<u32>,
    version: u64,
}

impl State {
    /// A node as it is now; None: it is gone.
    pub(crate) fn set_site(&mut self, name: &str, node: Option<Node>) {
        let name = self.names.of(name);
        if node.is_none() && !self.by_name.contains_key(&name) {
            return;
        }
        // A new slot is one that changes, or else versions would not tell it from the one before.
        let slot = self.slot(&name);
        let site = node.map(|node| Site::lower(node, &mut self.names));
        if self.spots[slot as usize].site == site {
            // A heartbeat, perhaps.
            return;
        }
        for other in self.topologies.set(slot, site.as_ref()) {
            self.spots[other as usize].site_version = self.version + 1;
            self.changed(other);
        }
        self.nodes += usize::from(site.is_some());
        for (image, _) in site.iter().flat_map(|site| &site.images) {
            *self.images.entry(image.clone()).or_default() += 1;
        }
        let spot = &mut self.spots[slot as usize];
        let before = std::mem::replace(&mut spot.site, site);
        spot.site_version = self.version + 1;
        self.nodes -= usize::from(before.is_some());
        for (image, _) in before.iter().flat_map(|site| &site.images) {
            if let Some(nodes) = self.images.get_mut(image) {
                *nodes -= 1;
                if *nodes == 0 {
                    self.images.remove(image);
                }
            }
        }
        self.changed(slot);
        self.vacate(slot);
    }

    /// The id of a topology key, which is followed from now on.
    pub(crate) fn topology(&mut self, key: &Name) -> usize {
        let known = self.topologies.find(key);
        let sites = self.spots.iter().map(|spot| spot.site.as_ref());
        known.unwrap_or_else(|| self.topologies.open(key, sites))
    }

    /// Puts a pod on a node, which may be known by its name only: the slot.
    pub(crate) fn add(&mut self, node: &str, id: &Arc<str>, body: u32, terminating: bool) -> u32 {
        let name = self.names.of(node);
        let slot = self.slot(&name);
        let spot = &mut self.spots[slot as usize];
        let kept = self.bodies.get(body);
        spot.load.add(body, &kept.body, terminating);
        spot.pods.push(Arc::clone(id));
        self.changed(slot);
        slot
    }

    /// Takes it from there.
    pub(crate) fn remove(&mut self, slot: u32, id: &Arc<str>, body: u32, terminating: bool) {
        let spot = &mut self.spots[slot as usize];
        let kept = self.bodies.get(body);
        spot.load.remove(body, &kept.body, terminating);
        spot.pods.retain(|pod| !Arc::ptr_eq(pod, id));
        self.changed(slot);
        self.vacate(slot);
    }

    /// The slot of a name, perhaps a new one.
    fn slot(&mut self, name: &Name) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let spot = Spot {
            name: name.clone(),
            order: spot::order(name.text()),
            site: None,
            version: 0,
            site_version: self.version + 1,
            load: Load::default(),
            pods: Vec::new(),
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.spots[slot as usize] = spot;
                slot
            }
            None => {
                self.spots.push(spot);
                u32::try_from(self.spots.len() - 1).expect("fewer nodes than four thousand million")
            }
        };
        self.by_name.insert(name.clone(), slot);
        slot
    }

    fn changed(&mut self, slot: u32) {
        self.version += 1;
        self.spots[slot as usize].version = self.version;
        self.changes.push(slot);
    }

    /// Frees a slot in which nothing is.
    fn vacate(&mut self, slot: u32) {
        let spot = &self.spots[slot as usize];
        if spot.site.is_none() && spot.pods.is_empty() {
            self.by_name.remove(&spot.name);
            self.free.push(slot);
        }
    }
}
