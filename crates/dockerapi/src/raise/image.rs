//! Images, as `docker images`, `inspect` and `history` show them.
//!
//! Sizes are of unpacked files; a layer two images share counts in both, as with Docker.

use weft_api::docker::{
    GraphDriver, ImageConfig, ImageDeleted, ImageHistory, ImageInspect, ImageMetadata,
    ImageSummary, Present, RootFs, Words,
};
use weft_image::{Image, Removed};

use super::time::{NEVER, rfc3339_seconds};

fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn tags(image: &Image) -> Vec<String> {
    image
        .names
        .iter()
        .filter(|name| name.digest().is_none())
        .map(ToString::to_string)
        .collect()
}

/// One line of the list; `containers` is how many are made from it.
pub fn summary(image: &Image, containers: i64) -> ImageSummary {
    ImageSummary {
        id: image.id.to_string(),
        parent_id: String::new(),
        repo_tags: tags(image),
        repo_digests: image.digests.clone(),
        created: image.created,
        size: bytes(image.size_bytes),
        shared_size: -1,
        virtual_size: bytes(image.size_bytes),
        labels: image.config.labels.clone(),
        containers,
    }
}

/// Everything about one image.
pub fn inspect(image: &Image) -> ImageInspect {
    let config = &image.config;
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: tags(image),
        repo_digests: image.digests.clone(),
        comment: config
            .history
            .last()
            .map(|step| step.comment.clone())
            .unwrap_or_default(),
        created: config
            .created
            .clone()
            .unwrap_or_else(|| rfc3339_seconds(image.created)),
        author: config.author.clone().unwrap_or_default(),
        config: process(image),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        size: bytes(image.size_bytes),
        virtual_size: bytes(image.size_bytes),
        graph_driver: GraphDriver {
            name: "overlay2".into(),
            data: None,
        },
        root_fs: RootFs {
            r#type: "layers".into(),
            layers: image
                .layers
                .iter()
                .map(|layer| layer.diff_id.to_string())
                .collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: NEVER.into(),
        },
        ..ImageInspect::default()
    }
}

fn process(image: &Image) -> ImageConfig {
    let config = &image.config;
    let words = |list: &[String]| (!list.is_empty()).then(|| Words(list.to_vec()));
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: config
            .exposed_ports
            .iter()
            .map(|port| {
                let range = match port.last == port.first {
                    true => port.first.to_string(),
                    false => format!("{}-{}", port.first, port.last),
                };
                (format!("{range}/{}", port.protocol), Present)
            })
            .collect(),
        env: config.env.clone(),
        cmd: words(&config.cmd),
        volumes: (!config.volumes.is_empty()).then(|| {
            config
                .volumes
                .iter()
                .map(|path| (path.clone(), Present))
                .collect()
        }),
        working_dir: config.working_dir.clone(),
        entrypoint: words(&config.entrypoint),
        on_build: (!config.on_build.is_empty()).then(|| config.on_build.clone()),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        healthcheck: config.healthcheck.as_ref().map(super::health::image_check),
    }
}

/// How it was made, the last step first.
pub fn history(image: &Image) -> Vec<ImageHistory> {
    let mut layers = image.layers.iter();
    let mut steps: Vec<ImageHistory> = image
        .config
        .history
        .iter()
        .map(|step| {
            let layer = if step.empty_layer {
                None
            } else {
                layers.next()
            };
            let created = step
                .created
                .as_deref()
                .and_then(|t| t.parse::<jiff::Timestamp>().ok());
            ImageHistory {
                id: "<missing>".into(),
                created: created.map_or(0, jiff::Timestamp::as_second),
                created_by: step.created_by.clone(),
                tags: None,
                size: layer.map_or(0, |layer| bytes(layer.unpacked_size)),
                comment: step.comment.clone(),
            }
        })
        .collect();
    // Layers no step speaks of are still there.
    steps.extend(layers.map(|layer| ImageHistory {
        id: "<missing>".into(),
        size: bytes(layer.unpacked_size),
        ..ImageHistory::default()
    }));
    steps.reverse();
    if let Some(newest) = steps.first_mut() {
        newest.id = image.id.to_string();
        newest.tags = Some(tags(image));
    }
    steps
}

/// What a removal did.
pub fn removed(list: Vec<Removed>) -> Vec<ImageDeleted> {
    list.into_iter()
        .map(|step| match step {
            Removed::Untagged(name) => ImageDeleted {
                untagged: name,
                ..ImageDeleted::default()
            },
            Removed::Deleted(id) => ImageDeleted {
                deleted: id.to_string(),
                ..ImageDeleted::default()
            },
        })
        .collect()
}
