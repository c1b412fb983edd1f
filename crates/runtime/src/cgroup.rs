//! Control groups, version 2 only.
//!
//! Owns: finding the tree, making a cgroup with its limits, changing them, freezing, killing,
//! counting, and removing it. Every file is reached through a descriptor of its directory,
//! beneath it and on the same mount, whose file system type was checked once (R2).
//! Never: cgroup v1, delegation to a container, or the name of a container's cgroup.
//!
//! On a hybrid machine the v2 tree has whichever controllers v1 left it. A limit whose controller
//! is not there is refused; one that equals what a new cgroup has anyway needs no controller.

mod convert;
mod directory;
mod error;
mod events;
mod hierarchy;
mod io;
mod limits;
mod mount;
mod path;
mod removal;
mod stats;

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use oci_spec::runtime::LinuxResources;

use crate::devices::Filter;
use directory::Directory;
use hierarchy::{enable, require, words};
use limits::{Setting, Write};

pub use error::CgroupError;
pub use hierarchy::Hierarchy;
pub use limits::LimitError;
pub use stats::{Cpu, Device, Memory, Stats, Tasks};

/// How long freezing may take: the kernel stops tasks as they come back to user mode, which
/// disk I/O may delay.
const FREEZE: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, CgroupError>;

/// One cgroup, held by a descriptor.
#[derive(Debug)]
pub struct Cgroup {
    root: Arc<Directory>,
    directory: Directory,
    components: Vec<String>,
}

impl Cgroup {
    /// Its directory: for `CLONE_INTO_CGROUP`, and for attaching programs.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.directory.fd.as_fd()
    }

    /// Its path below the mount, with a leading slash.
    pub fn path(&self) -> String {
        format!("/{}", self.components.join("/"))
    }

    /// Moves a process into it.
    pub fn enter(&self, pid: i32) -> Result<()> {
        self.directory.write("cgroup.procs", &pid.to_string())
    }

    /// Changes its limits and device rules; what `resources` does not name stays as it is.
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        let mut settings = limits::plan(resources)?;
        let filter = Filter::of_resources(resources)?;
        self.check_before_update(resources)?;
        let present = words(&self.root.read("cgroup.controllers")?);
        // Without the controller there is no limit to lift.
        settings.retain(|setting| {
            let is_there = setting
                .controller
                .as_ref()
                .is_none_or(|it| present.contains(it));
            is_there || !setting.is_default
        });
        require(&self.root, &settings)?;
        enable(&self.root, &settings)?;
        for depth in 1..self.components.len() {
            enable(
                &self.root.open(&self.components[..depth].join("/"))?,
                &settings,
            )?;
        }
        settings
            .iter()
            .try_for_each(|setting| self.write_setting(setting))?;
        match filter {
            Some(filter) => Ok(filter.attach(self.fd())?),
            None => Ok(()),
        }
    }

    fn check_before_update(&self, resources: &LinuxResources) -> Result<()> {
        let Some(memory) = resources.memory() else {
            return Ok(());
        };
        let (Some(limit), Some(true)) = (memory.limit(), memory.check_before_update()) else {
            return Ok(());
        };
        let current = self.directory.read_optional("memory.current")?;
        let current: u64 = current
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0);
        if limit > 0 && current > limit.unsigned_abs() {
            return Err(CgroupError::BelowUse { limit, current });
        }
        Ok(())
    }

    fn write_setting(&self, setting: &Setting) -> Result<()> {
        setting
            .writes
            .iter()
            .try_for_each(|write| self.write_one(setting, write))
    }

    fn write_one(&self, setting: &Setting, write: &Write) -> Result<()> {
        let written = self.directory.try_write(&write.file, &write.value);
        let Err(source) = written else { return Ok(()) };
        let is_absent = source.kind() == ErrorKind::NotFound;
        let (limit, value) = (setting.limit.clone(), write.value.clone());
        let file = self.directory.path.join(&write.file);
        match &write.otherwise {
            Some(other) if is_absent => self.write_one(setting, other),
            _ if is_absent && write.optional => Ok(()),
            _ if is_absent => Err(CgroupError::NoFile { limit, value, file }),
            _ => Err(CgroupError::Refused {
                limit,
                value,
                file,
                source,
            }),
        }
    }

    /// Stops every process in it and below it, and waits until they have stopped.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        self.directory
            .write("cgroup.freeze", if frozen { "1" } else { "0" })?;
        if events::wait(&self.directory, "frozen", frozen, FREEZE)? {
            return Ok(());
        }
        let action = if frozen { "freeze" } else { "thaw" };
        Err(self.timeout(action, FREEZE))
    }

    /// Whether it was told to freeze.
    pub fn is_frozen(&self) -> Result<bool> {
        Ok(self.directory.read("cgroup.freeze")?.trim() == "1")
    }

    /// Kills every process in it and below it, frozen ones too, and those they make meanwhile
    /// (`cgroup.kill`, Linux 5.14). It does not wait: see [`Cgroup::wait_empty`].
    pub fn kill(&self) -> Result<()> {
        self.directory.write("cgroup.kill", "1")
    }

    /// Waits until no process is in it or below it.
    pub fn wait_empty(&self, limit: Duration) -> Result<()> {
        if events::wait(&self.directory, "populated", false, limit)? {
            return Ok(());
        }
        Err(self.timeout("empty", limit))
    }

    fn timeout(&self, action: &'static str, waited: Duration) -> CgroupError {
        let processes = self.pids().map_or(0, |pids| pids.len());
        CgroupError::Timeout {
            action,
            path: self.directory.path.clone(),
            waited,
            processes,
        }
    }

    /// Whether any process is in it or below it.
    pub fn events_populated(&self) -> Result<bool> {
        events::is_populated(&self.directory)
    }

    /// A descriptor of `cgroup.events`: it polls as `POLLPRI` each time [`Cgroup::events_populated`]
    /// or the frozen state changes after it was last read from its start.
    pub fn events(&self) -> Result<OwnedFd> {
        self.directory.open_file("cgroup.events")
    }

    /// Every process in it and below it, as our pid namespace numbers them.
    pub fn pids(&self) -> Result<Vec<i32>> {
        stats::pids(&self.directory)
    }

    /// What it uses now.
    pub fn stats(&self) -> Result<Stats> {
        stats::collect(&self.directory)
    }

    /// How many processes in it or below it the kernel killed for want of memory. `None` without
    /// the memory controller: nobody counts then.
    pub fn oom_kills(&self) -> Result<Option<u64>> {
        let Some(text) = self.directory.read_optional("memory.events")? else {
            return Ok(None);
        };
        Ok(events::value(&text, "oom_kill"))
    }

    /// Removes it and those below it; see [`Hierarchy::remove`].
    pub fn remove(&self) -> Result<()> {
        removal::remove(&self.root, &self.components)
    }
}

#[cfg(test)]
mod tests;
