//! Answers about containers: list, inspect, top, wait, changes, prune, archive stat.
//!
//! Requests are in `create`; figures over time are in `stats`.

use std::collections::BTreeMap;

use super::{EndpointSettings, HealthConfig, HostConfig, PortMap, Set, Words};

wire! {
    /// One line of `GET /containers/json`.
    pub struct ContainerSummary {
        id: String,
        names: Vec<String>,
        image: String,
        #[serde(rename = "ImageID")]
        image_id: String,
        command: String,
        created: i64,
        ports: Vec<Port>,
        #[serde(skip_serializing_if = "Option::is_none")]
        size_rw: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        size_root_fs: Option<i64>,
        labels: BTreeMap<String, String>,
        state: String,
        status: String,
        host_config: SummaryHostConfig,
        network_settings: SummaryNetworkSettings,
        mounts: Vec<MountPoint>,
    }

    /// The part of `HostConfig` shown in the list.
    pub struct SummaryHostConfig {
        network_mode: String,
    }

    /// The part of `NetworkSettings` shown in the list.
    pub struct SummaryNetworkSettings {
        networks: BTreeMap<String, EndpointSettings>,
    }

    /// A port as shown in the list.
    pub struct Port {
        #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
        ip: String,
        private_port: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        public_port: Option<u16>,
        r#type: String,
    }

    /// A mount as it is in the container.
    pub struct MountPoint {
        r#type: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        source: String,
        destination: String,
        driver: String,
        mode: String,
        #[serde(rename = "RW")]
        rw: bool,
        propagation: String,
    }

    /// Answer of `GET /containers/{id}/json`.
    pub struct ContainerInspect {
        id: String,
        created: String,
        path: String,
        args: Vec<String>,
        state: ContainerState,
        image: String,
        resolv_conf_path: String,
        hostname_path: String,
        hosts_path: String,
        log_path: String,
        name: String,
        restart_count: i64,
        driver: String,
        platform: String,
        mount_label: String,
        process_label: String,
        app_armor_profile: String,
        #[serde(rename = "ExecIDs")]
        exec_ids: Option<Vec<String>>,
        host_config: HostConfig,
        graph_driver: GraphDriver,
        #[serde(skip_serializing_if = "Option::is_none")]
        size_rw: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        size_root_fs: Option<i64>,
        mounts: Vec<MountPoint>,
        config: ContainerConfig,
        network_settings: NetworkSettings,
    }

    /// Where a container is in its life. Times are RFC 3339; never is `0001-01-01T00:00:00Z`.
    pub struct ContainerState {
        status: String,
        running: bool,
        paused: bool,
        restarting: bool,
        #[serde(rename = "OOMKilled")]
        oom_killed: bool,
        dead: bool,
        pid: i64,
        exit_code: i64,
        error: String,
        started_at: String,
        finished_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        health: Option<Health>,
    }

    /// How well a container is, where that is probed: `starting`, `healthy` or `unhealthy`.
    pub struct Health {
        status: String,
        failing_streak: i64,
        log: Vec<HealthcheckResult>,
    }

    /// One probe; its times are RFC 3339.
    pub struct HealthcheckResult {
        start: String,
        end: String,
        exit_code: i64,
        output: String,
    }

    /// The portable part of a container's configuration, as inspect shows it.
    pub struct ContainerConfig {
        hostname: String,
        domainname: String,
        user: String,
        attach_stdin: bool,
        attach_stdout: bool,
        attach_stderr: bool,
        #[serde(skip_serializing_if = "Set::is_empty")]
        exposed_ports: Set,
        tty: bool,
        open_stdin: bool,
        stdin_once: bool,
        env: Vec<String>,
        cmd: Option<Words>,
        image: String,
        volumes: Option<Set>,
        working_dir: String,
        entrypoint: Option<Words>,
        on_build: Option<Vec<String>>,
        labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        stop_signal: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        stop_timeout: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        healthcheck: Option<HealthConfig>,
    }

    /// Which driver holds the container's filesystem.
    pub struct GraphDriver {
        name: String,
        data: Option<BTreeMap<String, String>>,
    }

    /// Addresses, networks and published ports of a container.
    pub struct NetworkSettings {
        bridge: String,
        #[serde(rename = "SandboxID")]
        sandbox_id: String,
        sandbox_key: String,
        ports: PortMap,
        #[serde(rename = "EndpointID")]
        endpoint_id: String,
        gateway: String,
        #[serde(rename = "IPAddress")]
        ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        ip_prefix_len: i64,
        mac_address: String,
        networks: BTreeMap<String, EndpointSettings>,
    }

    /// Answer of `GET /containers/{id}/top`.
    pub struct TopResponse {
        titles: Vec<String>,
        processes: Vec<Vec<String>>,
    }

    /// Answer of `POST /containers/{id}/wait`.
    pub struct WaitResponse {
        status_code: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<WaitError>,
    }

    /// Why waiting could not tell an exit code.
    pub struct WaitError {
        message: String,
    }

    /// One line of `GET /containers/{id}/changes`: kind 0 modified, 1 added, 2 deleted.
    pub struct FilesystemChange {
        path: String,
        kind: u8,
    }

    /// Answer of `POST /containers/prune`.
    pub struct ContainersPruneResponse {
        containers_deleted: Vec<String>,
        space_reclaimed: u64,
    }
}

/// What `X-Docker-Container-Path-Stat` carries, base64 of this as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathStat {
    /// Last component of the path.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Go's `os.FileMode`: permission bits, and type bits from the top (directory is bit 31).
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    /// Target of a symbolic link, else empty.
    pub link_target: String,
}
