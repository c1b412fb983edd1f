//! What one node is to run: everything it needs to know, so that it asks nobody.
//!
//! The control plane makes it of what its objects say; references to config maps, secrets and
//! services are resolved in it. What only the node knows (addresses, ids) is left as a [`EnvValue`]
//! or [`FileValue`] that it fills in.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The version of this format.
pub const VERSION: u32 = 1;

/// All that one node is to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Assignment {
    /// [`VERSION`].
    pub version: u32,
    /// Who counts the generations: another one counts anew.
    pub epoch: String,
    /// Grows with every change.
    pub generation: u64,
    /// Its pods, those that are to end among them. Shared by all who remember them.
    pub pods: Vec<Arc<Pod>>,
    /// Volumes of claims that are to go, with their data.
    pub discarded: Vec<String>,
}

/// Where services lead, for one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    /// Their addresses are of this range, and nothing else is.
    pub range: String,
    /// What their names end with: `cluster.local`.
    pub zone: String,
    /// By their names without the zone: `web.default.svc`.
    pub table: BTreeMap<String, Service>,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// None: it has names only.
    pub address: Option<String>,
    /// The name it is another name of.
    pub alias: Option<String>,
    #[allow(missing_docs)]
    pub ports: Vec<ServicePort>,
    /// Seconds in which a client that comes again is led to the same endpoint.
    pub affinity_s: Option<u32>,
    /// Only endpoints on the same node serve those within, and those from outside.
    pub is_inner_local: bool,
    #[allow(missing_docs)]
    pub is_outer_local: bool,
    /// Addresses of its name, if it has none of its own, with names below its own.
    pub hosts: Vec<(String, Option<String>)>,
}

/// A port of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ServicePort {
    pub name: Option<String>,
    pub udp: bool,
    pub port: u16,
    pub node_port: Option<u16>,
    pub endpoints: Vec<Endpoint>,
}

/// Where a port of a service leads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Endpoint {
    pub address: String,
    pub port: u16,
    /// New connections may go there.
    pub is_ready: bool,
    /// It is on this node.
    pub is_local: bool,
    /// The node it is on, if that is known.
    #[serde(default)]
    pub node: Option<String>,
}

/// One pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Who it is.
    pub id: PodId,
    /// Labels and annotations: for files and variables that show them, and for the driver.
    pub labels: BTreeMap<String, String>,
    #[allow(missing_docs)]
    pub annotations: BTreeMap<String, String>,
    /// It is to end: seconds it is given.
    pub ending: Option<u64>,
    /// Why it may not run here at all: it has failed.
    pub refused: Option<Refusal>,
    /// Seconds after its start after which it has failed.
    pub active_deadline_s: Option<u64>,
    /// When its containers are started again.
    pub restart: Restart,
    /// Seconds that its containers are given to end.
    pub grace_s: u64,
    /// What its containers share.
    pub sandbox: Sandbox,
    /// Run one after the other before the others; those that restart always stay.
    pub init: Vec<Container>,
    #[allow(missing_docs)]
    pub containers: Vec<Container>,
    /// Put in to look around: run once each, whatever becomes of the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub debug: Vec<Container>,
    /// The group that volumes belong to.
    pub fs_group: Option<u32>,
    /// By the name that mounts call them by.
    pub volumes: BTreeMap<String, Volume>,
    /// What registries are told.
    pub credentials: Vec<RegistryCredentials>,
    /// Whose it is, for variables and files that show it.
    pub service_account: String,
    /// What its templates may show beside it.
    #[serde(default)]
    pub shown: Shown,
}

/// Who a pod is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PodId {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Why a pod or a container cannot be as it is asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// One word, like `CreateContainerConfigError`.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// `restartPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Restart {
    #[default]
    Always,
    OnFailure,
    Never,
}

/// What the containers of a pod share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sandbox {
    /// Empty: the pod's name.
    pub hostname: String,
    /// What follows the host name, if anything.
    pub domain: Option<String>,
    /// The machine's network.
    pub host_network: bool,
    /// The machine's processes.
    pub host_pid: bool,
    /// The machine's IPC.
    pub host_ipc: bool,
    /// No user namespace, by wish or because of what the pod is allowed.
    pub host_users: bool,
    #[allow(missing_docs)]
    pub dns: Dns,
    /// Lines of /etc/hosts: address, names.
    pub host_aliases: Vec<(String, Vec<String>)>,
    #[allow(missing_docs)]
    pub sysctls: BTreeMap<String, String>,
    /// Ports of the machine.
    pub ports: Vec<HostPort>,
}

/// resolv.conf.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Dns {
    /// The cluster's name server comes first.
    pub cluster: bool,
    /// The machine's servers are among them.
    pub machine: bool,
    pub servers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

/// A port of the machine that leads to one of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct HostPort {
    pub address: Option<String>,
    pub host: u16,
    pub container: u16,
    pub udp: bool,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    #[allow(missing_docs)]
    pub name: String,
    /// As it was written.
    pub image: String,
    #[allow(missing_docs)]
    pub pull: Pull,
    /// Instead of the image's entrypoint.
    pub command: Option<Vec<String>>,
    /// Instead of the image's arguments.
    pub args: Option<Vec<String>>,
    /// In this order: one may name those before it, `$(NAME)`.
    pub env: Vec<Env>,
    #[allow(missing_docs)]
    pub cwd: Option<String>,
    #[allow(missing_docs)]
    pub mounts: Vec<Mount>,
    #[allow(missing_docs)]
    pub resources: Resources,
    #[allow(missing_docs)]
    pub security: Security,
    /// Of an init container: it stays.
    pub sidecar: bool,
    #[allow(missing_docs)]
    pub tty: bool,
    #[allow(missing_docs)]
    pub stdin: bool,
    #[allow(missing_docs)]
    pub stdin_once: bool,
    /// Where it says why it ended.
    pub message_path: String,
    /// The end of its log is taken for that, if it failed without a word.
    pub message_from_log: bool,
    #[allow(missing_docs)]
    pub probes: Probes,
    #[allow(missing_docs)]
    pub post_start: Option<Action>,
    #[allow(missing_docs)]
    pub pre_stop: Option<Action>,
    /// Why it cannot be started as things are: a key that is missing, a field that is not honoured.
    pub refused: Option<Refusal>,
    /// Changes with everything that makes it another container.
    pub hash: String,
    /// The container of the pod whose processes it sees beside its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joins: Option<String>,
}

/// `imagePullPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Pull {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Env {
    pub name: String,
    pub value: EnvValue,
}

/// What a variable says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvValue {
    /// As it stands.
    Exact(String),
    /// With `$(NAME)` of those before.
    Expand(String),
    /// What the node knows.
    Node(NodeFact),
}

/// What a node knows of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum NodeFact {
    PodIp,
    HostIp,
    NodeName,
}

/// Where a volume is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Mount {
    pub volume: String,
    pub target: String,
    pub read_only: bool,
    /// What of it, relative; empty is all. `$(NAME)` has been left in where `expand` is set.
    pub subpath: String,
    pub expand: bool,
    /// `private`, `slave` or `shared`, recursively.
    pub propagation: Propagation,
}

/// Whether later mounts are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Propagation {
    #[default]
    Private,
    HostToContainer,
    Bidirectional,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Volume {
    /// Empty at first, gone with the pod.
    Empty {
        /// In memory.
        memory: bool,
        /// Bytes at most.
        size_limit: Option<u64>,
    },
    /// A path of the machine.
    Host {
        #[allow(missing_docs)]
        path: String,
        /// What has to be there, or is made.
        kind: HostPath,
    },
    /// Files that follow what they are made of.
    Files {
        /// By their paths.
        files: BTreeMap<String, File>,
    },
    /// What outlives the pod, by the name the machine knows it by.
    Claim {
        #[allow(missing_docs)]
        name: String,
        #[allow(missing_docs)]
        read_only: bool,
    },
    /// It cannot be had.
    Refused(Refusal),
}

/// `hostPath.type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum HostPath {
    #[default]
    Any,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

/// One file of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct File {
    pub value: FileValue,
    /// Permission bits.
    pub mode: u32,
    /// Who has it, as the pod counts users; nothing: root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum FileValue {
    Text(String),
    /// base64.
    Binary(String),
    Node(NodeFact),
    Template(Box<Template>),
}

/// A file that is made on the node (docs/templates.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The config map it is in, and under which key.
    pub map: String,
    #[allow(missing_docs)]
    pub key: String,
    /// Go's `text/template`.
    pub text: String,
    /// What actions stand between.
    pub left: String,
    #[allow(missing_docs)]
    pub right: String,
    /// What is done to containers that see it when it changes.
    pub change: Change,
    /// A share of this is waited before, which chance chooses.
    pub splay_ms: u64,
}

/// What is done to a container when a file of its changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Change {
    Nothing,
    Signal(String),
    Restart,
}

/// What templates name, as far as they name it; none where something is no text.
pub type Texts = BTreeMap<String, BTreeMap<String, Option<String>>>;

/// What templates of a pod may show beside the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Shown {
    pub config_maps: Texts,
    pub secrets: Texts,
    pub node_labels: BTreeMap<String, String>,
}

/// What a container needs and may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_request_m: Option<u64>,
    pub cpu_limit_m: Option<u64>,
    pub memory_request_bytes: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
    /// Of what it writes on disk, its log included: who has more is evicted.
    pub disk_limit_bytes: Option<u64>,
    /// Of its pod.
    pub quality: Quality,
}

/// What a pod is promised, and so how soon the kernel kills it when memory is short
/// (`status.qosClass`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Quality {
    Guaranteed,
    Burstable,
    #[default]
    BestEffort,
}

/// `securityContext`, the pod's and the container's together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Security {
    pub privileged: bool,
    pub user: Option<i64>,
    pub group: Option<i64>,
    pub groups: Vec<i64>,
    /// It is not started as root.
    pub non_root: bool,
    pub read_only_root: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub no_new_privileges: Option<bool>,
    pub unconfined_seccomp: bool,
    pub unmasked_proc: bool,
}

/// Name and password for a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RegistryCredentials {
    /// Host, perhaps with port and path.
    pub registry: String,
    pub username: String,
    pub password: String,
}

/// How to find out how well a container is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Probes {
    pub startup: Option<Probe>,
    pub liveness: Option<Probe>,
    pub readiness: Option<Probe>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Probe {
    pub action: Action,
    pub initial_delay_s: u32,
    pub period_s: u32,
    pub timeout_s: u32,
    pub successes: u32,
    pub failures: u32,
    /// Seconds given to end, instead of the pod's.
    pub grace_s: Option<u64>,
}

/// What is done to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Action {
    Exec(Vec<String>),
    Http {
        /// `None`: the pod's address.
        host: Option<String>,
        port: u16,
        path: String,
        https: bool,
        headers: Vec<(String, String)>,
    },
    Tcp {
        host: Option<String>,
        port: u16,
    },
    Grpc {
        port: u16,
        service: String,
    },
    Sleep {
        seconds: u64,
    },
}
