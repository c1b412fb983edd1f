//! Owns bringing an image from a registry into the store. Never makes anything visible before
//! all of it is here and verified.

use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::Credentials;
use crate::store::{Image, Store, StoreError};

/// How to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// What it must run on; `None` is this machine.
    pub platform: Option<Platform>,
    /// Instead of those in docker's config file.
    pub auth: Option<Credentials>,
}

/// What a pull has got to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The manifest is known; these layer blobs (with their sizes) belong to the image, lowest first.
    Resolved {
        /// What the name points to at the registry.
        digest: Digest,
        /// Layer blobs and their sizes.
        layers: Vec<(Digest, u64)>,
    },
    /// One layer's state changed.
    Layer {
        /// Its blob.
        blob: Digest,
        /// Its state now.
        state: LayerState,
    },
}

/// Where a layer is on its way. `total` and `done` count bytes of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerState {
    /// Queued behind others.
    Waiting,
    /// On its way; unpacked while it comes.
    Downloading {
        /// Bytes here.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// All here; the last of it is being unpacked and verified.
    Extracting,
    /// Unpacked and verified.
    Done,
    /// Was here before.
    Exists,
}

/// A pull failed. Nothing of it is visible; what was downloaded is kept to go on from.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
        }
    }
}

/// Layer transfers under way, shared by concurrent pulls.
#[derive(Default)]
pub(crate) struct Transfers;

impl Store {
    /// Pulls `reference` and returns the complete, verified image. Dropping the future stops it.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, PullError> {
        let _ = (reference, options, progress);
        Err(PullError::Store(StoreError::Damaged(Digest::of(b""))))
    }
}
