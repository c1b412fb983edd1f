//! Owns the index: read when the store is opened, replaced whole at each change. What is damaged in it
//! costs the images it is about.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use weft_stdx::file::{self, Durability};

use super::record::{self, ImageRecord, IndexRecord, NameRecord};
use super::{Held, Image, Inner, Layer, State, StoreError};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::reference::Reference;

/// Largest index that is read: some 100,000 images.
const INDEX_MAX: u64 = 256 << 20;

impl Inner {
    pub(crate) fn index_path(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    pub(super) fn read_index(&self) -> Result<State, StoreError> {
        let path = self.index_path();
        let bytes = match file::read_bounded(&path, INDEX_MAX) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(e) => return Err(StoreError::io("read", &path)(e)),
        };
        let index: IndexRecord =
            serde_json::from_slice(&bytes).map_err(|source| StoreError::Index {
                path: path.clone(),
                source,
            })?;
        if index.version != record::VERSION {
            return Err(StoreError::Version(path, index.version));
        }
        let mut state = State::default();
        for (id, record) in index.images {
            let id = Digest::parse(&id)?;
            match self.lower_image(&id, record) {
                Ok(held) => drop(state.images.insert(id, held)),
                // Forgotten here, so that a pull brings it back; its content is swept later.
                Err(error) => tracing::warn!(image = %id, %error, "leaving out a damaged image"),
            }
        }
        for (name, target) in index.names {
            let id = Digest::parse(&target.image)?;
            if state.images.contains_key(&id) && Reference::parse(&name).is_ok() {
                state.names.insert(name, id);
            }
        }
        Ok(state)
    }

    /// Checks that an image's config reads and all its layers are there.
    pub(crate) fn lower_image(&self, id: &Digest, record: ImageRecord) -> Result<Held, StoreError> {
        let json = self.read_document(id)?;
        let config = ImageConfig::parse(&json).map_err(|source| StoreError::Config {
            image: id.clone(),
            source,
        })?;
        let mut layers = Vec::with_capacity(record.layers.len());
        for layer in &record.layers {
            let layer = Layer {
                diff_id: Digest::parse(&layer.diff_id)?,
                blob: Digest::parse(&layer.blob)?,
                blob_size: layer.blob_size,
                media_type: layer.media_type.clone(),
                unpacked_size: layer.unpacked_size,
            };
            if !self.has_layer(&layer.diff_id) {
                return Err(StoreError::Damaged(layer.diff_id));
            }
            layers.push(layer);
        }
        let image = Image {
            id: id.clone(),
            manifest: Digest::parse(&record.manifest)?,
            manifest_type: record.manifest_type.clone(),
            names: Vec::new(),
            digests: record.digests.clone(),
            created: config.created_unix().unwrap_or(0),
            config: Arc::new(config),
            size_bytes: layers.iter().map(|layer| layer.unpacked_size).sum(),
            layers,
        };
        Ok(Held { record, image })
    }

    /// Writes `state` as the index. On failure the caller's change must not be kept.
    fn write_index(&self, state: &State) -> Result<(), StoreError> {
        let images = state.images.iter();
        let names = state.names.iter();
        let index = IndexRecord {
            version: record::VERSION,
            images: images
                .map(|(id, held)| (id.to_string(), held.record.clone()))
                .collect(),
            names: names
                .map(|(name, id)| {
                    (
                        name.clone(),
                        NameRecord {
                            image: id.to_string(),
                        },
                    )
                })
                .collect(),
        };
        let json = serde_json::to_vec(&index).expect("strings, numbers and maps always serialise");
        let path = self.index_path();
        file::replace(&path, &json, Durability::PowerCut).map_err(StoreError::io("replace", &path))
    }

    /// Makes a change to names and images visible and durable, or leaves all as it was.
    pub(crate) fn change<T>(&self, edit: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = self.state();
        let before = (state.images.clone(), state.names.clone());
        let result = edit(&mut state);
        if let Err(error) = self.write_index(&state) {
            (state.images, state.names) = before;
            return Err(error);
        }
        Ok(result)
    }
}
