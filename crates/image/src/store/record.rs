//! Owns the JSON records of the store on disk. Never validates: `store` lowers what it reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version this build writes; it reads no other.
pub(crate) const VERSION: u32 = 1;

/// `index.json`: everything that has a name or was pulled.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexRecord {
    pub version: u32,
    /// By config digest.
    pub images: BTreeMap<String, ImageRecord>,
    /// By canonical reference.
    pub names: BTreeMap<String, NameRecord>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageRecord {
    /// Digest of the image manifest.
    pub manifest: String,
    pub manifest_type: String,
    /// Lowest first.
    pub layers: Vec<LayerRecord>,
    /// `repository@digest`, as pulled.
    pub digests: Vec<String>,
    /// Blobs besides manifest, config and layers that belong to it, such as the index pulled.
    #[serde(default)]
    pub extra: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerRecord {
    pub diff_id: String,
    pub blob: String,
    pub blob_size: u64,
    pub media_type: String,
    pub unpacked_size: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameRecord {
    pub image: String,
}

/// `layers/<diff id>/layer.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnpackedRecord {
    pub version: u32,
    pub diff_id: String,
    /// The blob it was unpacked from.
    pub blob: String,
    pub size: u64,
    pub entries: u64,
}

/// `snapshots/<key>/snapshot.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotRecord {
    pub version: u32,
    pub image: String,
    /// Diff ids, lowest first.
    pub layers: Vec<String>,
}
