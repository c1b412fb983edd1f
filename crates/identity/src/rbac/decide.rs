//! One request, allowed or not.

use std::fmt;

use super::{Binding, RoleRef, Rule, Rules, Via, is_node, node};
use crate::device::Device;
use crate::subject::MASTERS;

/// What somebody wants, fully parsed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The user's groups.
    pub groups: &'a [String],
    /// What is to be done: `get`, `list`, `watch`, `create`, … For a path the HTTP method in
    /// lower case. What streams (`exec`, `attach`, `portforward`) is `create` by any method.
    pub verb: &'a str,
    /// With what.
    pub target: Target<'a>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Objects of the API.
    Resource {
        /// Their API group; empty: the first.
        group: &'a str,
        /// `pods`, …
        resource: &'a str,
        /// `log`, …; empty: the object itself.
        subresource: &'a str,
        /// Their namespace; none: of the cluster, or all namespaces.
        namespace: Option<&'a str>,
        /// One object's name; none: many, or one that has none yet. A list that selects one by
        /// its name has that name, and so has one that is created under it.
        name: Option<&'a str>,
        /// The node it belongs to, where the caller knows: the one a pod is bound to, or, for
        /// what pods use, the asking node if one of its pods uses it. Only nodes depend on it.
        on_node: Option<&'a str>,
    },
    /// A path that is no resource.
    Path(&'a str),
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Go on.
    Allow(Reason<'a>),
    /// No rule allows it.
    Deny,
}

impl Decision<'_> {
    /// Whether to go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allow(_))
    }
}

/// Why something is allowed, for the audit log and for `auth can-i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// A member of `system:masters`.
    Master,
    /// A node and what is its own.
    OwnNode(&'a str),
    /// A device and its own object, or its next certificate.
    OwnDevice(&'a str),
    /// By a role.
    Bound {
        /// The binding.
        binding: &'a Binding,
        /// The user or group it names.
        to: &'a str,
        /// Whether that is a group.
        group: bool,
    },
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Master => write!(f, "{MASTERS} may do everything"),
            Reason::OwnNode(node) => write!(f, "it belongs to node \"{node}\" itself"),
            Reason::OwnDevice(hash) => write!(f, "it belongs to device \"{hash}\" itself"),
            Reason::Bound { binding, to, group } => {
                let role = match binding.role {
                    RoleRef::Cluster(_) => "cluster role",
                    RoleRef::Namespaced(_) => "role",
                };
                let to_kind = if *group { "group" } else { "user" };
                let (role_name, name) = (binding.role.name(), &binding.name);
                write!(
                    f,
                    "{role} \"{role_name}\" is given to {to_kind} \"{to}\" by "
                )?;
                match &binding.namespace {
                    None => write!(f, "cluster role binding \"{name}\""),
                    Some(space) => write!(f, "role binding \"{name}\" in namespace \"{space}\""),
                }
            }
        }
    }
}

/// Whether somebody may.
pub fn decide<'a>(rules: &'a Rules, request: &Request<'a>) -> Decision<'a> {
    if request.groups.iter().any(|group| group == MASTERS) {
        return Decision::Allow(Reason::Master);
    }
    if let Some(node) = is_node(request.user, request.groups)
        && node::allows(node, request)
    {
        return Decision::Allow(Reason::OwnNode(node));
    }
    if let Some(device) = Device::of(request.user, request.groups)
        && is_own(&device, request)
    {
        return Decision::Allow(Reason::OwnDevice(device.hash));
    }
    let namespace = match request.target {
        Target::Resource { namespace, .. } => namespace.filter(|space| !space.is_empty()),
        Target::Path(_) => None,
    };
    let found = rules
        .bound(request.user, request.groups, namespace)
        .find(|(_, _, rule)| matches(rule, request.verb, &request.target));
    let Some((binding, via, _)) = found else {
        return Decision::Deny;
    };
    let (to, group) = match via {
        Via::User(user) => (user, false),
        Via::Group(group) => (group, true),
    };
    Decision::Allow(Reason::Bound { binding, to, group })
}

/// Whether it is the device's own object, read, or a certificate. For whom that is, is asked again
/// when it is known.
fn is_own(device: &Device<'_>, request: &Request<'_>) -> bool {
    let Target::Resource {
        group: "nanocloud.io",
        resource: "devices",
        subresource,
        namespace: Some(namespace),
        name,
        ..
    } = request.target
    else {
        return false;
    };
    let is_here = namespace == device.namespace;
    is_here
        && match (request.verb, subresource) {
            ("get", "") => name == Some(device.object().as_str()),
            ("create", "certificates") => name.is_none(),
            _ => false,
        }
}

/// Whether one rule is about this.
fn matches(rule: &Rule, verb: &str, target: &Target<'_>) -> bool {
    if !one_of(&rule.verbs, verb) {
        return false;
    }
    match target {
        Target::Path(path) => rule.paths.iter().any(|rule| path_matches(rule, path)),
        Target::Resource {
            group,
            resource,
            subresource,
            name,
            ..
        } => {
            one_of(&rule.groups, group)
                && (rule.resources.iter()).any(|rule| resource_matches(rule, resource, subresource))
                && name_matches(&rule.names, name.filter(|_| !is_new(verb, subresource)))
        }
    }
}

fn one_of(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|one| one == "*" || one == asked)
}

fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == "*" {
        return true;
    }
    match rule.split_once('/') {
        None => subresource.is_empty() && rule == resource,
        Some((of, sub)) => !sub.is_empty() && sub == subresource && (of == "*" || of == resource),
    }
}

/// What is created has its name from whoever creates it. What a stream is created to is there.
fn is_new(verb: &str, subresource: &str) -> bool {
    verb == "create" && subresource.is_empty()
}

/// Rules with names say nothing about requests without one: what is created, listed or deleted
/// in bulk could have any.
fn name_matches(names: &[String], name: Option<&str>) -> bool {
    let named = |name: &str| !name.is_empty() && names.iter().any(|one| one == name);
    names.is_empty() || name.is_some_and(named)
}

/// Whether a rule's path is or includes this one, which may be a rule's itself. Several stars at its
/// end are one, as upstream.
pub(super) fn path_matches(rule: &str, path: &str) -> bool {
    match rule.ends_with('*') {
        true => path.starts_with(rule.trim_end_matches('*')),
        false => rule == path,
    }
}
