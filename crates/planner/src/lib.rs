//! Which node a pod goes to, as a pure function of the nodes and pods that there are: filters, scores
//! and preemption as kube-scheduler's default plugins have them. And what becomes of pods that are
//! alike, step by step ([`workloads`]).
//!
//! ```text
//!  Node, Pod ─▶ Cluster ─▶ state      sums per node, brought up to date with each change
//!                            │
//!  Pod::shape ───────────▶ ranking    one per shape: who refuses it, who is best (filter, score)
//!                            │
//!                            ├─▶ place      the best node, or the reasons, counted
//!                            └─▶ preempt    whose place it may take
//! ```
//!
//! No I/O, no clock, no chance: the same nodes and pods lead to the same answer in every process.
//! Knows no Kubernetes types; who asks lowers them into `Node` and `Pod`.

mod amount;
mod asked;
mod bodies;
mod body;
mod changes;
mod classes;
mod cluster;
mod filter;
mod labels;
mod meaning;
mod names;
mod node;
mod place;
mod pod;
mod preempt;
mod ranking;
mod reasons;
mod row;
mod score;
mod spot;
mod state;
mod topology;
pub mod workloads;

pub use amount::Amounts;
pub use cluster::{Cluster, Placement};
pub use labels::{Operator, Requirement, Selector};
pub use node::{Effect, Image, Node, Taint};
pub use pod::{
    InclusionPolicy, NodeAffinity, NodeTerm, Pod, PodAffinity, PodTerm, Port, PreemptionPolicy,
    Protocol, Shape, Spread, Toleration, Unsaid, WhenUnsatisfiable,
};
pub use preempt::{Budget, Preemption};
pub use reasons::{Reason, Refusals};
