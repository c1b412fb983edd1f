//! Who asks, whatever they have shown.
//!
//! Owns: which names and groups go with which kind, so that no kind can pass for another.
//! Never: how it was proven.

use std::collections::BTreeMap;

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
/// Everybody who has proven who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody who has not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The name of nobody in particular.
pub const ANONYMOUS: &str = "system:anonymous";
/// All nodes.
pub const NODES: &str = "system:nodes";
/// All service accounts; with `:<namespace>`, those of one.
pub const ACCOUNTS: &str = "system:serviceaccounts";

const NODE_PREFIX: &str = "system:node:";
const ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// Groups that come with a kind and are never granted.
const KIND_GROUPS: [&str; 4] = [AUTHENTICATED, UNAUTHENTICATED, NODES, ACCOUNTS];

/// Longest name of a user or group, in bytes.
pub const LONGEST_NAME: usize = 320;
/// Most groups of one user.
pub const MOST_GROUPS: usize = 64;
/// Longest name of an object (RFC 1123 subdomain).
const LONGEST_OBJECT: usize = 253;
/// Longest name of a namespace (RFC 1123 label).
const LONGEST_LABEL: usize = 63;

/// What sort of thing asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A server of the control plane, to those who connect to it. It asks nothing.
    Server,
    /// A person or a program that one was given to.
    User,
    /// A machine that runs pods.
    Node,
    /// What runs in a pod, as its service account.
    Workload,
    /// Nobody has proven anything.
    Anonymous,
}

impl Kind {
    /// As it stands in messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::User => "user",
            Kind::Node => "node",
            Kind::Workload => "workload",
            Kind::Anonymous => "anonymous",
        }
    }
}

/// Who asks. Made only by what checks the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The user's name, as roles are bound to it.
    pub user: String,
    /// The user's groups, those of the kind included.
    pub groups: Vec<String>,
    /// What tells it from another of the same name; empty: nothing. No right hangs on it.
    pub uid: String,
    /// What else is said of it, by key. No right hangs on it.
    pub extra: BTreeMap<String, Vec<String>>,
    /// What sort of thing it is.
    pub kind: Kind,
    /// When the proof is void, in seconds since 1970: a connection outlives it otherwise.
    pub expires_s: i64,
}

/// Why a name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, too long, or with characters that do not print.
    #[error("{what} \"{}\" is empty, longer than {LONGEST_NAME} bytes, or does not print", weft_stdx::name::shown(.name))]
    Malformed {
        /// User or group.
        what: &'static str,
        /// As given.
        name: String,
    },
    /// The name belongs to another kind.
    #[error(
        "{what} \"{name}\" is kept for nodes, service accounts or the system: choose another name"
    )]
    Reserved {
        /// User or group.
        what: &'static str,
        /// As given.
        name: String,
    },
    /// Too many groups.
    #[error("{0} groups: at most {MOST_GROUPS} can be given")]
    ManyGroups(usize),
    /// No name of a node, namespace or service account.
    #[error("\"{}\" is no name of a {what}: lower-case letters, digits and '-', as in a host name", weft_stdx::name::shown(.name))]
    Object {
        /// What it was to name.
        what: &'static str,
        /// As given.
        name: String,
    },
}

impl Subject {
    /// Somebody who has shown nothing.
    pub fn nobody() -> Subject {
        Subject {
            user: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            uid: String::new(),
            extra: BTreeMap::new(),
            kind: Kind::Anonymous,
            expires_s: i64::MAX,
        }
    }

    /// A user by name.
    ///
    /// # Errors
    /// For a name or group that is malformed or belongs to another kind.
    pub fn user(name: &str, groups: &[String], expires_s: i64) -> Result<Subject, NameError> {
        check_user(name, groups)?;
        let mut groups = groups.to_vec();
        groups.sort();
        groups.dedup();
        groups.push(AUTHENTICATED.to_owned());
        Ok(Subject {
            user: name.to_owned(),
            groups,
            uid: String::new(),
            extra: BTreeMap::new(),
            kind: Kind::User,
            expires_s,
        })
    }

    /// A node by the name of its object.
    ///
    /// # Errors
    /// For what is no name of one.
    pub fn node(name: &str, expires_s: i64) -> Result<Subject, NameError> {
        check_object("node", name)?;
        Ok(Subject {
            user: format!("{NODE_PREFIX}{name}"),
            groups: vec![NODES.to_owned(), AUTHENTICATED.to_owned()],
            uid: String::new(),
            extra: BTreeMap::new(),
            kind: Kind::Node,
            expires_s,
        })
    }

    /// A service account.
    ///
    /// # Errors
    /// For what is no name of one.
    pub fn account(namespace: &str, name: &str, expires_s: i64) -> Result<Subject, NameError> {
        check_label("namespace", namespace)?;
        check_object("service account", name)?;
        Ok(Subject {
            user: format!("{ACCOUNT_PREFIX}{namespace}:{name}"),
            groups: vec![
                ACCOUNTS.to_owned(),
                format!("{ACCOUNTS}:{namespace}"),
                AUTHENTICATED.to_owned(),
            ],
            uid: String::new(),
            extra: BTreeMap::new(),
            kind: Kind::Workload,
            expires_s,
        })
    }

    /// The node's own name, of a node.
    pub fn node_name(&self) -> Option<&str> {
        let name = self.user.strip_prefix(NODE_PREFIX);
        name.filter(|_| self.kind == Kind::Node)
    }

    /// Whether the proof still holds.
    pub fn is_current(&self, now_s: i64) -> bool {
        now_s <= self.expires_s
    }
}

/// Namespace and name out of `system:serviceaccount:<namespace>:<name>`.
pub fn account_of(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(ACCOUNT_PREFIX)?.split_once(':')
}

/// The name of a node out of `system:node:<name>`.
pub fn node_of(user: &str) -> Option<&str> {
    user.strip_prefix(NODE_PREFIX)
}

fn check_user(name: &str, groups: &[String]) -> Result<(), NameError> {
    check_printable("user", name)?;
    let system = name.starts_with(NODE_PREFIX) || name.starts_with(ACCOUNT_PREFIX);
    if system || name == ANONYMOUS {
        return Err(reserved("user", name));
    }
    if groups.len() > MOST_GROUPS {
        return Err(NameError::ManyGroups(groups.len()));
    }
    for group in groups {
        check_printable("group", group)?;
        let of_namespace = group
            .strip_prefix(ACCOUNTS)
            .is_some_and(|rest| rest.starts_with(':'));
        if of_namespace || KIND_GROUPS.contains(&group.as_str()) {
            return Err(reserved("group", group));
        }
    }
    Ok(())
}

fn reserved(what: &'static str, name: &str) -> NameError {
    let name = name.to_owned();
    NameError::Reserved { what, name }
}

fn check_printable(what: &'static str, name: &str) -> Result<(), NameError> {
    let good = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.trim() == name
        && !name.chars().any(char::is_control);
    let malformed = || NameError::Malformed {
        what,
        name: name.to_owned(),
    };
    good.then_some(()).ok_or_else(malformed)
}

fn check_label(what: &'static str, name: &str) -> Result<(), NameError> {
    let good = is_label(name);
    good.then_some(()).ok_or_else(|| object_error(what, name))
}

fn check_object(what: &'static str, name: &str) -> Result<(), NameError> {
    let good = name.len() <= LONGEST_OBJECT && name.split('.').all(is_label);
    good.then_some(()).ok_or_else(|| object_error(what, name))
}

fn object_error(what: &'static str, name: &str) -> NameError {
    let name = name.to_owned();
    NameError::Object { what, name }
}

fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= LONGEST_LABEL
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_cannot_pass_for_one_another() {
        for name in ["system:node:a", "system:serviceaccount:a:b", ANONYMOUS] {
            assert_eq!(Subject::user(name, &[], 0), Err(reserved("user", name)));
        }
        for group in [
            NODES,
            AUTHENTICATED,
            ACCOUNTS,
            "system:serviceaccounts:kube-system",
            UNAUTHENTICATED,
        ] {
            let groups = [group.to_owned()];
            assert_eq!(
                Subject::user("a", &groups, 0),
                Err(reserved("group", group))
            );
        }
        assert!(Subject::user("a", &[MASTERS.to_owned()], 0).is_ok());
    }

    #[test]
    fn names_print_and_have_a_bound() {
        for name in ["", " a", "a\n", "a\u{7}", &"a".repeat(LONGEST_NAME + 1)] {
            assert!(Subject::user(name, &[], 0).is_err(), "{name}");
        }
        let many: Vec<String> = (0..=MOST_GROUPS).map(|n| n.to_string()).collect();
        assert_eq!(
            Subject::user("a", &many, 0),
            Err(NameError::ManyGroups(MOST_GROUPS + 1))
        );
        for name in ["", "A", "a/b", "a:b", "-a", "a.", "a..b", "a_b", "ä"] {
            assert!(Subject::node(name, 0).is_err(), "{name}");
            assert!(Subject::account("default", name, 0).is_err(), "{name}");
            assert!(Subject::account(name, "default", 0).is_err(), "{name}");
        }
        assert!(Subject::account("a.b", "c", 0).is_err());
    }

    #[test]
    fn the_kind_brings_its_groups() {
        let node = Subject::node("n1.lan", 5).unwrap();
        assert_eq!(node.node_name(), Some("n1.lan"));
        assert!(node.is_current(5) && !node.is_current(6));
        let account = Subject::account("ns", "db", 0).unwrap();
        assert_eq!(account_of(&account.user), Some(("ns", "db")));
        assert!(account.groups.contains(&"system:serviceaccounts:ns".into()));
        assert_eq!(account.node_name(), None);
    }
}
