//! The authority's directory.
//!
//! Owns: one PEM file per authority, certificate and key together, 0600 in 0700. All of them
//! appear at once, by renaming the directory; what is then missing or damaged was damaged later.
//! Never: repairs anything.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use weft_stdx::file::{Durability, read_all_bounded, replace, sync_directory};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::der::set_validity;
use super::{AUTHORITY_LIFE_S, Authority, ISSUED, SKEW_S};
use crate::subject::Kind;

pub(super) const ROOT: &str = "root";
/// The key that signs the tokens of service accounts; it has no certificate.
const ACCOUNTS: &str = "accounts";
/// Keys whose tokens are read; the first signs.
const ACCOUNT_KEYS: usize = 4;
/// A certificate and a P-256 key take 1.2 KiB.
const LARGEST_FILE: u64 = 16 * 1024;

/// An authority that signs.
pub(super) struct Signer {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) der: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) not_after_s: i64,
}

/// Why there is no authority to work with.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// First start, or the directory is not where it was.
    #[error("{}: there is no certificate authority here", .directory.display())]
    Absent {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// There is something already.
    #[error("create a certificate authority in {}: it is not empty", .0.display())]
    Occupied(PathBuf),
    /// A file of the authority could not be read or written.
    #[error("{doing} {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// One of the files is missing.
    #[error("{} is missing: the certificate authority is damaged; restore its directory from a backup", .0.display())]
    Missing(PathBuf),
    /// The content is not what it must be.
    #[error("{}: {problem}: the certificate authority is damaged; restore its directory from a backup", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Others may read or change the keys.
    #[error("{}: mode {mode:04o} lets others in: make sure nobody has read it, then chmod {wanted:04o}", .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// A key or certificate could not be made.
    #[error("make the {name} authority")]
    Make {
        /// Which one.
        name: &'static str,
        /// Why it failed.
        #[source]
        source: rcgen::Error,
    },
}

/// Writes a whole authority beside `directory`, then gives it its name.
pub(super) fn create(directory: &Path, now_s: i64) -> Result<(), AuthorityError> {
    let parent = match directory.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|source| failed("create", parent, source))?;
    let mut prefix = directory.file_name().unwrap_or_default().to_owned();
    prefix.push(".tmp-");
    remove_unfinished(parent, &prefix).map_err(|source| failed("clean", parent, source))?;
    let mut name = prefix;
    name.push(weft_stdx::id::random_hex(4));
    let unfinished = directory.with_file_name(name);
    let written = write_all(&unfinished, now_s).and_then(|()| {
        fs::rename(&unfinished, directory).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                AuthorityError::Occupied(directory.to_owned())
            }
            _ => failed("create", directory, source),
        })
    });
    if written.is_err() {
        // Nobody has seen these keys; a leftover would only be confusing.
        let _ = fs::remove_dir_all(&unfinished);
    }
    written?;
    sync_directory(parent).map_err(|source| failed("sync", parent, source))
}

/// What a crash left of an attempt: it never had the name, so nobody has used it.
fn remove_unfinished(parent: &Path, prefix: &OsStr) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        if name.as_bytes().starts_with(prefix.as_bytes()) {
            fs::remove_dir_all(parent.join(name))?;
        }
    }
    Ok(())
}

fn write_all(directory: &Path, now_s: i64) -> Result<(), AuthorityError> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .map_err(|source| failed("create", directory, source))?;
    let put = |name: &str, text: &str| {
        let path = directory.join(format!("{name}.pem"));
        replace(&path, text.as_bytes(), Durability::PowerCut)
            .map_err(|source| failed("write", &path, source))
    };
    let make = |name, source| AuthorityError::Make { name, source };
    let (root, text) = make_root(now_s).map_err(|source| make(ROOT, source))?;
    put(ROOT, &text)?;
    for kind in ISSUED {
        let name = kind.name();
        let text = make_issuer(kind, &root, now_s).map_err(|source| make(name, source))?;
        put(name, &text)?;
    }
    let key = KeyPair::generate().map_err(|source| make(ACCOUNTS, source))?;
    put(ACCOUNTS, &Zeroizing::new(key.serialize_pem()))
}

fn make_root(now_s: i64) -> Result<(Issuer<'static, KeyPair>, Zeroizing<String>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let params = authority_params(ROOT, now_s, BasicConstraints::Constrained(1));
    let certificate = params.self_signed(&key)?;
    let text = together(&certificate.pem(), &key);
    Ok((Issuer::new(params, key), text))
}

fn make_issuer(
    kind: Kind,
    root: &Issuer<'static, KeyPair>,
    now_s: i64,
) -> Result<Zeroizing<String>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = authority_params(kind.name(), now_s, BasicConstraints::Constrained(0));
    params.extended_key_usages = usages(kind);
    let certificate = params.signed_by(&key, root)?;
    Ok(together(&certificate.pem(), &key))
}

/// What certificates of a kind, and those of their issuer, are for.
pub(super) fn usages(kind: Kind) -> Vec<ExtendedKeyUsagePurpose> {
    match kind {
        Kind::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
    }
}

fn authority_params(name: &str, now_s: i64, constraint: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    set_validity(&mut params, now_s - SKEW_S, now_s + AUTHORITY_LIFE_S);
    // The name is unique, so that a verifier never confuses two clusters' authorities.
    let unique = weft_stdx::id::random_hex(4);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("weft {name} authority {unique}"),
    );
    params.is_ca = IsCa::Ca(constraint);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(random_serial());
    params.use_authority_key_identifier_extension = true;
    params
}

/// 127 bits: positive, unique, not to be guessed.
pub(super) fn random_serial() -> SerialNumber {
    let mut bytes = [0u8; 16];
    weft_stdx::id::fill_random(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn together(certificate: &str, key: &KeyPair) -> Zeroizing<String> {
    let key = Zeroizing::new(key.serialize_pem());
    Zeroizing::new(format!("{certificate}{}", key.as_str()))
}

/// Reads and checks every file.
pub(super) fn open(directory: &Path) -> Result<Authority, AuthorityError> {
    let empty = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(source) => return Err(failed("read", directory, source)),
    };
    if empty {
        let directory = directory.to_owned();
        return Err(AuthorityError::Absent { directory });
    }
    let metadata = fs::metadata(directory).map_err(|source| failed("read", directory, source))?;
    check_mode(directory, &metadata, 0o700)?;
    let root = read_signer(directory, ROOT)?;
    let mut issuers = Vec::with_capacity(ISSUED.len());
    for kind in ISSUED {
        let signer = read_signer(directory, kind.name())?;
        let problem = "its certificate is not signed by the root of this directory";
        signed_by(&signer, &root).ok_or_else(|| damaged(directory, kind.name(), problem))?;
        issuers.push(signer);
    }
    let Ok(issuers) = <[Signer; 4]>::try_from(issuers) else {
        unreachable!("one was pushed for each kind")
    };
    let accounts = read_accounts(directory)?;
    Ok(Authority {
        root_pem: root.pem,
        root_der: root.der.to_vec(),
        issuers,
        accounts,
    })
}

/// Puts a new key before those that sign accounts' tokens, and forgets the oldest if there are
/// too many.
pub(super) fn rotate_accounts(directory: &Path) -> Result<(), AuthorityError> {
    let old = read_accounts(directory)?;
    let new = KeyPair::generate().map_err(|source| AuthorityError::Make {
        name: ACCOUNTS,
        source,
    })?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    for key in [new].iter().chain(&old).take(ACCOUNT_KEYS) {
        text.push_str(&Zeroizing::new(key.serialize_pem()));
    }
    let path = directory.join(format!("{ACCOUNTS}.pem"));
    replace(&path, text.as_bytes(), Durability::PowerCut)
        .map_err(|source| failed("write", &path, source))
}

fn read_accounts(directory: &Path) -> Result<Vec<KeyPair>, AuthorityError> {
    let text = read_private(&directory.join(format!("{ACCOUNTS}.pem")))?;
    let keys: Result<Vec<KeyPair>, String> = PrivateKeyDer::pem_slice_iter(&text)
        .map(|key| usable(&key.map_err(|error| format!("no key: {error}"))?))
        .collect();
    match keys {
        Ok(keys) if keys.is_empty() => Err(damaged(directory, ACCOUNTS, "no key")),
        Ok(keys) => Ok(keys),
        Err(problem) => Err(damaged(directory, ACCOUNTS, &problem)),
    }
}

fn read_signer(directory: &Path, name: &str) -> Result<Signer, AuthorityError> {
    let path = directory.join(format!("{name}.pem"));
    let text = read_private(&path)?;
    parse_signer(&text).map_err(|problem| damaged(directory, name, &problem))
}

fn parse_signer(text: &[u8]) -> Result<Signer, String> {
    let der = CertificateDer::from_pem_slice(text)
        .map_err(|error| format!("no certificate: {error}"))?
        .into_owned();
    let key = parse_key(text)?;
    let (rest, parsed) =
        X509Certificate::from_der(&der).map_err(|error| format!("no certificate: {error}"))?;
    if !rest.is_empty() || !parsed.is_ca() {
        return Err("the certificate is not an authority's".to_owned());
    }
    if parsed.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
        return Err("certificate and key do not belong together".to_owned());
    }
    let not_after_s = parsed.validity().not_after.timestamp();
    let issuer = Issuer::from_ca_cert_der(&der, key)
        .map_err(|error| format!("the certificate cannot be used: {error}"))?;
    Ok(Signer {
        pem: super::der::certificate_pem(&der),
        issuer,
        der,
        not_after_s,
    })
}

fn parse_key(text: &[u8]) -> Result<KeyPair, String> {
    let private =
        PrivateKeyDer::from_pem_slice(text).map_err(|error| format!("no key: {error}"))?;
    usable(&private)
}

fn usable(key: &PrivateKeyDer<'_>) -> Result<KeyPair, String> {
    KeyPair::from_der_and_sign_algo(key, &rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|error| format!("no usable key: {error}"))
}

fn signed_by(signer: &Signer, root: &Signer) -> Option<()> {
    let (_, child) = X509Certificate::from_der(&signer.der).ok()?;
    let (_, parent) = X509Certificate::from_der(&root.der).ok()?;
    let named = child.issuer().as_raw() == parent.subject().as_raw();
    let signed = child.verify_signature(Some(parent.public_key())).is_ok();
    (named && signed).then_some(())
}

/// A file only root may read, opened once.
fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(AuthorityError::Missing(path.to_owned()));
        }
        Err(source) => return Err(failed("open", path, source)),
    };
    let metadata = file.metadata();
    let metadata = metadata.map_err(|source| failed("read", path, source))?;
    check_mode(path, &metadata, 0o600)?;
    let content = read_all_bounded(file.by_ref(), LARGEST_FILE);
    let content = content.map_err(|source| failed("read", path, source))?;
    Ok(Zeroizing::new(content))
}

fn check_mode(path: &Path, metadata: &fs::Metadata, wanted: u32) -> Result<(), AuthorityError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(AuthorityError::Exposed { path, mode, wanted });
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> AuthorityError {
    let path = path.to_owned();
    AuthorityError::File {
        doing,
        path,
        source,
    }
}

fn damaged(directory: &Path, name: &str, problem: &str) -> AuthorityError {
    AuthorityError::Damaged {
        path: directory.join(format!("{name}.pem")),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests;
