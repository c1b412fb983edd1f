//! The certificate authority of a cluster.
//!
//! Owns: one root and, below it, one issuer per kind of certificate. What kind a certificate is
//! of is decided by who signed it: no name in it, and nothing its holder asked for, changes that.
//! Never: makes a second authority where one is damaged.
//!
//! ```text
//!   root ─┬─ server     what clients verify; serverAuth
//!         ├─ user       CN = user, O = groups
//!         ├─ node       CN = system:node:<name>
//!         └─ workload   CN = system:serviceaccount:<namespace>:<name>
//! ```

mod asking;
mod csr;
mod der;
mod files;
mod issue;
mod trust;

use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;

pub use asking::{AskError, Asking};
pub use csr::{CsrError, LARGEST_CSR, name_of};
pub(crate) use der::certificate_pem;
pub use files::AuthorityError;
pub use issue::{Certificate, Grant, IssueError, Pair};
pub use trust::{LARGEST_CERTIFICATE, RefusedCertificate, Trust};

use crate::jwt;
use crate::subject::Kind;
use files::Signer;

/// Where a server keeps its authority, in its data directory.
pub const DIRECTORY: &str = "server/authority";
/// How long a root and its issuers are good for: ten years.
pub const AUTHORITY_LIFE_S: i64 = 3653 * DAY_S;
/// How long a signed certificate is good for unless somebody says less.
pub const CERTIFICATE_LIFE_S: i64 = 7 * DAY_S;
const DAY_S: i64 = 86_400;
/// Clocks of machines differ: a certificate is good from a little before it was made.
const SKEW_S: i64 = 300;

/// A root, its issuers, and their keys.
pub struct Authority {
    root_pem: String,
    root_der: Vec<u8>,
    issuers: [Signer; 4],
    /// The first signs.
    accounts: Vec<KeyPair>,
}

/// The kinds that have an issuer, in the order of [`Authority::issuers`].
const ISSUED: [Kind; 4] = [Kind::Server, Kind::User, Kind::Node, Kind::Workload];

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Reads the authority in `directory`.
    ///
    /// # Errors
    /// [`AuthorityError::Absent`] when there is none; all others mean that it is damaged, and
    /// say how.
    pub fn open(directory: &Path) -> Result<Authority, AuthorityError> {
        files::open(directory)
    }

    /// Makes an authority in `directory`, which must not exist or be empty: whole or not at all.
    ///
    /// # Errors
    /// When there is something already, or it cannot be written.
    pub fn create(directory: &Path, now_s: i64) -> Result<Authority, AuthorityError> {
        files::create(directory, now_s)?;
        files::open(directory)
    }

    /// Reads the authority in `directory`, or makes one at first start.
    ///
    /// # Errors
    /// As [`Authority::open`] and [`Authority::create`]: a damaged one is never replaced.
    pub fn open_or_create(directory: &Path, now_s: i64) -> Result<Authority, AuthorityError> {
        match Self::open(directory) {
            Err(AuthorityError::Absent { .. }) => Self::create(directory, now_s),
            other => other,
        }
    }

    /// The root's certificate: what clients trust.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The same in DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root_der
    }

    /// What those compare the root with who got it over a way they cannot trust.
    ///
    /// # Panics
    /// Never: the root was read before.
    pub fn root_hash(&self) -> String {
        self.certificates()[0].1.authority_hash()
    }

    /// The root and the issuers below it, with their names.
    ///
    /// # Panics
    /// Never: they were read before.
    pub fn certificates(&self) -> Vec<(&'static str, crate::certificate::Certificate)> {
        let root = (files::ROOT, CertificateDer::from(self.root_der.clone()));
        let issuers = ISSUED.iter().zip(&self.issuers);
        let issuers = issuers.map(|(kind, signer)| (kind.name(), signer.der.clone()));
        let read = |der| crate::certificate::Certificate::of(der).expect("it was read before");
        let all = std::iter::once(root).chain(issuers);
        all.map(|(name, der)| (name, read(der))).collect()
    }

    /// What verifies the certificates of clients.
    ///
    /// # Panics
    /// Never: the issuers were checked when they were read.
    pub fn trust(&self) -> Trust {
        Trust::new(ISSUED.iter().zip(&self.issuers))
    }

    /// What makes and reads the tokens of service accounts, in the name of `issuer`.
    ///
    /// # Panics
    /// Never: an authority has at least one key for them.
    pub fn tokens(&self, issuer: &str) -> (jwt::Signer, jwt::Verifier) {
        let mut keys = self.accounts.iter();
        let first = keys.next().expect("it was checked when it was read");
        let (signer, verifier) = jwt::signer_and_verifier(first, issuer);
        let older = keys.map(|key| jwt::signer_and_verifier(key, issuer).1);
        (signer, older.fold(verifier, jwt::Verifier::and))
    }

    /// Reads the authority in `directory` after giving it a new key for tokens. Those of its last
    /// three keys are still read: call it four times if one was stolen.
    ///
    /// # Errors
    /// As [`Authority::open`], and when the key cannot be written.
    pub fn rotate_token_key(directory: &Path) -> Result<Authority, AuthorityError> {
        files::open(directory)?;
        files::rotate_accounts(directory)?;
        files::open(directory)
    }

    fn issuer(&self, kind: Kind) -> &Signer {
        let at = ISSUED.iter().position(|issued| *issued == kind);
        &self.issuers[at.expect("every grant has an issuer")]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NOW: i64 = 1_800_000_000;

    /// An authority whose files are gone already.
    pub(crate) fn authority() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        Authority::create(&dir.path().join("authority"), NOW).unwrap()
    }

    pub(crate) fn user(name: &str, groups: &[&str]) -> Grant {
        Grant::User {
            user: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }
}
