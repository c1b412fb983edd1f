//! Taking up what an earlier engine left: running containers go on as if nothing had happened,
//! unfinished work is finished or undone.
//!
//! ```text
//! record says    | reality                        | then
//! up, this boot  | monitor answers                | watch it
//! up, this boot  | exit record, or nothing        | it ended: release, policy
//! up, older boot | nothing                        | it ended at the power cut: policy
//! not up         | anything of a run              | a start that never answered: release
//! removing, --rm | anything                       | remove
//! unreadable     | anything                       | left alone, for a person to repair
//! no record      | snapshot, directory, cgroup …  | a create that never answered: remove
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use weft_image::Snapshotter;
use weft_stdx::clock;

use crate::container::handle::{self, Container};
use crate::container::record::{AttachmentRecord, Status};
use crate::container::{AttachOptions, RemoveOptions};
use crate::engine::Engine;
use crate::error::Result;
use crate::netfiles::Place;
use crate::paths::remove_tree;
use crate::process;
use crate::session::Attached;
use crate::spec::NetworkMode;

impl Engine {
    pub(crate) async fn adopt_all(&self) {
        let known = self.blocking(|engine| engine.load_records()).await;
        for container in &known {
            let base = container.state().id_base;
            if container.state().status.is_up() && base != 0 {
                self.inner.ids.adopt(base);
            }
        }
        self.blocking(|engine| engine.adopt_sandboxes()).await;
        // First, for what is adopted may start again at once and is not to be swept away.
        self.blocking(move |engine| engine.sweep()).await;
        for container in &known {
            self.adopt(container).await;
        }
    }

    /// The containers there are; of those whose record nobody can read a note is taken.
    fn load_records(&self) -> Vec<Arc<Container>> {
        let mut found = Vec::new();
        for id in names_in(&self.inner.paths.containers()) {
            if !is_id(&id) {
                tracing::warn!(name = id, "something among the containers is none of ours");
                continue;
            }
            match handle::read(&self.inner.paths, &id) {
                Ok(Some(record)) if record.id == id => {
                    let container = Arc::new(Container::new(record));
                    self.inner.containers.insert(Arc::clone(&container));
                    found.push(container);
                }
                Ok(_) => {
                    for error in self.discard(&id) {
                        tracing::warn!(%id, error, "what a crash left could not be removed");
                    }
                }
                // Left alone: a person may repair it, and nothing of it is touched.
                Err(error) => {
                    tracing::error!(%id, %error, "the record of a container is unreadable");
                    self.note_unreadable(&id);
                }
            }
        }
        found
    }

    async fn adopt(&self, container: &Arc<Container>) {
        let state = container.state();
        let auto_remove = container.with(|r| r.spec.auto_remove);
        match state.status {
            Status::Removing | Status::Dead => self.remove_leftover(container).await,
            Status::Running | Status::Paused if state.boot_id == clock::boot_id() => {
                self.adopt_running(container).await;
            }
            Status::Running | Status::Paused => self.ended(container, None).await,
            Status::Restarting => self.restart_later(Arc::clone(container)),
            Status::Created | Status::Exited if auto_remove && state.started_at_ns != 0 => {
                self.remove_leftover(container).await;
            }
            Status::Created | Status::Exited => {
                let id = container.id.clone();
                self.blocking(move |engine| engine.release_run(&id)).await;
            }
        }
    }

    async fn adopt_running(&self, container: &Arc<Container>) {
        let state = container.state();
        let socket = self.inner.paths.monitor_socket(&container.id);
        *container.pidfd.lock().expect("no holder panics") =
            process::open(state.pid, state.start_ticks);
        match Attached::connect(&socket, AttachOptions::default()).await {
            Ok(session) => {
                self.adopt_networks(container).await;
                self.adopt_health(container);
                self.watch_health(container);
                self.watch(Arc::clone(container), session);
            }
            Err(_) => self.ended(container, None).await,
        }
    }

    /// Undoes a connect that never answered, and learns what a disconnect changed before it was
    /// cut short; finishes a renaming.
    async fn adopt_networks(&self, container: &Arc<Container>) {
        let id = container.id.clone();
        let mut record = container.record();
        let known = record.attachments.iter();
        let known: HashSet<String> = known.map(|r| r.network_id.clone()).collect();
        let mut left: Vec<Place> = record.attachments.iter().filter_map(Place::of).collect();
        let (there, undone) = self
            .blocking(move |engine| {
                let network = &engine.inner.network;
                let mut undone = Vec::new();
                for made in network.attachments(&id) {
                    if known.contains(&made.network_id) {
                        continue;
                    }
                    undone.push(Place {
                        address: made.address,
                        resolver: made.resolver,
                    });
                    if let Err(error) = network.detach(&id, Some(&made.network_id)) {
                        tracing::warn!(%id, %error, "a connection could not be undone");
                    }
                }
                (network.attachments(&id), undone)
            })
            .await;
        crate::network::follow(&mut record.attachments, &there);
        left.extend(undone);
        left.retain(|place| there.iter().all(|made| made.address != place.address));
        if !left.is_empty() {
            self.follow_networks(&record, left).await;
        }
        let records = record.attachments;
        if container.with(|r| r.attachments != records)
            && let Err(error) = self.save_networks(container, records)
        {
            tracing::warn!(id = %container.id, %error, "its networks could not be recorded");
        }
        if let Err(error) = self.name_on_networks(container).await {
            tracing::warn!(id = %container.id, %error, "a renaming could not be finished");
        }
    }

    /// What a running container is not on any more, it is not to be put on again.
    fn save_networks(&self, container: &Container, there: Vec<AttachmentRecord>) -> Result<()> {
        let mut asked = container.with(|r| r.spec.network.clone());
        if let NetworkMode::Networks(list) = &mut asked {
            let is_on = |id: &str| there.iter().any(|made| made.network_id == id);
            list.retain(|n| self.network(&n.network).is_ok_and(|n| is_on(&n.id)));
        }
        self.save(container, |r| {
            r.spec.network = asked;
            r.attachments = there;
        })
    }

    async fn remove_leftover(&self, container: &Arc<Container>) {
        let options = RemoveOptions {
            force: true,
            volumes: container.with(|r| r.spec.auto_remove),
        };
        if let Err(error) = self.remove(&container.id, options).await {
            tracing::warn!(id = %container.id, %error, "a removal could not be finished");
        }
    }

    /// What belongs to no container any more; an unreadable one is one, and may be up.
    fn sweep(&self) {
        let all = self.inner.containers.all();
        let mut ids: HashSet<String> = self.inner.unreadable.ids().into_iter().collect();
        let mut up = ids.clone();
        up.extend(
            all.iter()
                .filter(|c| c.state().status.is_up())
                .map(|c| c.id.clone()),
        );
        ids.extend(all.iter().map(|c| c.id.clone()));
        if let Ok(keys) = self.inner.images.snapshots().keys() {
            for key in keys.iter().filter(|k| !ids.contains(*k)) {
                if let Err(error) = self.inner.images.snapshots().remove(key) {
                    tracing::warn!(%key, %error, "a snapshot without a container could not be removed");
                }
            }
        }
        let short: HashSet<&str> = up.iter().map(|id| &id[..12]).collect();
        for name in names_in(&self.inner.paths.runs()) {
            if !short.contains(name.as_str()) {
                let _ = remove_tree(&self.inner.paths.runs().join(name));
            }
        }
        let mut attached = up.clone();
        attached.extend(self.sandboxes_up());
        if let Err(error) = self.inner.network.retain(&attached) {
            tracing::warn!(%error, "networks of containers that are gone could not be released");
        }
        self.sweep_cgroups(&up);
    }

    fn sweep_cgroups(&self, up: &HashSet<String>) {
        for id in self.ids_with_cgroup().iter().filter(|id| !up.contains(*id)) {
            if let Err(error) = self.remove_cgroup(id) {
                tracing::warn!(%id, %error, "a control group without a container could not be removed");
            }
        }
    }
}

/// As the engine makes them.
pub(crate) fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(crate) fn names_in(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}
