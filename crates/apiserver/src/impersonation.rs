//! `kubectl --as`: somebody who asks as somebody else.
//!
//! Owns: that whoever says so may be them: user, uid, each group and each extra value by itself.
//! Never: takes a header it does not honour for none.

use std::collections::BTreeMap;

use http::HeaderMap;
use weft_control::{Failure, Reason};
use weft_identity::subject::{self, AUTHENTICATED, Subject};

use crate::gate::{self, Gate, Question};
use crate::target;

const PREFIX: &str = "impersonate-";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
/// The API group of the rights to a uid and to extra values; those to names are the core's.
const API_GROUP: &str = "authentication.k8s.io";

/// Whether somebody asks as somebody else.
pub(crate) fn is_asked(head: &HeaderMap) -> bool {
    head.keys().any(|name| name.as_str().starts_with(PREFIX))
}

/// Whom a request is to be decided for.
///
/// # Errors
/// They may not be who they say, or nobody can.
pub(crate) fn subject(
    gate: &dyn Gate,
    asker: Subject,
    head: &HeaderMap,
) -> Result<Subject, Failure> {
    let Some(wanted) = Wanted::of(head, asker.expires_s)? else {
        return Ok(asker);
    };
    for right in &wanted.rights {
        gate::may(gate, &asker, right)?;
    }
    Ok(wanted.subject)
}

/// What the head says, before anybody is asked whether it may.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Whom they ask as.
    pub(crate) subject: Subject,
    /// What they need for that.
    pub(crate) rights: Vec<Question>,
}

impl Wanted {
    /// Nothing: they ask as themselves.
    pub(crate) fn of(head: &HeaderMap, expires_s: i64) -> Result<Option<Wanted>, Failure> {
        let named = |name: &&str| name.starts_with(PREFIX);
        let names = head.keys().map(http::HeaderName::as_str).filter(named);
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            return Ok(None);
        }
        let is_known = |name: &str| [USER, GROUP, UID].contains(&name) || key_of(name).is_some();
        if let Some(other) = names.iter().find(|name| !is_known(name)) {
            let message = format!(
                "the header {other} is not supported: {USER}, {GROUP}, {UID} and {EXTRA}KEY are"
            );
            return Err(Failure::bad_request(message));
        }
        if !names.contains(&USER) {
            let message = format!("{} without {USER}: say of whom that is", names[0]);
            return Err(Failure::bad_request(message));
        }
        let user = &only(head, USER)?;
        let groups = texts(head, GROUP)?;
        let mut subject = other(user, &groups, expires_s)?;
        subject.uid = only(head, UID)?;
        subject.extra = extra(head, &names)?;
        let mut rights = vec![match subject::account_of(user) {
            Some((namespace, name)) => asked_as("serviceaccounts", namespace, name),
            None => asked_as("users", "", user),
        }];
        rights.extend(groups.iter().map(|group| asked_as("groups", "", group)));
        if !subject.uid.is_empty() {
            rights.push(said_of("uids", "", &subject.uid));
        }
        for (key, values) in &subject.extra {
            rights.extend(values.iter().map(|value| said_of("userextras", key, value)));
        }
        Ok(Some(Wanted { subject, rights }))
    }
}

/// The right to ask as somebody.
pub(crate) fn asked_as(resource: &str, namespace: &str, name: &str) -> Question {
    Question::Object {
        verb: "impersonate".to_owned(),
        group: String::new(),
        resource: resource.to_owned(),
        subresource: String::new(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// The right to say something of whom one asks as.
fn said_of(resource: &str, key: &str, value: &str) -> Question {
    Question::Object {
        verb: "impersonate".to_owned(),
        group: API_GROUP.to_owned(),
        resource: resource.to_owned(),
        subresource: key.to_owned(),
        namespace: String::new(),
        name: value.to_owned(),
    }
}

/// The key in a header's name: in small letters, as names of headers are, and escaped by `%`. One
/// that is not escaped well stands for itself.
fn key_of(name: &str) -> Option<String> {
    let escaped = name.strip_prefix(EXTRA).filter(|key| !key.is_empty())?;
    Some(target::decode(escaped).unwrap_or_else(|| escaped.to_owned()))
}

fn extra(head: &HeaderMap, names: &[&str]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        if let Some(key) = key_of(name) {
            found.entry(key).or_default().extend(texts(head, name)?);
        }
    }
    Ok(found)
}

/// The kind that goes with a name brings its groups; more can be said for users only.
fn other(user: &str, groups: &[String], expires_s: i64) -> Result<Subject, Failure> {
    let found = if user == subject::ANONYMOUS {
        Ok(Subject {
            expires_s,
            ..Subject::nobody()
        })
    } else if let Some((namespace, name)) = subject::account_of(user) {
        Subject::account(namespace, name, expires_s)
    } else if let Some(name) = subject::node_of(user) {
        Subject::node(name, expires_s)
    } else {
        let groups: Vec<String> = groups
            .iter()
            .filter(|group| *group != AUTHENTICATED)
            .cloned()
            .collect();
        return Subject::user(user, &groups, expires_s).map_err(refused);
    };
    let found = found.map_err(refused)?;
    match groups.iter().find(|group| !found.groups.contains(group)) {
        None => Ok(found),
        Some(group) => Err(Failure::bad_request(format!(
            "{user:?} is not in the group {group:?}, and cannot be"
        ))),
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::new(Reason::BadRequest, error.to_string())
}

/// The one value of a header; empty, if it is not there.
fn only(head: &HeaderMap, name: &str) -> Result<String, Failure> {
    let mut all = texts(head, name)?;
    match all.len() {
        0 | 1 => Ok(all.pop().unwrap_or_default()),
        _ => Err(Failure::bad_request(format!("{name} is there twice"))),
    }
}

fn texts(head: &HeaderMap, name: &str) -> Result<Vec<String>, Failure> {
    let all = head.get_all(name).iter().map(|value| value.to_str());
    let all = all.map(|text| text.map(str::to_owned));
    all.collect::<Result<_, _>>()
        .map_err(|_| Failure::bad_request(format!("the header {name} is no text")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use weft_identity::subject::{ANONYMOUS, Kind, MASTERS, NODES};

    fn wanted(lines: &[(&str, &str)]) -> Result<Option<Wanted>, Failure> {
        let mut head = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Wanted::of(&head, 7)
    }

    const U: &str = "Impersonate-User";
    const G: &str = "Impersonate-Group";
    const I: &str = "Impersonate-Uid";
    const X: &str = "Impersonate-Extra-Scopes";

    #[test]
    fn whom_and_what_they_need_for_it() {
        assert!(wanted(&[("User-Agent", "x")]).unwrap().is_none());
        let account = "system:serviceaccount:shop:db";
        for (lines, kind, groups, rights) in [
            (
                &[(U, "ann")][..],
                Kind::User,
                &[AUTHENTICATED][..],
                &["users//ann"][..],
            ),
            (
                &[(U, "ann"), (G, MASTERS), (G, "dev")],
                Kind::User,
                &["dev", MASTERS, AUTHENTICATED],
                &["users//ann", "groups//system:masters", "groups//dev"],
            ),
            // Everybody is in it; the right to say so is needed all the same.
            (
                &[(U, "ann"), (G, AUTHENTICATED)],
                Kind::User,
                &[AUTHENTICATED],
                &["users//ann", "groups//system:authenticated"],
            ),
            (
                &[(U, account)],
                Kind::Workload,
                &[
                    "system:serviceaccounts",
                    "system:serviceaccounts:shop",
                    AUTHENTICATED,
                ],
                &["serviceaccounts/shop/db"],
            ),
            (
                &[(U, "system:node:n1"), (G, NODES)],
                Kind::Node,
                &[NODES, AUTHENTICATED],
                &["users//system:node:n1", "groups//system:nodes"],
            ),
            (
                &[(U, ANONYMOUS)],
                Kind::Anonymous,
                &["system:unauthenticated"],
                &["users//system:anonymous"],
            ),
        ] {
            let found = wanted(lines).unwrap().unwrap();
            assert_eq!(found.subject.kind, kind, "{lines:?}");
            assert_eq!(found.subject.groups, groups, "{lines:?}");
            let is_theirs = found.subject.kind == Kind::Anonymous || found.subject.expires_s == 7;
            assert!(is_theirs, "{lines:?}");
            let needed: Vec<String> = found.rights.iter().map(right).collect();
            assert_eq!(needed, rights, "{lines:?}");
        }
    }

    fn right(question: &Question) -> String {
        match question {
            Question::Object {
                verb,
                group,
                resource,
                namespace,
                name,
                ..
            } if verb == "impersonate" && group.is_empty() => {
                format!("{resource}/{namespace}/{name}")
            }
            Question::Object {
                verb,
                group,
                resource,
                subresource,
                name,
                ..
            } if verb == "impersonate" => {
                format!("{group}: {resource}/{subresource} {name}")
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_said_of_them_needs_a_right_for_each_value() {
        let lines = &[
            (U, "system:serviceaccount:shop:db"),
            (I, "u-1"),
            (X, "view"),
            (X, "list"),
            ("impersonate-extra-acme.io%2FTeam", "x"),
            ("impersonate-extra-half%2", "y"),
        ];
        let found = wanted(lines).unwrap().unwrap();
        assert_eq!(found.subject.uid, "u-1");
        let extra: Vec<String> = found
            .subject
            .extra
            .iter()
            .map(|(key, values)| format!("{key}={}", values.join("+")))
            .collect();
        assert_eq!(extra, ["acme.io/team=x", "half%2=y", "scopes=view+list"]);
        let needed: Vec<String> = found.rights.iter().map(right).collect();
        assert_eq!(
            needed,
            [
                "serviceaccounts/shop/db",
                "authentication.k8s.io: uids/ u-1",
                "authentication.k8s.io: userextras/acme.io/team x",
                "authentication.k8s.io: userextras/half%2 y",
                "authentication.k8s.io: userextras/scopes view",
                "authentication.k8s.io: userextras/scopes list",
            ]
        );
        // An empty uid is none, and takes no right.
        let found = wanted(&[(U, "ann"), (I, "")]).unwrap().unwrap();
        assert_eq!(found.rights.len(), 1);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (lines, says) in [
            (&[(U, "")][..], "empty"),
            (&[(U, "a"), (U, "b")], "twice"),
            (&[(G, "dev")], "without impersonate-user"),
            (&[(U, "a"), (G, "")], "empty"),
            (&[(U, "a"), (G, NODES)], "kept for nodes"),
            (&[(U, "a"), (G, "system:unauthenticated")], "kept for"),
            (&[(U, "system:node:../x")], "no name"),
            (
                &[(U, "system:node:n1"), (G, MASTERS)],
                "is not in the group",
            ),
            (
                &[(U, "system:serviceaccount:shop:db"), (G, "dev")],
                "is not in the group",
            ),
            (&[(U, "system:serviceaccount:shop")], "kept for"),
            (&[(U, ANONYMOUS), (G, MASTERS)], "is not in the group"),
            (&[(I, "1")], "impersonate-uid without impersonate-user"),
            (&[(U, "a"), (I, "1"), (I, "2")], "impersonate-uid is there"),
            (&[(X, "x")], "without impersonate-user"),
            (&[(U, "a"), (X, "\u{e4}")], "is no text"),
            (&[(U, "a"), ("Impersonate-Extra-", "x")], "not supported"),
            (&[(U, "a"), ("Impersonate-Uids", "x")], "not supported"),
            (&[("Impersonate-", "a")], "not supported"),
            (&[(U, "\u{e4}")], "is no text"),
        ] {
            let refused = wanted(lines).unwrap_err();
            assert_eq!(refused.reason, Reason::BadRequest, "{lines:?}");
            assert!(refused.message.contains(says), "{lines:?}: {refused}");
        }
    }
}
