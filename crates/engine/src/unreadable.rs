//! Containers whose record nobody can read: what they may need stays, until a person repairs the
//! file or removes them.
//!
//! Images and layers are held by their snapshots, networks by their endpoints while they run. What
//! only the record knows of (volumes, the networks of the next start) is not pruned meanwhile.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::container::RemoveOptions;
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::idrange::RANGE_SIZE;

/// Id, and the first host id of its user namespace; 0 when none is known.
#[derive(Debug, Default)]
pub(crate) struct Unreadable(Mutex<BTreeMap<String, u32>>);

impl Unreadable {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().expect("no holder panics")
    }

    pub fn add(&self, id: String, id_base: u32) {
        self.lock().insert(id, id_base);
    }

    pub fn ids(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether one of them may live in the range that begins at `id_base`.
    pub fn has_range(&self, id_base: u32) -> bool {
        self.lock().values().any(|base| *base == id_base)
    }

    /// The one whose id begins so. There is nothing else they could be called by.
    pub fn find(&self, reference: &str) -> Option<String> {
        let ids = self.lock();
        let mut matches = ids
            .keys()
            .filter(|id| !reference.is_empty() && id.starts_with(reference));
        match (matches.next(), matches.next()) {
            (Some(id), None) => Some(id.clone()),
            _ => None,
        }
    }
}

impl Engine {
    /// Takes note of one, and keeps others from the ids its processes have.
    pub(crate) fn note_unreadable(&self, id: &str) {
        let id_base = self.range_in_use(id);
        if id_base != 0 {
            self.inner.ids.adopt(id_base);
        }
        self.inner.unreadable.add(id.to_owned(), id_base);
    }

    /// The first host id of what runs in a container's control group, by the kernel's word.
    fn range_in_use(&self, id: &str) -> u32 {
        let Ok(cgroup) = self.inner.cgroups.open(&self.cgroup_path(id)) else {
            return 0;
        };
        let pids = cgroup.pids().unwrap_or_default();
        let maps = pids
            .iter()
            .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/uid_map")).ok());
        // A namespace within its own maps into the same range.
        maps.filter_map(|map| map.split_whitespace().nth(1)?.parse::<u32>().ok())
            .map(|first| first / RANGE_SIZE * RANGE_SIZE)
            .find(|base| *base != 0)
            .unwrap_or(0)
    }

    /// Refuses to prune what a container nobody can ask may need.
    pub(crate) fn check_all_readable(&self, what: &str) -> Result<()> {
        match self.inner.unreadable.ids().first() {
            None => Ok(()),
            Some(id) => Err(EngineError::conflict(format!(
                "cannot tell which {what} are in use: {}",
                self.unreadable_text(id)
            ))),
        }
    }

    /// What is wrong with one, and what to do.
    pub(crate) fn unreadable_text(&self, id: &str) -> String {
        let (record, short) = (self.inner.paths.record(id), &id[..12]);
        format!(
            "the record of container {short} is unreadable; repair {} and start the engine again, \
             or remove the container with: weft rm --force {short}",
            record.display()
        )
    }

    /// Removes one by what can be found by its id. Its anonymous volumes stay for a prune.
    pub(crate) async fn remove_unreadable(&self, id: &str, options: RemoveOptions) -> Result<()> {
        let (engine_id, force) = (id.to_owned(), options.force);
        self.blocking(move |engine| engine.erase_unreadable(&engine_id, force))
            .await?;
        let events = &self.inner.events;
        events.emit("container", "destroy", id, BTreeMap::new());
        Ok(())
    }

    fn erase_unreadable(&self, id: &str, force: bool) -> Result<()> {
        // Held to the end: two removals at once are one after the other.
        let mut ids = self.inner.unreadable.lock();
        let Some(id_base) = ids.get(id).copied() else {
            return Err(EngineError::no_container(id));
        };
        let cgroup = self.inner.cgroups.open(&self.cgroup_path(id)).ok();
        let runs = cgroup.is_some_and(|cgroup| cgroup.events_populated().unwrap_or(true));
        if runs && !force {
            return Err(EngineError::conflict(format!(
                "cannot remove container {}: it runs; force remove",
                &id[..12]
            )));
        }
        self.release_run(id);
        let errors = self.discard(id);
        if !errors.is_empty() {
            return Err(EngineError::new(
                ErrorCode::Internal,
                format!("remove container {id}: {}", errors.join("; ")),
            ));
        }
        ids.remove(id);
        drop(ids);
        if id_base != 0 && !self.shares_range(id, id_base) {
            self.inner.ids.give_back(id_base);
        }
        Ok(())
    }

    /// Whether another container's processes are in the range that begins at `id_base`.
    pub(crate) fn shares_range(&self, id: &str, id_base: u32) -> bool {
        let up = |other: &std::sync::Arc<crate::container::handle::Container>| {
            other.id != id && other.with(|r| r.state.id_base == id_base && r.state.status.is_up())
        };
        let in_use = self.inner.containers.all().iter().any(up) || self.sandbox_has_range(id_base);
        in_use || self.inner.unreadable.has_range(id_base)
    }
}
