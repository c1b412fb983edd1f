//! `HostConfig`: what a container may use of its host, and the pieces it is made of.
//!
//! The same type is read from create requests and written into inspect answers.

use std::collections::BTreeMap;

wire! {
    /// What a container may use of its host.
    pub struct HostConfig {
        binds: Vec<String>,
        #[serde(rename = "ContainerIDFile")]
        container_id_file: String,
        log_config: LogConfig,
        network_mode: String,
        port_bindings: PortMap,
        restart_policy: RestartPolicy,
        auto_remove: bool,
        console_size: [u16; 2],
        cap_add: Vec<String>,
        cap_drop: Vec<String>,
        cgroupns_mode: String,
        dns: Vec<String>,
        dns_options: Vec<String>,
        dns_search: Vec<String>,
        extra_hosts: Vec<String>,
        group_add: Vec<String>,
        ipc_mode: String,
        oom_score_adj: i64,
        pid_mode: String,
        privileged: bool,
        publish_all_ports: bool,
        readonly_rootfs: bool,
        security_opt: Vec<String>,
        tmpfs: BTreeMap<String, String>,
        #[serde(rename = "UTSMode")]
        uts_mode: String,
        userns_mode: String,
        shm_size: i64,
        sysctls: BTreeMap<String, String>,
        cpu_shares: i64,
        memory: i64,
        nano_cpus: i64,
        blkio_weight: u16,
        blkio_device_read_bps: Vec<ThrottleDevice>,
        blkio_device_write_bps: Vec<ThrottleDevice>,
        #[serde(rename = "BlkioDeviceReadIOps")]
        blkio_device_read_iops: Vec<ThrottleDevice>,
        #[serde(rename = "BlkioDeviceWriteIOps")]
        blkio_device_write_iops: Vec<ThrottleDevice>,
        cpu_period: i64,
        cpu_quota: i64,
        cpuset_cpus: String,
        cpuset_mems: String,
        devices: Vec<DeviceMapping>,
        device_cgroup_rules: Vec<String>,
        memory_reservation: i64,
        memory_swap: i64,
        memory_swappiness: Option<i64>,
        oom_kill_disable: Option<bool>,
        init: Option<bool>,
        pids_limit: Option<i64>,
        ulimits: Vec<Ulimit>,
        mounts: Vec<Mount>,
        masked_paths: Option<Vec<String>>,
        readonly_paths: Option<Vec<String>>,
        ..rest
    }

    /// Where a container's output goes.
    pub struct LogConfig {
        r#type: String,
        config: BTreeMap<String, String>,
        ..rest
    }

    /// When a container is started again by itself.
    pub struct RestartPolicy {
        name: String,
        maximum_retry_count: i64,
        ..rest
    }

    /// One host address and port.
    pub struct PortBinding {
        host_ip: String,
        host_port: String,
    }

    /// A limit on one block device, in bytes or operations per second.
    pub struct ThrottleDevice {
        path: String,
        rate: u64,
    }

    /// A host device shown inside the container.
    pub struct DeviceMapping {
        path_on_host: String,
        path_in_container: String,
        cgroup_permissions: String,
    }

    /// A resource limit (`setrlimit`); -1 means without limit.
    pub struct Ulimit {
        name: String,
        soft: i64,
        hard: i64,
    }

    /// One entry of `HostConfig.Mounts` (`--mount`).
    pub struct Mount {
        r#type: String,
        source: String,
        target: String,
        read_only: bool,
        consistency: String,
        bind_options: Option<BindOptions>,
        volume_options: Option<VolumeOptions>,
        tmpfs_options: Option<TmpfsOptions>,
        ..rest
    }

    /// Options of a bind mount.
    pub struct BindOptions {
        propagation: String,
        non_recursive: bool,
        create_mountpoint: bool,
        ..rest
    }

    /// Options of a volume mount.
    pub struct VolumeOptions {
        no_copy: bool,
        labels: BTreeMap<String, String>,
        driver_config: Option<VolumeDriverConfig>,
        subpath: String,
        ..rest
    }

    /// The driver a volume made by the mount gets.
    pub struct VolumeDriverConfig {
        name: String,
        options: BTreeMap<String, String>,
    }

    /// Options of a tmpfs mount.
    pub struct TmpfsOptions {
        size_bytes: i64,
        mode: u32,
        ..rest
    }
}

/// Container port (`80/tcp`) to the host addresses it is published on.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

impl Ulimit {
    /// Those that docker's own command offers.
    pub const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
}
