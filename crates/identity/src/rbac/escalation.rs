//! Nobody gives what they do not have.
//!
//! Owns: whether somebody may write a role with these rules, or a binding to this role. Both are
//! ways to become somebody else, so that the right to write the object is not enough.

use super::coverage::{Atom, Large, beyond};
use super::{GROUP, Request, RoleRef, Rule, Rules, Target, decide};

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Escalation {
    /// The role allows what the writer may not do.
    #[error(
        "\"{user}\" may not give what they do not have: {missing}; have somebody do it who has it, or who has the verb \"{verb}\" on the role"
    )]
    Beyond {
        /// Who wants to write.
        user: String,
        /// The first thing they do not have.
        missing: String,
        /// The verb that would allow it.
        verb: &'static str,
    },
    /// Nobody can say what a role will allow that does not exist.
    #[error(
        "role \"{role}\" does not exist, and \"{user}\" does not have the verb \"bind\" on it: create the role first"
    )]
    NoRole {
        /// Who wants to bind.
        user: String,
        /// What does not exist.
        role: String,
    },
    /// It would take too long to compare.
    #[error(transparent)]
    Large(#[from] Large),
}

/// Whether somebody may write a role called `name` with the rules `wanted`, in `namespace` or for
/// the cluster.
///
/// # Errors
/// When it allows more than they may do, and they do not have the verb `escalate` on it.
pub fn may_write_role(
    rules: &Rules,
    (user, groups): (&str, &[String]),
    namespace: Option<&str>,
    name: &str,
    wanted: &[Rule],
) -> Result<(), Escalation> {
    let resource = match namespace {
        None => "clusterroles",
        Some(_) => "roles",
    };
    if has_verb(rules, (user, groups), "escalate", resource, namespace, name) {
        return Ok(());
    }
    covers(rules, (user, groups), namespace, wanted, "escalate")
}

/// Whether somebody may write a binding of `role`, in `namespace` or for the cluster.
///
/// # Errors
/// When it allows more than they may do there, and they do not have the verb `bind` on it.
pub fn may_bind(
    rules: &Rules,
    (user, groups): (&str, &[String]),
    namespace: Option<&str>,
    role: &RoleRef,
) -> Result<(), Escalation> {
    let resource = match role {
        RoleRef::Cluster(_) => "clusterroles",
        RoleRef::Namespaced(_) => "roles",
    };
    let name = role.name();
    if has_verb(rules, (user, groups), "bind", resource, namespace, name) {
        return Ok(());
    }
    let Some(wanted) = rules.role(namespace, role) else {
        let (user, role) = (user.to_owned(), name.to_owned());
        return Err(Escalation::NoRole { user, role });
    };
    covers(rules, (user, groups), namespace, wanted, "bind")
}

fn has_verb(
    rules: &Rules,
    (user, groups): (&str, &[String]),
    verb: &str,
    resource: &str,
    namespace: Option<&str>,
    name: &str,
) -> bool {
    let target = Target::Resource {
        group: GROUP,
        resource,
        subresource: "",
        namespace,
        name: Some(name),
        on_node: None,
    };
    let request = Request {
        user,
        groups,
        verb,
        target,
    };
    decide(rules, &request).is_allowed()
}

fn covers(
    rules: &Rules,
    (user, groups): (&str, &[String]),
    namespace: Option<&str>,
    wanted: &[Rule],
    verb: &'static str,
) -> Result<(), Escalation> {
    let had = rules.rules_for(user, groups, namespace);
    let missing = beyond(&had, wanted)?.next();
    match missing {
        None => Ok(()),
        Some(atom) => Err(Escalation::Beyond {
            user: user.to_owned(),
            missing: shown(atom),
            verb,
        }),
    }
}

fn shown(atom: Atom<'_>) -> String {
    match atom {
        Atom::Path { verb, path } => format!("{verb} {path}"),
        Atom::Resource {
            verb,
            group,
            resource,
            name,
        } => {
            let dot = if group.is_empty() { "" } else { "." };
            let name = name.map(|name| format!(" \"{name}\"")).unwrap_or_default();
            format!("{verb} {resource}{dot}{group}{name}")
        }
    }
}
