//! The contract "run the containers of pods on this machine".
//!
//! A driver does what it is told and says what is there; when a container is started, probed, started
//! again or stopped, the agent decides. What it has made it knows again after it has died, and after
//! a reboot. Every driver passes one suite, [`conformance`]; [`fake`] is one for tests of the agent.
//! Never: nodes, workloads, the API.

pub mod conformance;
pub mod fake;

use std::path::PathBuf;

use tokio::sync::watch;
use weft_api::assignment::{Container, Pod, Propagation, Pull, RegistryCredentials, Services};

/// Runs the containers of pods. Every call may be cut short, and made again.
pub trait Driver: Send + Sync + 'static {
    /// What its containers' ids begin with: `weft`.
    fn name(&self) -> &'static str;

    /// Sees to it that an image is here; answers its id, and whether it was fetched for that.
    ///
    /// # Errors
    /// See [`ImageError`].
    fn image(
        &self,
        image: &str,
        pull: Pull,
        credentials: &[RegistryCredentials],
    ) -> impl Future<Output = Result<(String, bool), ImageError>> + Send;

    /// Sees to it that what a pod's containers share is there.
    ///
    /// # Errors
    /// Something of it can't be made; nothing is left of it then.
    fn sandbox(&self, pod: &Pod) -> impl Future<Output = Result<SandboxSeen, Failure>> + Send;

    /// Makes and starts a container in a pod's sandbox; answers its id.
    ///
    /// # Errors
    /// It can't be made, or started; nothing is left of it then.
    fn start(&self, start: Start<'_>) -> impl Future<Output = Result<String, Failure>> + Send;

    /// Asks a container to end, and ends it when its time is over; one that does not run is no error.
    ///
    /// # Errors
    /// It does not end.
    fn stop(&self, id: &str, grace_s: u64) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Sends a signal, by its name, to a container's first process.
    ///
    /// # Errors
    /// It does not run, or cannot be signalled.
    fn signal(&self, id: &str, signal: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Removes a container that has ended, with its log; one that is not there is no error.
    ///
    /// # Errors
    /// It runs, or something of it can't be removed.
    fn remove(&self, id: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Gives back what a pod's containers shared, once they have ended; they stay, with their logs.
    ///
    /// # Errors
    /// One of them runs.
    fn stop_sandbox(&self, uid: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Removes what is left of a pod, once its containers are removed.
    ///
    /// # Errors
    /// One of them is there.
    fn remove_sandbox(&self, uid: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Removes a volume of a claim, with its data; one that is not there is no error.
    ///
    /// # Errors
    /// A container has it, or it can't be removed.
    fn discard(&self, volume: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Leads traffic to services as this says; what of them cannot be served is told, the rest is.
    ///
    /// # Errors
    /// It may be as before, or partly so.
    fn serve(
        &self,
        services: &Services,
    ) -> impl Future<Output = Result<Vec<Unserved>, Failure>> + Send;

    /// What is there of a pod.
    fn pod(&self, uid: &str) -> PodSeen;

    /// The uids of all pods of which something is there.
    fn pods(&self) -> Vec<String>;

    /// What the containers of all pods use now; those that do not run are left out.
    fn usage(&self) -> impl Future<Output = Vec<UsageSeen>> + Send;

    /// Bytes on disk of what a container has written below its root, and of its log; none of one that
    /// is not there.
    ///
    /// # Errors
    /// It can't be measured.
    fn disk(&self, id: &str) -> impl Future<Output = Result<u64, Failure>> + Send;

    /// Tells that containers of pods have started or ended: their uids, since one last looked.
    fn changes(&self) -> watch::Receiver<()>;

    /// The pods of which [`Driver::changes`] told, once.
    fn changed(&self) -> Vec<String>;

    /// The end of a container's log, at most so many bytes and lines.
    fn log_tail(&self, id: &str, bytes: usize, lines: usize)
    -> impl Future<Output = String> + Send;

    /// Runs a command in a container: its exit code and the beginning of what it said.
    ///
    /// # Errors
    /// It can't be run, or took longer.
    fn run(
        &self,
        id: &str,
        command: &[String],
        timeout_s: u64,
    ) -> impl Future<Output = Result<(i32, String), Failure>> + Send;
}

/// A container to start.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// Whose it is.
    pub pod: &'a Pod,
    /// What it is.
    pub container: &'a Container,
    /// How often one of this name was started before in this pod.
    pub attempt: u32,
    /// The image, as [`Driver::image`] answered.
    pub image_id: &'a str,
    /// All its variables.
    pub env: Vec<(String, String)>,
    /// All its mounts.
    pub mounts: Vec<Mounted>,
}

/// A mount whose place on the machine is known.
#[derive(Debug, Clone)]
pub struct Mounted {
    /// Where from.
    pub source: Source,
    /// Relative, beneath that; empty is all.
    pub subpath: String,
    /// Where it is seen.
    pub target: String,
    #[allow(missing_docs)]
    pub read_only: bool,
    #[allow(missing_docs)]
    pub propagation: Propagation,
}

/// Where a mount comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A path of the machine.
    Path(PathBuf),
    /// A volume in memory, of the sandbox, by its name.
    Memory(String),
    /// A volume of the machine, by its name.
    Volume(String),
}

/// A part of a service that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The service, as the table calls it: `web.default.svc`.
    pub service: String,
    /// What is in the way: the same words as long as it is the same.
    pub why: String,
}

/// What a container uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSeen {
    /// Its pod's.
    pub uid: String,
    #[allow(missing_docs)]
    pub container: String,
    /// The driver's id of it: another run is another container.
    pub id: String,
    /// Processor time since it started.
    pub cpu_ns: u64,
    /// The field's working set.
    pub memory_bytes: u64,
}

/// What is there of a pod.
#[derive(Debug, Clone, Default)]
pub struct PodSeen {
    /// What its containers share, if it was made.
    pub sandbox: Option<SandboxSeen>,
    /// Its containers, the oldest first.
    pub containers: Vec<ContainerSeen>,
}

/// What a pod's containers share.
#[derive(Debug, Clone, Default)]
pub struct SandboxSeen {
    /// Containers can be started in it.
    pub ready: bool,
    /// Unix nanoseconds; when it was made last.
    pub started_at_ns: i64,
    /// Its address, if it has one of its own.
    pub ip: Option<std::net::Ipv4Addr>,
    /// Its network namespace.
    pub netns: PathBuf,
}

/// One container.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct ContainerSeen {
    pub id: String,
    pub name: String,
    pub attempt: u32,
    /// As asked for, and what it came to.
    pub image: String,
    pub image_id: String,
    /// Of [`Container::hash`].
    pub hash: String,
    pub created_at_ns: i64,
    pub state: RunState,
}

/// Where a container's only run stands.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub enum RunState {
    /// It was made, and did not start.
    #[default]
    Made,
    Running {
        started_at_ns: i64,
        pid: i32,
    },
    Ended {
        started_at_ns: i64,
        finished_at_ns: i64,
        code: i32,
        oom_killed: bool,
        error: String,
    },
}

/// Why an image is not here.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// It may not be pulled.
    #[error("Container image {0:?} is not present with pull policy of Never")]
    NeverPulled(String),
    /// It is no name.
    #[error("Failed to apply default image tag {0:?}: {1}")]
    Name(String, String),
    /// The registry refused, or did not answer.
    #[error("{0}")]
    Pull(String),
}

/// Why something was not done, with its causes, in a sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The sentence.
    pub message: String,
    /// What is asked contradicts itself or the image: nothing was begun, and no further try helps.
    pub is_config: bool,
}
