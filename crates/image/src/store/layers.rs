//! Owns unpacked layers: directories named by diff id, complete and verified or absent.
//! Never unpacks one itself.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use weft_stdx::file::{self, Durability};

use super::record::{UnpackedRecord, VERSION};
use super::{Inner, StoreError};
use crate::digest::Digest;
use crate::ingest::Measured;
use crate::snapshot::frame;

/// What lies below every container: the mount points weft needs, so that none has to be made in its
/// writable layer, where they would cost time and look like changes.
pub(crate) const SKELETON: &str = "skeleton";

/// Makes the skeleton of the store in `dir`, or completes it.
pub(crate) fn make_skeleton(dir: &Path) -> Result<(), StoreError> {
    let root = dir.join(SKELETON);
    for name in ["", "dev", "etc", "proc", "sys"] {
        let path = root.join(name);
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).create(&path);
        let mode = std::fs::Permissions::from_mode(0o755);
        made.and_then(|()| std::fs::set_permissions(&path, mode))
            .map_err(StoreError::io("create directory", &path))?;
    }
    for name in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        let path = root.join(name);
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::write(&path, "")
            .and_then(|()| std::fs::set_permissions(&path, mode))
            .map_err(StoreError::io("create", &path))?;
    }
    Ok(())
}

impl Inner {
    /// The directory of one layer: `fs` and `layer.json` are in it.
    pub(crate) fn layer_dir(&self, diff_id: &Digest) -> PathBuf {
        layer_dir(&self.dir, diff_id)
    }

    pub(crate) fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layer_dir(diff_id).join("layer.json").exists()
    }

    /// Bytes of the files of layer `diff_id`, if it and `blob` are both here and known to be the
    /// same content.
    pub(crate) fn has_pair(&self, blob: &Digest, diff_id: &Digest) -> Option<u64> {
        if !self.has_blob(blob) {
            return None;
        }
        if let Some(layer) = self.state().layer(blob, diff_id) {
            return self.has_layer(diff_id).then_some(layer.unpacked_size);
        }
        let path = self.layer_dir(diff_id).join("layer.json");
        let bytes = file::read_bounded(&path, 4096).ok()?;
        let record: UnpackedRecord = serde_json::from_slice(&bytes).ok()?;
        (record.version == VERSION && record.blob == blob.to_string()).then_some(record.size)
    }

    /// Makes a verified directory (with the files in `fs` below it) visible as a layer.
    pub(crate) fn place_layer(&self, from: &Path, layer: &Measured) -> Result<(), StoreError> {
        let diff_id = &layer.diff_id;
        let record = UnpackedRecord {
            version: VERSION,
            diff_id: diff_id.to_string(),
            blob: layer.blob.to_string(),
            size: layer.report.bytes,
            entries: layer.report.entries,
        };
        let json = serde_json::to_vec(&record).expect("strings and numbers always serialise");
        let path = from.join(frame::LIST);
        frame::write_list(from, &layer.report.implied).map_err(StoreError::io("write", &path))?;
        let path = from.join("layer.json");
        file::replace(&path, &json, Durability::Process).map_err(StoreError::io("write", &path))?;
        let to = self.layer_dir(diff_id);
        match std::fs::rename(from, &to) {
            Ok(()) => Ok(()),
            // Another transfer was faster with the same content.
            Err(_) if self.has_layer(diff_id) => {
                weft_stdx::tree::remove(from).map_err(StoreError::io("remove", from))
            }
            Err(error) => Err(StoreError::io("rename layer to", &to)(error)),
        }
    }
}

/// sha512 ids get a prefix, so that no two algorithms share a name.
pub(crate) fn layer_dir(store: &Path, diff_id: &Digest) -> PathBuf {
    let name = match diff_id.algorithm() {
        crate::digest::Algorithm::Sha256 => diff_id.hex().to_owned(),
        crate::digest::Algorithm::Sha512 => format!("sha512-{}", diff_id.hex()),
    };
    store.join("layers").join(name)
}
