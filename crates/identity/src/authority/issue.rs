//! Certificates for servers, users, nodes and workloads.
//!
//! Owns: what stands in them, all of it decided here.
//! Never: decides who may have one.

use std::net::IpAddr;

use rcgen::{
    CertificateParams, DistinguishedName, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::{CertificateDer, ServerName};
use zeroize::Zeroizing;

use super::csr::{self, CsrError};
use super::files::{random_serial, usages};
use super::{Authority, SKEW_S, der};
use crate::subject::{Kind, NameError, Subject};

/// Most names and addresses of one server.
const MOST_NAMES: usize = 128;

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A server under these names and addresses.
    Server {
        /// Host names and IP addresses that clients use.
        names: Vec<String>,
    },
    /// A user of the API.
    User {
        /// The user's name.
        user: String,
        /// Groups, as roles are bound to them.
        groups: Vec<String>,
    },
    /// A node.
    Node {
        /// The name of its object.
        name: String,
    },
    /// What runs in a pod.
    Workload {
        /// The namespace of its service account.
        namespace: String,
        /// The name of its service account.
        account: String,
    },
}

impl Grant {
    /// The kind of certificate this makes.
    pub fn kind(&self) -> Kind {
        match self {
            Grant::Server { .. } => Kind::Server,
            Grant::User { .. } => Kind::User,
            Grant::Node { .. } => Kind::Node,
            Grant::Workload { .. } => Kind::Workload,
        }
    }
}

/// A certificate that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate and its issuer's, as clients and servers send them.
    pub chain_pem: String,
    /// The same in DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// Good from here on, in seconds since 1970.
    pub not_before_s: i64,
    /// Good until here.
    pub not_after_s: i64,
}

/// A certificate and its key.
pub struct Pair {
    /// The certificate.
    pub certificate: Certificate,
    /// The key, PKCS #8 in PEM.
    pub key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The name cannot be certified.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The request cannot be signed.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// No host name, no address.
    #[error("\"{}\" is neither a host name nor an IP address", weft_stdx::name::shown(.0))]
    Host(String),
    /// A server without a name cannot be verified; one with a thousand cannot be read.
    #[error("a server certificate with {0} names: 1 to {MOST_NAMES} are possible")]
    Hosts(usize),
    /// It would be over before it begins.
    #[error("a certificate good for {0} seconds: give it a life of at least one")]
    Life(i64),
    /// The authority itself is over.
    #[error("the {0} authority has expired: no certificate it signs is good for anything")]
    Over(&'static str),
    /// The certificate could not be made.
    #[error("sign a {kind} certificate")]
    Make {
        /// Its kind.
        kind: &'static str,
        /// Why it failed.
        #[source]
        source: rcgen::Error,
    },
}

impl Authority {
    /// A new key and a certificate for it.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub fn issue(&self, grant: &Grant, life_s: i64, now_s: i64) -> Result<Pair, IssueError> {
        let key = KeyPair::generate().map_err(|source| failed(grant.kind(), source))?;
        Ok(Pair {
            certificate: self.certify(&key, grant, life_s, now_s)?,
            key_pem: Zeroizing::new(key.serialize_pem()),
        })
    }

    /// A certificate for the key of a request. Nothing else that it asks for is given.
    ///
    /// # Errors
    /// See [`IssueError`]; when it asks for another name than the grant's, too.
    pub fn sign(
        &self,
        csr_pem: &str,
        grant: &Grant,
        life_s: i64,
        now_s: i64,
    ) -> Result<Certificate, IssueError> {
        let (name, _) = names(grant)?;
        let key = csr::key_of(csr_pem, &name)?;
        self.certify(&key, grant, life_s, now_s)
    }

    fn certify(
        &self,
        key: &impl PublicKeyData,
        grant: &Grant,
        life_s: i64,
        now_s: i64,
    ) -> Result<Certificate, IssueError> {
        let kind = grant.kind();
        let signer = self.issuer(kind);
        if life_s < 1 {
            return Err(IssueError::Life(life_s));
        }
        if signer.not_after_s <= now_s {
            return Err(IssueError::Over(kind.name()));
        }
        let not_before_s = now_s - SKEW_S;
        let not_after_s = now_s.saturating_add(life_s).min(signer.not_after_s);
        let (name, organizations) = names(grant)?;
        let mut params = leaf(kind);
        der::set_validity(&mut params, not_before_s, not_after_s);
        if let Grant::Server { names } = grant {
            params.subject_alt_names = alternatives(names)?;
        }
        let written = params
            .signed_by(key, &signer.issuer)
            .and_then(|made| {
                der::with_subject(made.der(), &name, &organizations, signer.issuer.key())
            })
            .map_err(|source| failed(kind, source))?;
        Ok(Certificate {
            chain_pem: der::certificate_pem(&written) + &signer.pem,
            chain: vec![CertificateDer::from(written), signer.der.clone()],
            not_before_s,
            not_after_s,
        })
    }
}

fn failed(kind: Kind, source: rcgen::Error) -> IssueError {
    let kind = kind.name();
    IssueError::Make { kind, source }
}

fn leaf(kind: Kind) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages(kind);
    params.serial_number = Some(random_serial());
    params.use_authority_key_identifier_extension = true;
    params
}

/// Common name and organisations; checked the way they are when they are read again.
fn names(grant: &Grant) -> Result<(String, Vec<String>), NameError> {
    match grant {
        Grant::Server { names } => {
            let first = names.first().cloned().unwrap_or_default();
            Ok((first, Vec::new()))
        }
        Grant::User { user, groups } => {
            Subject::user(user, groups, 0)?;
            Ok((user.clone(), groups.clone()))
        }
        Grant::Node { name } => {
            let node = Subject::node(name, 0)?;
            Ok((node.user, vec![crate::subject::NODES.to_owned()]))
        }
        Grant::Workload { namespace, account } => {
            Ok((Subject::account(namespace, account, 0)?.user, Vec::new()))
        }
    }
}

fn alternatives(names: &[String]) -> Result<Vec<SanType>, IssueError> {
    if names.is_empty() || names.len() > MOST_NAMES {
        return Err(IssueError::Hosts(names.len()));
    }
    names.iter().map(|name| alternative(name)).collect()
}

fn alternative(name: &str) -> Result<SanType, IssueError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let host = || IssueError::Host(name.to_owned());
    match ServerName::try_from(name) {
        Ok(ServerName::DnsName(_)) => {}
        _ => return Err(host()),
    }
    let text = name.to_ascii_lowercase().try_into();
    text.map(SanType::DnsName).map_err(|_| host())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, authority, user};
    use super::super::{AUTHORITY_LIFE_S, CERTIFICATE_LIFE_S};
    use super::*;
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    fn server(names: &[&str]) -> Grant {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Grant::Server { names }
    }

    #[test]
    fn a_server_has_its_names_and_serves_only() {
        let authority = authority();
        let grant = server(&["API.example", "10.0.0.1", "fd00::1"]);
        let pair = authority.issue(&grant, 3600, NOW).unwrap();
        let (_, made) = X509Certificate::from_der(&pair.certificate.chain[0]).unwrap();
        let names = made.subject_alternative_name().unwrap().unwrap();
        let (mut hosts, mut addresses) = (Vec::new(), Vec::new());
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(host) => hosts.push(*host),
                GeneralName::IPAddress(address) => addresses.push(address.len()),
                other => panic!("{other}"),
            }
        }
        assert_eq!((hosts, addresses), (vec!["api.example"], vec![4, 16]));
        let usage = made.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth && !made.is_ca());
        assert_eq!(pair.certificate.chain_pem.matches("BEGIN").count(), 2);
    }

    #[test]
    fn a_chain_leads_to_the_root() {
        let authority = authority();
        let made = authority.issue(&user("a", &["b"]), 60, NOW).unwrap();
        let [leaf, issuer] = &made.certificate.chain[..] else {
            panic!("two certificates");
        };
        let parse = |der| X509Certificate::from_der(der).unwrap().1;
        let (leaf, issuer) = (parse(leaf), parse(issuer));
        let root = parse(authority.root_der());
        leaf.verify_signature(Some(issuer.public_key())).unwrap();
        issuer.verify_signature(Some(root.public_key())).unwrap();
        root.verify_signature(None).unwrap();
        assert!(leaf.verify_signature(Some(root.public_key())).is_err());
    }

    #[test]
    fn nothing_outlives_its_issuer() {
        let authority = authority();
        let late = NOW + AUTHORITY_LIFE_S - 60;
        let made = authority.issue(&user("a", &[]), CERTIFICATE_LIFE_S, late);
        let end = NOW + AUTHORITY_LIFE_S;
        assert_eq!(made.unwrap().certificate.not_after_s, end);
        let over = authority.issue(&user("a", &[]), 1, end).unwrap_err();
        assert!(matches!(over, IssueError::Over("user")), "{over}");
        for life in [0, -5] {
            let refused = authority.issue(&user("a", &[]), life, NOW).unwrap_err();
            assert!(matches!(refused, IssueError::Life(_)), "{refused}");
        }
        let long = authority.issue(&user("a", &[]), i64::MAX, NOW).unwrap();
        assert_eq!(long.certificate.not_after_s, end);
    }

    #[test]
    fn names_that_cannot_be_certified_are_refused() {
        let authority = authority();
        let issue = |grant: &Grant| authority.issue(grant, 60, NOW).unwrap_err();
        for name in ["", "a b", "a/b", "ä.example", "10.0.0.1/8", "a\0"] {
            let refused = issue(&server(&[name]));
            assert!(matches!(refused, IssueError::Host(_)), "{name}: {refused}");
        }
        assert!(matches!(issue(&server(&[])), IssueError::Hosts(0)));
        let many = vec!["a"; MOST_NAMES + 1];
        assert!(matches!(issue(&server(&many)), IssueError::Hosts(129)));
        let node = user("system:node:n1", &[]);
        assert!(matches!(issue(&node), IssueError::Name(_)));
    }
}
