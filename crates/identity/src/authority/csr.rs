//! Requests for certificates, as strangers send them.
//!
//! Owns: taking the key out of a request, once its holder has proven to have the other half.
//! Never: gives anybody what they ask for. The name they ask for must be the one they get.

use rcgen::SubjectPublicKeyInfo;
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// Largest request: one with an RSA key of 8192 bits and some extensions takes 3 KiB.
pub const LARGEST_CSR: usize = 16 * 1024;
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Too long to be one.
    #[error("the certificate request has {0} bytes: at most {LARGEST_CSR} are read")]
    Large(usize),
    /// No PEM, or no request in it.
    #[error("the certificate request cannot be read: {0}")]
    Unreadable(String),
    /// Whoever sent it does not have the key, or somebody changed it.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// A key that is too weak or that nobody can verify.
    #[error(
        "the key of the certificate request is refused: {0}; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits"
    )]
    Key(String),
    /// It asks for a name that the asker does not have.
    #[error("the certificate request is for \"{}\", but what was shown is good for \"{granted}\" only", weft_stdx::name::shown(.asked))]
    Name {
        /// What it asks for.
        asked: String,
        /// What would be given.
        granted: String,
    },
}

/// The common name that a request asks for, and is signed for with its own key; nothing: none.
///
/// # Errors
/// See [`CsrError`].
pub fn name_of(pem: &str) -> Result<Option<String>, CsrError> {
    read(pem, |request| {
        let subject = &request.certification_request_info.subject;
        let name = subject.iter_common_name().next();
        Ok(name.map(|name| name.as_str().unwrap_or("(not text)").to_owned()))
    })
}

/// The key of a request whose common name, if it has one, is `name`.
pub(super) fn key_of(pem: &str, name: &str) -> Result<SubjectPublicKeyInfo, CsrError> {
    read(pem, |request| {
        let info = &request.certification_request_info;
        for attribute in info.subject.iter_common_name() {
            let asked = attribute.as_str().unwrap_or("(not text)");
            if asked != name {
                let (asked, granted) = (asked.to_owned(), name.to_owned());
                return Err(CsrError::Name { asked, granted });
            }
        }
        SubjectPublicKeyInfo::from_der(info.subject_pki.raw)
            .map_err(|error| CsrError::Key(error.to_string()))
    })
}

/// What `take` takes from a request, once that is sound and signed with its own key.
fn read<T>(
    pem: &str,
    take: impl FnOnce(&X509CertificationRequest<'_>) -> Result<T, CsrError>,
) -> Result<T, CsrError> {
    if pem.len() > LARGEST_CSR {
        return Err(CsrError::Large(pem.len()));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| CsrError::Unreadable(error.to_string()))?;
    let (rest, request) = X509CertificationRequest::from_der(&der)
        .map_err(|error| CsrError::Unreadable(error.to_string()))?;
    if !rest.is_empty() {
        return Err(CsrError::Unreadable("bytes follow it".to_owned()));
    }
    let info = &request.certification_request_info;
    let parsed = info.subject_pki.parsed();
    check_key(&parsed.map_err(|error| CsrError::Key(error.to_string()))?)?;
    request
        .verify_signature()
        .map_err(|_| CsrError::Signature)?;
    take(&request)
}

fn check_key(key: &PublicKey<'_>) -> Result<(), CsrError> {
    match key {
        PublicKey::RSA(key) if !RSA_BITS.contains(&key.key_size()) => {
            Err(CsrError::Key(format!("RSA of {} bits", key.key_size())))
        }
        // Which curves, and Ed25519, is decided by what can be verified and written again.
        PublicKey::RSA(_) | PublicKey::EC(_) | PublicKey::Unknown(_) => Ok(()),
        _ => Err(CsrError::Key("its kind is not supported".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, authority, user};
    use super::super::{CERTIFICATE_LIFE_S, Grant, IssueError};
    use super::*;
    use crate::subject::{Kind, MASTERS};
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
    use x509_parser::prelude::X509Certificate;

    fn request(name: &str, key: &KeyPair) -> String {
        let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let organization = DnType::OrganizationName;
        params.distinguished_name.push(organization, MASTERS);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    fn refusal(pem: &str) -> CsrError {
        let signed = authority().sign(pem, &user("alice", &[]), 60, NOW);
        match signed {
            Err(IssueError::Csr(refused)) => refused,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_the_key_is_taken_from_a_request() {
        let authority = authority();
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            for asked in ["alice", ""] {
                let pem = request(asked, &key);
                let grant = user("alice", &["dev"]);
                let wanted = Some(asked.to_owned()).filter(|name| !name.is_empty());
                assert_eq!(name_of(&pem), Ok(wanted));
                let made = authority.sign(&pem, &grant, CERTIFICATE_LIFE_S, NOW);
                let made = made.unwrap();
                let subject = authority.trust().subject(&made.chain[0], NOW).unwrap();
                assert_eq!((subject.user.as_str(), subject.kind), ("alice", Kind::User));
                assert!(!subject.groups.iter().any(|group| group == MASTERS));
                assert_eq!(made.not_after_s, NOW + CERTIFICATE_LIFE_S);
                let (_, leaf) = X509Certificate::from_der(&made.chain[0]).unwrap();
                assert!(!leaf.is_ca());
                assert_eq!(leaf.subject_alternative_name().unwrap(), None);
                let public = leaf.public_key().subject_public_key.data.to_vec();
                assert_eq!(public, key.der_bytes());
            }
        }
    }

    #[test]
    fn another_name_is_refused() {
        let key = KeyPair::generate().unwrap();
        let refused = refusal(&request("mallory", &key));
        assert!(matches!(refused, CsrError::Name { .. }), "{refused}");
        let grant = Grant::Node { name: "n1".into() };
        let (ours, theirs) = (
            request("system:node:n1", &key),
            request("system:node:n2", &key),
        );
        let authority = authority();
        assert!(authority.sign(&ours, &grant, 60, NOW).is_ok());
        assert!(authority.sign(&theirs, &grant, 60, NOW).is_err());
    }

    #[test]
    fn a_request_needs_its_own_signature() {
        let key = KeyPair::generate().unwrap();
        let pem = request("alice", &key);
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut der = der.to_vec();
        // Another key in the place of the one that signed.
        let other = KeyPair::generate().unwrap();
        let at = der
            .windows(key.der_bytes().len())
            .position(|window| window == key.der_bytes())
            .unwrap();
        der[at..at + other.der_bytes().len()].copy_from_slice(other.der_bytes());
        let label = |pem: String| pem.replace("CERTIFICATE-", "CERTIFICATE REQUEST-");
        let forged = label(super::super::der::certificate_pem(&der));
        assert_eq!(refusal(&forged), CsrError::Signature);
        assert_eq!(name_of(&forged), Err(CsrError::Signature));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let key = KeyPair::generate().unwrap();
        let pem = request("alice", &key);
        for text in [
            "",
            "hello",
            &pem[..pem.len() / 2],
            &pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
            "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n",
        ] {
            let refused = refusal(text);
            assert!(matches!(refused, CsrError::Unreadable(_)), "{refused}");
        }
        let large = "x".repeat(LARGEST_CSR + 1);
        assert_eq!(refusal(&large), CsrError::Large(LARGEST_CSR + 1));
    }

    #[test]
    fn weak_keys_are_refused() {
        let openssl = include_str!("testdata/rsa1024.csr");
        let refused = refusal(openssl);
        assert!(matches!(refused, CsrError::Key(_)), "{refused}");
        let good = include_str!("testdata/rsa2048.csr");
        let made = authority().sign(good, &user("alice", &[]), 60, NOW);
        assert!(made.is_ok(), "{made:?}");
        let curve = refusal(include_str!("testdata/secp256k1.csr"));
        assert!(
            matches!(curve, CsrError::Key(_) | CsrError::Signature),
            "{curve}"
        );
    }
}
