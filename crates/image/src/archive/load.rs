//! Owns reading image archives: OCI layouts (`index.json`) and docker-archives
//! (`manifest.json`). Never believes a name: configs and layers are checked by digest.

use std::io::Read;

use super::incoming::{Incoming, Spooled};
use super::{ArchiveError, Loaded, layer_record};
use crate::config::ImageConfig;
use crate::digest::Digest;
use crate::ingest::{Expected, ReaderFeed};
use crate::manifest::{CONFIG_MAX, Document, IndexEntry, MANIFEST_MAX, Manifest, OCI_INDEX};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::record::{ImageRecord, LayerRecord};
use crate::store::{Pin, Store};
use crate::wire;

/// Deepest nesting of indexes.
const NESTING_MAX: usize = 4;

impl Store {
    /// Reads a docker-archive or an OCI layout archive, gzip, zstd or plain. Blocking.
    pub fn load(&self, archive: impl Read + Send) -> Result<Vec<Loaded>, ArchiveError> {
        let incoming = Incoming::read(&self.0, archive)?;
        let docker = match incoming.find("manifest.json") {
            Some(file) => {
                let json = file.read("manifest.json", MANIFEST_MAX)?;
                let list: Vec<wire::ArchiveImage> = serde_json::from_slice(&json)
                    .map_err(|e| ArchiveError::Format(format!("manifest.json: {e}")))?;
                list
            }
            None => Vec::new(),
        };
        let loaded = if incoming.find("index.json").is_some() {
            self.load_layout(&incoming, &docker)?
        } else {
            let images = docker
                .iter()
                .map(|image| self.load_docker(&incoming, image));
            images.collect::<Result<Vec<_>, _>>()?
        };
        if loaded.is_empty() {
            let what = "it has neither index.json nor manifest.json with an image for this machine";
            return Err(ArchiveError::Format(what.to_owned()));
        }
        Ok(loaded)
    }

    fn load_layout(
        &self,
        incoming: &Incoming,
        docker: &[wire::ArchiveImage],
    ) -> Result<Vec<Loaded>, ArchiveError> {
        let json = incoming
            .get("index.json")?
            .read("index.json", MANIFEST_MAX)?;
        let Document::Index(index) = Document::parse(&json, OCI_INDEX)? else {
            return Err(ArchiveError::Format(
                "index.json is not an index".to_owned(),
            ));
        };
        let mut loaded: Vec<Loaded> = Vec::new();
        for entry in &index.manifests {
            let Some((digest, manifest)) = resolve(incoming, entry, 0)? else {
                continue;
            };
            let mut names = Vec::new();
            for name in &entry.names {
                // A bare tag names nothing by itself.
                if name.contains(['/', ':']) {
                    names.push(parse_name(name)?);
                }
            }
            let config = format!("blobs/sha256/{}", manifest.config.digest.hex());
            for image in docker.iter().filter(|image| image.config == config) {
                for tag in image.repo_tags.iter().flatten() {
                    names.push(parse_name(tag)?);
                }
            }
            names.dedup();
            let one = self.load_manifest(incoming, &digest, &manifest, &names)?;
            match loaded
                .iter_mut()
                .find(|other| other.image.id == one.image.id)
            {
                Some(other) => {
                    other.names.extend(one.names);
                    other.names.sort();
                    other.names.dedup();
                    other.image = one.image;
                }
                None => loaded.push(one),
            }
        }
        Ok(loaded)
    }

    fn load_manifest(
        &self,
        incoming: &Incoming,
        digest: &Digest,
        manifest: &Manifest,
        names: &[Reference],
    ) -> Result<Loaded, ArchiveError> {
        let json = incoming.document(&manifest.config.digest, CONFIG_MAX)?;
        let id = manifest.config.digest.clone();
        let config = ImageConfig::parse(&json)?;
        if config.diff_ids.len() != manifest.layers.len() {
            return Err(layer_count(config.diff_ids.len(), manifest.layers.len()));
        }
        let mut layers = Vec::new();
        let mut pins = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
            let file = incoming.blob(&layer.digest)?;
            let mut record = self.load_layer(file, &layer.digest, diff_id, &mut pins)?;
            record.media_type.clone_from(&layer.media_type);
            layers.push(record);
        }
        let document = incoming.document(digest, MANIFEST_MAX)?;
        pins.push(self.0.pin(&id));
        pins.push(self.0.pin(digest));
        self.0.write_document_as(&json, &id)?;
        self.0.write_document_as(&document, digest)?;
        let record = ImageRecord {
            manifest: digest.to_string(),
            manifest_type: manifest.media_type.clone(),
            layers,
            digests: Vec::new(),
            extra: Vec::new(),
        };
        let image = self.0.make_visible(&id, record, names.iter())?;
        Ok(Loaded {
            image,
            names: names.iter().map(Reference::to_string).collect(),
        })
    }

    fn load_docker(
        &self,
        incoming: &Incoming,
        archived: &wire::ArchiveImage,
    ) -> Result<Loaded, ArchiveError> {
        let file = incoming.get(&archived.config)?;
        let json = file.read("config", CONFIG_MAX)?;
        let stem = archived
            .config
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".json");
        if stem.len() == 64 && stem != file.sha256.hex() {
            let (name, got) = (archived.config.clone(), file.sha256.clone());
            return Err(ArchiveError::Digest { name, got });
        }
        let config = ImageConfig::parse(&json)?;
        if config.diff_ids.len() != archived.layers.len() {
            return Err(layer_count(config.diff_ids.len(), archived.layers.len()));
        }
        let mut layers = Vec::new();
        let mut pins = Vec::new();
        for (name, diff_id) in archived.layers.iter().zip(&config.diff_ids) {
            let file = incoming.get(name)?;
            layers.push(self.load_layer(file, &file.sha256, diff_id, &mut pins)?);
        }
        let tags = archived.repo_tags.iter().flatten();
        let names = tags
            .map(|tag| parse_name(tag))
            .collect::<Result<Vec<_>, _>>()?;
        let image = self.0.publish(&json, layers, names.iter())?;
        Ok(Loaded {
            image,
            names: names.iter().map(Reference::to_string).collect(),
        })
    }

    /// Unpacks a layer unless it is here, and keeps its blob.
    fn load_layer(
        &self,
        file: &Spooled,
        blob: &Digest,
        diff_id: &Digest,
        pins: &mut Vec<Pin>,
    ) -> Result<LayerRecord, ArchiveError> {
        pins.extend([self.0.pin(blob), self.0.pin(diff_id)]);
        if let Some(unpacked_size) = self.0.has_pair(blob, diff_id) {
            return Ok(LayerRecord {
                diff_id: diff_id.to_string(),
                blob: blob.to_string(),
                blob_size: file.size,
                media_type: crate::manifest::OCI_LAYER.to_owned(),
                unpacked_size,
            });
        }
        // One file may be a layer twice over; the blob it became is read then.
        let source = if self.0.has_blob(blob) {
            self.0.open_blob(blob)?
        } else {
            file.open()?
        };
        let expected = Expected {
            blob: Some(blob),
            size: Some(file.size),
            diff_id: Some(diff_id),
        };
        let taken = self.0.ingest(&mut ReaderFeed(source), expected);
        let measured = taken.map_err(|e| ArchiveError::Layer(blob.to_string(), e))?;
        if !self.0.has_blob(blob) {
            self.0.place_blob(&file.path, blob)?;
        }
        Ok(layer_record(&measured))
    }
}

/// Follows an entry to the manifest for this machine; `None` if it has none.
fn resolve(
    incoming: &Incoming,
    entry: &IndexEntry,
    depth: usize,
) -> Result<Option<(Digest, Manifest)>, ArchiveError> {
    let host = Platform::host();
    if entry
        .platform
        .as_ref()
        .is_some_and(|platform| host.rank(platform).is_none())
    {
        return Ok(None);
    }
    if depth > NESTING_MAX {
        return Err(ArchiveError::Format(format!(
            "indexes nest deeper than {NESTING_MAX}"
        )));
    }
    let digest = &entry.descriptor.digest;
    let json = incoming.document(digest, MANIFEST_MAX)?;
    match Document::parse(&json, &entry.descriptor.media_type)? {
        Document::Manifest(manifest) => Ok(Some((digest.clone(), manifest))),
        Document::Index(index) => match index.choose(&host) {
            Ok(chosen) => resolve(incoming, chosen, depth + 1),
            Err(_) => Ok(None),
        },
    }
}

fn layer_count(config: usize, manifest: usize) -> ArchiveError {
    ArchiveError::Format(format!(
        "its config has {config} layers, its manifest {manifest}"
    ))
}

fn parse_name(text: &str) -> Result<Reference, ArchiveError> {
    let named = Reference::parse(text);
    named.map_err(|e| ArchiveError::Name(text.chars().take(300).collect(), e))
}
