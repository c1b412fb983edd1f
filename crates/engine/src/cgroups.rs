//! The control groups of containers: `<instance>/<id>`, by id alone.

use std::io;

use weft_runtime::cgroup::CgroupError;

use crate::engine::Engine;

impl Engine {
    pub(crate) fn cgroup_path(&self, id: &str) -> String {
        format!("/{}/{id}", self.inner.config.instance)
    }

    /// Kills everything in a container's control group; one that is not there is fine.
    pub(crate) fn kill_cgroup(&self, id: &str) -> Result<(), CgroupError> {
        match self.inner.cgroups.open(&self.cgroup_path(id)) {
            Ok(cgroup) => cgroup.kill(),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Kills what is in it, and removes it.
    pub(crate) fn remove_cgroup(&self, id: &str) -> Result<(), CgroupError> {
        let path = self.cgroup_path(id);
        // As it nearly always is: init has ended, and with it everything.
        if self.inner.cgroups.remove_if_empty(&path)? {
            return Ok(());
        }
        self.kill_cgroup(id)?;
        self.inner.cgroups.remove(&path)
    }

    /// Ids that have a control group.
    pub(crate) fn ids_with_cgroup(&self) -> Vec<String> {
        let parent = self
            .inner
            .cgroups
            .mount_point()
            .join(&self.inner.config.instance);
        let Ok(entries) = std::fs::read_dir(parent) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

fn is_absent(error: &CgroupError) -> bool {
    matches!(error, CgroupError::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
