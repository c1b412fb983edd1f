//! Where objects are in the keyspace: `objects/GROUP/PLURAL/NAMESPACE/NAME`, without the namespace
//! for kinds that are in none.

use crate::kind::Kind;

/// What all keys of objects begin with.
pub(super) const ALL: &str = "objects/";
/// The core's group has no name.
const CORE: &str = "core";

/// Group and plural of the kind a key's object is of.
pub(super) fn kind_of(key: &[u8]) -> Option<(&str, &str)> {
    let mut steps = std::str::from_utf8(key).ok()?.strip_prefix(ALL)?.split('/');
    let group = steps.next()?;
    Some((if group == CORE { "" } else { group }, steps.next()?))
}

/// An object's key.
pub(super) fn key(kind: &Kind, namespace: &str, name: &str) -> String {
    format!("{}{name}", within(kind, namespace))
}

/// What the keys of a namespace's objects of a kind begin with; of all, without a namespace.
pub(super) fn within(kind: &Kind, namespace: &str) -> String {
    let kind = kind.stored();
    let group = if kind.group.is_empty() {
        CORE
    } else {
        &kind.group
    };
    let plural = &kind.plural;
    if kind.is_namespaced && !namespace.is_empty() {
        format!("objects/{group}/{plural}/{namespace}/")
    } else {
        format!("objects/{group}/{plural}/")
    }
}
