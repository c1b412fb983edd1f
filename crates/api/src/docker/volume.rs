//! Volumes: create, list, inspect, prune.
//!
//! How a container mounts one is in `host`.

use std::collections::BTreeMap;

wire! {
    /// Body of `POST /volumes/create`.
    pub struct VolumeCreateRequest {
        name: String,
        driver: String,
        driver_opts: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
        ..rest
    }

    /// A volume.
    pub struct Volume {
        created_at: String,
        driver: String,
        labels: BTreeMap<String, String>,
        mountpoint: String,
        name: String,
        options: Option<BTreeMap<String, String>>,
        scope: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage_data: Option<VolumeUsage>,
    }

    /// What a volume holds: bytes, and how many containers refer to it; -1 when not measured.
    pub struct VolumeUsage {
        size: i64,
        ref_count: i64,
    }

    /// Answer of `GET /volumes`.
    pub struct VolumeList {
        volumes: Vec<Volume>,
        warnings: Option<Vec<String>>,
    }

    /// Answer of `POST /volumes/prune`.
    pub struct VolumesPruneResponse {
        volumes_deleted: Vec<String>,
        space_reclaimed: u64,
    }
}
