//! Owns the image store on disk: blobs and unpacked layers by digest, and one atomically replaced
//! index of names and images. Never talks to a registry and never mounts anything.
//!
//! ```text
//! images/
//!   index.json               names → images (record.rs); the only thing that makes content visible
//!   lock                     held by the one process that has the store open
//!   blobs/sha256/<hex>       manifests, configs, compressed layers; complete and verified
//!   layers/<hex>/fs          one layer unpacked, by diff id; layer.json beside it
//!   skeleton/                lowest layer of every container: what weft mounts on
//!   snapshots/<key>/         upper and work directory of one container
//!   ingest/                  what is being made; partial downloads by digest
//!   trash/                   renamed here in an instant, deleted at leisure
//! ```

pub(crate) mod blobs;
mod durable;
pub(crate) mod gc;
mod index;
pub(crate) mod layers;
mod names;
pub(crate) mod record;
pub(crate) mod tree;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fs::{FlockOperation, Mode, OFlags};
use weft_stdx::trash::Trash;

pub(crate) use durable::Durable;
pub use gc::Reclaimed;
pub use names::{NameError, RemoveOptions, Removed};

use crate::config::{ConfigError, ImageConfig};
use crate::digest::{Digest, DigestError};
use crate::error::{ErrorKind, io_kind};
use crate::reference::Reference;
use crate::registry::RegistryConfig;
use crate::snapshot::Overlay;
use record::ImageRecord;

/// All images of one data directory. Clones are handles to the same store.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub dir: PathBuf,
    pub registries: RegistryConfig,
    pub transfers: crate::pull::Transfers,
    pub durable: Durable,
    state: Arc<Mutex<State>>,
    snapshots: Overlay,
    trash: Arc<Trash>,
    /// Held open for its lock.
    _lock: OwnedFd,
}

#[derive(Default)]
pub(crate) struct State {
    images: BTreeMap<Digest, Held>,
    /// By canonical reference.
    names: BTreeMap<String, Digest>,
    /// Content that something under way relies on; counted, never swept.
    pins: HashMap<Digest, usize>,
}

#[derive(Clone)]
pub(crate) struct Held {
    record: ImageRecord,
    image: Image,
}

/// An image that is completely here.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The digest of its config: docker's image id.
    pub id: Digest,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Media type of that manifest.
    pub manifest_type: String,
    /// Its names: tagged references, and digest references if it was pulled by digest.
    pub names: Vec<Reference>,
    /// `repository@digest` for each repository it was pulled from.
    pub digests: Vec<String>,
    /// What a container made from it starts with.
    pub config: Arc<ImageConfig>,
    /// Bytes of its layers' files, unpacked.
    pub size_bytes: u64,
    /// Seconds since 1970; 0 if the image does not say.
    pub created: i64,
    /// Lowest first.
    pub layers: Vec<Layer>,
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the uncompressed archive: the layer's identity.
    pub diff_id: Digest,
    /// Digest of the blob as transferred.
    pub blob: Digest,
    /// Bytes of the blob.
    pub blob_size: u64,
    /// Media type of the blob.
    pub media_type: String,
    /// Bytes of its files.
    pub unpacked_size: u64,
}

/// The store on disk could not be opened, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("image store {0} is in use by another process")]
    Locked(PathBuf),
    /// A file operation failed.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The index is not what this version writes.
    #[error("image index {path} is damaged; move it away to start with no images")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The index was written by another version.
    #[error("image index {0} has version {1}, this weft reads version 1")]
    Version(PathBuf, u32),
    /// A digest in a record is malformed.
    #[error("image index holds an unusable digest")]
    Digest(#[from] DigestError),
    /// A stored config no longer lowers.
    #[error("stored image {image} has an unusable config")]
    Config {
        /// The image's id.
        image: Digest,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// Stored content does not match its digest.
    #[error("stored blob {0} is damaged; pull or load its image again")]
    Damaged(Digest),
    /// Writes to its file system were lost earlier.
    #[error(
        "the disk of {0} lost writes: look at the kernel's log (dmesg), then restart the engine"
    )]
    Lost(PathBuf),
}

impl StoreError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked(_) => ErrorKind::Conflict,
            Self::Io { source, .. } => io_kind(source),
            Self::Index { .. } | Self::Version(..) | Self::Digest(_) => ErrorKind::Corrupt,
            Self::Config { .. } | Self::Damaged(_) | Self::Lost(_) => ErrorKind::Corrupt,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

impl Store {
    /// Opens the store in `dir`, making it if missing, and clears what an interrupted run left.
    pub fn open(dir: &Path, registries: RegistryConfig) -> Result<Self, StoreError> {
        for sub in [
            "",
            "blobs/sha256",
            "blobs/sha512",
            "layers",
            "snapshots",
            "ingest",
            "trash",
        ] {
            make_private(&dir.join(sub))?;
        }
        let lock = lock(dir)?;
        layers::make_skeleton(dir)?;
        let state = Arc::<Mutex<State>>::default();
        let trash = Arc::new(Trash::new(&dir.join("trash")));
        let snapshots = Overlay::new(dir, Arc::clone(&state), Arc::clone(&trash));
        let inner = Inner {
            dir: dir.to_owned(),
            registries,
            transfers: crate::pull::Transfers::default(),
            durable: Durable::new(dir)?,
            state,
            snapshots,
            trash,
            _lock: lock,
        };
        inner.clear_leftovers()?;
        let state = inner.read_index()?;
        *inner.state() = state;
        inner.sweep_after_boot()?;
        Ok(Self(Arc::new(inner)))
    }

    /// All images, newest first.
    pub fn list(&self) -> Vec<Image> {
        let state = self.0.state();
        let mut images: Vec<Image> = state
            .images
            .keys()
            .filter_map(|id| state.image(id))
            .collect();
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        images
    }

    /// The image with exactly this id.
    pub fn get(&self, id: &Digest) -> Option<Image> {
        self.0.state().image(id)
    }

    /// Where containers' root filesystems come from.
    pub fn snapshots(&self) -> &Overlay {
        &self.0.snapshots
    }

    /// The bytes of a manifest, index or config blob, checked against its digest.
    pub fn document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.0.read_document(digest)
    }
}

fn make_private(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(dir)
        .map_err(StoreError::io("create directory", dir))
}

fn lock(dir: &Path) -> Result<OwnedFd, StoreError> {
    let path = dir.join("lock");
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| StoreError::io("open", &path)(e.into()))?;
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(fd),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked(dir.to_owned())),
        Err(errno) => Err(StoreError::io("lock", &path)(errno.into())),
    }
}

pub(crate) fn lock_state(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic while it was held left at worst a change that the index does not have.
    state
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl State {
    pub(crate) fn has(&self, image: &Digest) -> bool {
        self.images.contains_key(image)
    }

    /// A layer of any image that was transferred as `blob` and unpacked as `diff_id`.
    fn layer(&self, blob: &Digest, diff_id: &Digest) -> Option<&Layer> {
        let layers = self.images.values().flat_map(|held| &held.image.layers);
        layers
            .into_iter()
            .find(|layer| layer.blob == *blob && layer.diff_id == *diff_id)
    }

    /// The image as it looks from outside, with its present names.
    fn image(&self, id: &Digest) -> Option<Image> {
        let mut image = self.images.get(id)?.image.clone();
        let named = self.names.iter().filter(|(_, target)| *target == id);
        image.names = named
            .filter_map(|(name, _)| Reference::parse(name).ok())
            .collect();
        Some(image)
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock_state(&self.state)
    }

    /// Adds a complete image, under `name` if there is one. What had the name loses it.
    pub(crate) fn add(
        &self,
        id: &Digest,
        mut record: ImageRecord,
        name: Option<&Reference>,
    ) -> Result<Image, StoreError> {
        if let Some(present) = self.state().images.get(id) {
            for digest in &present.record.digests {
                if !record.digests.contains(digest) {
                    record.digests.push(digest.clone());
                }
            }
            for extra in &present.record.extra {
                if !record.extra.contains(extra) {
                    record.extra.push(extra.clone());
                }
            }
        }
        let held = self.lower_image(id, record)?;
        self.change(|state| {
            state.images.insert(id.clone(), held);
            if let Some(name) = name {
                state.names.insert(name.canonical(), id.clone());
            }
            state.image(id).expect("inserted above")
        })
    }
}

/// Keeps content from being swept while something relies on it.
pub(crate) struct Pin {
    store: Arc<Inner>,
    digest: Digest,
}

impl Inner {
    pub(crate) fn pin(self: &Arc<Self>, digest: &Digest) -> Pin {
        *self.state().pins.entry(digest.clone()).or_default() += 1;
        Pin {
            store: self.clone(),
            digest: digest.clone(),
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.store.state();
        if let Some(count) = state.pins.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                state.pins.remove(&self.digest);
            }
        }
    }
}
