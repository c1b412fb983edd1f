//! `kubectl --as`: somebody who asks as somebody else.
//!
//! Owns: that whoever says so may be them, user and each group by itself.
//! Never: takes a header it does not honour for none.

use http::HeaderMap;
use weft_control::{Failure, Reason};
use weft_identity::subject::{self, AUTHENTICATED, Subject};

use crate::gate::{self, Gate, Question};

const PREFIX: &str = "impersonate-";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";

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
    let named = |name: &&str| name.starts_with(PREFIX);
    let names: Vec<&str> = head
        .keys()
        .map(http::HeaderName::as_str)
        .filter(named)
        .collect();
    if names.is_empty() {
        return Ok(asker);
    }
    if let Some(other) = names.iter().find(|name| ![USER, GROUP].contains(*name)) {
        let message = format!("the header {other} is not supported: {USER} and {GROUP} are");
        return Err(Failure::bad_request(message));
    }
    if !names.contains(&USER) {
        let message = format!("{GROUP} without {USER}: say whose groups they are");
        return Err(Failure::bad_request(message));
    }
    let users = texts(head, USER)?;
    let [user] = &users[..] else {
        return Err(Failure::bad_request(format!("{USER} is there twice")));
    };
    let groups = texts(head, GROUP)?;
    let other = other(user, &groups, asker.expires_s)?;
    let question = match subject::account_of(user) {
        Some((namespace, name)) => asked_as("serviceaccounts", namespace, name),
        None => asked_as("users", "", user),
    };
    gate::may(gate, &asker, &question)?;
    for group in &groups {
        gate::may(gate, &asker, &asked_as("groups", "", group))?;
    }
    Ok(other)
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

fn texts(head: &HeaderMap, name: &str) -> Result<Vec<String>, Failure> {
    let all = head.get_all(name).iter().map(|value| value.to_str());
    let all = all.map(|text| text.map(str::to_owned));
    all.collect::<Result<_, _>>()
        .map_err(|_| Failure::bad_request(format!("the header {name} is no text")))
}
