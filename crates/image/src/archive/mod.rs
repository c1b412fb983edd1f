//! Owns image archives: writing (`save`), reading (`load`), and making images from plain
//! tarballs (`import`, `create`). Never talks to a registry, and nothing in an archive is
//! honoured beyond names, configs and layers.

mod changes;
mod incoming;
mod load;
mod save;

use std::io::{self, Read};

pub use changes::Changes;

use crate::config::{ConfigError, ImageConfig};
use crate::digest::{Digest, DigestError};
use crate::error::{ErrorKind, io_kind};
use crate::ingest::{IngestError, Measured, Pinned};
use crate::manifest::{self, ManifestError};
use crate::platform::Platform;
use crate::reference::{Reference, ReferenceError};
use crate::store::record::{ImageRecord, LayerRecord};
use crate::store::{Image, Inner, NameError, Store, StoreError};
use crate::unpack::UnpackError;
use crate::wire;

/// An archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The archive itself is not one, or lacks something it names.
    #[error("image archive is malformed: {0}")]
    Format(String),
    /// Its tar stream is unusable.
    #[error("cannot read the image archive")]
    Tar(#[source] UnpackError),
    /// Compression that is not supported, or a stream that does not inflate.
    #[error("cannot read the image archive")]
    Outer(#[source] IngestError),
    /// Something in it is larger than allowed.
    #[error("image archive is refused: {0} is larger than {1} bytes")]
    Large(String, u64),
    /// Content that is not what its name says.
    #[error("image archive is refused: {name} has digest {got}")]
    Digest {
        /// The file.
        name: String,
        /// What it hashes to.
        got: Digest,
    },
    /// A digest it names is malformed.
    #[error("image archive names an unusable digest")]
    DigestSyntax(#[from] DigestError),
    /// A name it gives an image is malformed.
    #[error("image archive names {0:?}")]
    Name(String, #[source] ReferenceError),
    /// A manifest or index in it is unusable.
    #[error("image archive holds an unusable manifest")]
    Manifest(#[from] ManifestError),
    /// An image config in it is unusable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A layer in it is unusable.
    #[error("cannot take in layer {0}")]
    Layer(String, #[source] IngestError),
    /// An instruction for the config is unusable.
    #[error("cannot apply change {0:?}: {1}")]
    Change(String, &'static str),
    /// An image to save is not there.
    #[error(transparent)]
    Find(#[from] NameError),
    /// Nothing to save was named.
    #[error("no image named to save")]
    Nothing,
    /// The receiver of the archive failed.
    #[error("cannot write the image archive")]
    Write(#[source] io::Error),
    /// A file operation failed.
    #[error("cannot spool the image archive")]
    Spool(#[source] io::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchiveError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Format(_) | Self::Digest { .. } | Self::DigestSyntax(_) => ErrorKind::Corrupt,
            Self::Manifest(_) => ErrorKind::Corrupt,
            Self::Name(..) | Self::Config(_) | Self::Change(..) | Self::Nothing => {
                ErrorKind::Invalid
            }
            Self::Large(..) => ErrorKind::Exhausted,
            Self::Tar(error) => error.kind(),
            Self::Outer(error) | Self::Layer(_, error) => error.kind(),
            Self::Find(error) => error.kind(),
            Self::Write(error) | Self::Spool(error) => io_kind(error),
            Self::Store(error) => error.kind(),
        }
    }
}

/// One image that came out of an archive.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names it got, familiar form; empty if the archive names none.
    pub names: Vec<String>,
}

impl Store {
    /// Makes a one-layer image from a tarball (gzip, zstd or plain), for this machine's platform
    /// unless another is given. Blocking.
    pub fn import(
        &self,
        archive: impl Read + Send,
        changes: &Changes,
        message: &str,
        platform: Option<Platform>,
        name: Option<&Reference>,
    ) -> Result<Image, ArchiveError> {
        let platform = platform.unwrap_or_else(Platform::host);
        let mut config = ImageConfig {
            created: Some(jiff::Timestamp::now().to_string()),
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant,
            ..ImageConfig::default()
        };
        changes.apply(&mut config)?;
        config.history.push(crate::config::History {
            created: config.created.clone(),
            comment: message.to_owned(),
            ..Default::default()
        });
        self.create(config, vec![Box::new(archive)], name)
    }

    /// Makes an image of `config` and layer archives (gzip, zstd or plain), lowest first. The
    /// config's diff ids are filled in, its platform too if empty. Blocking.
    pub fn create<'a>(
        &self,
        config: ImageConfig,
        layers: Vec<Box<dyn Read + Send + 'a>>,
        name: Option<&Reference>,
    ) -> Result<Image, ArchiveError> {
        let mut taken = Vec::with_capacity(layers.len());
        for (at, mut layer) in layers.into_iter().enumerate() {
            let pinned = self.0.ingest_new(&mut *layer);
            taken.push(pinned.map_err(|e| ArchiveError::Layer((at + 1).to_string(), e))?);
        }
        self.0.assemble(config, &taken, name)
    }
}

impl Inner {
    /// Writes config and manifest for layers that are here, and makes the image visible.
    fn assemble(
        &self,
        mut config: ImageConfig,
        layers: &[Pinned],
        name: Option<&Reference>,
    ) -> Result<Image, ArchiveError> {
        config.diff_ids = layers
            .iter()
            .map(|pinned| pinned.layer.diff_id.clone())
            .collect();
        let host = Platform::host();
        if config.os.is_empty() {
            config.os = host.os;
        }
        if config.architecture.is_empty() {
            config.architecture = host.architecture;
        }
        let json = config.to_json();
        ImageConfig::parse(&json)?;
        let layers: Vec<LayerRecord> = layers
            .iter()
            .map(|pinned| layer_record(&pinned.layer))
            .collect();
        self.publish(&json, layers, name.into_iter())
    }

    /// Makes an image of a config whose layers are here visible, with a manifest of our own.
    fn publish<'n>(
        &self,
        config: &[u8],
        layers: Vec<LayerRecord>,
        names: impl Iterator<Item = &'n Reference>,
    ) -> Result<Image, ArchiveError> {
        let id = self.write_document(config)?;
        let descriptor = |layer: &LayerRecord| wire::Descriptor {
            media_type: layer.media_type.clone(),
            digest: layer.blob.clone(),
            size: i64::try_from(layer.blob_size).unwrap_or(i64::MAX),
            ..Default::default()
        };
        let manifest = wire::ManifestOut {
            schema_version: 2,
            media_type: manifest::OCI_MANIFEST.to_owned(),
            config: wire::Descriptor {
                media_type: manifest::OCI_CONFIG.to_owned(),
                digest: id.to_string(),
                size: i64::try_from(config.len()).unwrap_or(i64::MAX),
                ..Default::default()
            },
            layers: layers.iter().map(descriptor).collect(),
        };
        let json = serde_json::to_vec(&manifest).expect("strings and numbers always serialise");
        let record = ImageRecord {
            manifest: self.write_document(&json)?.to_string(),
            manifest_type: manifest::OCI_MANIFEST.to_owned(),
            layers,
            digests: Vec::new(),
            extra: Vec::new(),
        };
        Ok(self.make_visible(&id, record, names)?)
    }

    /// Content first, names after: a power cut leaves all of the image or none.
    pub(crate) fn make_visible<'n>(
        &self,
        id: &Digest,
        record: ImageRecord,
        names: impl Iterator<Item = &'n Reference>,
    ) -> Result<Image, StoreError> {
        self.durable.sync()?;
        let mut image = None;
        for name in names {
            image = Some(self.add(id, record.clone(), Some(name))?);
        }
        match image {
            Some(image) => Ok(image),
            None => self.add(id, record, None),
        }
    }
}

/// What the index keeps of a layer.
pub(crate) fn layer_record(layer: &Measured) -> LayerRecord {
    LayerRecord {
        diff_id: layer.diff_id.to_string(),
        blob: layer.blob.to_string(),
        blob_size: layer.blob_size,
        media_type: format!(
            "{}{}",
            manifest::OCI_LAYER,
            layer.compression.media_suffix()
        ),
        unpacked_size: layer.report.bytes,
    }
}
