//! Owns bringing an image from a registry into the store. Never makes anything visible before
//! all of it is here and verified.

mod partial;
mod progress;
mod transfer;

use std::sync::Arc;

use futures_util::future::try_join_all;

pub use progress::{LayerState, Progress};
pub use transfer::TransferError;
pub(crate) use transfer::Transfers;

use crate::config::{ConfigError, ImageConfig};
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::ingest::Measured;
use crate::manifest::{CONFIG_MAX, Descriptor, Document, Manifest, ManifestError};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{Credentials, Fetched, RegistryError, Repository};
use crate::store::record::{ImageRecord, LayerRecord};
use crate::store::{Image, Inner, Pin, Store, StoreError};
use transfer::Transfer;

/// Deepest nesting of indexes.
const NESTING_MAX: usize = 4;

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// What it must run on; `None` is this machine.
    pub platform: Option<Platform>,
    /// Instead of those in docker's config file.
    pub auth: Option<Credentials>,
}

/// A pull failed. Nothing of it is visible; what was downloaded is kept to go on from.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry could not give it.
    #[error("cannot pull {0}")]
    Registry(Reference, #[source] Box<RegistryError>),
    /// Its manifest is unusable.
    #[error("cannot pull {0}")]
    Manifest(Reference, #[source] Box<ManifestError>),
    /// Its config is unusable.
    #[error("cannot pull {0}")]
    Config(Reference, #[source] Box<ConfigError>),
    /// A document is not of the size its descriptor says, or numbers do not match.
    #[error("cannot pull {0}: {1}")]
    Inconsistent(Reference, String),
    /// The image is for another platform.
    #[error("cannot pull {reference}: it is for {offered}, wanted is {wanted}")]
    Platform {
        /// What was to be pulled.
        reference: Reference,
        /// What it is for.
        offered: Box<Platform>,
        /// What it should be for.
        wanted: Box<Platform>,
    },
    /// A layer could not be brought.
    #[error("cannot pull layer {blob} of {reference}")]
    Layer {
        /// What was to be pulled.
        reference: Box<Reference>,
        /// The layer.
        blob: Digest,
        /// Why not. Shared: several pulls may wait for one transfer.
        #[source]
        source: Arc<TransferError>,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Registry(_, error) => error.kind(),
            Self::Manifest(_, error) if matches!(**error, ManifestError::Platform { .. }) => {
                ErrorKind::NotFound
            }
            Self::Manifest(..) | Self::Inconsistent(..) => ErrorKind::Corrupt,
            Self::Config(..) => ErrorKind::Invalid,
            Self::Platform { .. } => ErrorKind::NotFound,
            Self::Layer { source, .. } => source.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// A manifest and the documents that led to it.
struct Resolved {
    manifest: Manifest,
    /// The manifest's own digest.
    digest: Digest,
    /// What the name points to: the manifest or an index.
    target: Digest,
    documents: Vec<(Digest, Vec<u8>)>,
}

impl Store {
    /// Pulls `reference` and returns the complete, verified image. Dropping the future stops it;
    /// the next pull goes on from there. Runs on tokio.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, PullError> {
        let failed = |error| PullError::Registry(reference.clone(), Box::new(error));
        let repository = {
            // Reads certificates and docker's config file.
            let (store, reference) = (self.0.clone(), reference.clone());
            let made =
                blocking(move || Repository::new(&store.registries, &reference, options.auth));
            Arc::new(made.await.map_err(failed)?)
        };
        let wanted = options.platform.clone().unwrap_or_else(Platform::host);
        let resolved = self.resolve(&repository, reference, &wanted).await?;
        let layers = &resolved.manifest.layers;
        progress(Progress::Resolved {
            digest: resolved.target.clone(),
            layers: layers
                .iter()
                .map(|layer| (layer.digest.clone(), layer.size))
                .collect(),
        });
        let _pins = self.pin_documents(&resolved);
        let config = self
            .config(&repository, reference, &resolved.manifest.config)
            .await?;
        let parsed = check_config(reference, &config, &resolved.manifest, &wanted)?;
        let pairs: Vec<_> = layers.iter().zip(&parsed.diff_ids).collect();
        let transfers = pairs
            .iter()
            .map(|(layer, diff_id)| self.layer(&repository, reference, layer, diff_id, progress));
        let brought = try_join_all(transfers).await?;
        let store = self.0.clone();
        let name = name_of(reference);
        let digests = vec![reference.with_digest(&resolved.target).canonical()];
        let published = blocking(move || {
            let layers: Vec<LayerRecord> = brought.iter().map(|b| b.record.clone()).collect();
            store.publish_pulled(&resolved, &config, layers, digests, &name)
        });
        Ok(published.await?)
    }

    /// Follows the name to the manifest for `wanted`.
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &Reference,
        wanted: &Platform,
    ) -> Result<Resolved, PullError> {
        let failed = |error| PullError::Registry(reference.clone(), Box::new(error));
        let unusable = |error| PullError::Manifest(reference.clone(), Box::new(error));
        let tag = reference.tag().unwrap_or_default();
        let mut fetched = self
            .fetch(repository, tag, reference.digest())
            .await
            .map_err(failed)?;
        let target = fetched.digest.clone();
        let mut documents = Vec::new();
        for _ in 0..=NESTING_MAX {
            let document =
                Document::parse(&fetched.bytes, &fetched.media_type).map_err(unusable)?;
            documents.push((fetched.digest.clone(), fetched.bytes));
            let index = match document {
                Document::Index(index) => index,
                Document::Manifest(manifest) => {
                    let digest = fetched.digest;
                    return Ok(Resolved {
                        manifest,
                        digest,
                        target,
                        documents,
                    });
                }
            };
            let chosen = &index.choose(wanted).map_err(unusable)?.descriptor;
            fetched = self
                .fetch(repository, "", Some(&chosen.digest))
                .await
                .map_err(failed)?;
            if fetched.bytes.len() as u64 != chosen.size {
                let why = format!(
                    "manifest {} does not have the size its index says",
                    chosen.digest
                );
                return Err(PullError::Inconsistent(reference.clone(), why));
            }
            if !chosen.media_type.is_empty() && !fetched.media_type.starts_with(&chosen.media_type)
            {
                let why = format!(
                    "manifest {} does not have the type its index says",
                    chosen.digest
                );
                return Err(PullError::Inconsistent(reference.clone(), why));
            }
        }
        let why = format!("its indexes nest deeper than {NESTING_MAX}");
        Err(PullError::Inconsistent(reference.clone(), why))
    }

    async fn fetch(
        &self,
        repository: &Repository,
        tag: &str,
        digest: Option<&Digest>,
    ) -> Result<Fetched, RegistryError> {
        repository.manifest(tag, digest).await
    }

    fn pin_documents(&self, resolved: &Resolved) -> Vec<Pin> {
        let documents = resolved.documents.iter().map(|(digest, _)| digest);
        documents
            .chain([&resolved.manifest.config.digest])
            .map(|d| self.0.pin(d))
            .collect()
    }

    async fn config(
        &self,
        repository: &Repository,
        reference: &Reference,
        blob: &Descriptor,
    ) -> Result<Vec<u8>, PullError> {
        let (store, digest) = (self.0.clone(), blob.digest.clone());
        if let Ok(json) = blocking(move || store.read_document(&digest)).await {
            return Ok(json);
        }
        let fetched = repository.document(blob, CONFIG_MAX).await;
        fetched.map_err(|error| PullError::Registry(reference.clone(), Box::new(error)))
    }

    /// Brings one layer, telling how it goes.
    async fn layer(
        &self,
        repository: &Arc<Repository>,
        reference: &Reference,
        layer: &Descriptor,
        diff_id: &Digest,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Brought, PullError> {
        let tell = |state| {
            progress(Progress::Layer {
                blob: layer.digest.clone(),
                state,
            })
        };
        // Pinned before it is looked for, so that no sweep comes between.
        let pins = [self.0.pin(&layer.digest), self.0.pin(diff_id)];
        let record = |unpacked_size, blob_size| LayerRecord {
            diff_id: diff_id.to_string(),
            blob: layer.digest.to_string(),
            blob_size,
            media_type: layer.media_type.clone(),
            unpacked_size,
        };
        if let Some(size) = self.0.has_pair(&layer.digest, diff_id) {
            tell(LayerState::Exists);
            return Ok(Brought {
                record: record(size, layer.size),
                _pins: pins,
            });
        }
        let transfer = Transfer::join(&self.0, repository, layer, diff_id);
        let brought = transfer.follow(tell).await;
        let measured: Arc<Measured> = brought.map_err(|source| PullError::Layer {
            reference: Box::new(reference.clone()),
            blob: layer.digest.clone(),
            source,
        })?;
        let record = record(measured.report.bytes, measured.blob_size);
        Ok(Brought {
            record,
            _pins: pins,
        })
    }
}

/// A layer that is here, kept until the image is visible.
struct Brought {
    record: LayerRecord,
    _pins: [Pin; 2],
}

fn check_config(
    reference: &Reference,
    json: &[u8],
    manifest: &Manifest,
    wanted: &Platform,
) -> Result<ImageConfig, PullError> {
    let config = ImageConfig::parse(json)
        .map_err(|error| PullError::Config(reference.clone(), Box::new(error)))?;
    if config.diff_ids.len() != manifest.layers.len() {
        let (ids, layers) = (config.diff_ids.len(), manifest.layers.len());
        let why = format!("its config has {ids} layers, its manifest {layers}");
        return Err(PullError::Inconsistent(reference.clone(), why));
    }
    let offered = config.platform();
    // What the index or the user chose may be more exact about the variant than the config.
    let plain = Platform {
        variant: String::new(),
        ..offered.clone()
    };
    if wanted.rank(&offered).is_none() && wanted.rank(&plain).is_none() {
        let reference = reference.clone();
        let (offered, wanted) = (Box::new(offered), Box::new(wanted.clone()));
        return Err(PullError::Platform {
            reference,
            offered,
            wanted,
        });
    }
    Ok(config)
}

/// What the image is called after the pull: a digest wins over a tag, as for docker.
fn name_of(reference: &Reference) -> Reference {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest),
        None => reference.clone(),
    }
}

impl Inner {
    fn publish_pulled(
        &self,
        resolved: &Resolved,
        config: &[u8],
        layers: Vec<LayerRecord>,
        digests: Vec<String>,
        name: &Reference,
    ) -> Result<Image, StoreError> {
        let id = &resolved.manifest.config.digest;
        self.write_document_as(config, id)?;
        for (digest, bytes) in &resolved.documents {
            self.write_document_as(bytes, digest)?;
        }
        let indexes = resolved.documents.iter().map(|(digest, _)| digest);
        let record = ImageRecord {
            manifest: resolved.digest.to_string(),
            manifest_type: resolved.manifest.media_type.clone(),
            layers,
            digests,
            extra: indexes
                .filter(|d| **d != resolved.digest)
                .map(Digest::to_string)
                .collect(),
        };
        self.make_visible(id, record, std::iter::once(name))
    }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going away, and everything that could look at the answer with it.
        Err(_) => std::future::pending().await,
    }
}
