//! A pod as the planner sees it: who it is, and its shape, which is everything that is looked at
//! to find it a node. Pods of one template have one shape.
//!
//! Field names are core/v1's. Never has containers: their requests are summed by who asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::amount::Amounts;
use crate::labels::{Requirement, Selector};
use crate::node::Effect;

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// What it is known by here, and answered as: `namespace/name`, or its uid.
    pub id: String,
    /// `spec.priority`.
    pub priority: i32,
    /// `spec.preemptionPolicy`.
    pub preemption: PreemptionPolicy,
    /// When it started: any number that grows with time. Among equals, the younger are victims.
    pub started: u64,
    /// Whether it is being deleted: it has its resources yet, but is not counted for spreading.
    pub terminating: bool,
    /// What is looked at.
    pub shape: Arc<Shape>,
}

/// Whether a pod may take the place of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PreemptionPolicy {
    /// Of those of lower priority.
    #[default]
    PreemptLowerPriority,
    /// It waits.
    Never,
}

/// Everything that is looked at to find a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// What the pod needs as a whole, overhead included.
    pub requests: Amounts,
    /// Containers that ask for nothing.
    pub unsaid: Unsaid,
    /// `spec.nodeName`.
    pub node_name: Option<String>,
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<String, String>,
    /// `spec.affinity.nodeAffinity`.
    pub node_affinity: NodeAffinity,
    /// Of each bound volume, the nodes it can be reached from: one of its terms holds.
    pub volumes: Vec<Vec<NodeTerm>>,
    /// `spec.affinity.podAffinity`.
    pub affinity: PodAffinity,
    /// `spec.affinity.podAntiAffinity`.
    pub anti_affinity: PodAffinity,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
    /// The host ports of all containers.
    pub ports: Vec<Port>,
    /// The image of each container.
    pub images: Vec<String>,
    /// `spec.topologySpreadConstraints`.
    pub spreads: Vec<Spread>,
}

/// How many containers name no request: when nodes are compared, each is thought to use a little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unsaid {
    /// Of cpu.
    pub cpu: u32,
    /// Of memory.
    pub memory: u32,
}

/// Which nodes a pod needs, and likes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeAffinity {
    /// `requiredDuringSchedulingIgnoredDuringExecution`: one of the terms holds.
    pub required: Option<Vec<NodeTerm>>,
    /// `preferredDuringSchedulingIgnoredDuringExecution`, with weights.
    pub preferred: Vec<(u32, NodeTerm)>,
}

/// What a node must be like; an empty term matches none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeTerm {
    /// `matchExpressions`, of labels.
    pub expressions: Vec<Requirement>,
    /// `matchFields`: of `metadata.name` alone.
    pub fields: Vec<Requirement>,
}

/// Which pods a pod needs and likes to be near, or far from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodAffinity {
    /// `requiredDuringSchedulingIgnoredDuringExecution`: all of the terms hold.
    pub required: Vec<PodTerm>,
    /// `preferredDuringSchedulingIgnoredDuringExecution`, with weights.
    pub preferred: Vec<(u32, PodTerm)>,
}

/// Pods, and what near is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodTerm {
    /// Nodes with one value of this label are near each other.
    pub topology_key: String,
    /// Which pods; None is none of them.
    pub selector: Option<Selector>,
    /// Of which namespaces; the pod's own, if nothing is said.
    pub namespaces: Vec<String>,
    /// And of those with such labels; an empty one is all.
    pub namespace_selector: Option<Selector>,
    /// Labels whose value must be the pod's own.
    pub match_label_keys: Vec<String>,
    /// Labels whose value must not be the pod's own.
    pub mismatch_label_keys: Vec<String>,
}

/// A taint that does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// Empty: any.
    pub key: String,
    /// `operator: Exists`, so that the value does not matter.
    pub exists: bool,
    /// What the taint's must be.
    pub value: String,
    /// None: any.
    pub effect: Option<Effect>,
}

/// A port of the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// `hostIP`; empty is `0.0.0.0`, which is all.
    pub ip: String,
    /// Which kind.
    pub protocol: Protocol,
    /// `hostPort`.
    pub port: u16,
}

/// A kind of ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Transmission Control Protocol.
    #[default]
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

/// How evenly pods are to be spread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spread {
    /// How many more pods a domain may have than the one with the fewest.
    pub max_skew: u32,
    /// Nodes with one value of this label are a domain.
    pub topology_key: String,
    /// What if not.
    pub when_unsatisfiable: WhenUnsatisfiable,
    /// Which pods of the namespace are counted; None is none of them.
    pub selector: Option<Selector>,
    /// With fewer domains than this the fewest are said to be 0.
    pub min_domains: Option<u32>,
    /// Whether domains of nodes that the pod's node selector and affinity refuse count.
    pub node_affinity_policy: InclusionPolicy,
    /// Whether domains of nodes whose taints the pod does not tolerate count.
    pub node_taints_policy: InclusionPolicy,
    /// Labels whose value must be the pod's own.
    pub match_label_keys: Vec<String>,
}

impl Default for Spread {
    fn default() -> Spread {
        Spread {
            max_skew: 1,
            topology_key: String::new(),
            when_unsatisfiable: WhenUnsatisfiable::DoNotSchedule,
            selector: None,
            min_domains: None,
            node_affinity_policy: InclusionPolicy::Honor,
            node_taints_policy: InclusionPolicy::Ignore,
            match_label_keys: Vec::new(),
        }
    }
}

/// What becomes of a pod that cannot be spread as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenUnsatisfiable {
    /// It waits.
    DoNotSchedule,
    /// It goes where it disturbs least.
    ScheduleAnyway,
}

/// Whether a node's refusal keeps its domain from being counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InclusionPolicy {
    /// It does.
    Honor,
    /// It does not.
    Ignore,
}
