//! Which nodes share a value of a label, for the labels that rankings ask about: a domain.
//! A domain of one node alone (a host) needs no place where answers are added up, so who asks is told
//! which those are; a node that comes to share its domain, or is left alone in it, is changed by that.
//! Never looks at pods.

use std::collections::{HashMap, HashSet};

use crate::names::Name;
use crate::node::Site;

/// With fewer keys than this, none is forgotten.
const SWEEP_MIN: usize = 64;

/// Where a node is, by one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seat {
    /// It lacks the label.
    #[default]
    Missing,
    /// It is alone in its domain.
    Alone,
    /// In a domain with others: its id.
    Shared(u32),
}

/// Domains by key. Bound: twice the keys that rankings asked about at the last sweep, or
/// [`SWEEP_MIN`]; a domain per node.
#[derive(Debug, Default)]
pub(crate) struct Topologies {
    ids: HashMap<Name, usize>,
    kept: Vec<Option<Topology>>,
    /// With this many it is time to sweep.
    full: usize,
}

#[derive(Debug)]
struct Topology {
    key: Name,
    /// The domain of each slot.
    of: Vec<Option<u32>>,
    by_value: HashMap<Name, u32>,
    domains: Vec<Domain>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Domain {
    value: Name,
    nodes: usize,
    /// The sum of their slots: of one node, its slot.
    slots: u64,
}

impl Topologies {
    /// The id of a key that is known.
    pub(crate) fn find(&self, key: &Name) -> Option<usize> {
        self.ids.get(key).copied()
    }

    /// Begins to follow a key.
    pub(crate) fn open<'a>(
        &mut self,
        key: &Name,
        sites: impl Iterator<Item = Option<&'a Site>>,
    ) -> usize {
        let mut topology = Topology {
            key: key.clone(),
            of: Vec::new(),
            by_value: HashMap::new(),
            domains: Vec::new(),
            free: Vec::new(),
        };
        for (slot, site) in sites.enumerate() {
            topology.set(slot, site.and_then(|site| site.labels.find(key)));
        }
        let id = match self.kept.iter().position(Option::is_none) {
            Some(id) => id,
            None => {
                self.kept.push(None);
                self.kept.len() - 1
            }
        };
        self.kept[id] = Some(topology);
        self.ids.insert(key.clone(), id);
        id
    }

    /// Whether it is time to forget those that nobody asks about.
    pub(crate) fn are_many(&self) -> bool {
        self.ids.len() >= self.full.max(SWEEP_MIN)
    }

    /// Forgets all that are not asked about.
    pub(crate) fn sweep(&mut self, used: &HashSet<usize>) {
        self.ids.retain(|_, id| used.contains(id));
        for (id, kept) in self.kept.iter_mut().enumerate() {
            if !used.contains(&id) {
                *kept = None;
            }
        }
        self.full = self.ids.len() * 2;
    }

    /// A node is as it is now: the slots of others that are changed by that.
    pub(crate) fn set(&mut self, slot: u32, site: Option<&Site>) -> Vec<u32> {
        let mut changed = Vec::new();
        for topology in self.kept.iter_mut().flatten() {
            let value = site.and_then(|site| site.labels.find(&topology.key));
            changed.extend(topology.set(slot as usize, value).into_iter().flatten());
        }
        changed.retain(|other| *other != slot);
        changed
    }

    pub(crate) fn seat(&self, id: usize, slot: usize) -> Seat {
        let topology = self.kept[id].as_ref();
        let topology = topology.expect("a key is followed while it is asked about");
        match topology.of.get(slot).copied().flatten() {
            None => Seat::Missing,
            Some(id) if topology.domains[id as usize].nodes == 1 => Seat::Alone,
            Some(id) => Seat::Shared(id),
        }
    }
}

impl Topology {
    /// Who is left alone by that, and who is no more.
    fn set(&mut self, slot: usize, value: Option<&Name>) -> [Option<u32>; 2] {
        if self.of.len() <= slot {
            self.of.resize(slot + 1, None);
        }
        let before = self.of[slot];
        if before.map(|id| &self.domains[id as usize].value) == value {
            return [None, None];
        }
        let left = before.and_then(|id| self.leave(id, slot));
        let (id, joined) = value.map(|value| self.enter(value, slot)).unzip();
        self.of[slot] = id;
        [left, joined.flatten()]
    }

    fn leave(&mut self, id: u32, slot: usize) -> Option<u32> {
        let domain = &mut self.domains[id as usize];
        domain.nodes -= 1;
        domain.slots -= slot as u64;
        if domain.nodes == 0 {
            self.by_value.remove(&domain.value);
            self.free.push(id);
        }
        (domain.nodes == 1).then_some(domain.slots as u32)
    }

    fn enter(&mut self, value: &Name, slot: usize) -> (u32, Option<u32>) {
        let id = match self.by_value.get(value) {
            Some(id) => *id,
            None => self.add(value),
        };
        let domain = &mut self.domains[id as usize];
        let joined = (domain.nodes == 1).then_some(domain.slots as u32);
        domain.nodes += 1;
        domain.slots += slot as u64;
        (id, joined)
    }

    fn add(&mut self, value: &Name) -> u32 {
        let domain = Domain {
            value: value.clone(),
            nodes: 0,
            slots: 0,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.domains[id as usize] = domain;
                id
            }
            None => {
                self.domains.push(domain);
                u32::try_from(self.domains.len() - 1).expect("fewer domains than nodes")
            }
        };
        self.by_value.insert(value.clone(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;
    use crate::node::Node;

    #[test]
    fn nodes_share_a_domain_or_are_alone_in_it() {
        let mut names = Names::default();
        let site = |zone: &str, names: &mut Names| {
            let labels = [("zone".to_owned(), zone.to_owned())].into();
            let node = Node {
                labels,
                ..Node::default()
            };
            Site::lower(node, names)
        };
        let (a, b) = (site("a", &mut names), site("b", &mut names));
        let mut topologies = Topologies::default();
        let zone = topologies.open(&names.of("zone"), [Some(&a), None].into_iter());
        assert_eq!(topologies.find(&names.of("zone")), Some(zone));
        assert_eq!(topologies.seat(zone, 0), Seat::Alone);
        assert_eq!(topologies.seat(zone, 1), Seat::Missing);
        assert_eq!(topologies.seat(zone, 9), Seat::Missing);
        assert_eq!(topologies.set(1, Some(&b)), []);
        assert_eq!(topologies.set(2, Some(&b)), [1], "1 is alone no more");
        assert_eq!(topologies.seat(zone, 1), topologies.seat(zone, 2));
        assert_eq!(topologies.set(3, Some(&b)), []);
        assert_eq!(topologies.set(1, Some(&a)), [0]);
        assert_eq!(topologies.set(3, None), [2], "2 is left alone");
        assert_eq!(topologies.seat(zone, 2), Seat::Alone);
        topologies.sweep(&HashSet::new());
        assert_eq!(topologies.find(&names.of("zone")), None);
        assert!(!topologies.are_many());
    }
}
