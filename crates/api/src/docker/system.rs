//! The engine as a whole: version, info, disk usage, login.
//!
//! Nothing here is about one container.

use std::collections::BTreeMap;

use super::{ContainerSummary, ImageSummary, Volume};

wire! {
    /// Answer of `GET /version`.
    pub struct Version {
        platform: PlatformName,
        components: Vec<ComponentVersion>,
        version: String,
        api_version: String,
        #[serde(rename = "MinAPIVersion")]
        min_api_version: String,
        git_commit: String,
        go_version: String,
        os: String,
        arch: String,
        kernel_version: String,
        build_time: String,
    }

    /// The product's name.
    pub struct PlatformName {
        name: String,
    }

    /// Version of one part.
    pub struct ComponentVersion {
        name: String,
        version: String,
        details: BTreeMap<String, String>,
    }

    /// Answer of `GET /info`.
    pub struct SystemInfo {
        #[serde(rename = "ID")]
        id: String,
        containers: i64,
        containers_running: i64,
        containers_paused: i64,
        containers_stopped: i64,
        images: i64,
        driver: String,
        driver_status: Vec<[String; 2]>,
        docker_root_dir: String,
        plugins: PluginsInfo,
        memory_limit: bool,
        swap_limit: bool,
        cpu_cfs_period: bool,
        cpu_cfs_quota: bool,
        #[serde(rename = "CPUShares")]
        cpu_shares: bool,
        #[serde(rename = "CPUSet")]
        cpu_set: bool,
        pids_limit: bool,
        #[serde(rename = "IPv4Forwarding")]
        ipv4_forwarding: bool,
        oom_kill_disable: bool,
        debug: bool,
        n_fd: i64,
        n_goroutines: i64,
        system_time: String,
        logging_driver: String,
        cgroup_driver: String,
        cgroup_version: String,
        n_events_listener: i64,
        kernel_version: String,
        operating_system: String,
        #[serde(rename = "OSVersion")]
        os_version: String,
        #[serde(rename = "OSType")]
        os_type: String,
        architecture: String,
        #[serde(rename = "NCPU")]
        ncpu: i64,
        mem_total: i64,
        index_server_address: String,
        registry_config: Option<RegistryConfig>,
        http_proxy: String,
        https_proxy: String,
        no_proxy: String,
        name: String,
        labels: Vec<String>,
        experimental_build: bool,
        server_version: String,
        runtimes: BTreeMap<String, RuntimeInfo>,
        default_runtime: String,
        swarm: SwarmInfo,
        live_restore_enabled: bool,
        isolation: String,
        init_binary: String,
        containerd_commit: Commit,
        runc_commit: Commit,
        init_commit: Commit,
        security_options: Vec<String>,
        warnings: Vec<String>,
    }

    /// Names of the drivers that may be asked for.
    pub struct PluginsInfo {
        volume: Vec<String>,
        network: Vec<String>,
        authorization: Option<Vec<String>>,
        log: Vec<String>,
    }

    /// Which registries are trusted in which way.
    pub struct RegistryConfig {
        #[serde(rename = "InsecureRegistryCIDRs")]
        insecure_registry_cidrs: Vec<String>,
        index_configs: BTreeMap<String, IndexConfig>,
        mirrors: Vec<String>,
    }

    /// One registry.
    pub struct IndexConfig {
        name: String,
        mirrors: Vec<String>,
        secure: bool,
        official: bool,
    }

    /// A runtime that may be asked for.
    pub struct RuntimeInfo {
        #[serde(rename = "path")]
        path: String,
    }

    /// Always inactive.
    pub struct SwarmInfo {
        #[serde(rename = "NodeID")]
        node_id: String,
        node_addr: String,
        local_node_state: String,
        control_available: bool,
        error: String,
    }

    /// Version of a tool Docker would name here.
    pub struct Commit {
        #[serde(rename = "ID")]
        id: String,
        expected: String,
    }

    /// Answer of `GET /system/df`.
    pub struct DiskUsage {
        layers_size: i64,
        images: Vec<ImageSummary>,
        containers: Vec<ContainerSummary>,
        volumes: Vec<Volume>,
        build_cache: Vec<serde_json::Value>,
    }

    /// Answer of `POST /build/prune`.
    pub struct BuildPruneResponse {
        caches_deleted: Vec<String>,
        space_reclaimed: u64,
    }

    /// Answer of `POST /auth`.
    pub struct AuthResponse {
        status: String,
        identity_token: String,
    }
}

/// Body of `POST /auth`, and what `X-Registry-Auth` carries as base64 of JSON.
#[derive(Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// base64 of `username:password`, instead of the two.
    pub auth: String,
    /// Registry host and port.
    pub serveraddress: String,
    /// A refresh token, instead of a password.
    pub identitytoken: String,
    /// A bearer token to present as it is.
    pub registrytoken: String,
    /// Ignored by everyone since 1.11.
    pub email: String,
}

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}
