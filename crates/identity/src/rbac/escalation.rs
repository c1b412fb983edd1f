//! Nobody gives what they do not have.
//!
//! Owns: whether somebody may write a role with these rules, or a binding to this role. Both are
//! ways to become somebody else, so that the right to write the object is not enough.

use super::decide::path_matches;
use super::{GROUP, Request, RoleRef, Rule, Rules, Target, decide};

/// Most combinations of verb, group, resource and name that one role may have to be compared.
const MOST_COMBINATIONS: usize = 100_000;

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
    #[error(
        "the role has more than {MOST_COMBINATIONS} combinations of verbs, groups, resources and names: split it"
    )]
    Large,
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

/// One thing a rule allows.
#[derive(Clone, Copy)]
enum Atom<'a> {
    Resource {
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        name: Option<&'a str>,
    },
    Path {
        verb: &'a str,
        path: &'a str,
    },
}

fn covers(
    rules: &Rules,
    (user, groups): (&str, &[String]),
    namespace: Option<&str>,
    wanted: &[Rule],
    verb: &'static str,
) -> Result<(), Escalation> {
    let had = rules.rules_for(user, groups, namespace);
    // A whole rule that somebody has needs no taking apart.
    let new = || wanted.iter().filter(|rule| !had.contains(rule));
    let sizes = new().map(combinations);
    let sum = sizes.fold(0usize, usize::saturating_add);
    if sum.saturating_mul(had.len().max(1)) > MOST_COMBINATIONS * 100 || sum > MOST_COMBINATIONS {
        return Err(Escalation::Large);
    }
    let missing = new()
        .flat_map(atoms)
        .find(|atom| !had.iter().any(|rule| has(rule, *atom)));
    match missing {
        None => Ok(()),
        Some(atom) => Err(Escalation::Beyond {
            user: user.to_owned(),
            missing: shown(atom),
            verb,
        }),
    }
}

fn combinations(rule: &Rule) -> usize {
    let resources = [
        rule.groups.len(),
        rule.resources.len(),
        rule.names.len().max(1),
    ];
    let resources = resources.into_iter().fold(1, usize::saturating_mul);
    let targets = resources.saturating_add(rule.paths.len());
    rule.verbs.len().saturating_mul(targets)
}

fn atoms(rule: &Rule) -> impl Iterator<Item = Atom<'_>> {
    rule.verbs.iter().flat_map(move |verb| {
        let paths = rule.paths.iter().map(move |path| Atom::Path { verb, path });
        let resources = rule.groups.iter().flat_map(move |group| {
            rule.resources.iter().flat_map(move |resource| {
                let any = rule.names.is_empty().then_some(None);
                let names = any
                    .into_iter()
                    .chain(rule.names.iter().map(|n| Some(n.as_str())));
                names.map(move |name| Atom::Resource {
                    verb,
                    group,
                    resource,
                    name,
                })
            })
        });
        resources.chain(paths)
    })
}

/// Whether a rule that somebody has includes it. A star is only included in a star.
fn has(rule: &Rule, atom: Atom<'_>) -> bool {
    let one_of = |had: &[String], wanted: &str| had.iter().any(|one| one == "*" || one == wanted);
    match atom {
        Atom::Path { verb, path } => {
            one_of(&rule.verbs, verb) && rule.paths.iter().any(|had| path_matches(had, path))
        }
        Atom::Resource {
            verb,
            group,
            resource,
            name,
        } => {
            let sub = resource.split_once('/').map(|(_, sub)| sub);
            let within = |had: &String| {
                had == "*"
                    || had == resource
                    || had.strip_prefix("*/").is_some_and(|had| sub == Some(had))
            };
            let named = |name: &str| rule.names.iter().any(|had| had == name);
            one_of(&rule.verbs, verb)
                && one_of(&rule.groups, group)
                && rule.resources.iter().any(within)
                && (rule.names.is_empty() || name.is_some_and(named))
        }
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
