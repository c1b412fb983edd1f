//! Where the volumes are that claims are bound to: a pod can only be where all of its are.
//!
//! Never binds claims: `claims` does.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use weft_planner::{NodeTerm, Pod};

use super::super::claims::claims_of;
use super::{Id, id, lower};
use crate::object::Object;

/// Bound by what the store holds.
#[derive(Default)]
pub(super) struct Volumes {
    /// Which volume a claim is bound to.
    claims: HashMap<Id, String>,
    /// Which nodes a volume can be reached from, if not from all.
    places: HashMap<String, Vec<NodeTerm>>,
}

impl Volumes {
    /// Whether something is different from before.
    pub(super) fn set_claim(&mut self, claim: &Object, is_gone: bool) -> bool {
        let id = id(claim);
        let volume = claim.text(&["spec", "volumeName"]).unwrap_or_default();
        match is_gone || volume.is_empty() {
            true => self.claims.remove(&id).is_some(),
            false => self.claims.insert(id, volume.to_owned()).as_deref() != Some(volume),
        }
    }

    /// Whether something is different from before.
    pub(super) fn set_volume(&mut self, volume: &Object, is_gone: bool) -> bool {
        let name = volume.meta().name();
        let terms = volume.at(&["spec", "nodeAffinity", "required", "nodeSelectorTerms"]);
        match terms.and_then(Value::as_array).filter(|_| !is_gone) {
            None => self.places.remove(name).is_some(),
            Some(terms) => {
                let terms: Vec<NodeTerm> = terms.iter().map(lower::node_term).collect();
                let before = self.places.insert(name.to_owned(), terms);
                before.as_ref() != self.places.get(name)
            }
        }
    }

    /// Says of a pod where its volumes are now.
    pub(super) fn place(&self, object: &Object, pod: &mut Pod) {
        let namespace = object.meta().namespace();
        let claims = claims_of(object).map(|name| format!("{namespace}/{name}"));
        let volumes = claims.filter_map(|claim| self.claims.get(&claim));
        let places = volumes.filter_map(|volume| self.places.get(volume).cloned());
        let places: Vec<_> = places.collect();
        if pod.shape.volumes != places {
            Arc::make_mut(&mut pod.shape).volumes = places;
        }
    }
}
