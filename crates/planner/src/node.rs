//! A node as the planner sees it. Never has pods: `spot` keeps the two together.

use std::collections::BTreeMap;

use crate::amount::{Amounts, Sum};
use crate::labels::Labels;
use crate::names::{Name, Names};

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// `status.allocatable`, without `pods`.
    pub allocatable: Amounts,
    /// `status.allocatable.pods`.
    pub pods_max: u64,
    /// `status.images`.
    pub images: Vec<Image>,
}

/// What keeps pods away that do not tolerate it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Its name.
    pub key: String,
    /// Perhaps empty.
    pub value: String,
    /// How much it keeps away.
    pub effect: Effect,
}

/// How much a taint keeps away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// New pods.
    NoSchedule,
    /// New pods, if there is another node.
    PreferNoSchedule,
    /// All pods; those there are told to go by somebody else.
    NoExecute,
}

impl Effect {
    /// Whether a new pod must tolerate it.
    pub(crate) fn is_hard(self) -> bool {
        self != Effect::PreferNoSchedule
    }
}

/// An image that a node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// All its names.
    pub names: Vec<String>,
    /// What it takes there.
    pub size_bytes: u64,
}

/// A node, lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) name: Name,
    pub(crate) labels: Labels,
    pub(crate) taints: Vec<Taint>,
    pub(crate) unschedulable: bool,
    pub(crate) allocatable: Sum,
    pub(crate) pods_max: u64,
    /// By each of their names.
    pub(crate) images: Vec<(Name, u64)>,
}

impl Site {
    pub(crate) fn lower(node: Node, names: &mut Names) -> Site {
        let mut images: Vec<(Name, u64)> = Vec::new();
        for image in &node.images {
            for name in &image.names {
                let name = names.of(name);
                if images.iter().all(|(is, _)| *is != name) {
                    images.push((name, image.size_bytes));
                }
            }
        }
        Site {
            name: names.of(&node.name),
            labels: Labels::lower(&node.labels, names),
            allocatable: Sum::lower(&node.allocatable, names),
            taints: node.taints,
            unschedulable: node.unschedulable,
            pods_max: node.pods_max,
            images,
        }
    }
}
