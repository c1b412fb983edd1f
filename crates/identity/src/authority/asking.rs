//! The other side of a certificate: who has the key, and asks for one.
//!
//! Owns: making the key and the request, and that what comes back is for this key and of this
//! authority.
//! Never: sends anything. The key leaves this machine for nobody.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::issue::{Certificate, Pair};
use crate::certificate::{self, ReadError, Standing};

/// A key for which a certificate is asked.
pub struct Asking {
    key: KeyPair,
    pem: Zeroizing<String>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asking")
    }
}

/// Why there is no request, or what was answered is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The key that there is cannot be used.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// No request could be made.
    #[error("make a certificate request")]
    Make(#[source] rcgen::Error),
    /// What was answered is none.
    #[error("the server's certificate for us: {0}")]
    Read(#[from] ReadError),
    /// It is somebody else's.
    #[error("the server's certificate for us is for another key than was asked for")]
    OtherKey,
    /// Somebody else signed it.
    #[error("the server's certificate for us is not signed by its authority")]
    OtherAuthority,
    /// It is good for nothing now.
    #[error("the server's certificate for us is not good now: compare the clocks of both machines")]
    Time,
}

impl Asking {
    /// With a new key.
    ///
    /// # Errors
    /// None could be made.
    pub fn new() -> Result<Asking, AskError> {
        let key = KeyPair::generate().map_err(AskError::Make)?;
        let pem = Zeroizing::new(key.serialize_pem());
        Ok(Asking { key, pem })
    }

    /// With the key that there is.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn with_key(pem: &str) -> Result<Asking, AskError> {
        let wrong = |error: &dyn std::fmt::Display| AskError::Key(error.to_string());
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| wrong(&error))?;
        let key = KeyPair::try_from(&key).map_err(|error| wrong(&error))?;
        let pem = own_lines(pem).ok_or_else(|| wrong(&"its lines have no end"))?;
        Ok(Asking { key, pem })
    }

    /// The key, as it is kept.
    pub fn key_pem(&self) -> &Zeroizing<String> {
        &self.pem
    }

    /// The request in PEM, for `name`; for whatever name is given if that is empty.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn request(&self, name: &str) -> Result<String, AskError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        let request = params.serialize_request(&self.key);
        request
            .and_then(|request| request.pem())
            .map_err(AskError::Make)
    }

    /// Key and certificate, if the chain that was answered is for this key, leads to `roots_pem`
    /// and is good at `now_s`.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn pair(self, chain_pem: &str, roots_pem: &str, now_s: i64) -> Result<Pair, AskError> {
        let chain = certificate::read_all(chain_pem.as_bytes())?;
        let roots = certificate::read_all(roots_pem.as_bytes())?;
        let (leaf, between) = chain.split_first().ok_or(ReadError::Empty)?;
        if !matches!(leaf.fits(self.pem.as_bytes()), Ok(true)) {
            return Err(AskError::OtherKey);
        }
        if !leaf.leads_to(between, &roots) {
            return Err(AskError::OtherAuthority);
        }
        if leaf.standing(now_s) != Standing::Good {
            return Err(AskError::Time);
        }
        let (not_before_s, not_after_s) = (leaf.not_before_s, leaf.not_after_s);
        Ok(Pair {
            certificate: Certificate {
                chain_pem: chain_pem.to_owned(),
                chain: chain.into_iter().map(|one| one.der).collect(),
                not_before_s,
                not_after_s,
            },
            key_pem: self.pem,
        })
    }
}

/// The lines of the first key: a certificate may stand beside it.
fn own_lines(pem: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(String::with_capacity(pem.len() + 1));
    for line in pem.lines().map(str::trim_end) {
        let is_key = line.ends_with(" KEY-----");
        if out.is_empty() && !(is_key && line.starts_with("-----BEGIN ")) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if is_key && line.starts_with("-----END ") {
            return Some(out);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, authority, user};
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_taken() {
        let authority = authority();
        let root = authority.root_pem();
        for name in ["ann", ""] {
            let asking = Asking::new().unwrap();
            let request = asking.request(name).unwrap();
            let made = authority
                .sign(&request, &user("ann", &["dev"]), 60, NOW)
                .unwrap();
            let pair = asking.pair(&made.chain_pem, root, NOW).unwrap();
            assert_eq!(pair.certificate, made);
            // The same key again.
            let asking = Asking::with_key(&pair.key_pem).unwrap();
            let request = asking.request("ann").unwrap();
            let next = authority
                .sign(&request, &user("ann", &[]), 60, NOW)
                .unwrap();
            let next = asking.pair(&next.chain_pem, root, NOW).unwrap();
            assert_eq!(*next.key_pem, *pair.key_pem);
        }
    }

    #[test]
    fn keys_of_others_can_be_kept() {
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let pem = KeyPair::generate_for(algorithm).unwrap().serialize_pem();
            let request = Asking::with_key(&pem).unwrap().request("ann").unwrap();
            assert!(
                authority()
                    .sign(&request, &user("ann", &[]), 60, NOW)
                    .is_ok()
            );
        }
        // As openssl writes them, and beside a certificate.
        let (sec1, pkcs1) = (
            include_str!("testdata/sec1.key"),
            include_str!("testdata/pkcs1.key"),
        );
        for pem in [sec1, pkcs1] {
            let beside = format!("{}{pem}{}", authority().root_pem(), authority().root_pem());
            let asking = Asking::with_key(&beside).unwrap();
            assert_eq!(asking.key_pem().as_str(), pem);
            let (authority, request) = (authority(), asking.request("ann").unwrap());
            let made = authority
                .sign(&request, &user("ann", &[]), 60, NOW)
                .unwrap();
            let pair = asking.pair(&made.chain_pem, authority.root_pem(), NOW);
            assert_eq!(*pair.unwrap().key_pem, pem);
        }
        for nothing in ["", "x", authority().root_pem()] {
            assert!(matches!(Asking::with_key(nothing), Err(AskError::Key(_))));
        }
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let (authority, theirs) = (authority(), super::super::tests::authority());
        let root = authority.root_pem();
        let answer = |by: &super::super::Authority, asking: &Asking| {
            let request = asking.request("ann").unwrap();
            by.sign(&request, &user("ann", &[]), 60, NOW)
                .unwrap()
                .chain_pem
        };
        let asking = || Asking::new().unwrap();
        let other = answer(&authority, &asking());
        let refused = asking().pair(&other, root, NOW);
        assert!(matches!(refused, Err(AskError::OtherKey)), "{refused:?}");
        let one = asking();
        let foreign = answer(&theirs, &one);
        let refused = one.pair(&foreign, root, NOW);
        assert!(
            matches!(refused, Err(AskError::OtherAuthority)),
            "{refused:?}"
        );
        for at in [NOW - 3600, NOW + 61] {
            let one = asking();
            let good = answer(&authority, &one);
            let refused = one.pair(&good, root, at);
            assert!(matches!(refused, Err(AskError::Time)), "{refused:?}");
        }
        let refused = asking().pair("", root, NOW);
        assert!(matches!(refused, Err(AskError::Read(_))), "{refused:?}");
    }
}
