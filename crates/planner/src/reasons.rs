//! Why nodes cannot take a pod, in the words that people know from kubectl.
//! Never decides anything.

use std::collections::BTreeMap;
use std::fmt;

use crate::body::Body;
use crate::node::Site;

/// Why a node cannot take a pod, or why preemption on it would not help.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is cordoned.
    Unschedulable,
    /// The pod names another one.
    NodeName,
    /// The first taint that the pod does not tolerate: its key and value.
    Taint(String, String),
    /// The pod's node selector or required node affinity.
    NodeAffinity,
    /// A volume of the pod is elsewhere.
    Volumes,
    /// A port of the host is taken.
    Ports,
    /// It has as many pods as it may have.
    TooManyPods,
    /// It has too little left of a resource.
    Insufficient(String),
    /// It lacks a label that the pod's spread is about.
    SpreadLabel,
    /// The pod's spread would become too uneven.
    Spread,
    /// No pod is near that the pod must be near to.
    Affinity,
    /// A pod is near that the pod must be far from.
    AntiAffinity,
    /// A pod is near that must be far from such pods.
    ExistingAntiAffinity,
    /// All its pods are at least as important.
    NoVictims,
    /// What keeps the pod from it are no pods.
    Unhelpful,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Unschedulable => "node(s) were unschedulable",
            Reason::NodeName => "node(s) didn't match the requested node name",
            Reason::Taint(key, value) => {
                return write!(f, "node(s) had untolerated taint {{{key}: {value}}}");
            }
            Reason::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Reason::Volumes => "node(s) had volume node affinity conflict",
            Reason::Ports => "node(s) didn't have free ports for the requested pod ports",
            Reason::TooManyPods => "Too many pods",
            Reason::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
            Reason::SpreadLabel => {
                "node(s) didn't match pod topology spread constraints (missing required label)"
            }
            Reason::Spread => "node(s) didn't match pod topology spread constraints",
            Reason::Affinity => "node(s) didn't match pod affinity rules",
            Reason::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Reason::ExistingAntiAffinity => {
                "node(s) didn't satisfy existing pods anti-affinity rules"
            }
            Reason::NoVictims => "No preemption victims found for incoming pod",
            Reason::Unhelpful => "Preemption is not helpful for scheduling",
        })
    }
}

/// How many nodes there are, and for how many each reason holds. A node may have several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// All nodes.
    pub nodes: usize,
    /// Of those, per reason.
    pub counts: BTreeMap<Reason, usize>,
}

impl Refusals {
    pub(crate) fn count(&mut self, reasons: impl IntoIterator<Item = Reason>, nodes: usize) {
        for reason in reasons {
            *self.counts.entry(reason).or_default() += nodes;
        }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let mut parts: Vec<String> = self
            .counts
            .iter()
            .map(|(r, n)| format!("{n} {r}"))
            .collect();
        // As texts, which is how kube-scheduler's are sorted.
        parts.sort();
        write!(f, "0/{} nodes are available: ", self.nodes)?;
        write!(f, "{}.", parts.join(", "))
    }
}

/// Why one node cannot take a pod, small enough to be kept for every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unschedulable,
    NodeName,
    /// Its place among the node's taints.
    Taint(usize),
    NodeAffinity,
    Volumes,
    Ports,
    Fit(Lack),
    SpreadLabel,
    Spread,
    Affinity,
    AntiAffinity,
    ExistingAntiAffinity,
}

/// What a node lacks for a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lack {
    pub(crate) pods: bool,
    pub(crate) cpu: bool,
    pub(crate) memory: bool,
    pub(crate) ephemeral: bool,
    /// A bit for each extended resource of the pod; the last is that of all that follow.
    pub(crate) extended: u32,
}

impl Lack {
    pub(crate) fn is_nothing(self) -> bool {
        self == Lack::default()
    }

    /// The bit of a pod's extended resource.
    pub(crate) fn bit(index: usize) -> u32 {
        1 << index.min(31)
    }
}

impl Refusal {
    /// Whether the pods of a node are not what keeps another one from it.
    pub(crate) fn is_final(self) -> bool {
        match self {
            Refusal::Unschedulable
            | Refusal::NodeName
            | Refusal::Taint(_)
            | Refusal::NodeAffinity
            | Refusal::Volumes
            | Refusal::SpreadLabel
            | Refusal::Affinity => true,
            Refusal::Ports
            | Refusal::Fit(_)
            | Refusal::Spread
            | Refusal::AntiAffinity
            | Refusal::ExistingAntiAffinity => false,
        }
    }

    /// In words.
    pub(crate) fn reasons(self, body: &Body, site: &Site) -> Vec<Reason> {
        let lack = match self {
            Refusal::Fit(lack) => lack,
            Refusal::Taint(at) => {
                let taint = &site.taints[at];
                return vec![Reason::Taint(taint.key.clone(), taint.value.clone())];
            }
            Refusal::Unschedulable => return vec![Reason::Unschedulable],
            Refusal::NodeName => return vec![Reason::NodeName],
            Refusal::NodeAffinity => return vec![Reason::NodeAffinity],
            Refusal::Volumes => return vec![Reason::Volumes],
            Refusal::Ports => return vec![Reason::Ports],
            Refusal::SpreadLabel => return vec![Reason::SpreadLabel],
            Refusal::Spread => return vec![Reason::Spread],
            Refusal::Affinity => return vec![Reason::Affinity],
            Refusal::AntiAffinity => return vec![Reason::AntiAffinity],
            Refusal::ExistingAntiAffinity => return vec![Reason::ExistingAntiAffinity],
        };
        let named = [
            (lack.cpu, "cpu"),
            (lack.memory, "memory"),
            (lack.ephemeral, "ephemeral-storage"),
        ];
        let pods = lack.pods.then_some(Reason::TooManyPods);
        let named = named.into_iter().filter(|(lacks, _)| *lacks);
        let named = named.map(|(_, name)| Reason::Insufficient(name.to_owned()));
        let extended = body.requests.extended.iter().enumerate();
        let extended = extended.filter(|(index, _)| lack.extended & Lack::bit(*index) != 0);
        let extended = extended.map(|(_, (name, _))| Reason::Insufficient(name.text().to_owned()));
        pods.into_iter().chain(named).chain(extended).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_people_know_them() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.to_string(), "no nodes available to schedule pods");
        refusals.nodes = 3;
        refusals.count([Reason::Taint("a".to_owned(), "b".to_owned())], 2);
        refusals.count([Reason::Insufficient("cpu".to_owned())], 1);
        assert_eq!(
            refusals.to_string(),
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}."
        );
    }
}
