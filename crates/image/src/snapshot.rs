//! Owns containers' root filesystems as values: which directories to stack, lowest last, and the
//! writable one on top. Never mounts anything; whoever runs the container does.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use weft_stdx::file::{self, Durability};

use crate::digest::Digest;
use crate::error::{ErrorKind, io_kind};
use crate::store::record::{SnapshotRecord, VERSION};
use crate::store::{Image, State, StoreError, layers, lock_state};
use weft_stdx::trash::Trash;

mod diff;
pub(crate) mod frame;

pub use diff::{Change, ChangeKind};

/// Makes root filesystems from images.
pub trait Snapshotter {
    /// Makes the writable layer `key` over `image`. Fails if `key` exists.
    fn prepare(&self, key: &str, image: &Image) -> Result<Mounts, SnapshotError>;
    /// What to stack for `key`.
    fn mounts(&self, key: &str) -> Result<Mounts, SnapshotError>;
    /// Removes `key`; fine if it is not there, or only half made.
    fn remove(&self, key: &str) -> Result<(), SnapshotError>;
    /// Bytes that `key` takes beyond its image.
    fn usage(&self, key: &str) -> Result<u64, SnapshotError>;
    /// What differs from the image, in path order. What was only made to mount something on
    /// (`targets`) is no difference.
    fn diff(&self, key: &str, targets: &[PathBuf]) -> Result<Vec<Change>, SnapshotError>;
    /// All keys.
    fn keys(&self) -> Result<Vec<String>, SnapshotError>;
}

/// The directories of an overlay mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounts {
    /// Read-only layers, top first; the last one holds weft's mount points.
    pub lower: Vec<PathBuf>,
    /// The writable directory.
    pub upper: PathBuf,
    /// Overlayfs's own work directory, on the same filesystem as `upper`.
    pub work: PathBuf,
}

/// A snapshot could not be made, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Keys are used as directory names.
    #[error("snapshot key {0:?} is not 1 to 128 letters, digits, \"_\", \"-\" or \".\"")]
    Key(String),
    /// There is one already.
    #[error("snapshot {0} exists already")]
    Exists(String),
    /// There is none.
    #[error("no such snapshot: {0}")]
    NotFound(String),
    /// Its image is not there any more.
    #[error("no such image: {0}")]
    NoImage(Digest),
    /// A layer of the image is not there.
    #[error("snapshot {key} needs layer {layer}, which is not in the store; pull the image again")]
    Layer {
        /// The snapshot.
        key: String,
        /// Its missing layer.
        layer: Digest,
    },
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
    /// Its record is damaged.
    #[error("record of snapshot {0} is damaged")]
    Record(String),
}

impl SnapshotError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Key(_) => ErrorKind::Invalid,
            Self::Exists(_) => ErrorKind::Conflict,
            Self::NotFound(_) | Self::NoImage(_) => ErrorKind::NotFound,
            Self::Layer { .. } | Self::Record(_) => ErrorKind::Corrupt,
            Self::Io { source, .. } => io_kind(source),
        }
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// Snapshots as overlayfs stacks of unpacked layers.
pub struct Overlay {
    store: PathBuf,
    /// Of the store's images: a snapshot is made of one that is there, and from then on it stays.
    state: Arc<Mutex<State>>,
    trash: Arc<Trash>,
}

impl Overlay {
    pub(crate) fn new(store: &Path, state: Arc<Mutex<State>>, trash: Arc<Trash>) -> Self {
        Self {
            store: store.to_owned(),
            state,
            trash,
        }
    }

    /// The images of snapshots, each with one that was made from it. Holds as long as the caller
    /// holds the store's state.
    pub(crate) fn users(&self) -> HashMap<String, String> {
        let users = self
            .keys()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|key| {
                let record = read_record(&self.dir(&key), &key).ok()?;
                Some((record.image, format!("snapshot {key}")))
            });
        users.collect()
    }

    /// The layers below any snapshot. A snapshot whose record cannot be read fails the whole
    /// answer, so that nothing it may need is swept.
    pub(crate) fn all_layers(&self) -> Result<Vec<Digest>, StoreError> {
        let other = |error: SnapshotError| StoreError::Io {
            doing: "read snapshots in",
            path: self.store.join("snapshots"),
            source: io::Error::other(error),
        };
        let mut layers = Vec::new();
        for key in self.keys().map_err(other)? {
            match read_record(&self.dir(&key), &key) {
                Ok(record) => layers.extend(record_layers(&record, &key).map_err(other)?),
                // Made just now, or half removed: it relies on nothing yet.
                Err(SnapshotError::NotFound(_)) => {}
                Err(error) => return Err(other(error)),
            }
        }
        Ok(layers)
    }

    fn dir(&self, key: &str) -> PathBuf {
        self.store.join("snapshots").join(key)
    }

    fn lower(&self, key: &str, layers: &[Digest]) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut lower = Vec::with_capacity(layers.len());
        for layer in layers.iter().rev() {
            let path = layers::layer_dir(&self.store, layer).join("fs");
            if !path.is_dir() {
                return Err(SnapshotError::Layer {
                    key: key.to_owned(),
                    layer: layer.clone(),
                });
            }
            lower.push(path);
        }
        lower.push(self.store.join(layers::SKELETON));
        Ok(lower)
    }

    fn mounts_of(&self, key: &str, layers: &[Digest]) -> Result<Mounts, SnapshotError> {
        let dir = self.dir(key);
        let mut lower = self.lower(key, layers)?;
        let frame = dir.join("frame");
        if frame.is_dir() {
            lower.insert(0, frame);
        }
        Ok(Mounts {
            lower,
            upper: dir.join("upper"),
            work: dir.join("work"),
        })
    }

    /// Makes what a container needs of its own over `layers`.
    fn make(&self, key: &str, layers: &[Digest]) -> Result<Mounts, SnapshotError> {
        let dir = self.dir(key);
        let mut below = Vec::with_capacity(layers.len());
        for path in self.lower(key, layers)? {
            let read = frame::Layer::read(path.clone());
            below.push(read.map_err(SnapshotError::io("read what is implied in", &path))?);
        }
        let path = dir.join("frame");
        frame::make(&path, &below).map_err(SnapshotError::io("make", &path))?;
        let mounts = self.mounts_of(key, layers)?;
        // The root directory of a container looks as the topmost layer has it that has one.
        let top = below.iter().find(|layer| !layer.implies_root());
        make_upper(&mounts.upper, &top.unwrap_or(&below[0]).path)?;
        let mut builder = std::fs::DirBuilder::new();
        let work = builder.mode(0o700).create(&mounts.work);
        work.map_err(SnapshotError::io("create", &mounts.work))?;
        Ok(mounts)
    }
}

fn make_upper(upper: &Path, like: &Path) -> Result<(), SnapshotError> {
    let like = std::fs::metadata(like).map_err(SnapshotError::io("look at", like))?;
    std::fs::create_dir(upper).map_err(SnapshotError::io("create", upper))?;
    std::os::unix::fs::chown(upper, Some(like.uid()), Some(like.gid()))
        .map_err(SnapshotError::io("chown", upper))?;
    let mode = std::fs::Permissions::from_mode(like.mode() & 0o7777);
    std::fs::set_permissions(upper, mode).map_err(SnapshotError::io("chmod", upper))
}

impl Snapshotter for Overlay {
    fn prepare(&self, key: &str, image: &Image) -> Result<Mounts, SnapshotError> {
        check_key(key)?;
        let dir = self.dir(key);
        let mut builder = std::fs::DirBuilder::new();
        match builder.mode(0o700).create(&dir) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(SnapshotError::Exists(key.to_owned()));
            }
            Err(e) => return Err(SnapshotError::io("create", &dir)(e)),
        }
        // The record comes first: from here on the layers are in use.
        let layers: Vec<Digest> = image
            .layers
            .iter()
            .map(|layer| layer.diff_id.clone())
            .collect();
        let record = SnapshotRecord {
            version: VERSION,
            image: image.id.to_string(),
            layers: layers.iter().map(Digest::to_string).collect(),
        };
        let json = serde_json::to_vec(&record).expect("strings and lists always serialise");
        let path = dir.join("snapshot.json");
        let write = || {
            // Under the lock that images are removed and layers swept under: whoever does either
            // next sees the record.
            let state = lock_state(&self.state);
            if !state.has(&image.id) {
                return Err(SnapshotError::NoImage(image.id.clone()));
            }
            file::replace(&path, &json, Durability::Process)
                .map_err(SnapshotError::io("write", &path))
        };
        let made = write().and_then(|()| self.make(key, &layers));
        if made.is_err() {
            // The error that made it fail is the one to tell; removal can be asked for again.
            let _ = self.remove(key);
        }
        made
    }

    fn mounts(&self, key: &str) -> Result<Mounts, SnapshotError> {
        check_key(key)?;
        let record = read_record(&self.dir(key), key)?;
        self.mounts_of(key, &record_layers(&record, key)?)
    }

    fn remove(&self, key: &str) -> Result<(), SnapshotError> {
        check_key(key)?;
        let dir = self.dir(key);
        self.trash
            .put(&dir)
            .map_err(SnapshotError::io("remove", &dir))
    }

    fn usage(&self, key: &str) -> Result<u64, SnapshotError> {
        check_key(key)?;
        let upper = self.dir(key).join("upper");
        weft_stdx::disk::used(&upper).map_err(SnapshotError::io("measure", &upper))
    }

    fn diff(&self, key: &str, targets: &[PathBuf]) -> Result<Vec<Change>, SnapshotError> {
        let mounts = self.mounts(key)?;
        diff::changes(&mounts, targets).map_err(SnapshotError::io("compare", &mounts.upper))
    }

    fn keys(&self) -> Result<Vec<String>, SnapshotError> {
        let dir = self.store.join("snapshots");
        let entries = std::fs::read_dir(&dir).map_err(SnapshotError::io("list", &dir))?;
        let mut keys = Vec::new();
        for entry in entries {
            let entry = entry.map_err(SnapshotError::io("list", &dir))?;
            keys.push(entry.file_name().to_string_lossy().into_owned());
        }
        keys.sort();
        Ok(keys)
    }
}

fn check_key(key: &str) -> Result<(), SnapshotError> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    if key.is_empty() || key.len() > 128 || key.starts_with('.') || !key.bytes().all(fits) {
        return Err(SnapshotError::Key(key.chars().take(140).collect()));
    }
    Ok(())
}

fn read_record(dir: &Path, key: &str) -> Result<SnapshotRecord, SnapshotError> {
    let path = dir.join("snapshot.json");
    let bytes = match file::read_bounded(&path, 1 << 20) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(SnapshotError::NotFound(key.to_owned()));
        }
        Err(e) => return Err(SnapshotError::io("read", &path)(e)),
    };
    let record: SnapshotRecord =
        serde_json::from_slice(&bytes).map_err(|_| SnapshotError::Record(key.to_owned()))?;
    if record.version != VERSION {
        return Err(SnapshotError::Record(key.to_owned()));
    }
    Ok(record)
}

fn record_layers(record: &SnapshotRecord, key: &str) -> Result<Vec<Digest>, SnapshotError> {
    let layers = record.layers.iter().map(|layer| Digest::parse(layer));
    layers
        .collect::<Result<_, _>>()
        .map_err(|_| SnapshotError::Record(key.to_owned()))
}
