//! Owns writing image archives: one tar that is an OCI layout (`index.json`) and a docker-archive
//! (`manifest.json`) at once, over the same blobs, as docker does since 25. Manifests and blobs
//! go out as they came in, so digests survive.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use super::ArchiveError;
use crate::digest::Digest;
use crate::manifest;
use crate::reference::Reference;
use crate::store::{Image, NameError, Store, StoreError};
use crate::wire;

/// Images to save, each with the names asked for.
type Wanted = BTreeMap<Digest, (Image, Vec<Reference>)>;

impl Store {
    /// Writes the named images as one archive that both `docker load` and OCI tools read.
    /// Blocking.
    pub fn save(&self, names: &[String], out: impl Write) -> Result<(), ArchiveError> {
        let wanted = self.wanted(names)?;
        let mut tar = tar::Builder::new(out);
        for directory in ["blobs/", "blobs/sha256/"] {
            append(
                &mut tar,
                directory,
                tar::EntryType::Directory,
                0,
                &mut std::io::empty(),
            )?;
        }
        let mut pins = Vec::new();
        let mut blobs: BTreeMap<Digest, ()> = BTreeMap::new();
        for (image, _) in wanted.values() {
            let layers = image.layers.iter().map(|layer| &layer.blob);
            for digest in layers.chain([&image.id, &image.manifest]) {
                pins.push(self.0.pin(digest));
                blobs.insert(digest.clone(), ());
            }
        }
        for digest in blobs.keys() {
            self.append_blob(&mut tar, digest)?;
        }
        let index = self.layout_index(&wanted)?;
        for (name, json) in [
            ("index.json", index),
            ("manifest.json", docker_manifest(&wanted)),
            ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ] {
            let size = json.len() as u64;
            append(
                &mut tar,
                name,
                tar::EntryType::Regular,
                size,
                &mut json.as_slice(),
            )?;
        }
        let mut out = tar.into_inner().map_err(ArchiveError::Write)?;
        out.flush().map_err(ArchiveError::Write)
    }

    fn wanted(&self, names: &[String]) -> Result<Wanted, ArchiveError> {
        if names.is_empty() {
            return Err(ArchiveError::Nothing);
        }
        let mut wanted = Wanted::new();
        for text in names {
            for (image, name) in self.meant(text)? {
                let entry = wanted
                    .entry(image.id.clone())
                    .or_insert((image, Vec::new()));
                if let Some(name) = name.filter(|name| !entry.1.contains(name)) {
                    entry.1.push(name);
                }
            }
        }
        Ok(wanted)
    }

    /// A bare repository means all its tags, as for docker.
    fn meant(&self, text: &str) -> Result<Vec<(Image, Option<Reference>)>, ArchiveError> {
        let bare = !text.contains('@') && !text.rsplit('/').next().unwrap_or(text).contains(':');
        if let (true, Ok(reference)) = (bare, Reference::parse(text)) {
            let mut all = Vec::new();
            for image in self.list() {
                let tagged = image.names.iter().filter(|name| name.tag().is_some());
                let same = tagged.filter(|name| name.repository() == reference.repository());
                all.extend(same.map(|name| (image.clone(), Some(name.clone()))));
            }
            if !all.is_empty() {
                return Ok(all);
            }
        }
        let image = self
            .find(text)?
            .ok_or_else(|| NameError::NotFound(text.to_owned()))?;
        let named = Reference::parse(text).ok();
        let name = named.filter(|name| image.names.contains(name) && name.digest().is_none());
        Ok(vec![(image, name)])
    }

    fn append_blob(
        &self,
        tar: &mut tar::Builder<impl Write>,
        digest: &Digest,
    ) -> Result<(), ArchiveError> {
        let mut file = self.0.open_blob(digest)?;
        let path = self.0.blob_path(digest);
        let size = file
            .metadata()
            .map_err(StoreError::io("look at", &path))?
            .len();
        append(
            tar,
            &blob_name(digest),
            tar::EntryType::Regular,
            size,
            &mut file,
        )
    }

    fn layout_index(&self, wanted: &Wanted) -> Result<Vec<u8>, ArchiveError> {
        let mut manifests = Vec::new();
        for (image, names) in wanted.values() {
            let platform = image.config.platform();
            let plain = wire::Descriptor {
                media_type: image.manifest_type.clone(),
                digest: image.manifest.to_string(),
                size: i64::try_from(self.0.read_document(&image.manifest)?.len()).unwrap_or(0),
                platform: Some(wire::PlatformWire {
                    architecture: platform.architecture,
                    os: platform.os,
                    variant: platform.variant,
                }),
                ..Default::default()
            };
            for name in names {
                let mut named = plain.clone();
                named.annotations = Some(BTreeMap::from([
                    ("io.containerd.image.name".to_owned(), name.canonical()),
                    (
                        "org.opencontainers.image.ref.name".to_owned(),
                        name.tag().unwrap_or_default().to_owned(),
                    ),
                ]));
                manifests.push(named);
            }
            if names.is_empty() {
                manifests.push(plain);
            }
        }
        let index = wire::IndexOut {
            schema_version: 2,
            media_type: manifest::OCI_INDEX.to_owned(),
            manifests,
        };
        Ok(serde_json::to_vec(&index).expect("strings and numbers always serialise"))
    }
}

fn docker_manifest(wanted: &Wanted) -> Vec<u8> {
    let element = |(image, names): &(Image, Vec<Reference>)| wire::ArchiveImage {
        config: blob_name(&image.id),
        repo_tags: (!names.is_empty()).then(|| names.iter().map(Reference::to_string).collect()),
        layers: image
            .layers
            .iter()
            .map(|layer| blob_name(&layer.blob))
            .collect(),
    };
    let list: Vec<_> = wanted.values().map(element).collect();
    serde_json::to_vec(&list).expect("strings and lists always serialise")
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    name: &str,
    kind: tar::EntryType,
    size: u64,
    data: &mut dyn Read,
) -> Result<(), ArchiveError> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, name, data)
        .map_err(ArchiveError::Write)
}
