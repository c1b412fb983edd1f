//! What stands in certificates, for people and for whoever compares them.
//!
//! Owns: reading certificates that anybody may have written, and the hash by which an authority is
//! known to those who got it over a way they cannot trust.
//! Never: says whose word is believed: `authority::Trust` does.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use weft_stdx::id::hex;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::authority::certificate_pem;

/// What goes before the hash of an authority, as kubeadm writes it.
pub const HASH_PREFIX: &str = "sha256:";
/// Most certificates that are read of one file.
const MOST: usize = 256;

/// Why something is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is none in it.
    #[error("there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)")]
    Empty,
    /// One of them is broken.
    #[error("certificate {0} in it cannot be read: {1}")]
    Broken(usize, String),
    /// Nobody has so many.
    #[error("there are more than {MOST} certificates in it")]
    Many,
}

/// Whether a certificate is good at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It will be.
    NotYet,
    /// It is.
    Good,
    /// It was.
    Over,
}

/// A certificate that was read. Its texts are somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its bytes.
    pub der: CertificateDer<'static>,
    /// Common name; all of the subject where there is none.
    pub subject: String,
    /// Organisations: a client's groups.
    pub groups: Vec<String>,
    /// Host names and addresses of a server.
    pub names: Vec<String>,
    /// Common name of whoever signed it.
    pub issuer: String,
    /// In hex.
    pub serial: String,
    /// It signs others.
    pub is_authority: bool,
    /// It is for who asks.
    pub is_for_clients: bool,
    /// It is for who answers.
    pub is_for_servers: bool,
    /// Good from here on, in seconds since 1970.
    pub not_before_s: i64,
    /// Good until here.
    pub not_after_s: i64,
    /// SHA-256 of it all, in hex.
    pub sha256: String,
    /// SHA-256 of its public key (SubjectPublicKeyInfo), in hex.
    pub key_sha256: String,
}

/// Reads all certificates of a text, the first of them first.
///
/// # Errors
/// There is none, or one of them cannot be read.
pub fn read_all(pem: &[u8]) -> Result<Vec<Certificate>, ReadError> {
    let mut all = Vec::new();
    for (at, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
        if at == MOST {
            return Err(ReadError::Many);
        }
        let broken = |why: String| ReadError::Broken(at + 1, why);
        let der = der.map_err(|error| broken(error.to_string()))?;
        all.push(Certificate::of(der.into_owned()).map_err(broken)?);
    }
    match all.is_empty() {
        true => Err(ReadError::Empty),
        false => Ok(all),
    }
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(der: CertificateDer<'static>) -> Result<Certificate, String> {
        let (rest, read) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes follow it".to_owned());
        }
        let texts = |name: &x509_parser::x509::X509Name<'_>| {
            let common = name.iter_common_name().next();
            let common = common.and_then(|common| common.as_str().ok());
            common.map_or_else(|| name.to_string(), str::to_owned)
        };
        let groups = read.subject().iter_organization();
        let groups = groups.filter_map(|group| Some(group.as_str().ok()?.to_owned()));
        let usage = read.extended_key_usage().ok().flatten();
        let usage = |of: fn(&x509_parser::extensions::ExtendedKeyUsage<'_>) -> bool| {
            usage
                .as_ref()
                .is_none_or(|usage| usage.value.any || of(usage.value))
        };
        Ok(Certificate {
            subject: texts(read.subject()),
            groups: groups.collect(),
            names: names(&read),
            issuer: texts(read.issuer()),
            serial: hex(read.raw_serial()),
            is_authority: read.is_ca(),
            is_for_clients: usage(|usage| usage.client_auth),
            is_for_servers: usage(|usage| usage.server_auth),
            not_before_s: read.validity().not_before.timestamp(),
            not_after_s: read.validity().not_after.timestamp(),
            sha256: hex(&Sha256::digest(&der)),
            key_sha256: hex(&Sha256::digest(read.public_key().raw)),
            der: der.clone(),
        })
    }

    /// It in PEM.
    pub fn pem(&self) -> String {
        certificate_pem(&self.der)
    }

    /// Whether it is good at `now_s`.
    pub fn standing(&self, now_s: i64) -> Standing {
        match now_s {
            now if now < self.not_before_s => Standing::NotYet,
            now if now > self.not_after_s => Standing::Over,
            _ => Standing::Good,
        }
    }

    /// Whether `issuer`'s key has signed it, under the issuer's name.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let (Ok((_, own)), Ok((_, theirs))) = (
            X509Certificate::from_der(&self.der),
            X509Certificate::from_der(&issuer.der),
        ) else {
            return false;
        };
        issuer.is_authority
            && own.issuer().as_raw() == theirs.subject().as_raw()
            && own.verify_signature(Some(theirs.public_key())).is_ok()
    }

    /// Whether it is a root: an authority that signed itself.
    pub fn is_root(&self) -> bool {
        self.is_signed_by(self)
    }

    /// Whether signatures lead from it, by way of `between`, to one of `roots`.
    pub fn leads_to(&self, between: &[Certificate], roots: &[Certificate]) -> bool {
        let mut at = self;
        // Each step uses one of them up.
        for _ in 0..=between.len() {
            if roots.iter().any(|root| at == root || at.is_signed_by(root)) {
                return true;
            }
            let signer = between
                .iter()
                .find(|one| *one != at && at.is_signed_by(one));
            let Some(signer) = signer else { return false };
            at = signer;
        }
        false
    }

    /// What an authority is known by to those who cannot trust the way it came: `sha256:` and the
    /// hash of its public key.
    pub fn authority_hash(&self) -> String {
        format!("{HASH_PREFIX}{}", self.key_sha256)
    }

    /// Whether the private key in a text is its own.
    ///
    /// # Errors
    /// There is no key in it that can be used.
    pub fn fits(&self, key_pem: &[u8]) -> Result<bool, String> {
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| error.to_string())?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|error| error.to_string())?;
        let own = key.public_key().ok_or("its public half is not known")?;
        Ok(hex(&Sha256::digest(&own)) == self.key_sha256)
    }
}

fn names(read: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = read.subject_alternative_name() else {
        return Vec::new();
    };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(host) => Some((*host).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}

/// The hash of an authority as somebody typed it, in hex.
///
/// # Errors
/// It is none.
pub fn parse_hash(text: &str) -> Result<String, String> {
    let wanted = "it is no hash like sha256: and 64 hexadecimal digits";
    let digits = text.strip_prefix(HASH_PREFIX).ok_or(wanted)?;
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_hex {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err(wanted.to_owned()),
    }
}

#[cfg(test)]
mod tests;
