//! Owns image manifests and indexes: decides by media type what a document is, and lowers it.
//! Refuses what could be read two ways (CVE-2021-41190). Never fetches anything.

use crate::digest::{Digest, DigestError};
use crate::platform::Platform;
use crate::wire;

/// Largest manifest or index that is read (distribution spec: registries must take 4 MiB).
pub const MANIFEST_MAX: u64 = 4 << 20;
/// Largest image config that is read.
pub const CONFIG_MAX: u64 = 8 << 20;
/// Largest single layer blob: 1 TiB.
const LAYER_MAX: u64 = 1 << 40;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1";

/// All manifest types that are asked for, best first.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A document that says what an image is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several, by platform.
    Index(Index),
}

/// One image: a config and its layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The media type it was served or marked as.
    pub media_type: String,
    /// The config blob.
    pub config: Descriptor,
    /// Layer blobs, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Images by platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// The media type it was served or marked as.
    pub media_type: String,
    /// Its entries, in order.
    pub manifests: Vec<IndexEntry>,
}

/// One entry of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexEntry {
    /// The manifest or nested index.
    pub descriptor: Descriptor,
    /// Whom it is for, if it says so.
    pub platform: Option<Platform>,
    /// Its annotations that carry an image name.
    pub names: Vec<String>,
}

/// A typed pointer to content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Checked digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Other places to fetch it from ("foreign" layers).
    pub urls: Vec<String>,
}

/// A document is not a manifest this crate takes.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON it should be.
    #[error("manifest is not valid JSON of its kind")]
    Json(#[source] serde_json::Error),
    /// Docker's first format, long deprecated.
    #[error(
        "manifest is in docker's deprecated schema 1 format, which carries no verifiable layers; \
         push the image again with a current tool"
    )]
    Schema1,
    /// Both manifest and index, or neither, or its own media type disagrees.
    #[error("manifest is ambiguous: {0}")]
    Ambiguous(String),
    /// A type that is neither manifest nor index.
    #[error("media type {0:?} is neither an image manifest nor an index")]
    MediaType(String),
    /// The manifest is for something that is not a container image.
    #[error("it is not a container image: its config has media type {0:?}")]
    NotAnImage(String),
    /// A digest in it is malformed.
    #[error("manifest has an unusable digest")]
    Digest(#[from] DigestError),
    /// A size is negative or absurd, or there are too many entries.
    #[error("manifest has an unusable {0}")]
    Bounds(&'static str),
    /// Nothing for the wanted platform.
    #[error("no image for platform {wanted}; the index has {offered}")]
    Platform {
        /// What was asked for.
        wanted: Platform,
        /// What there is, comma separated.
        offered: String,
    },
}

impl Document {
    /// Lowers `json`, which was served or described as `media_type` (empty if nobody said).
    pub fn parse(json: &[u8], media_type: &str) -> Result<Self, ManifestError> {
        let served = media_type.split(';').next().unwrap_or_default().trim();
        if served.starts_with(DOCKER_SCHEMA1) {
            return Err(ManifestError::Schema1);
        }
        let wire: wire::Document = wire::object(json).map_err(ManifestError::Json)?;
        if wire.fs_layers.is_some() || wire.schema_version == Some(1) {
            return Err(ManifestError::Schema1);
        }
        if wire.schema_version != Some(2) {
            return Err(ManifestError::Ambiguous(
                "schemaVersion is not 2".to_owned(),
            ));
        }
        let own = wire.media_type.clone().unwrap_or_default();
        let generic = matches!(
            served,
            "" | "application/json" | "text/plain" | "application/octet-stream"
        );
        if !own.is_empty() && !generic && own != served {
            let why = format!("served as {served:?} but marked {own:?}");
            return Err(ManifestError::Ambiguous(why.chars().take(300).collect()));
        }
        let media_type = if generic { own.as_str() } else { served };
        let has_image = wire.config.is_some() || wire.layers.is_some();
        let has_index = wire.manifests.is_some();
        if has_image && has_index {
            return Err(ManifestError::Ambiguous(
                "it has both layers and manifests".to_owned(),
            ));
        }
        match media_type {
            OCI_MANIFEST | DOCKER_MANIFEST => Ok(Self::Manifest(manifest(wire, media_type)?)),
            OCI_INDEX | DOCKER_INDEX => Ok(Self::Index(index(wire, media_type)?)),
            "" if has_image => Ok(Self::Manifest(manifest(wire, OCI_MANIFEST)?)),
            "" if has_index => Ok(Self::Index(index(wire, OCI_INDEX)?)),
            other => Err(ManifestError::MediaType(other.chars().take(120).collect())),
        }
    }
}

fn manifest(wire: wire::Document, media_type: &str) -> Result<Manifest, ManifestError> {
    let (Some(config), Some(layers)) = (wire.config, wire.layers) else {
        return Err(ManifestError::Ambiguous(
            "a manifest without config or layers".to_owned(),
        ));
    };
    let config = descriptor(config, CONFIG_MAX)?;
    if !matches!(
        config.media_type.as_str(),
        OCI_CONFIG | DOCKER_CONFIG | "" | "application/octet-stream"
    ) {
        return Err(ManifestError::NotAnImage(config.media_type));
    }
    if layers.len() > crate::config::LAYERS_MAX {
        return Err(ManifestError::Bounds("number of layers"));
    }
    let layers = layers.into_iter().map(|layer| descriptor(layer, LAYER_MAX));
    Ok(Manifest {
        media_type: media_type.to_owned(),
        config,
        layers: layers.collect::<Result<_, _>>()?,
    })
}

fn index(wire: wire::Document, media_type: &str) -> Result<Index, ManifestError> {
    let Some(manifests) = wire.manifests else {
        return Err(ManifestError::Ambiguous(
            "an index without manifests".to_owned(),
        ));
    };
    if manifests.len() > 1000 {
        return Err(ManifestError::Bounds("number of manifests"));
    }
    let entry = |wire: wire::Descriptor| {
        let platform = wire.platform.clone().map(|p| Platform {
            os: p.os,
            architecture: p.architecture,
            variant: p.variant,
        });
        let names = [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ];
        let annotations = wire.annotations.clone().unwrap_or_default();
        let names = names
            .iter()
            .filter_map(|key| annotations.get(*key).cloned())
            .collect();
        Ok(IndexEntry {
            descriptor: descriptor(wire, MANIFEST_MAX)?,
            platform,
            names,
        })
    };
    Ok(Index {
        media_type: media_type.to_owned(),
        manifests: manifests
            .into_iter()
            .map(entry)
            .collect::<Result<_, ManifestError>>()?,
    })
}

fn descriptor(wire: wire::Descriptor, max: u64) -> Result<Descriptor, ManifestError> {
    let size = u64::try_from(wire.size).ok().filter(|size| *size <= max);
    Ok(Descriptor {
        media_type: wire.media_type.chars().take(255).collect(),
        digest: Digest::parse(&wire.digest)?,
        size: size.ok_or(ManifestError::Bounds("size"))?,
        urls: wire.urls.unwrap_or_default().into_iter().take(8).collect(),
    })
}

impl Index {
    /// The entry that runs best on `wanted`. Attestations (`unknown/unknown`) never do.
    pub fn choose(&self, wanted: &Platform) -> Result<&IndexEntry, ManifestError> {
        let ranked = self.manifests.iter().filter_map(|entry| {
            let platform = entry.platform.as_ref()?;
            wanted.rank(platform).map(|rank| (rank, entry))
        });
        if let Some((_, entry)) = ranked.min_by_key(|(rank, _)| *rank) {
            return Ok(entry);
        }
        if let [only] = self.manifests.as_slice()
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let offered = self
            .manifests
            .iter()
            .filter_map(|entry| entry.platform.as_ref());
        let offered: Vec<String> = offered
            .filter(|platform| platform.os != "unknown")
            .map(|platform| platform.to_string().chars().take(60).collect())
            .take(20)
            .collect();
        let offered = if offered.is_empty() {
            "none that says its platform".to_owned()
        } else {
            offered.join(", ")
        };
        Err(ManifestError::Platform {
            wanted: wanted.clone(),
            offered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor_json(media: &str) -> String {
        format!(
            r#"{{"mediaType":"{media}","digest":"sha256:{}","size":2}}"#,
            "a".repeat(64)
        )
    }

    fn manifest_json(extra: &str) -> String {
        let config = descriptor_json(OCI_CONFIG);
        format!(
            r#"{{"schemaVersion":2,{extra}"config":{config},"layers":[{}]}}"#,
            descriptor_json(OCI_LAYER)
        )
    }

    #[test]
    fn media_type_decides() {
        let plain = manifest_json("");
        assert!(matches!(
            Document::parse(plain.as_bytes(), OCI_MANIFEST),
            Ok(Document::Manifest(_))
        ));
        assert!(matches!(
            Document::parse(plain.as_bytes(), ""),
            Ok(Document::Manifest(_))
        ));
        assert!(Document::parse(plain.as_bytes(), OCI_INDEX).is_err());
        assert!(Document::parse(plain.as_bytes(), "text/html").is_err());
        let marked = manifest_json(&format!(r#""mediaType":"{OCI_INDEX}","#));
        assert!(matches!(
            Document::parse(marked.as_bytes(), OCI_MANIFEST),
            Err(ManifestError::Ambiguous(_))
        ));
        let both = manifest_json(r#""manifests":[],"#);
        assert!(matches!(
            Document::parse(both.as_bytes(), OCI_MANIFEST),
            Err(ManifestError::Ambiguous(_))
        ));
    }

    #[test]
    fn schema_1_is_refused_by_name() {
        let json = br#"{"schemaVersion":1,"name":"a","fsLayers":[]}"#;
        let error = Document::parse(
            json,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        );
        assert!(error.expect_err("refused").to_string().contains("schema 1"));
        assert!(matches!(
            Document::parse(json, ""),
            Err(ManifestError::Schema1)
        ));
    }

    #[test]
    fn bounds_and_digests_are_checked() {
        for bad in [
            manifest_json("").replace("\"size\":2", "\"size\":-1"),
            manifest_json("").replace("\"size\":2", "\"size\":9223372036854775807"),
            manifest_json("").replace(&"a".repeat(64), "../../etc/passwd"),
            manifest_json("").replace(OCI_CONFIG, "application/vnd.helm.config"),
            "{}".to_owned(),
            "[".repeat(10_000),
        ] {
            assert!(
                Document::parse(bad.as_bytes(), OCI_MANIFEST).is_err(),
                "{bad:.200}"
            );
        }
    }

    #[test]
    fn platform_error_lists_what_there_is() {
        let entry = |os: &str, arch: &str| {
            let open = descriptor_json(OCI_MANIFEST);
            format!(
                r#"{},"platform":{{"os":"{os}","architecture":"{arch}"}}}}"#,
                &open[..open.len() - 1]
            )
        };
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
            entry("linux", "s390x"),
            entry("windows", "amd64"),
            entry("unknown", "unknown")
        );
        let Ok(Document::Index(index)) = Document::parse(json.as_bytes(), OCI_INDEX) else {
            panic!("an index")
        };
        let wanted = Platform::parse("linux/amd64").expect("parses");
        let error = index.choose(&wanted).expect_err("none fits").to_string();
        assert_eq!(
            error,
            "no image for platform linux/amd64; the index has linux/s390x, windows/amd64"
        );
        assert!(
            index
                .choose(&Platform::parse("linux/s390x").expect("parses"))
                .is_ok()
        );
    }

    proptest::proptest! {
        #[test]
        fn never_panics(json in ".{0,300}", media in ".{0,60}") {
            let _ = Document::parse(json.as_bytes(), &media);
        }
    }
}
