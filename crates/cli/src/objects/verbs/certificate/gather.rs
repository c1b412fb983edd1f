//! The certificates at hand: of a file, of kubeconfigs, of this machine's authority, of the server.
//!
//! Never: says whether they are good.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use weft_client::cluster::kubeconfig::{File, Material, Proof, Trust};
use weft_client::cluster::{Access, ApiError, Cluster};
use weft_identity::authority::{Authority, DIRECTORY};
use weft_identity::certificate::{Certificate, read_all};

use crate::error::CliError;
use crate::objects::connect::Connect;
use crate::session::Session;

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
const PEM: &[u8] = b"-----BEGIN ";

/// A certificate, and where it is.
pub struct Found {
    /// `user ann`, `server`
    pub name: String,
    /// A file, or an address.
    pub place: String,
    /// It.
    pub certificate: Certificate,
    /// Those that come with it.
    pub between: Vec<Certificate>,
    /// Its key, where that is at hand.
    pub key: Option<Material>,
}

/// All certificates of a file: PEM, or a kubeconfig. `-` is standard input.
pub fn of_file(path: &Path) -> Result<Vec<Found>, CliError> {
    let tried = || format!("read {}", path.display());
    let failed = |error| CliError::because(tried(), &error);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        let input = std::io::stdin().lock();
        input.take(FILE_BYTES_MAX).read_to_end(&mut bytes)
    } else {
        let opened = std::fs::File::open(path).map_err(failed)?;
        opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes)
    }
    .map_err(failed)?;
    if !bytes.windows(PEM.len()).any(|part| part == PEM) {
        let text = String::from_utf8_lossy(&bytes);
        let found = of_kubeconfig(&File::parse(path, &text)?)?;
        if found.is_empty() {
            let told = format!("{}: there is no certificate in it", tried());
            return Err(CliError::new(told).hint("PEM and kubeconfigs are read"));
        }
        return Ok(found);
    }
    let all = read_all(&bytes).map_err(|error| CliError::because(tried(), &error))?;
    let has_key = String::from_utf8_lossy(&bytes).contains("PRIVATE KEY-----");
    let key = |at| (at == 0 && has_key).then(|| Material::File(path.to_owned()));
    let found = all.into_iter().enumerate().map(|(at, certificate)| Found {
        name: format!("certificate {}", at + 1),
        place: path.display().to_string(),
        certificate,
        between: Vec::new(),
        key: key(at),
    });
    Ok(found.collect())
}

fn of_kubeconfig(file: &File) -> Result<Vec<Found>, CliError> {
    let mut found = Vec::new();
    for held in file.certificates()? {
        let name = format!("{} {}", held.of, held.name);
        found.push(one(name, &held.certificate, held.key)?);
    }
    Ok(found)
}

fn one(name: String, material: &Material, key: Option<Material>) -> Result<Found, CliError> {
    let tried = || format!("read the certificate of {name}, {material:?}");
    let all = read_all(&material.bytes()?);
    let mut all = all.map_err(|error| CliError::because(tried(), &error))?;
    let between = all.split_off(1);
    let place = format!("{material:?}");
    Ok(Found {
        place,
        certificate: all.remove(0),
        between,
        key,
        name,
    })
}

/// What is at hand without a file being named; the server's own is asked for.
pub async fn at_hand(connect: &Connect, session: &Session) -> Result<Vec<Found>, CliError> {
    let (files, is_local) = connect.files(session)?;
    let mut found = Vec::new();
    if is_local {
        found.extend(of_authority(
            &session.settings.data_dir.value.join(DIRECTORY),
        )?);
    }
    for file in files.iter().filter(|_| !is_local) {
        found.extend(of_kubeconfig(file)?);
    }
    let (access, _) = connect.access(session)?;
    let server = access.server.clone();
    match of_server(access).await {
        Ok(shown) => found.extend(shown),
        Err(error) => session.printer.talk(&format!(
            "Warning: ask {server} for its certificate: {}",
            CliError::from(error).message()
        )),
    }
    Ok(found)
}

fn of_authority(directory: &Path) -> Result<Vec<Found>, CliError> {
    let tried = "look at this machine's certificate authority";
    let authority = Authority::open(directory).map_err(|error| CliError::because(tried, &error))?;
    let place = |name: &str| -> PathBuf { directory.join(format!("{name}.pem")) };
    let all = authority.certificates().into_iter();
    let found = all.map(|(name, certificate)| Found {
        name: format!("{name} authority"),
        place: place(name).display().to_string(),
        certificate,
        between: Vec::new(),
        key: Some(Material::File(place(name))),
    });
    Ok(found.collect())
}

/// What the server shows of itself to whoever connects.
pub async fn of_server(mut access: Access) -> Result<Option<Found>, ApiError> {
    access.trust = Trust::Anybody;
    access.proof = Proof::Nothing;
    let place = access.server.clone();
    let mut shown = Vec::new();
    for der in Cluster::new(access)?.certificates().await? {
        let read = Certificate::of(der).map_err(|why| ApiError::Answer {
            what: "read the server's certificate".to_owned(),
            why,
        });
        shown.push(read?);
    }
    let mut shown = shown.into_iter();
    Ok(shown.next().map(|certificate| Found {
        name: "server".to_owned(),
        place,
        certificate,
        between: shown.collect(),
        key: None,
    }))
}
