//! Whether a node can take a pod: one file for each thing that is looked at.
//! Facts of the node itself first, then its load, then what is near: the order of kube-scheduler's
//! plugins, so that the reasons are those it would give.

pub(crate) mod affinity;
pub(crate) mod fit;
pub(crate) mod near;
pub(crate) mod ports;
pub(crate) mod taints;

use crate::body::Body;
use crate::node::Site;
use crate::reasons::Refusal;
use crate::spot::Load;

/// What the node itself refuses, whatever is on it.
pub(crate) fn site(body: &Body, site: &Site) -> Option<Refusal> {
    let tolerations = &body.shape.tolerations;
    if site.unschedulable && !taints::tolerates_unschedulable(tolerations) {
        return Some(Refusal::Unschedulable);
    }
    if body
        .node_name
        .as_ref()
        .is_some_and(|name| *name != site.name)
    {
        return Some(Refusal::NodeName);
    }
    if let Some(at) = taints::untolerated(tolerations, &site.taints) {
        return Some(Refusal::Taint(at));
    }
    if !affinity::holds(body, site) {
        return Some(Refusal::NodeAffinity);
    }
    // kube-scheduler asks for this after ports and resources; where a node is does not change with
    // what is on it.
    (!affinity::reaches_volumes(body, site)).then_some(Refusal::Volumes)
}

/// What a node refuses because of what is on it.
pub(crate) fn load(body: &Body, site: &Site, load: &Load) -> Option<Refusal> {
    if ports::conflict(&body.shape.ports, &load.ports) {
        return Some(Refusal::Ports);
    }
    let lack = fit::lack(body, site, load);
    (!lack.is_nothing()).then_some(Refusal::Fit(lack))
}
