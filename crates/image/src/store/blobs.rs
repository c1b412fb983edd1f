//! Owns blobs: files named by the digest of their content, complete or absent.
//! Never decides who needs one.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Inner, StoreError};
use crate::digest::Digest;
use crate::manifest::CONFIG_MAX;

impl Inner {
    /// Where the blob `digest` is, or would be.
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.dir
            .join("blobs")
            .join(digest.algorithm().name())
            .join(digest.hex())
    }

    /// Where the interrupted download of `digest` is, or would be.
    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        let name = format!("partial-{}-{}", digest.algorithm().name(), digest.hex());
        self.dir.join("ingest").join(name)
    }

    /// A name of its own for something being made.
    pub(crate) fn ingest_path(&self, kind: &str) -> PathBuf {
        let name = format!("{kind}-{}", weft_stdx::id::random_hex(8));
        self.dir.join("ingest").join(name)
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest)
            .symlink_metadata()
            .is_ok_and(|m| m.is_file())
    }

    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(StoreError::io("open blob", &path))
    }

    /// Reads a manifest, index or config and checks it against its digest.
    pub(crate) fn read_document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let bytes = weft_stdx::file::read_bounded(&path, CONFIG_MAX)
            .map_err(StoreError::io("read blob", &path))?;
        let mut hasher = crate::digest::Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        if hasher.finish() != *digest {
            return Err(StoreError::Damaged(digest.clone()));
        }
        Ok(bytes)
    }

    /// Stores a manifest, index or config; its digest is what the bytes hash to.
    pub(crate) fn write_document(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.write_document_as(bytes, &digest)?;
        Ok(digest)
    }

    /// As [`Inner::write_document`], for bytes the caller has checked against `digest`.
    pub(crate) fn write_document_as(
        &self,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<(), StoreError> {
        if self.has_blob(digest) && self.read_document(digest).is_ok() {
            return Ok(());
        }
        let temporary = self.ingest_path("document");
        let written = create_private(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        let written = written.map_err(StoreError::io("write", &temporary));
        let placed = written.and_then(|()| self.place_blob(&temporary, digest));
        if placed.is_err() {
            // The name is ours alone; what cannot be removed now is cleared at the next start.
            let _ = std::fs::remove_file(&temporary);
        }
        placed
    }

    /// Makes a complete, verified and synced file visible as the blob `digest`.
    pub(crate) fn place_blob(&self, from: &Path, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        std::fs::rename(from, &path).map_err(StoreError::io("rename blob to", &path))
    }
}

/// A new file only root may read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new()
        .write(true)
        .read(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
