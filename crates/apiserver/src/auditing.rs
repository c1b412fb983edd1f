//! What the audit log and the metrics are told of a request.
//!
//! Owns: which requests are worth a line: all that change something, all that were refused, and
//! reading secrets, also as part of a backup. What else is read is most of the traffic, and is left out.
//! Never: sees a body, a header but the client's name, or what stands behind the question mark.

use std::net::IpAddr;

use http::header::USER_AGENT;
use http::request::Parts;
use jiff::Timestamp;
use weft_control::{Failure, Reason};
use weft_identity::audit::{Entry, Outcome};
use weft_identity::subject::Subject;

use crate::gate::Question;
use crate::metrics::Label;
use crate::upkeep::Task;

/// What is known of a request so far.
#[derive(Debug, Default)]
pub(crate) struct Note {
    user: String,
    groups: Vec<String>,
    verb: String,
    why: String,
    group: String,
    resource: String,
}

impl Note {
    /// Somebody asks.
    pub(crate) fn asker(&mut self, subject: &Subject) {
        self.user.clone_from(&subject.user);
        self.groups.clone_from(&subject.groups);
    }

    /// They ask as somebody else.
    pub(crate) fn asks_as(&mut self, subject: &Subject) {
        let has_more = !subject.uid.is_empty() || !subject.extra.is_empty();
        if subject.user == self.user && subject.groups == self.groups && !has_more {
            return;
        }
        let mut said = subject.groups.join(", ");
        if !subject.uid.is_empty() {
            said.push_str(&format!("; uid {:?}", subject.uid));
        }
        for (key, values) in &subject.extra {
            said.push_str(&format!("; {key} {values:?}"));
        }
        self.why = format!("as {:?} ({said}): ", subject.user);
    }

    /// For this.
    pub(crate) fn question(&mut self, question: &Question) {
        match question {
            Question::Path { verb, .. } => self.verb.clone_from(verb),
            Question::Object {
                verb,
                group,
                resource,
                ..
            } => {
                self.verb.clone_from(verb);
                self.group.clone_from(group);
                self.resource.clone_from(resource);
            }
        }
    }

    /// They may.
    pub(crate) fn allowed(&mut self, why: &str) {
        self.why.push_str(why);
    }

    /// As it is counted. The kind is one there is, or none.
    pub(crate) fn label(&self, code: u16) -> Label {
        Label {
            verb: self.verb.clone(),
            group: self.group.clone(),
            resource: self.resource.clone(),
            code,
        }
    }

    /// The line, if it is worth one; `failed` is why it was not done.
    pub(crate) fn entry(
        mut self,
        head: &Parts,
        source: IpAddr,
        code: u16,
        failed: Option<&Failure>,
    ) -> Option<Entry> {
        let outcome = match failed.map(|failure| failure.reason) {
            Some(Reason::Unauthorized) => Outcome::Unauthenticated,
            Some(Reason::Forbidden) => Outcome::Denied,
            _ => Outcome::Allowed,
        };
        let is_secret = (self.group.is_empty() && self.resource == "secrets")
            || Task::of(&head.method, head.uri.path()) == Some(Task::Backup);
        let reads = matches!(&*self.verb, "get" | "head" | "list" | "watch");
        // Who comes in without having to say who they are changes nothing.
        let is_open = self.user.is_empty() && outcome == Outcome::Allowed;
        if is_open || (reads && !is_secret && outcome == Outcome::Allowed) {
            return None;
        }
        if let (Some(failure), true) = (failed, outcome != Outcome::Allowed) {
            self.why.push_str(&failure.message);
        }
        if self.verb.is_empty() {
            self.verb = head.method.as_str().to_ascii_lowercase();
        }
        let agent = head.headers.get(USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok());
        Some(Entry {
            time_ns: i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX),
            user: self.user,
            groups: self.groups,
            source: Some(source),
            verb: self.verb,
            object: head.uri.path().to_owned(),
            outcome,
            code,
            reason: self.why,
            agent: agent.unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_whom_they_ask_is_told_with_all_that_was_said_of_them() {
        let ann = Subject::user("ann", &[], 0).unwrap();
        let mut note = Note::default();
        note.asker(&ann);
        note.asks_as(&ann);
        assert_eq!(note.why, "");
        let mut other = ann;
        other.uid = "u\n1".to_owned();
        let values = vec!["view".to_owned(), "list".to_owned()];
        other.extra.insert("scopes".to_owned(), values);
        note.asks_as(&other);
        let expected = r#"as "ann" (system:authenticated; uid "u\n1"; scopes ["view", "list"]): "#;
        assert_eq!(note.why, expected);
    }

    fn entry(user: &str, verb: &str, resource: &str, failed: Option<Reason>) -> Option<Entry> {
        let mut note = Note::default();
        if !user.is_empty() {
            note.asker(&Subject::user(user, &[], 0).unwrap());
            note.question(&Question::Object {
                verb: verb.to_owned(),
                group: String::new(),
                resource: resource.to_owned(),
                subresource: String::new(),
                namespace: String::new(),
                name: String::new(),
            });
        }
        let request = http::Request::get("/api/v1/x?labelSelector=y").body(());
        let (head, ()) = request.unwrap().into_parts();
        let failed = failed.map(|reason| Failure::new(reason, "no"));
        let source = IpAddr::from([127, 0, 0, 1]);
        note.entry(&head, source, 200, failed.as_ref())
    }

    #[test]
    fn what_changes_or_is_refused_has_a_line() {
        use Outcome::{Allowed, Denied, Unauthenticated};
        for (user, verb, resource, failed, expected) in [
            ("a", "create", "pods", None, Some(Allowed)),
            ("a", "create", "pods", Some(Reason::Invalid), Some(Allowed)),
            ("a", "delete", "pods", Some(Reason::Forbidden), Some(Denied)),
            ("a", "get", "pods", None, None),
            ("a", "watch", "pods", None, None),
            ("a", "list", "pods", Some(Reason::Forbidden), Some(Denied)),
            ("a", "list", "secrets", None, Some(Allowed)),
            ("", "", "", None, None),
            (
                "",
                "",
                "",
                Some(Reason::Unauthorized),
                Some(Unauthenticated),
            ),
        ] {
            let found = entry(user, verb, resource, failed);
            let outcome = found.as_ref().map(|entry| entry.outcome);
            assert_eq!(outcome, expected, "{user} {verb} {resource} {failed:?}");
            if let Some(found) = found {
                assert_eq!(found.object, "/api/v1/x");
            }
        }
    }
}
