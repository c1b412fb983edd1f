//! Nodes that differ, for one shape, in nothing but what they have left: a class. What is said of
//! one of them about what is near, liked or disliked holds for all, so a class is judged once, and
//! its best node is its first.
//! Never judges.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Where a node stands in its class; the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Less the score: what depends on the node alone.
    pub(crate) below: i64,
    /// Among equals, fewer pods: that spreads.
    pub(crate) pods: u64,
    /// Then by the hash of the name, which every process computes alike.
    pub(crate) order: u64,
    /// Which node.
    pub(crate) slot: u32,
}

/// A class with its members.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) key: Arc<[i64]>,
    pub(crate) members: BTreeSet<Rank>,
}

/// Bound: a member per node, a class per member.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    by_key: HashMap<Arc<[i64]>, u32>,
    classes: Vec<Class>,
    free: Vec<u32>,
}

impl Classes {
    pub(crate) fn insert(&mut self, key: &[i64], rank: Rank) -> u32 {
        let id = match self.by_key.get(key) {
            Some(id) => *id,
            None => self.open(key.into()),
        };
        self.classes[id as usize].members.insert(rank);
        id
    }

    pub(crate) fn remove(&mut self, id: u32, rank: &Rank) {
        let class = &mut self.classes[id as usize];
        class.members.remove(rank);
        if class.members.is_empty() {
            self.by_key.remove(&class.key);
            self.free.push(id);
        }
    }

    /// Those with members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Class> {
        self.classes
            .iter()
            .filter(|class| !class.members.is_empty())
    }

    fn open(&mut self, key: Arc<[i64]>) -> u32 {
        let class = Class {
            key: Arc::clone(&key),
            members: BTreeSet::new(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.classes[id as usize] = class;
                id
            }
            None => {
                self.classes.push(class);
                u32::try_from(self.classes.len() - 1).expect("fewer classes than nodes")
            }
        };
        self.by_key.insert(key, id);
        id
    }
}
