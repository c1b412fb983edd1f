//! What somebody may do: Kubernetes' roles and bindings.
//!
//! Owns: the decision, as a pure function of roles, bindings and a request that is fully parsed.
//! Whatever no rule allows is denied; there are no rules that deny.
//! Never: aggregates roles, or reads objects; the caller converts them.
//!
//! ```text
//!   user, groups ─► bindings ─► roles ─► a rule that matches? ─► Allow(why) | Deny
//! ```

mod builtin;
mod coverage;
mod decide;
mod escalation;
mod node;

use std::collections::HashMap;
use std::sync::Arc;

pub use builtin::{bindings, roles};
pub use coverage::{Large, missing};
pub use decide::{Decision, Reason, Request, Target, decide};
pub use escalation::{Escalation, may_bind, may_write_role};

use crate::subject::{self, MASTERS};

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// One rule of a role: each of its verbs on each of its resources, or on each of its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `get`, `list`, …; `*`: all.
    pub verbs: Vec<String>,
    /// API groups, `""` for the first; `*`: all.
    pub groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale`; `*`: all.
    pub resources: Vec<String>,
    /// If there are any: only objects of these names.
    pub names: Vec<String>,
    /// Paths that are no resources: `/healthz`, `/apis/*`; `*`: all.
    pub paths: Vec<String>,
}

impl Rule {
    /// Everything.
    pub fn all() -> Rule {
        let all = || vec!["*".to_owned()];
        Rule {
            verbs: all(),
            groups: all(),
            resources: all(),
            names: Vec::new(),
            paths: all(),
        }
    }
}

/// A Role, or without a namespace a ClusterRole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Where it counts.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub rules: Vec<Rule>,
}

/// Whom a binding is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A user.
    User(String),
    /// Everybody in a group.
    Group(String),
    /// A service account.
    Account {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Which role a binding gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoleRef {
    /// A ClusterRole.
    Cluster(String),
    /// A Role in the binding's namespace.
    Namespaced(String),
}

impl RoleRef {
    /// The role's name.
    pub fn name(&self) -> &str {
        match self {
            RoleRef::Cluster(name) | RoleRef::Namespaced(name) => name,
        }
    }
}

/// A RoleBinding, or without a namespace a ClusterRoleBinding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Where it counts.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What it gives.
    pub role: RoleRef,
    /// To whom.
    pub who: Vec<Who>,
}

/// All roles and bindings there are, made to be asked often.
#[derive(Debug, Default)]
pub struct Rules {
    /// By namespace (none: the cluster) and name.
    roles: HashMap<(Option<String>, String), Arc<[Rule]>>,
    /// With the role's rules, if there is such a role.
    bindings: Vec<(Binding, Arc<[Rule]>)>,
    users: HashMap<String, Vec<usize>>,
    groups: HashMap<String, Vec<usize>>,
}

impl Rules {
    /// Out of what is stored. A binding to a role that does not exist gives nothing.
    pub fn new(roles: Vec<Role>, bindings: Vec<Binding>) -> Rules {
        let key = |role: Role| ((role.namespace, role.name), role.rules.into());
        let mut rules = Rules {
            roles: roles.into_iter().map(key).collect(),
            ..Rules::default()
        };
        for (at, binding) in bindings.into_iter().enumerate() {
            for who in &binding.who {
                let (index, name) = match who {
                    Who::User(user) => (&mut rules.users, user.clone()),
                    Who::Group(group) => (&mut rules.groups, group.clone()),
                    Who::Account { namespace, name } => {
                        let user = format!("system:serviceaccount:{namespace}:{name}");
                        (&mut rules.users, user)
                    }
                };
                index.entry(name).or_default().push(at);
            }
            let given = rules.role(binding.namespace.as_deref(), &binding.role);
            let given = given.map(Arc::clone).unwrap_or_default();
            rules.bindings.push((binding, given));
        }
        rules
    }

    /// What `user` may do in `namespace` (none: only what counts everywhere): for
    /// SelfSubjectRulesReview. What a node may do with its own alone is not among it.
    pub fn rules_for(&self, user: &str, groups: &[String], namespace: Option<&str>) -> Vec<Rule> {
        if groups.iter().any(|group| group == MASTERS) {
            return vec![Rule::all()];
        }
        let mut found: Vec<Rule> = Vec::new();
        for (_, _, rule) in self.bound(user, groups, namespace) {
            if !found.contains(rule) {
                found.push(rule.clone());
            }
        }
        found
    }

    /// Every rule that counts for somebody in `namespace`, by which binding, and why.
    fn bound<'a>(
        &'a self,
        user: &'a str,
        groups: &'a [String],
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Binding, Via<'a>, &'a Rule)> {
        let by_user = self.users.get(user).into_iter().flatten();
        let by_user = by_user.map(move |at| (*at, Via::User(user)));
        let by_group = groups.iter().flat_map(move |group| {
            let found = self.groups.get(group).into_iter().flatten();
            found.map(move |at| (*at, Via::Group(group)))
        });
        by_user
            .chain(by_group)
            .map(|(at, via)| (&self.bindings[at], via))
            .filter(move |((binding, _), _)| {
                binding.namespace.is_none() || binding.namespace.as_deref() == namespace
            })
            .flat_map(|((binding, given), via)| given.iter().map(move |rule| (binding, via, rule)))
    }

    fn role(&self, namespace: Option<&str>, role: &RoleRef) -> Option<&Arc<[Rule]>> {
        let namespace = match role {
            RoleRef::Cluster(_) => None,
            // Without a namespace of its own a binding cannot name a namespace's role.
            RoleRef::Namespaced(_) => Some(namespace?.to_owned()),
        };
        self.roles.get(&(namespace, role.name().to_owned()))
    }
}

/// By what a binding is somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via<'a> {
    User(&'a str),
    Group(&'a str),
}

fn is_node<'a>(user: &'a str, groups: &[String]) -> Option<&'a str> {
    let node = subject::node_of(user)?;
    let member = groups.iter().any(|group| group == subject::NODES);
    member.then_some(node)
}

#[cfg(test)]
mod tests;
