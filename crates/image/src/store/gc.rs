//! Owns getting rid of content nobody needs: a sweep renames it into `trash` under the state's
//! lock, which is instant, and deletes it after. Never touches what an image, a snapshot or
//! something under way refers to.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Inner, State, StoreError};
use crate::digest::Digest;

/// Names the boot of the machine that the last sweep at open was in.
pub(crate) const BOOT: &str = "boot";

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes of disk that were freed.
    pub bytes: u64,
    /// Layers (diff ids) no image has any more.
    pub layers: Vec<Digest>,
}

impl Inner {
    /// Removes blobs, layers and partial downloads that nothing refers to.
    pub(crate) fn sweep(&self) -> Result<Reclaimed, StoreError> {
        let mut reclaimed = Reclaimed::default();
        let mut gone = Vec::new();
        {
            let state = self.state();
            let kept = state.kept(&self.snapshots.all_layers()?);
            for content in self.content()? {
                if kept.holds(&content) {
                    continue;
                }
                gone.extend(self.discard(&content.path)?);
                if content.is_layer {
                    reclaimed.layers.extend(content.digest);
                }
            }
        }
        for path in gone {
            reclaimed.bytes += weft_stdx::disk::used(&path).unwrap_or(0);
            self.trash
                .put(&path)
                .map_err(StoreError::io("remove", &path))?;
        }
        // Whoever collects wants the space, not the time.
        self.trash.settle();
        Ok(reclaimed)
    }

    /// Every blob, layer and partial download.
    fn content(&self) -> Result<Vec<Content>, StoreError> {
        let mut all = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            for (path, name) in children(&self.dir.join("blobs").join(algorithm))? {
                let digest = Digest::parse(&format!("{algorithm}:{name}")).ok();
                all.push(Content {
                    path,
                    digest,
                    is_layer: false,
                });
            }
        }
        for (path, name) in children(&self.dir.join("layers"))? {
            let digest = match name.strip_prefix("sha512-") {
                Some(hex) => Digest::parse(&format!("sha512:{hex}")),
                None => Digest::parse(&format!("sha256:{name}")),
            };
            all.push(Content {
                path,
                digest: digest.ok(),
                is_layer: true,
            });
        }
        for (path, name) in children(&self.dir.join("ingest"))? {
            if let Some(rest) = name.strip_prefix("partial-") {
                let digest = Digest::parse(&rest.replacen('-', ":", 1)).ok();
                all.push(Content {
                    path,
                    digest,
                    is_layer: false,
                });
            }
        }
        Ok(all)
    }

    /// Out of sight at once; answers where it is until it is deleted.
    fn discard(&self, path: &Path) -> Result<Option<PathBuf>, StoreError> {
        let aside = self.trash.set_aside(path);
        aside.map_err(StoreError::io("remove", path))
    }

    /// At open: what was being made when the last run ended is gone, except partial downloads.
    /// After a power cut nothing the index does not name can be trusted to be whole.
    pub(crate) fn clear_leftovers(&self) -> Result<(), StoreError> {
        for (path, name) in children(&self.dir.join("ingest"))? {
            if !name.starts_with("partial-") {
                weft_stdx::tree::remove(&path).map_err(StoreError::io("remove", &path))?;
            }
        }
        for (path, name) in children(&self.dir)? {
            if name.contains(".tmp-") {
                weft_stdx::tree::remove(&path).map_err(StoreError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Sweeps once per boot of the machine; see [`Inner::clear_leftovers`]. Something damaged keeps
    /// the sweep from knowing what is needed, so then everything stays, and the store opens.
    pub(crate) fn sweep_after_boot(&self) -> Result<(), StoreError> {
        let path = self.dir.join(BOOT);
        let boot = weft_stdx::clock::boot_id().as_bytes();
        if fs::read(&path).is_ok_and(|seen| seen == boot) {
            return Ok(());
        }
        if let Err(error) = self.sweep() {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                "content that nobody needs any more stays where it is"
            );
            return Ok(());
        }
        weft_stdx::file::replace(&path, boot, weft_stdx::file::Durability::Process)
            .map_err(StoreError::io("write", &path))
    }
}

impl State {
    /// The paths that images, snapshots and transfers under way need.
    fn kept(&self, snapshot_layers: &[Digest]) -> Kept {
        let mut kept = Kept::default();
        for (id, held) in &self.images {
            kept.blobs.insert(id.clone());
            kept.blobs.insert(held.image.manifest.clone());
            kept.blobs.extend(
                held.record
                    .extra
                    .iter()
                    .filter_map(|d| Digest::parse(d).ok()),
            );
            for layer in &held.image.layers {
                kept.blobs.insert(layer.blob.clone());
                kept.layers.insert(layer.diff_id.clone());
            }
        }
        kept.blobs.extend(self.pins.keys().cloned());
        kept.layers.extend(self.pins.keys().cloned());
        kept.layers.extend(snapshot_layers.iter().cloned());
        kept
    }
}

#[derive(Default)]
struct Kept {
    blobs: HashSet<Digest>,
    layers: HashSet<Digest>,
}

impl Kept {
    fn holds(&self, content: &Content) -> bool {
        let set = if content.is_layer {
            &self.layers
        } else {
            &self.blobs
        };
        content
            .digest
            .as_ref()
            .is_some_and(|digest| set.contains(digest))
    }
}

struct Content {
    path: PathBuf,
    /// `None` if its name is not one this store gives.
    digest: Option<Digest>,
    is_layer: bool,
}

/// The entries of a directory of ours, with their names.
pub(crate) fn children(dir: &Path) -> Result<Vec<(PathBuf, String)>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::io("list", dir)(e)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", dir))?;
        all.push((
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        ));
    }
    Ok(all)
}
