//! How far a pull has got, as it is told to whoever waits for it.

use crate::digest::Digest;

/// What a pull has got to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The manifest is known.
    Resolved {
        /// What the name points to at the registry.
        digest: Digest,
        /// Layer blobs and their sizes, lowest first.
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
