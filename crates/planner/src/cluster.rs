//! The cluster: nodes and pods come and go, and pods without a node are placed.
//!
//! Never does what it decides: who asked binds the pod, and tells of it with `set_pod`. A pod that
//! has been promised a place (`nominatedNodeName`) is told of in the same way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::body::Body;
use crate::labels::Labels;
use crate::node::Node;
use crate::place;
use crate::pod::{Pod, Shape};
use crate::ranking::Ranking;
use crate::reasons::Refusals;
use crate::state::State;

/// Rankings times what each has a cell for: some 200 bytes.
const CELLS_MAX: usize = 1 << 19;
/// Of small clusters.
const RANKINGS_MAX: usize = 1 << 10;

/// Nodes, the pods on them, and how shapes see them.
#[derive(Debug, Default)]
pub struct Cluster {
    pub(crate) state: State,
    pub(crate) pods: HashMap<Arc<str>, Bound>,
    /// By shape, with when they were used last. Bound: [`RANKINGS_MAX`], and together
    /// [`CELLS_MAX`] cells, but one at least; the one that was not used for longest goes.
    rankings: HashMap<Arc<Shape>, (u64, Ranking)>,
    uses: u64,
    /// The version of what was asked about when the rankings were made.
    asked: u64,
}

/// A pod on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) slot: u32,
    pub(crate) body: u32,
    pub(crate) priority: i32,
    pub(crate) started: u64,
    pub(crate) is_terminating: bool,
}

/// Where a pod should go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The node's name.
    pub node: String,
    /// How well it suits; comparable with what other nodes would have had, and nothing else.
    pub score: i64,
}

impl Cluster {
    /// One without nodes.
    pub fn new() -> Cluster {
        Cluster::default()
    }

    /// A node is there, or has changed.
    pub fn set_node(&mut self, node: Node) {
        let name = node.name.clone();
        self.state.set_site(&name, Some(node));
    }

    /// A node is gone. Pods that are said to be on it stay so until they are removed.
    pub fn remove_node(&mut self, name: &str) {
        self.state.set_site(name, None);
    }

    /// A pod is on a node, which need not be known yet, or has changed there.
    pub fn set_pod(&mut self, pod: &Pod, node: &str) {
        self.remove_pod(&pod.id);
        let id: Arc<str> = pod.id.as_str().into();
        let body = self.state.bodies.hold(&pod.shape, &mut self.state.names);
        let slot = self.state.add(node, &id, body, pod.terminating);
        let bound = Bound {
            slot,
            body,
            priority: pod.priority,
            started: pod.started,
            is_terminating: pod.terminating,
        };
        self.pods.insert(id, bound);
    }

    /// A pod is gone, or has ended.
    pub fn remove_pod(&mut self, id: &str) {
        if let Some((id, bound)) = self.pods.remove_entry(id) {
            self.state
                .remove(bound.slot, &id, bound.body, bound.is_terminating);
            self.state.bodies.release(bound.body);
        }
    }

    /// A namespace has these labels; of one that is gone, none.
    pub fn set_namespace(&mut self, name: &str, labels: &BTreeMap<String, String>) {
        let name = self.state.names.of(name);
        let labels = Labels::lower(labels, &mut self.state.names);
        let before = match labels.is_empty() {
            true => self.state.namespaces.remove(&name),
            false => self.state.namespaces.insert(name, labels.clone()),
        };
        if before.unwrap_or_default() == labels {
            return;
        }
        // Whom a term means may be another now.
        let by_others = self.state.bodies.ask_namespaces();
        self.rankings
            .retain(|_, (_, ranking)| !by_others && !ranking.body.asks_namespaces());
    }

    /// The best node for a pod, or why there is none.
    ///
    /// # Errors
    /// The reasons of all nodes, counted.
    pub fn place(&mut self, pod: &Pod) -> Result<Placement, Refusals> {
        let shape = self.narrowed(&pod.shape);
        let (ranking, state) = self.ranking(&shape);
        match place::choose(ranking, state) {
            Some((slot, score)) => {
                let node = state.spots[slot as usize].name.text().to_owned();
                Ok(Placement { node, score })
            }
            None => Err(place::refusals(ranking, state)),
        }
    }

    /// All nodes that can take a pod, by name.
    pub fn feasible(&mut self, pod: &Pod) -> Vec<String> {
        let shape = self.narrowed(&pod.shape);
        let (ranking, state) = self.ranking(&shape);
        let slots = place::feasible(ranking).into_iter();
        let mut names: Vec<String> = slots
            .map(|slot| state.spots[slot as usize].name.text().to_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// What rankings know a shape as.
    pub(crate) fn narrowed(&mut self, shape: &Arc<Shape>) -> Arc<Shape> {
        let asked = &mut self.state.bodies.asked;
        asked.note(shape);
        if asked.version != self.asked {
            self.asked = asked.version;
            self.rankings.clear();
        }
        asked.narrowed(shape)
    }

    /// How a narrowed shape sees the nodes now.
    pub(crate) fn ranking(&mut self, shape: &Arc<Shape>) -> (&Ranking, &State) {
        self.uses += 1;
        if !self.rankings.contains_key(shape) {
            self.make_room();
            let body = Body::lower(shape, &mut self.state.names);
            let ranking = Ranking::new(body, &mut self.state);
            self.rankings.insert(Arc::clone(shape), (0, ranking));
        }
        let kept = self.rankings.get_mut(shape);
        let (used, ranking) = kept.expect("it was there, or has been put there");
        *used = self.uses;
        ranking.catch_up(&mut self.state);
        (ranking, &self.state)
    }

    /// How it saw them when it was asked last.
    pub(crate) fn known(&self, shape: &Shape) -> (&Ranking, &State) {
        let (_, ranking) = &self.rankings[shape];
        (ranking, &self.state)
    }

    fn make_room(&mut self) {
        // What is known of eight bodies takes as much as what is known of a node.
        let cells = self.state.spots.len() + self.state.bodies.end() / 8;
        let max = (CELLS_MAX / cells.max(1)).clamp(1, RANKINGS_MAX);
        while self.rankings.len() >= max {
            let oldest = self.rankings.iter().min_by_key(|(_, (used, _))| *used);
            let Some(shape) = oldest.map(|(shape, _)| Arc::clone(shape)) else {
                return;
            };
            self.rankings.remove(&shape);
        }
        if self.state.topologies.are_many() {
            let rankings = self.rankings.values();
            let rows = rankings.flat_map(|(_, ranking)| &ranking.rows);
            let used = rows.map(|row| row.topology).collect();
            self.state.topologies.sweep(&used);
        }
    }
}
