//! Which lists merge, and by what: Kubernetes' API reference names it as patch strategy and merge
//! key of each field. JSON schema has no place for it, nor for what else is said there of a field.

use serde_json::Value;
use weft_stdx::strategic::lists;

use super::{Key, Merge, Rest, Shape};
use crate::protobuf;

/// Lists that patches replace and applications merge.
const APPLIED: [(&str, &str, &str); 1] = [("ResourceRequirements", "claims", "name")];

/// Types that have one owner, as a whole: references and selectors.
const ATOMIC: [&str; 19] = [
    "ConfigMapKeySelector",
    "CrossVersionObjectReference",
    "EndpointAddress",
    "EndpointPort",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "RoleRef",
    "ScopeSelector",
    "SecretKeySelector",
    "SecretReference",
    "Subject",
    "TopologySelectorTerm",
    "TypedLocalObjectReference",
];

/// Maps that have one owner, as a whole.
const ATOMIC_MAPS: [(&str, &str); 3] = [
    ("PodSpec", "nodeSelector"),
    ("ReplicationControllerSpec", "selector"),
    ("ServiceSpec", "selector"),
];

/// Fields of which a patch names what stays: one of several forms takes another's place.
const RETAINING: [(&str, &str); 3] = [
    ("DeploymentSpec", "strategy"),
    ("PodSpec", "resourceClaims"),
    ("PodSpec", "volumes"),
];

/// Fields the API reference calls required although they mean something where they are left out:
/// zero, nothing, or what is filled in later.
const LEFT_OUT: [(&str, &str); 10] = [
    ("ControllerRevision", "revision"),
    ("EndpointSlice", "endpoints"),
    ("PodDisruptionBudgetStatus", "currentHealthy"),
    ("PodDisruptionBudgetStatus", "desiredHealthy"),
    ("PodDisruptionBudgetStatus", "disruptionsAllowed"),
    ("PodDisruptionBudgetStatus", "expectedPods"),
    ("PriorityClass", "value"),
    ("RoleRef", "apiGroup"),
    ("TokenRequest", "spec"),
    ("TokenRequestSpec", "audiences"),
];

/// Fields that are kept empty, though they are not required.
const EMPTY: [(&str, &str); 9] = [
    ("ClusterRole", "rules"),
    ("ContainerImage", "names"),
    ("CustomResourceDefinitionStatus", "conditions"),
    ("CustomResourceDefinitionStatus", "storedVersions"),
    ("EndpointSlice", "ports"),
    ("Event", "reportingComponent"),
    ("Event", "reportingInstance"),
    ("Role", "rules"),
    ("StatefulSetStatus", "availableReplicas"),
];

fn own(definition: &str) -> &str {
    definition.rsplit('.').next().unwrap_or(definition)
}

/// Whether the field `name` of the definition `owner` may be left out, whatever its schema says.
pub(super) fn may_be_left_out(owner: &str, name: &str) -> bool {
    LEFT_OUT.contains(&(own(owner), name))
}

/// Whether the field `name` of the definition `owner`, which is not required, is left out where it
/// is empty: what is no pointer in Kubernetes' types is.
pub(super) fn is_silent(owner: &str, name: &str, shape: &Shape) -> bool {
    if !owner.starts_with("io.k8s.") || EMPTY.contains(&(own(owner), name)) {
        return false;
    }
    match shape {
        Shape::List(..) => true,
        // A map; nothing in an object of named fields still says that it is there.
        Shape::Object { fields, rest, .. } => fields.is_empty() && matches!(rest, Rest::Of(_)),
        Shape::Text | Shape::Bytes | Shape::Integer(_) | Shape::Bool => {
            protobuf::is_silent(owner, name)
        }
        _ => false,
    }
}

/// Whether objects of the definition have one owner.
pub(super) fn is_atomic(definition: &str) -> bool {
    ATOMIC.contains(&own(definition))
}

/// Whether the map in the field `name` of the definition `owner` has one owner.
pub(super) fn is_atomic_map(owner: &str, name: &str) -> bool {
    ATOMIC_MAPS.contains(&(own(owner), name))
}

/// What clients that make strategic merge patches are told of the field `name` of the definition
/// `owner`: its strategy, if it has one, and its merge key.
pub fn patch_strategy(owner: &str, name: &str) -> (Option<&'static str>, Option<Box<str>>) {
    let retains = RETAINING.contains(&(own(owner), name));
    let (merges, key) = match merge(owner, name) {
        Merge::Replace | Merge::Applied(_) => (false, None),
        Merge::Set => (true, None),
        Merge::By(keys) => (true, keys.first().map(|key| key.name.clone())),
    };
    let strategy = match (merges, retains) {
        (true, true) => Some("merge,retainKeys"),
        (true, false) => Some("merge"),
        (false, true) => Some("retainKeys"),
        (false, false) => None,
    };
    (strategy, key)
}

/// How the field `name` of the definition `owner` merges.
pub(super) fn merge(owner: &str, name: &str) -> Merge {
    let own = own(owner);
    let key = |name: &str, default: Option<&str>| Key {
        name: name.into(),
        default: default.map(Value::from),
    };
    let mut applied = APPLIED.iter();
    if let Some((.., name)) = applied.find(|(of, field, _)| *of == own && *field == name) {
        return Merge::Applied([key(name, None)].into());
    }
    match lists::keys(own, name) {
        None => Merge::Replace,
        Some(keys) if keys.is_empty() => Merge::Set,
        Some(keys) => Merge::By(
            keys.iter()
                .map(|(name, default)| key(name, *default))
                .collect(),
        ),
    }
}
