//! Names of containers: who is called what on which user network, and answering queries.
//!
//! Every user network has a name server on its bridge's own address. It knows the network's
//! containers and, where the network has them, services; the machine's resolvers are asked for the
//! rest. Never: networks' other business.

mod answer;
mod directory;
mod forward;
mod server;
mod upstream;
mod zone;

pub(crate) use directory::Directory;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::host::Host;
use directory::Place;
use forward::Forwarder;

/// The name servers of this machine's user networks; they stop when this is dropped.
#[derive(Debug)]
pub struct Dns {
    task: JoinHandle<()>,
}

impl Dns {
    /// Starts one per user network that has containers, and follows networks that come and go.
    ///
    /// The runtime's threads have to be in the machine's network namespace.
    pub fn start(host: &Host, runtime: &Handle) -> Dns {
        let supervisor = Supervisor {
            directory: Arc::clone(host.directory()),
            host: host.downgrade(),
            forwarder: Arc::new(Forwarder::new(host.resolv_conf())),
            servers: HashMap::new(),
        };
        Dns {
            task: runtime.spawn(supervisor.run()),
        }
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server's task, which ends with it.
#[derive(Debug)]
struct Running {
    place: Place,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Supervisor {
    directory: Arc<Directory>,
    host: crate::host::WeakHost,
    forwarder: Arc<Forwarder>,
    servers: HashMap<String, Running>,
}

impl Supervisor {
    async fn run(mut self) {
        loop {
            let places = self.directory.places();
            self.servers
                .retain(|id, running| places.get(id) == Some(&running.place));
            for (id, place) in places {
                if !self.servers.contains_key(&id) {
                    self.start(id, place).await;
                }
            }
            self.directory.changed().await;
        }
    }

    async fn start(&mut self, id: String, place: Place) {
        let zone = answer::Zone {
            directory: Arc::clone(&self.directory),
            network: id.clone(),
            place: place.clone(),
        };
        match server::Server::bind(zone, Arc::clone(&self.forwarder)).await {
            Ok(server) => {
                let task = tokio::spawn(server.run());
                self.servers.insert(id, Running { place, task });
            }
            // Tried again when a network comes or goes.
            Err(error) => self.host.warn(format!(
                "cannot answer name queries of network {} on {}:53 ({error}): its containers do \
                 not find each other by name",
                place.name, place.gateway
            )),
        }
    }
}
