//! The container's record on disk: `containers/<id>/container.json`.
//! Written before anything is acquired for the container, so that removal needs only this.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::spec::{Protocol, Resolved, Spec};

/// The version this code writes and the newest it reads.
pub const RECORD_VERSION: u32 = 1;

/// Everything that is kept about a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format, [`RECORD_VERSION`].
    pub version: u32,
    /// 64 hex characters.
    pub id: String,
    /// Unique, without a leading slash.
    pub name: String,
    /// Unix nanoseconds.
    pub created_at_ns: i64,
    /// Config digest of the image, `sha256:…`.
    pub image_id: String,
    /// As asked for.
    pub spec: Spec,
    /// As resolved against the image.
    pub resolved: Resolved,
    /// Volumes behind the mounts, in mount order.
    pub volumes: Vec<VolumeUse>,
    /// Where it stands.
    pub state: State,
    /// Networks it is attached to, while it runs.
    pub attachments: Vec<AttachmentRecord>,
}

/// A volume used by a mount of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    /// Name, generated for an anonymous one.
    pub name: String,
    /// Where it is mounted.
    pub target: String,
    /// Removed with the container by `rm -v` and `--rm`.
    pub anonymous: bool,
}

/// Where a container stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// See [`Status`].
    pub status: Status,
    /// Host pid of its init while it runs.
    pub pid: i32,
    /// `starttime` of that pid, so that a reused pid is told apart.
    pub start_ticks: u64,
    /// Pid of its monitor.
    pub monitor_pid: i32,
    /// Boot during which pids, ids and networks are valid.
    pub boot_id: String,
    /// Unix nanoseconds; 0 when never.
    pub started_at_ns: i64,
    /// Unix nanoseconds; 0 when never.
    pub finished_at_ns: i64,
    /// Of the last run; 128+n when killed by signal n.
    pub exit_code: i32,
    /// The kernel killed it for its memory limit.
    pub oom_killed: bool,
    /// Why it could not start, or what its monitor said.
    pub error: String,
    /// Restarts by policy since the last start by a person.
    pub restart_count: u32,
    /// A person stopped it: `unless-stopped` does not start it again.
    pub stopped_by_user: bool,
    /// First host id of its user namespace; 0 without one.
    pub id_base: u32,
    /// Its removal takes its anonymous volumes along; kept so that a removal cut short can be
    /// finished as it was asked for.
    #[serde(default)]
    pub remove_volumes: bool,
    /// How well it is; `None` when nothing is probed.
    #[serde(default)]
    pub health: Option<Health>,
}

/// What a container's health check has found out during its run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// See [`HealthStatus`].
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last probes, the oldest first.
    pub log: Vec<Probe>,
}

/// Docker's health states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    /// Nothing is decided yet.
    #[default]
    Starting,
    /// The last probes did not fail too often.
    Healthy,
    /// They did, or it has ended.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Unix nanoseconds.
    pub started_at_ns: i64,
    /// Unix nanoseconds.
    pub ended_at_ns: i64,
    /// 0 is well; -1 when it ran for too long or could not run.
    pub exit_code: i32,
    /// The beginning of what it said, or why it could not run.
    pub output: String,
}

/// The version of [`HealthFile`] this code writes and reads.
pub const HEALTH_VERSION: u32 = 1;

/// `health.json` in the run directory, for the next engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HealthFile {
    /// Format, [`HEALTH_VERSION`].
    pub version: u32,
    /// Init of the run it is about.
    pub pid: i32,
    /// What was found out.
    pub health: Health,
}

/// Docker's container states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Never started.
    #[default]
    Created,
    /// Its init runs.
    Running,
    /// Frozen.
    Paused,
    /// Waiting for the next start by its policy.
    Restarting,
    /// Its init has exited.
    Exited,
    /// Being removed.
    Removing,
    /// Removal failed half-way; `rm` again.
    Dead,
}

impl Status {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing => "removing",
            Self::Dead => "dead",
        }
    }

    /// Its init is alive.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// Membership in one network while running.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AttachmentRecord {
    pub network: String,
    pub network_id: String,
    pub endpoint_id: String,
    pub interface: String,
    pub address: Option<Ipv4Addr>,
    pub prefix_len: u8,
    pub gateway: Option<Ipv4Addr>,
    pub mac: String,
    pub aliases: Vec<String>,
    /// What it is found by, where the network has a name server.
    #[serde(default)]
    pub names: Vec<String>,
    pub resolver: Option<Ipv4Addr>,
    pub ports: Vec<PublishedPort>,
}

/// A port that is published now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PublishedPort {
    pub host_ip: Ipv4Addr,
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: Protocol,
}
