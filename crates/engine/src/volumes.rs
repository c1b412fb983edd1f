//! Volumes as the faces see them: who uses one is known here.

use std::collections::BTreeMap;

use weft_stdx::id::random_hex;
use weft_volume::{CreateError, Volume};

use crate::container::record::Record;
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
        let name = name.unwrap_or(&generated);
        let new = self.inner.volumes.find(name).map_err(failed)?.is_none();
        let volume = self
            .inner
            .volumes
            .ensure(name, false, labels)
            .map_err(failed)?;
        if new {
            self.inner
                .events
                .emit("volume", "create", &volume.name, BTreeMap::new());
        }
        self.inspect_volume(&volume.name)
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
    /// A container has it, there is none (unless `force`), the disk refuses.
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
        self.inner
            .volumes
            .remove(name)
            .map_err(|e| EngineError::internal("remove a volume", e))?;
        self.inner
            .events
            .emit("volume", "destroy", name, BTreeMap::new());
        Ok(())
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
                no_copy, labels, ..
            } = &mount.source
            else {
                continue;
            };
            let Some(used) = record.volumes.iter().find(|v| v.target == mount.target) else {
                continue;
            };
            let volume = self
                .inner
                .volumes
                .ensure(&used.name, used.anonymous, labels)
                .map_err(failed)?;
            if *no_copy {
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
