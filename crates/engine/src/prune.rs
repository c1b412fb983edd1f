//! prune and df: what takes space, and giving it back.

use std::collections::BTreeMap;
use std::path::Path;

use weft_image::Removed;

use crate::container::record::Status;
use crate::container::{ListFilter, RemoveOptions};
use crate::engine::Engine;
use crate::error::Result;

/// What a prune did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids or names, in Docker's words for images (`untagged: …`).
    pub deleted: Vec<String>,
    /// Bytes given back.
    pub reclaimed_bytes: u64,
}

/// What a prune may take.
#[derive(Debug, Clone, Default)]
pub struct PruneFilter {
    /// Only what is older than this, unix nanoseconds.
    pub until_ns: Option<i64>,
    /// `key` or `key=value`; all must match.
    pub labels: Vec<String>,
    /// The same; none may match.
    pub not_labels: Vec<String>,
    /// Images: also those with a name; volumes: also those with a name.
    pub all: bool,
}

impl PruneFilter {
    pub(crate) fn allows(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| label_matches(labels, wanted);
        self.labels.iter().all(has) && !self.not_labels.iter().any(has)
    }
}

impl Engine {
    /// Removes every container that does not run.
    ///
    /// # Errors
    /// The first that can't be removed; those before it are gone.
    pub async fn prune_containers(&self, filter: &PruneFilter) -> Result<Pruned> {
        let list = ListFilter {
            all: true,
            ..ListFilter::default()
        };
        let mut pruned = Pruned::default();
        for view in self.list(&list)? {
            let record = view.record;
            let idle = matches!(
                record.state.status,
                Status::Created | Status::Exited | Status::Dead
            );
            let allowed = filter.allows(&record.resolved.labels);
            if !idle || !allowed || filter.until_ns.is_some_and(|u| record.created_at_ns >= u) {
                continue;
            }
            let bytes = self.written_bytes(&record.id).await.unwrap_or(0);
            self.remove(&record.id, RemoveOptions::default()).await?;
            pruned.deleted.push(record.id);
            pruned.reclaimed_bytes += bytes;
        }
        self.tell_pruned("container", pruned.reclaimed_bytes);
        Ok(pruned)
    }

    /// Removes images without a name (all unused ones with `all`), then unreferenced content.
    ///
    /// # Errors
    /// The store can't be changed.
    pub async fn prune_images(&self, filter: &PruneFilter) -> Result<Pruned> {
        let used = self.images_in_use();
        let mut unused = Vec::new();
        for image in self.inner.images.list() {
            let old = filter
                .until_ns
                .is_none_or(|u| image.created.saturating_mul(1_000_000_000) < u);
            let wanted = filter.all || image.names.is_empty();
            if wanted && old && filter.allows(&image.config.labels) && !used.contains(&image.id) {
                unused.push(image.id);
            }
        }
        let (removed, reclaimed) = self
            .blocking(move |engine| engine.discard_images(&unused))
            .await?;
        let told = removed.iter().map(|one| match one {
            Removed::Untagged(name) => format!("untagged: {name}"),
            Removed::Deleted(id) => format!("deleted: {id}"),
        });
        self.tell_pruned("image", reclaimed.bytes);
        let layers = reclaimed.layers.iter().map(|l| format!("deleted: {l}"));
        Ok(Pruned {
            deleted: told.chain(layers).collect(),
            reclaimed_bytes: reclaimed.bytes,
        })
    }

    /// Removes anonymous volumes no container has (named ones too with `all`).
    ///
    /// # Errors
    /// The first that can't be removed.
    pub async fn prune_volumes(&self, filter: &PruneFilter) -> Result<Pruned> {
        self.check_all_readable("volumes")?;
        let filter = filter.clone();
        self.blocking(move |engine| {
            let mut pruned = Pruned::default();
            for view in engine.volumes() {
                let volume = view.volume;
                let wanted = filter.all || volume.anonymous;
                if !view.used_by.is_empty() || !wanted || !filter.allows(&volume.labels) {
                    continue;
                }
                let bytes = tree_bytes(&volume.path);
                engine.remove_volume(&volume.name, true)?;
                pruned.deleted.push(volume.name);
                pruned.reclaimed_bytes += bytes;
            }
            engine.tell_pruned("volume", pruned.reclaimed_bytes);
            Ok(pruned)
        })
        .await
    }

    /// Tells that a prune is over, and what it gave back.
    pub(crate) fn tell_pruned(&self, kind: &'static str, reclaimed_bytes: u64) {
        let reclaimed = ("reclaimed".to_owned(), reclaimed_bytes.to_string());
        let events = &self.inner.events;
        events.emit(kind, "prune", "", BTreeMap::from([reclaimed]));
    }

    /// Bytes in a volume.
    pub async fn volume_bytes(&self, path: &Path) -> u64 {
        let path = path.to_owned();
        self.blocking(move |_| tree_bytes(&path)).await
    }
}

pub(crate) fn label_matches(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    let (key, value) = match wanted.split_once('=') {
        Some((k, v)) => (k, Some(v)),
        None => (wanted, None),
    };
    labels
        .get(key)
        .is_some_and(|have| value.is_none_or(|v| v == have))
}

/// Bytes on disk below `path`, links not followed; what can't be read counts nothing.
fn tree_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut pending = vec![path.to_owned()];
    let mut total = 0;
    while let Some(dir) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(about) = entry.metadata() else {
                continue;
            };
            // What names elsewhere keep is not freed with these.
            let names = if about.is_dir() {
                1
            } else {
                about.nlink().max(1)
            };
            total += about.blocks() * 512 / names;
            if about.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    total
}
