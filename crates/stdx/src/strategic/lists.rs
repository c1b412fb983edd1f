//! Which lists of Kubernetes' own types merge, and by what: its API reference names it as patch
//! strategy and merge key of each field.

/// Type, field, and what tells its elements apart; a set of values has nothing that does.
const MERGED: [(&str, &str, &str); 30] = [
    ("ObjectMeta", "finalizers", ""),
    ("ObjectMeta", "ownerReferences", "uid"),
    ("Container", "env", "name"),
    ("Container", "ports", "containerPort"),
    ("Container", "volumeDevices", "devicePath"),
    ("Container", "volumeMounts", "mountPath"),
    ("ContainerStatus", "allocatedResourcesStatus", "name"),
    ("ContainerStatus", "volumeMounts", "mountPath"),
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

/// Fields that tell elements apart besides the merge key, and what they are where they are left
/// out: owners of fields are told apart more finely than patches do.
const FINER: [(&str, &str, &str, Option<&str>); 4] = [
    ("Container", "ports", "protocol", Some("TCP")),
    ("EphemeralContainer", "ports", "protocol", Some("TCP")),
    (
        "PodSpec",
        "topologySpreadConstraints",
        "whenUnsatisfiable",
        None,
    ),
    ("ServiceSpec", "ports", "protocol", Some("TCP")),
];

/// What tells the elements of the list in the field `name` of the type `owner` apart, and what it is
/// where it is left out; nothing for a set of values. `None`: patches replace the list.
pub fn keys(owner: &str, name: &str) -> Option<Vec<(&'static str, Option<&'static str>)>> {
    let found = MERGED
        .iter()
        .find(|(of, field, _)| *of == owner && *field == name);
    let first = match found {
        Some((_, _, "")) => return Some(Vec::new()),
        Some((_, _, first)) => first,
        // Every status has conditions that are told apart by their type.
        None if name == "conditions" && owner.ends_with("Status") => &"type",
        None => return None,
    };
    let finer = FINER
        .iter()
        .filter(|(of, field, ..)| *of == owner && *field == name);
    let finer = finer.map(|(_, _, name, default)| (*name, *default));
    Some(std::iter::once((*first, None)).chain(finer).collect())
}
