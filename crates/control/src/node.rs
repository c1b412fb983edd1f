//! One node, as the control plane sees it: what it is to run, and what comes of what it says.
//!
//! ```text
//!   pods bound to it ┐
//!   config maps,     ├─► lower (pure) ─► Assignment ─► the agent
//!   secrets, services┘                                   │
//!   status, events, the end of pods ◄─ status (pure) ◄───┘ what it has observed
//! ```
//! Never: runs anything, or decides which node a pod is on.

mod assign;
mod lower;
mod refer;
mod register;
mod report;
mod routes;
mod status;
mod tokens;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;
use weft_api::assignment::{Assignment, Services};
use weft_api::observed;

use crate::Store;
use crate::store::SERVICE_RANGE;

pub use tokens::{Bearer, Tokens, Wanted as WantedToken};

/// Who it is, as owner of fields.
const NAME: &str = "weft-agent";

/// What there is to know of a node's machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// Its name in the cluster.
    pub name: String,
    /// Its address.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub hostname: String,
    /// Processors.
    pub cpus: u32,
    #[allow(missing_docs)]
    pub memory_bytes: u64,
    /// Of the file system that pods' data is on.
    pub disk_bytes: u64,
    /// As many pods as it takes.
    pub pods_max: u32,
    /// `x86_64`
    pub machine: String,
    #[allow(missing_docs)]
    pub kernel: String,
    /// `Debian GNU/Linux 12`
    pub os: String,
    #[allow(missing_docs)]
    pub boot_id: String,
    #[allow(missing_docs)]
    pub machine_id: String,
    /// `weft://0.1.0`
    pub runtime: String,
    /// Addresses of its pods.
    pub pod_subnet: String,
}

/// The control plane's side of one node.
#[derive(Debug, Clone)]
pub struct Node {
    store: Store,
    about: Arc<About>,
    tokens: Option<Arc<dyn Tokens>>,
}

impl Node {
    /// The node of this machine.
    pub fn new(store: &Store, about: About) -> Node {
        Node {
            store: store.clone(),
            about: Arc::new(about),
            tokens: None,
        }
    }

    /// The same, whose pods have tokens.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn Tokens>) -> Node {
        Node {
            tokens: Some(tokens),
            ..self
        }
    }

    /// Keeps the node registered, and tells it what to run, for ever.
    pub async fn run(
        &self,
        assigned: &watch::Sender<Arc<Assignment>>,
        services: &watch::Sender<Arc<Services>>,
    ) -> Infallible {
        tokio::select! {
            never = register::run(&self.store, &self.about) => never,
            never = assign::run(&self.store, &self.about.name, self.tokens.as_ref(), assigned) => never,
            never = routes::run(&self.store, &self.about.name, SERVICE_RANGE, services) => never,
        }
    }

    /// The node has discarded the data of a volume.
    ///
    /// # Errors
    /// It could not be written down: it is to be said again.
    pub async fn discarded(&self, volume: &str) -> Result<(), crate::Failure> {
        report::discarded(self, volume).await
    }

    /// Takes what the node says: statuses are written, what happened is told, pods that are gone are
    /// deleted. What could not be written is said again by whoever asks later.
    pub async fn take(&self, pods: Vec<observed::Pod>, events: Vec<observed::Event>) {
        report::take(self, pods, events).await;
    }
}
