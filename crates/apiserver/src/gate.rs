//! Who asks, and whether they may: decided elsewhere, asked here, once for each request.

use http::HeaderMap;
use rustls::pki_types::CertificateDer;
use weft_control::Failure;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's name.
    pub user: String,
    /// Their groups.
    pub groups: Vec<String>,
}

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
    ) -> Result<Caller, Failure>;

    /// Whether they may.
    ///
    /// # Errors
    /// They may not: 403, with the reason.
    fn may(&self, caller: &Caller, question: &Question) -> Result<(), Failure>;
}
