//! Images: list, inspect, history, removal, prune.
//!
//! Progress of transfers is in `stream`.

use std::collections::BTreeMap;

use super::{Set, Words};

wire! {
    /// One line of `GET /images/json`.
    pub struct ImageSummary {
        id: String,
        parent_id: String,
        repo_tags: Vec<String>,
        repo_digests: Vec<String>,
        created: i64,
        size: i64,
        shared_size: i64,
        virtual_size: i64,
        labels: BTreeMap<String, String>,
        containers: i64,
    }

    /// Answer of `GET /images/{name}/json`.
    pub struct ImageInspect {
        id: String,
        repo_tags: Vec<String>,
        repo_digests: Vec<String>,
        parent: String,
        comment: String,
        created: String,
        docker_version: String,
        author: String,
        config: ImageConfig,
        architecture: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        variant: String,
        os: String,
        size: i64,
        virtual_size: i64,
        graph_driver: super::GraphDriver,
        #[serde(rename = "RootFS")]
        root_fs: RootFs,
        metadata: ImageMetadata,
    }

    /// What an image says of the containers made from it.
    pub struct ImageConfig {
        user: String,
        #[serde(skip_serializing_if = "Set::is_empty")]
        exposed_ports: Set,
        env: Vec<String>,
        cmd: Option<Words>,
        volumes: Option<Set>,
        working_dir: String,
        entrypoint: Option<Words>,
        on_build: Option<Vec<String>>,
        labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        stop_signal: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        healthcheck: Option<super::HealthConfig>,
    }

    /// Layers, by the digest of their uncompressed archive.
    pub struct RootFs {
        r#type: String,
        layers: Vec<String>,
    }

    /// What this engine knows of the image beyond its content.
    pub struct ImageMetadata {
        last_tag_time: String,
    }

    /// One line of `GET /images/{name}/history`.
    pub struct ImageHistory {
        id: String,
        created: i64,
        created_by: String,
        tags: Option<Vec<String>>,
        size: i64,
        comment: String,
    }

    /// One line of `DELETE /images/{name}`: one of the two is set.
    pub struct ImageDeleted {
        #[serde(skip_serializing_if = "String::is_empty")]
        untagged: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        deleted: String,
    }

    /// Answer of `POST /images/prune`.
    pub struct ImagesPruneResponse {
        images_deleted: Vec<ImageDeleted>,
        space_reclaimed: u64,
    }
}
