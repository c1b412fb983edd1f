//! What a container is asked to be, as it is stored with the container.
//! Total: everything a face understood is here, already checked for shape; what depends on the
//! image (command, environment, user …) is merged at create into [`Resolved`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// A request for one container. Fields that are `None` or empty inherit from the image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The image as the user wrote it: a name, or an id.
    pub image: String,
    /// `--entrypoint`; `Some(vec![])` clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments; `None` means the image's `CMD`.
    pub cmd: Option<Vec<String>>,
    /// `NAME=value` entries; a bare `NAME` removes it from the image's environment.
    pub env: Vec<String>,
    /// Working directory, absolute.
    pub cwd: Option<String>,
    /// `user[:group]`, names or numbers, as Docker reads them.
    pub user: Option<String>,
    /// Extra groups, names or numbers.
    pub group_add: Vec<String>,
    /// Host name; `None` means the first 12 characters of the id.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// A terminal is allocated.
    pub tty: bool,
    /// First size of the terminal, rows and columns.
    pub console_size: Option<(u16, u16)>,
    /// Standard input stays open without a client.
    pub open_stdin: bool,
    /// Standard input closes when the first client leaves.
    pub stdin_once: bool,
    /// Which streams `run` attached to; only shown by inspect.
    pub attached: AttachedStreams,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the workload to stop, as the user wrote it (`SIGTERM`, `15`).
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL; `None` means 10, negative means forever.
    pub stop_timeout_seconds: Option<i64>,
    /// What happens when it exits by itself.
    pub restart: RestartPolicy,
    /// `--rm`: removed with its anonymous volumes once it has exited.
    pub auto_remove: bool,
    /// Where its network comes from.
    pub network: NetworkMode,
    /// Published ports.
    pub ports: Vec<PortSpec>,
    /// `-P`: publish every port the image or `--expose` names on a random host port.
    pub publish_all: bool,
    /// `--expose`, like `80/tcp`.
    pub exposed: Vec<String>,
    /// Name servers, search domains and options for resolv.conf.
    pub dns: Dns,
    /// Extra lines for /etc/hosts: (name, address); the address `host-gateway` is the bridge's.
    pub extra_hosts: Vec<(String, String)>,
    /// Volumes, binds and tmpfs.
    pub mounts: Vec<MountSpec>,
    /// Namespaces and privileges.
    pub security: Security,
    /// Limits.
    pub resources: Resources,
    /// Host devices made available.
    pub devices: Vec<DeviceSpec>,
    /// `--device-cgroup-rule`: what else may be used, if it is there.
    #[serde(default)]
    pub device_rules: Vec<DeviceRule>,
    /// `--init`: a tiny init reaps orphans and forwards signals.
    pub init: bool,
    /// Bounds of the log.
    pub log: LogSpec,
    /// Size of /dev/shm in bytes; `None` means 64 MiB.
    pub shm_bytes: Option<u64>,
    /// `--health-…`; `None` means the image's.
    #[serde(default)]
    pub health: Option<HealthSpec>,
}

/// How to find out whether a container is well. What is empty or zero is inherited: from the image,
/// then from Docker's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSpec {
    /// `NONE`, `CMD` and words, or `CMD-SHELL` and a line.
    pub test: Vec<String>,
    /// Nanoseconds between two probes.
    pub interval_ns: u64,
    /// Nanoseconds one may take.
    pub timeout_ns: u64,
    /// Nanoseconds after the start in which a failure does not count.
    pub start_period_ns: u64,
    /// Nanoseconds between two probes in the start period.
    pub start_interval_ns: u64,
    /// Failures in a row that make unhealthy.
    pub retries: u32,
}

/// The streams a creator attached to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AttachedStreams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// `--restart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it exits, and at boot.
    Always,
    /// As `Always`, unless a person stopped it.
    UnlessStopped,
    /// When the exit code is not 0, at most `max` times (0: no bound).
    OnFailure {
        /// How often.
        max: u32,
    },
}

/// `--network`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// A network namespace with only loopback.
    None,
    /// The host's.
    Host,
    /// Another container's, by id (resolved at create).
    Container(String),
    /// A sandbox's, by id (resolved at create), with its IPC, host name and files of /etc.
    Sandbox(String),
    /// One or more networks; the first gives the default route.
    Networks(Vec<NetworkAttach>),
}

impl Default for NetworkMode {
    fn default() -> Self {
        Self::Networks(vec![NetworkAttach::default()])
    }
}

/// Membership in one network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkAttach {
    /// Name or id; empty means the default bridge.
    pub network: String,
    /// Further DNS names in that network.
    pub aliases: Vec<String>,
    /// A fixed address.
    pub ip: Option<Ipv4Addr>,
    /// A fixed hardware address, like `02:42:ac:11:00:02`.
    pub mac: Option<String>,
}

/// One `-p`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Host address; `None` means every address.
    pub host_ip: Option<Ipv4Addr>,
    /// First and last host port to choose from; `None` means a random one.
    pub host_ports: Option<(u16, u16)>,
    /// Port in the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// resolv.conf of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Dns {
    /// The servers are asked directly, not by way of the network's own.
    #[serde(default)]
    pub direct: bool,
    pub servers: Vec<Ipv4Addr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MountSpec {
    /// Where it comes from.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// Not writable by the container.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum MountSource {
    /// A host path.
    Bind {
        /// Absolute host path.
        path: String,
        /// `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave`; empty means `rprivate`.
        propagation: String,
        /// `-v` creates a missing directory; `--mount` refuses.
        create: bool,
        /// Without the mounts below it.
        non_recursive: bool,
    },
    /// What a path leads to beneath a directory of the host, and never outside of it.
    Beneath {
        /// The directory, absolute; it is there.
        root: String,
        /// Relative; empty is the directory itself.
        path: String,
        /// Made for the container alone: its files belong to the container's root as the host
        /// numbers it.
        per_run: bool,
    },
    /// A named volume; an empty name asks for an anonymous one.
    Volume {
        /// Name, or empty.
        name: String,
        /// Don't fill an empty volume with what the image has at the target.
        no_copy: bool,
        /// Labels given to a volume made for this mount.
        labels: BTreeMap<String, String>,
        /// What of it is mounted, relative; empty means all.
        #[serde(default)]
        subpath: String,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; `None` means half of memory.
        size_bytes: Option<u64>,
        /// Permission bits; `None` means 01777.
        mode: Option<u32>,
        /// Further options Docker allows, like `noexec`.
        options: Vec<String>,
    },
}

/// Namespaces and privileges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Security {
    /// Everything the engine itself may do.
    pub privileged: bool,
    /// `--cap-add`, like `NET_ADMIN` or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// System-call filter.
    pub seccomp: Seccomp,
    /// `--security-opt no-new-privileges=false` turns it off; `None` is weft's default, on.
    pub no_new_privileges: Option<bool>,
    /// The root filesystem is read-only.
    pub read_only_rootfs: bool,
    /// `--userns host`: no user namespace.
    pub userns_host: bool,
    /// Process ids.
    pub pid: Sharing,
    /// IPC.
    pub ipc: Ipc,
    /// Host name: only `Private` and `Host`.
    pub uts: Sharing,
    /// Control groups: only `Private` and `Host`.
    pub cgroup: Sharing,
    /// Kernel settings, only namespaced ones.
    pub sysctls: BTreeMap<String, String>,
    /// Paths hidden; `None` means the default set, empty means none.
    pub masked_paths: Option<Vec<String>>,
    /// Paths made read-only; `None` means the default set.
    pub readonly_paths: Option<Vec<String>>,
}

/// Whose namespace is used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Sharing {
    /// A new one.
    #[default]
    Private,
    /// The host's.
    Host,
    /// That of another container, by id.
    Container(String),
}

/// `--ipc`: whose IPC namespace, and with it whose `/dev/shm`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Ipc {
    /// Its own.
    #[default]
    Private,
    /// Its own, which others may join.
    Shareable,
    /// Its own, without a `/dev/shm`.
    None,
    /// The host's.
    Host,
    /// That of another container, by id.
    Container(String),
}

impl Ipc {
    /// Whose namespace that is.
    pub fn namespace(&self) -> Sharing {
        match self {
            Self::Private | Self::Shareable | Self::None => Sharing::Private,
            Self::Host => Sharing::Host,
            Self::Container(id) => Sharing::Container(id.clone()),
        }
    }
}

/// System-call filter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Seccomp {
    /// weft's default profile.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile of the user's, in Docker's JSON form.
    Profile(String),
}

/// Limits. Zero is never stored: absent means not limited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Resources {
    pub memory_bytes: Option<i64>,
    pub memory_reservation_bytes: Option<i64>,
    /// Memory plus swap; -1 is no bound on swap.
    pub memory_swap_bytes: Option<i64>,
    pub oom_kill_disable: bool,
    pub nano_cpus: Option<i64>,
    pub cpu_shares: Option<u64>,
    pub cpu_quota_us: Option<i64>,
    pub cpu_period_us: Option<u64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    /// `Some(-1)` is no limit; `None` is the default of 4096.
    pub pids_limit: Option<i64>,
    pub blkio_weight: Option<u16>,
    /// (device path, rate).
    pub read_bps: Vec<(String, u64)>,
    pub write_bps: Vec<(String, u64)>,
    pub read_iops: Vec<(String, u64)>,
    pub write_iops: Vec<(String, u64)>,
    pub ulimits: Vec<Ulimit>,
    pub oom_score_adj: Option<i32>,
}

/// One `--ulimit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Ulimit {
    /// Without prefix, like `nofile`.
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

/// One `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Host path.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// Some of `rwm`.
    pub permissions: String,
}

/// One `--device-cgroup-rule`; a number that is `None` is any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `a` (both), `b` or `c`.
    pub kind: char,
    /// Driver.
    pub major: Option<u32>,
    /// Device of it.
    pub minor: Option<u32>,
    /// Some of `rwm`.
    pub permissions: String,
}

/// Bounds of the log; the files rotate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// `--log-driver none` turns it off.
    pub enabled: bool,
    /// The driver's name as asked for, for inspect.
    pub driver: String,
    /// Bytes of one file.
    pub max_size_bytes: u64,
    /// Number of files.
    pub max_files: u32,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            driver: "json-file".into(),
            max_size_bytes: 10 << 20,
            max_files: 3,
        }
    }
}

/// What the spec came to once the image was known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Resolved {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    pub cwd: String,
    pub user: String,
    pub hostname: String,
    pub labels: BTreeMap<String, String>,
    /// Number of the stop signal.
    pub stop_signal: i32,
    pub exposed: Vec<(u16, Protocol)>,
    #[serde(default)]
    pub health: Option<HealthSpec>,
    /// What runs a line of the image's author; empty means `/bin/sh -c`.
    #[serde(default)]
    pub shell: Vec<String>,
}

impl Resolved {
    /// Entrypoint and arguments together: what is executed.
    pub fn args(&self) -> Vec<String> {
        let mut args = self.entrypoint.clone();
        args.extend(self.cmd.iter().cloned());
        args
    }
}
