//! Volumes as the faces see them: who uses one is known here.

use std::collections::BTreeMap;

use weft_stdx::id::random_hex;
use weft_volume::{CreateError, RemoveError, Volume};

use crate::container::handle::Container;
use crate::container::record::{Record, VolumeUse};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::spec::MountSource;

/// A volume and the containers that have it.
#[derive(Debug, Clone)]
pub struct VolumeView {
    /// The volume.
    pub volume: Volume,
    /// Ids of containers, running or not.
    pub used_by: Vec<String>,
}

impl Engine {
    /// Every volume, by name.
    pub fn volumes(&self) -> Vec<VolumeView> {
        let users = self.volume_users();
        let view = |volume: Volume| VolumeView {
            used_by: users.get(&volume.name).cloned().unwrap_or_default(),
            volume,
        };
        self.inner.volumes.list().into_iter().map(view).collect()
    }

    /// Makes a volume, or gives the one that is there.
    ///
    /// # Errors
    /// The name is none, the disk refuses.
    pub fn create_volume(
        &self,
        name: Option<&str>,
        labels: &BTreeMap<String, String>,
    ) -> Result<VolumeView> {
        let generated = random_hex(32);
        let volume = self.ensure_volume(name.unwrap_or(&generated), false, labels)?;
        self.inspect_volume(&volume.name)
    }

    /// A volume that is there, or is made now, which is told.
    pub(crate) fn ensure_volume(
        &self,
        name: &str,
        anonymous: bool,
        labels: &BTreeMap<String, String>,
    ) -> Result<Volume> {
        let volumes = &self.inner.volumes;
        let is_new = volumes.find(name).map_err(failed)?.is_none();
        let volume = volumes.ensure(name, anonymous, labels).map_err(failed)?;
        if is_new {
            self.volume_event("create", name, []);
        }
        Ok(volume)
    }

    /// Removes a volume nobody uses any more, which is told if there was one.
    pub(crate) fn erase_volume(&self, name: &str) -> std::result::Result<(), RemoveError> {
        if self.inner.volumes.remove(name)? {
            self.volume_event("destroy", name, []);
        }
        Ok(())
    }

    fn volume_event<const N: usize>(&self, action: &str, name: &str, more: [(&str, String); N]) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
        attributes.extend(more.map(|(key, value)| (key.to_owned(), value)));
        self.inner.events.emit("volume", action, name, attributes);
    }

    /// Tells that the volumes of a container are mounted for a run.
    pub(crate) fn tell_mounted(&self, container: &Container) {
        for (used, read_only) in volumes_of(container) {
            let more = [
                ("container", container.id.clone()),
                ("destination", used.target),
                ("read/write", (!read_only).to_string()),
                ("propagation", String::new()),
            ];
            self.volume_event("mount", &used.name, more);
        }
    }

    /// Tells that they are not any more.
    pub(crate) fn tell_unmounted(&self, container: &Container) {
        for (used, _) in volumes_of(container) {
            let more = [("container", container.id.clone())];
            self.volume_event("unmount", &used.name, more);
        }
    }

    /// One volume.
    ///
    /// # Errors
    /// No such volume.
    pub fn inspect_volume(&self, name: &str) -> Result<VolumeView> {
        let found = match self.inner.volumes.find(name) {
            // What can't be a name names nothing.
            Err(CreateError::Name(_)) => None,
            other => other.map_err(failed)?,
        };
        let volume = found.ok_or_else(|| {
            EngineError::new(ErrorCode::NotFound, format!("get {name}: no such volume"))
        })?;
        let used_by = self.volume_users().remove(name).unwrap_or_default();
        Ok(VolumeView { volume, used_by })
    }

    /// Removes a volume with its data.
    ///
    /// # Errors
    /// A container has it, or may have it (unless `force`), there is none (the same), the disk
    /// refuses.
    pub fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        let view = match self.inspect_volume(name) {
            Err(e) if force && e.code == ErrorCode::NotFound => return Ok(()),
            other => other?,
        };
        if !view.used_by.is_empty() {
            return Err(EngineError::conflict(format!(
                "remove {name}: volume is in use - [{}]",
                view.used_by.join(", ")
            )));
        }
        if !force {
            self.check_all_readable("volumes")?;
        }
        self.erase_volume(name)
            .map_err(|e| EngineError::internal("remove a volume", e))
    }

    fn volume_users(&self) -> BTreeMap<String, Vec<String>> {
        let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for container in self.inner.containers.all() {
            for used in container.with(|r| r.volumes.clone()) {
                users
                    .entry(used.name)
                    .or_default()
                    .push(container.id.clone());
            }
        }
        users
    }

    /// Gives empty volumes what the image has at their target, as Docker does at create.
    pub(crate) fn fill_volumes(&self, record: &Record) -> Result<()> {
        for mount in &record.spec.mounts {
            let MountSource::Volume {
                no_copy,
                labels,
                subpath,
                ..
            } = &mount.source
            else {
                continue;
            };
            let Some(used) = record.volumes.iter().find(|v| v.target == mount.target) else {
                continue;
            };
            let volume = self.ensure_volume(&used.name, used.anonymous, labels)?;
            // A directory of a volume is somebody's already.
            if *no_copy || !subpath.is_empty() {
                continue;
            }
            crate::copyup::fill(&self.rootfs(record)?.lower, &mount.target, &volume.path).map_err(
                |e| {
                    EngineError::internal(
                        format!(
                            "copy the image's {} into volume {}",
                            mount.target, used.name
                        ),
                        e,
                    )
                },
            )?;
        }
        Ok(())
    }
}

/// With whether each is read-only.
fn volumes_of(container: &Container) -> Vec<(VolumeUse, bool)> {
    container.with(|r| {
        let read_only = |used: &VolumeUse| {
            let mut mounts = r.spec.mounts.iter();
            mounts.any(|m| m.target == used.target && m.read_only)
        };
        let volumes = r.volumes.iter();
        volumes.map(|v| (v.clone(), read_only(v))).collect()
    })
}

fn failed(error: CreateError) -> EngineError {
    let code = match &error {
        CreateError::Name(_) => ErrorCode::Invalid,
        CreateError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            ErrorCode::Exhausted
        }
        CreateError::Io { .. } | CreateError::Record { .. } => ErrorCode::Internal,
    };
    EngineError::caused(code, "use a volume", error)
}
