//! Who asks, and whether they may: decided elsewhere, asked here, once for each request.

use std::fmt;
use std::pin::Pin;

use http::HeaderMap;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use weft_control::{Failure, Kind, Object, Reason};
use weft_identity::authority::{Certificate, Grant, IssueError};
use weft_identity::jwt::Holder;
use weft_identity::rbac::Rule;
use weft_identity::subject::Subject;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Something with objects.
    Object {
        /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`
        verb: String,
        /// API group; empty for the core's.
        group: String,
        /// `pods`
        resource: String,
        /// `status`; empty for the object itself.
        subresource: String,
        /// Empty: all.
        namespace: String,
        /// Empty: all.
        name: String,
    },
    /// Something else: its path.
    Path {
        /// `get`, in small letters.
        verb: String,
        /// `/version`
        path: String,
    },
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Path { verb, path } => write!(f, "{verb} path {path:?}"),
            Question::Object {
                verb,
                group,
                resource,
                subresource,
                namespace,
                name,
            } => {
                let slash = if subresource.is_empty() { "" } else { "/" };
                write!(
                    f,
                    "{verb} resource \"{resource}{slash}{subresource}\" in API group {group:?}"
                )?;
                if !name.is_empty() {
                    write!(f, " named {name:?}")?;
                }
                match namespace.as_str() {
                    "" => f.write_str(" at the cluster scope"),
                    namespace => write!(f, " in the namespace {namespace:?}"),
                }
            }
        }
    }
}

/// What is answered once something was looked up.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Completes when a proof is void although its time is not over.
pub struct Ending(pub Pin<Box<dyn Future<Output = ()> + Send>>);

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ending")
    }
}

/// Decides. Every request but those for health and version passes the first two questions.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Who it is, by certificates the TLS layer has verified, or by what the head says.
    ///
    /// # Errors
    /// Nobody that is known: 401.
    fn who<'a>(
        &'a self,
        certificates: &'a [CertificateDer<'static>],
        head: &'a HeaderMap,
    ) -> Answering<'a, Subject>;

    /// What a proof ends with besides its time; nothing, if only time ends it.
    ///
    /// # Errors
    /// It has ended: 401.
    fn ending<'a>(
        &'a self,
        certificates: &'a [CertificateDer<'static>],
        head: &'a HeaderMap,
    ) -> Answering<'a, Option<Ending>>;

    /// Whether somebody may, and why; the reason is empty where there is none to tell.
    fn decide(&self, user: &str, groups: &[String], question: &Question) -> (bool, String);

    /// Whether an object may become another: nobody gives rights they do not have.
    ///
    /// # Errors
    /// It may not: 403, with the reason.
    fn may_write(
        &self,
        subject: &Subject,
        kind: &Kind,
        old: Option<&Object>,
        new: &Object,
    ) -> Result<(), Failure>;

    /// What somebody may do in a namespace.
    fn rules(&self, subject: &Subject, namespace: &str) -> Vec<Rule>;

    /// Whose a bearer token is, and for which of these audiences it is meant.
    ///
    /// # Errors
    /// Nobody's, or another audience's: why.
    fn holder<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
    ) -> Answering<'a, (Subject, Vec<String>)>;

    /// Makes a bearer token: its text.
    ///
    /// # Errors
    /// Times or audiences cannot be.
    fn token(
        &self,
        holder: &Holder,
        audiences: &[String],
        life_s: i64,
        now_s: i64,
    ) -> Result<String, Failure>;

    /// Makes a certificate for the key of a request: it, and what the server's is checked with.
    ///
    /// # Errors
    /// The request is not good, or asks for another name than is granted.
    fn certify(
        &self,
        csr_pem: &str,
        grant: &Grant,
        life_s: i64,
        now_s: i64,
    ) -> Result<(Certificate, String), IssueError>;

    /// Whom tokens are for unless somebody says otherwise.
    fn audience(&self) -> &str;

    /// In whose name tokens are made, and the keys that read them (RFC 7517).
    fn issuer(&self) -> (&str, Value);
}

/// Why somebody may.
///
/// # Errors
/// They may not: 403.
pub(crate) fn may(
    gate: &dyn Gate,
    subject: &Subject,
    question: &Question,
) -> Result<String, Failure> {
    let (allowed, why) = gate.decide(&subject.user, &subject.groups, question);
    if allowed {
        return Ok(why);
    }
    let user = &subject.user;
    let what = question.to_string();
    let why = format!("User {user:?} cannot {what}");
    let refused = |message| Failure::new(Reason::Forbidden, message);
    Err(match question {
        Question::Path { .. } => refused(format!("forbidden: {why}")),
        Question::Object {
            group,
            resource,
            name,
            ..
        } => {
            let mut of = resource.to_string();
            if !group.is_empty() {
                of = format!("{of}.{group}");
            }
            if !name.is_empty() {
                of = format!("{of} {name:?}");
            }
            refused(format!("{of} is forbidden: {why}")).about(group, resource, name)
        }
    })
}
