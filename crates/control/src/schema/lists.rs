//! Which lists merge, and by what: Kubernetes' API reference names it as patch strategy and merge
//! key of each field. JSON schema has no place for it.

use super::Merge;

/// Type, field, and what tells its elements apart; a set of values has nothing that does.
const MERGED: [(&str, &str, &str); 28] = [
    ("ObjectMeta", "finalizers", ""),
    ("ObjectMeta", "ownerReferences", "uid"),
    ("Container", "env", "name"),
    ("Container", "ports", "containerPort"),
    ("Container", "volumeDevices", "devicePath"),
    ("Container", "volumeMounts", "mountPath"),
    ("EphemeralContainer", "env", "name"),
    ("EphemeralContainer", "ports", "containerPort"),
    ("EphemeralContainer", "volumeDevices", "devicePath"),
    ("EphemeralContainer", "volumeMounts", "mountPath"),
    ("NodeSpec", "podCIDRs", ""),
    ("NodeStatus", "addresses", "type"),
    ("PodSpec", "containers", "name"),
    ("PodSpec", "ephemeralContainers", "name"),
    ("PodSpec", "hostAliases", "ip"),
    ("PodSpec", "imagePullSecrets", "name"),
    ("PodSpec", "initContainers", "name"),
    ("PodSpec", "resourceClaims", "name"),
    ("PodSpec", "schedulingGates", "name"),
    ("PodSpec", "topologySpreadConstraints", "topologyKey"),
    ("PodSpec", "volumes", "name"),
    ("PodStatus", "hostIPs", "ip"),
    ("PodStatus", "podIPs", "ip"),
    ("PodStatus", "resourceClaimStatuses", "name"),
    ("ServiceAccount", "secrets", "name"),
    ("ServiceSpec", "ports", "port"),
    ("PersistentVolumeClaimStatus", "conditions", "type"),
    ("ServiceStatus", "conditions", "type"),
];

/// How the field `name` of the definition `owner` merges.
pub(super) fn merge(owner: &str, name: &str) -> Merge {
    let own = owner.rsplit('.').next().unwrap_or(owner);
    let found = MERGED
        .iter()
        .find(|(of, field, _)| *of == own && *field == name);
    match found {
        Some((_, _, "")) => Merge::Set,
        Some((_, _, key)) => Merge::By(key),
        // Every status has conditions that are told apart by their type.
        None if name == "conditions" && own.ends_with("Status") => Merge::By("type"),
        None => Merge::Replace,
    }
}
