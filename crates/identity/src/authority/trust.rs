//! Whose certificates are believed, and what they say.
//!
//! Owns: from a client certificate's bytes to a [`Subject`]. The kind is the issuer's, never the
//! name's; a name that does not fit the kind is refused.
//! Never: has a key that signs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files::Signer;
use crate::subject::{self, Kind, NameError, Subject};

/// Largest client certificate that is read.
pub const LARGEST_CERTIFICATE: usize = 16 * 1024;
/// Most certificates whose holders are remembered.
const REMEMBERED: usize = 512;

/// The issuers of one authority.
#[derive(Clone, Debug)]
pub struct Trust {
    issuers: Vec<(Kind, CertificateDer<'static>, Arc<dyn ClientCertVerifier>)>,
    provider: Arc<CryptoProvider>,
    known: Arc<Mutex<Known>>,
}

/// Who holds certificates that were verified, by their bytes: each request shows one, and a
/// signature takes longer to verify than most requests. The issuers do not change; the time does.
type Known = HashMap<Vec<u8>, Holder>;

#[derive(Debug)]
struct Holder {
    begins_s: i64,
    subject: Subject,
}

/// Why a certificate does not say who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCertificate {
    /// Too long, or no certificate.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// It was good once.
    #[error(
        "the client certificate has expired, and cannot be renewed any more: `weft certificate request` gets a new one for a token of `weft token create`"
    )]
    Expired,
    /// It will be good.
    #[error("the client certificate is not valid yet: compare the clocks of both machines")]
    NotYetValid,
    /// Somebody else signed it.
    #[error("the client certificate was signed by another authority than this cluster's")]
    Stranger,
    /// It says it is one of ours, and is not.
    #[error("the client certificate's signature is wrong")]
    Forged,
    /// One that answers, or one that signs; not one that asks.
    #[error("a {0} certificate was shown where a client's is needed")]
    NotForClients(&'static str),
    /// The name in it is another kind's.
    #[error("the {kind} certificate has a name that is no {kind}'s")]
    Name {
        /// The kind its issuer makes.
        kind: &'static str,
        /// What is wrong with the name.
        #[source]
        source: Option<NameError>,
    },
    /// Something else, in the words of the verifier.
    #[error("the client certificate is refused: {0}")]
    Other(String),
}

impl Trust {
    pub(super) fn new<'a>(issuers: impl Iterator<Item = (&'a Kind, &'a Signer)>) -> Trust {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let one = |(kind, signer): (&Kind, &Signer)| {
            let verifier = verifier([signer.der.clone()], &provider);
            (*kind, signer.der.clone(), verifier)
        };
        let issuers = issuers.map(one).collect();
        Trust {
            issuers,
            provider,
            known: Arc::default(),
        }
    }

    /// Who holds the key of the certificate in `der`.
    ///
    /// That they do hold it is for the handshake to find out.
    ///
    /// # Errors
    /// See [`RefusedCertificate`].
    pub fn subject(&self, der: &[u8], now_s: i64) -> Result<Subject, RefusedCertificate> {
        if der.len() > LARGEST_CERTIFICATE {
            return Err(RefusedCertificate::Unreadable);
        }
        if let Some(subject) = self.remembered(der, now_s) {
            return Ok(subject);
        }
        let kind = self.kind(der, now_s)?;
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| RefusedCertificate::Unreadable)?;
        if !rest.is_empty() {
            return Err(RefusedCertificate::Unreadable);
        }
        let subject = read(kind, &certificate)?;
        let begins_s = certificate.validity().not_before.timestamp();
        let holder = Holder {
            begins_s,
            subject: subject.clone(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(der.to_vec(), holder);
        Ok(subject)
    }

    /// The holder, if the certificate was verified before and its time is now.
    fn remembered(&self, der: &[u8], now_s: i64) -> Option<Subject> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = known.get(der)?;
        let is_now = (holder.begins_s..=holder.subject.expires_s).contains(&now_s);
        is_now.then(|| holder.subject.clone())
    }

    /// For a handshake: asks for a certificate, takes none as well, and refuses bad ones.
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let asking = self.issuers.iter().filter(|(kind, ..)| asks(*kind));
        verifier(asking.map(|(_, der, _)| der.clone()), &self.provider)
    }

    /// Which issuer signed it, once everything else about it is right, too.
    fn kind(&self, der: &[u8], now_s: i64) -> Result<Kind, RefusedCertificate> {
        let now = Duration::from_secs(u64::try_from(now_s).unwrap_or(0));
        let now = UnixTime::since_unix_epoch(now);
        let shown = CertificateDer::from(der);
        for (kind, issuer, verifier) in &self.issuers {
            if shown == *issuer {
                return Err(RefusedCertificate::NotForClients("signing"));
            }
            let problem = match verifier.verify_client_cert(&shown, &[], now) {
                Ok(_) if asks(*kind) => return Ok(*kind),
                Ok(_) => return Err(RefusedCertificate::NotForClients(kind.name())),
                Err(rustls::Error::InvalidCertificate(problem)) => problem,
                Err(other) => return Err(RefusedCertificate::Other(other.to_string())),
            };
            if problem != CertificateError::UnknownIssuer {
                return Err(refusal(&problem, *kind));
            }
        }
        Err(RefusedCertificate::Stranger)
    }
}

/// Whether this kind's certificates say who asks.
fn asks(kind: Kind) -> bool {
    matches!(kind, Kind::User | Kind::Node | Kind::Workload)
}

fn verifier(
    anchors: impl IntoIterator<Item = CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Arc<dyn ClientCertVerifier> {
    let mut roots = RootCertStore::empty();
    for anchor in anchors {
        roots.add(anchor).expect("it was checked when it was read");
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .expect("there is at least one issuer")
}

fn refusal(problem: &CertificateError, kind: Kind) -> RefusedCertificate {
    use CertificateError as E;
    match problem {
        E::BadEncoding => RefusedCertificate::Unreadable,
        E::Expired | E::ExpiredContext { .. } => RefusedCertificate::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => RefusedCertificate::NotYetValid,
        E::BadSignature => RefusedCertificate::Forged,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            RefusedCertificate::NotForClients(kind.name())
        }
        other => RefusedCertificate::Other(other.to_string()),
    }
}

fn read(kind: Kind, certificate: &X509Certificate<'_>) -> Result<Subject, RefusedCertificate> {
    let misnamed = |source| RefusedCertificate::Name {
        kind: kind.name(),
        source,
    };
    let expires_s = certificate.validity().not_after.timestamp();
    let name = certificate.subject();
    let mut common = name.iter_common_name();
    let user = common.next().and_then(|name| name.as_str().ok());
    let user = user
        .filter(|_| common.next().is_none())
        .ok_or_else(|| misnamed(None))?;
    let made = match kind {
        Kind::Node => {
            let node = subject::node_of(user).ok_or_else(|| misnamed(None))?;
            Subject::node(node, expires_s)
        }
        Kind::Workload => {
            let (namespace, account) = subject::account_of(user).ok_or_else(|| misnamed(None))?;
            Subject::account(namespace, account, expires_s)
        }
        _ => {
            let organizations = name.iter_organization();
            let groups: Result<Vec<String>, _> = organizations
                .map(|group| group.as_str().map(str::to_owned))
                .collect();
            Subject::user(user, &groups.map_err(|_| misnamed(None))?, expires_s)
        }
    };
    made.map_err(|source| misnamed(Some(source)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, authority, user};
    use super::super::{Authority, CERTIFICATE_LIFE_S, Certificate, Grant};
    use super::*;
    use crate::subject::{AUTHENTICATED, MASTERS, NODES};

    const LIFE: i64 = CERTIFICATE_LIFE_S;

    fn certified(authority: &Authority, grant: &Grant) -> Certificate {
        authority.issue(grant, LIFE, NOW).unwrap().certificate
    }

    fn node(name: &str) -> Grant {
        let name = name.to_owned();
        Grant::Node { name }
    }

    fn workload(account: &str) -> Grant {
        let (namespace, account) = ("shop".to_owned(), account.to_owned());
        Grant::Workload { namespace, account }
    }

    fn server(names: &[&str]) -> Grant {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Grant::Server { names }
    }

    #[test]
    fn a_certificate_that_is_remembered_is_good_for_no_longer() {
        let authority = authority();
        let trust = authority.trust();
        let certificate = certified(&authority, &user("alice", &[]));
        let der = &certificate.chain[0];
        let alice = trust.subject(der, NOW).unwrap();
        let count = || trust.known.lock().unwrap().len();
        assert_eq!((trust.subject(der, NOW), count()), (Ok(alice), 1));
        assert_eq!(
            trust.subject(der, NOW + LIFE + 1),
            Err(RefusedCertificate::Expired)
        );
        assert_eq!(
            trust.subject(der, NOW - LIFE),
            Err(RefusedCertificate::NotYetValid)
        );
        let mut other = der.to_vec();
        *other.last_mut().unwrap() ^= 1;
        assert!(trust.subject(&other, NOW).is_err());
        assert_eq!(count(), 1, "what is refused is not remembered");
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let authority = authority();
        let trust = authority.trust();
        let certificate = certified(&authority, &user("alice", &[]));
        for number in 0..REMEMBERED {
            let holder = Holder {
                begins_s: 0,
                subject: Subject::node("a", NOW).unwrap(),
            };
            let mut known = trust.known.lock().unwrap();
            known.insert(number.to_le_bytes().to_vec(), holder);
        }
        trust.subject(&certificate.chain[0], NOW).unwrap();
        assert_eq!(trust.known.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_certificate_says_who_and_of_which_kind() {
        let authority = authority();
        let trust = authority.trust();
        let who = |grant: &Grant| {
            let certificate = certified(&authority, grant);
            trust.subject(&certificate.chain[0], NOW).unwrap()
        };
        let alice = who(&user("alice", &["dev", MASTERS, "ops"]));
        assert_eq!(
            (alice.user.as_str(), alice.kind, alice.expires_s),
            ("alice", Kind::User, NOW + LIFE)
        );
        assert_eq!(alice.groups, ["dev", "ops", MASTERS, AUTHENTICATED]);
        let n1 = who(&node("n1"));
        assert_eq!((n1.node_name(), n1.kind), (Some("n1"), Kind::Node));
        assert_eq!(n1.groups, [NODES, AUTHENTICATED]);
        let db = who(&workload("db"));
        assert_eq!(
            (db.user.as_str(), db.kind),
            ("system:serviceaccount:shop:db", Kind::Workload)
        );
        assert!(!db.groups.iter().any(|group| group == MASTERS));
    }

    #[test]
    fn time_is_held_to() {
        let authority = authority();
        let trust = authority.trust();
        let made = certified(&authority, &user("a", &[]));
        let at = |now| trust.subject(&made.chain[0], now);
        assert!(at(made.not_before_s).is_ok() && at(made.not_after_s).is_ok());
        assert_eq!(
            at(made.not_before_s - 1),
            Err(RefusedCertificate::NotYetValid)
        );
        assert_eq!(at(made.not_after_s + 1), Err(RefusedCertificate::Expired));
        assert_eq!(at(-1), Err(RefusedCertificate::NotYetValid));
    }

    #[test]
    fn another_authority_is_a_stranger() {
        let (ours, theirs) = (authority(), authority());
        let foreign = certified(&theirs, &user("alice", &[MASTERS]));
        assert_eq!(
            ours.trust().subject(&foreign.chain[0], NOW),
            Err(RefusedCertificate::Stranger)
        );
        // Signed by itself.
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::default();
        let own = own.self_signed(&key).unwrap();
        assert_eq!(
            ours.trust().subject(own.der(), NOW),
            Err(RefusedCertificate::Stranger)
        );
    }

    #[test]
    fn what_was_changed_is_forged() {
        let authority = authority();
        let made = certified(&authority, &user("alice", &[]));
        let mut der = made.chain[0].to_vec();
        let at = der.windows(5).position(|w| w == b"alice").unwrap();
        der[at..at + 5].copy_from_slice(b"admin");
        assert_eq!(
            authority.trust().subject(&der, NOW),
            Err(RefusedCertificate::Forged)
        );
    }

    #[test]
    fn what_signs_or_answers_does_not_ask() {
        let authority = authority();
        let trust = authority.trust();
        let answering = certified(&authority, &server(&["api.example", "10.0.0.1"]));
        assert_eq!(
            trust.subject(&answering.chain[0], NOW),
            Err(RefusedCertificate::NotForClients("server"))
        );
        assert_eq!(
            trust.subject(&answering.chain[1], NOW),
            Err(RefusedCertificate::NotForClients("signing"))
        );
        assert!(trust.subject(authority.root_der(), NOW).is_err());
        for garbage in [&b""[..], b"\x30", &[0; LARGEST_CERTIFICATE + 1]] {
            assert_eq!(
                trust.subject(garbage, NOW),
                Err(RefusedCertificate::Unreadable)
            );
        }
    }

    /// A certificate by the issuer of `kind` with names that weft would not write.
    fn misnamed(authority: &Authority, kind: Kind, name: &str, groups: &[&str]) -> Vec<u8> {
        let signer = authority.issuer(kind);
        let made = certified(authority, &node("n1"));
        let mut params = rcgen::CertificateParams::default();
        params.extended_key_usages = super::super::files::usages(kind);
        super::super::der::set_validity(&mut params, made.not_before_s, made.not_after_s);
        let key = rcgen::KeyPair::generate().unwrap();
        let written = params.signed_by(&key, &signer.issuer).unwrap();
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let key = signer.issuer.key();
        super::super::der::with_subject(written.der(), name, &groups, key).unwrap()
    }

    #[test]
    fn the_issuer_decides_the_kind_whatever_the_name() {
        let authority = authority();
        let trust = authority.trust();
        let subject = |kind, name, groups: &[&str]| {
            trust.subject(&misnamed(&authority, kind, name, groups), NOW)
        };
        for (kind, name, groups) in [
            (Kind::User, "system:node:n1", &[][..]),
            (Kind::User, "system:serviceaccount:a:b", &[]),
            (Kind::User, "a", &[NODES]),
            (Kind::User, "", &[]),
            (Kind::Node, "admin", &[]),
            (Kind::Node, "system:node:../x", &[]),
            (Kind::Workload, "admin", &[]),
            (Kind::Workload, "system:node:n1", &[]),
            (Kind::Workload, "system:serviceaccount:a", &[]),
        ] {
            let refused = subject(kind, name, groups);
            let named = matches!(refused, Err(RefusedCertificate::Name { .. }));
            assert!(named, "{kind:?} {name}: {refused:?}");
        }
        // Groups in a workload's certificate buy nothing.
        let workload = subject(Kind::Workload, "system:serviceaccount:a:b", &[MASTERS]).unwrap();
        assert!(!workload.groups.iter().any(|group| group == MASTERS));
    }
}
