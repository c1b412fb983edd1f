//! Who asks, and whether they may: decided elsewhere, asked here, once for each request.

use std::fmt;

use http::HeaderMap;
use rustls::pki_types::CertificateDer;
use weft_control::Failure;
use weft_identity::subject::Subject;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Something with objects.
    Object {
        /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`
        verb: &'static str,
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

/// Decides. Every request but those for health and version passes both questions.
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Who it is, by certificates the TLS layer has verified, or by what the head says.
    ///
    /// # Errors
    /// Nobody that is known: 401.
    fn who(
        &self,
        certificates: &[CertificateDer<'static>],
        head: &HeaderMap,
    ) -> Result<Subject, Failure>;

    /// Whether they may.
    ///
    /// # Errors
    /// They may not: 403, with the reason.
    fn may(&self, subject: &Subject, question: &Question) -> Result<(), Failure>;
}
