//! `replicas`: how many of what.

use super::id::Resource;
use super::paths::visit;
use super::wire::Replica;
use crate::error::CliError;

const KINDS: [&str; 4] = [
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

/// Sets the number of those that `replica` names.
pub fn set(resources: &mut [Resource], replica: &Replica, place: &str) -> Result<(), CliError> {
    let mut is_found = false;
    for one in resources {
        let is_meant =
            KINDS.contains(&&*one.id().kind) && one.ids().any(|id| id.name == replica.name);
        if is_meant {
            is_found = true;
            visit(&mut one.value, "spec/replicas", true, &mut |at| {
                *at = replica.count.into();
            });
        }
    }
    match is_found {
        true => Ok(()),
        false => Err(CliError::new(format!(
            "set replicas as {place} says: nothing that has any is called {:?}",
            replica.name
        ))
        .hint(format!("those that have are of kind {}", KINDS.join(", ")))),
    }
}
