//! What a node may do: with its own, and little else.
//!
//! Owns: the table. A node that was broken into can read what its own pods use, and harm its own.

use super::{Request, Role, Rule, Target};

/// What of a kind is a node's own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    /// Whatever is public to nodes.
    Any,
    /// What has the node's name.
    Named,
    /// What is bound to it, or what its pods use.
    Bound,
}

struct Entry {
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    /// Only here, if anywhere in particular.
    namespace: Option<&'static str>,
    own: Own,
}

const READ: &[&str] = &["get", "list", "watch"];
const LEASES: &str = "kube-node-lease";

const TABLE: &[Entry] = &[
    Entry {
        groups: &[""],
        resources: &["nodes"],
        verbs: &["get", "list", "watch", "create", "update", "patch"],
        namespace: None,
        own: Own::Named,
    },
    Entry {
        groups: &[""],
        resources: &["nodes/status"],
        verbs: &["get", "update", "patch"],
        namespace: None,
        own: Own::Named,
    },
    Entry {
        groups: &["coordination.k8s.io"],
        resources: &["leases"],
        verbs: &["get", "create", "update", "patch", "delete"],
        namespace: Some(LEASES),
        own: Own::Named,
    },
    Entry {
        groups: &[""],
        resources: &["pods"],
        verbs: &["get", "list", "watch", "delete"],
        namespace: None,
        own: Own::Bound,
    },
    Entry {
        groups: &[""],
        resources: &["pods/status"],
        verbs: &["get", "update", "patch"],
        namespace: None,
        own: Own::Bound,
    },
    Entry {
        groups: &[""],
        resources: &["pods/eviction", "serviceaccounts/token"],
        verbs: &["create"],
        namespace: None,
        own: Own::Bound,
    },
    Entry {
        groups: &[""],
        resources: &[
            "configmaps",
            "persistentvolumeclaims",
            "persistentvolumes",
            "secrets",
            "serviceaccounts",
        ],
        verbs: READ,
        namespace: None,
        own: Own::Bound,
    },
    Entry {
        groups: &[""],
        resources: &["endpoints", "namespaces", "services"],
        verbs: READ,
        namespace: None,
        own: Own::Any,
    },
    Entry {
        groups: &["discovery.k8s.io", "networking.k8s.io"],
        resources: &["endpointslices", "networkpolicies"],
        verbs: READ,
        namespace: None,
        own: Own::Any,
    },
    Entry {
        groups: &["", "events.k8s.io"],
        resources: &["events"],
        verbs: &["create", "update", "patch"],
        namespace: None,
        own: Own::Any,
    },
];

/// Whether the table allows it to the node of this name.
pub(super) fn allows(node: &str, request: &Request<'_>) -> bool {
    let Target::Resource {
        group,
        resource,
        subresource,
        namespace,
        name,
        on_node,
    } = request.target
    else {
        return false;
    };
    let same = |listed: &str| match listed.split_once('/') {
        None => subresource.is_empty() && listed == resource,
        Some((of, sub)) => of == resource && sub == subresource,
    };
    TABLE.iter().any(|entry| {
        let own = match entry.own {
            Own::Any => true,
            Own::Named => name == Some(node),
            Own::Bound => on_node == Some(node),
        };
        own && entry.groups.contains(&group)
            && entry.verbs.contains(&request.verb)
            && entry.resources.iter().any(|listed| same(listed))
            && entry.namespace.is_none_or(|only| namespace == Some(only))
    })
}

/// The table as a role, to be looked at. It is bound to nobody: as rules it would give every
/// node everything in it.
pub(super) fn role() -> Role {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let rule = |entry: &Entry| Rule {
        verbs: owned(entry.verbs),
        groups: owned(entry.groups),
        resources: owned(entry.resources),
        ..Rule::default()
    };
    Role {
        namespace: None,
        name: "system:node".to_owned(),
        rules: TABLE.iter().map(rule).collect(),
    }
}
