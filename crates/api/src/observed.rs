//! What one node says of what it runs: all of it, each time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::assignment::{PodId, Refusal};

/// All that one node runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The newest assignment that is in it.
    pub generation: u64,
    #[allow(missing_docs)]
    pub pods: Vec<Pod>,
}

/// One pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Pod {
    pub id: PodId,
    /// While it has one of its own or the machine's.
    pub ip: Option<String>,
    /// Unix nanoseconds; when the node took it up.
    pub started_at_ns: i64,
    /// Its network is there.
    pub has_sandbox: bool,
    pub init: Vec<Container>,
    pub containers: Vec<Container>,
    /// Those that were put in to look around.
    #[serde(default)]
    pub debug: Vec<Container>,
    /// It is over, for reasons of its own: deadline, eviction, something that is refused.
    pub failed: Option<Refusal>,
    /// Nothing of it is left on the node.
    pub gone: bool,
}

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Container {
    pub name: String,
    /// As asked for, and what it came to.
    pub image: String,
    pub image_id: String,
    /// With the driver's name, `weft://…`.
    pub container_id: String,
    pub state: State,
    /// How the run before ended.
    pub last: Option<Ended>,
    pub restarts: u32,
    pub ready: bool,
    /// It runs, and what says whether it has started says so.
    pub started: bool,
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum State {
    Waiting(Refusal),
    Running { started_at_ns: i64 },
    Ended(Ended),
}

impl Default for State {
    fn default() -> Self {
        Self::Waiting(Refusal {
            reason: "PodInitializing".to_owned(),
            message: String::new(),
        })
    }
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Ended {
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`.
    pub reason: String,
    pub message: String,
    pub started_at_ns: i64,
    pub finished_at_ns: i64,
    pub container_id: String,
}

/// Something that happened, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Event {
    pub about: Subject,
    /// `spec.containers{web}`; empty: all of it.
    pub field: String,
    pub warning: bool,
    pub reason: String,
    pub message: String,
}

/// Whom something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    #[allow(missing_docs)]
    Pod(PodId),
    /// As [`crate::assignment::Services`] calls it: `web.default.svc`.
    Service(String),
}

/// What one node and its pods use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Unix nanoseconds: the end of the time it was measured over.
    pub time_ns: i64,
    /// How long that was.
    pub window_ns: u64,
    /// The machine.
    pub node: Used,
    /// Containers that run, by the uid of their pod.
    pub pods: BTreeMap<String, Vec<(String, Used)>>,
}

/// What something uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Processor time per time, in billionths: one whole processor is a billion.
    pub cpu_n: u64,
    /// The field's working set.
    pub memory_bytes: u64,
}
