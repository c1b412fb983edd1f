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
mod events;
mod io;
mod limits;
mod mount;
mod path;
mod removal;
mod stats;

use std::collections::BTreeSet;
use std::io as std_io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oci_spec::runtime::LinuxResources;

use crate::devices::{DeviceError, Filter};
use directory::Directory;
use limits::{Setting, Write};

pub use limits::LimitError;
pub use stats::{Cpu, Device, Memory, Stats, Tasks};

/// How long freezing may take: the kernel stops tasks as they come back to user mode, which
/// disk I/O may delay.
const FREEZE: Duration = Duration::from_secs(10);

/// What can go wrong with a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup v2 mount.
    #[error(
        "find a cgroup v2 mount in /proc/self/mountinfo: there is none; boot with \
         systemd.unified_cgroup_hierarchy=1, or mount one with: mount -t cgroup2 none /sys/fs/cgroup"
    )]
    NoHierarchy,
    /// A path that must not become a cgroup.
    #[error("cgroup path {path:?}: {reason}")]
    Path {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit with no sense, or none in v2.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A limit whose controller is not there.
    #[error(
        "limit {limit} = {value}: the cgroup v2 tree has no {controller} controller here ({looked} \
         lists: {present}); leave the limit out, or boot with cgroup_no_v1=all so that v2 gets it"
    )]
    Unavailable {
        /// The limit's name in the specification.
        limit: String,
        /// What was asked for.
        value: String,
        /// The controller it needs.
        controller: String,
        /// The file that lists those there are.
        looked: PathBuf,
        /// What it lists.
        present: String,
    },
    /// A limit whose file the kernel does not have.
    #[error("limit {limit} = {value}: this kernel has no file {file}")]
    NoFile {
        /// The limit's name in the specification.
        limit: String,
        /// What was asked for.
        value: String,
        /// The file.
        file: PathBuf,
    },
    /// The kernel refused a limit.
    #[error("limit {limit}: write {value:?} to {file}")]
    Refused {
        /// The limit's name in the specification.
        limit: String,
        /// What was written.
        value: String,
        /// Where.
        file: PathBuf,
        /// Why not.
        #[source]
        source: std_io::Error,
    },
    /// A lower limit than what is in use, with `checkBeforeUpdate`.
    #[error("limit memory.limit = {limit}: {current} bytes are in use, and it asks to be checked")]
    BelowUse {
        /// The limit.
        limit: i64,
        /// What is in use.
        current: u64,
    },
    /// A file of the cgroup could not be read or written.
    #[error("{action} {path}")]
    File {
        /// `open`, `read`, `make`…
        action: String,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std_io::Error,
    },
    /// The cgroup to make is there and has processes.
    #[error("make cgroup {path}: it is there and has processes")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// It would not become empty, or not freeze, in time.
    #[error("{action} cgroup {path}: not done after {waited:?}, {processes} processes in it")]
    Timeout {
        /// What was waited for.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// How long.
        waited: Duration,
        /// How many are left.
        processes: usize,
    },
    /// Device control.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

type Result<T> = std::result::Result<T, CgroupError>;

/// The cgroup v2 tree of this machine.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    root: Arc<Directory>,
}

/// One cgroup, held by a descriptor.
#[derive(Debug)]
pub struct Cgroup {
    root: Arc<Directory>,
    directory: Directory,
    components: Vec<String>,
}

impl Hierarchy {
    /// Finds the tree through `/proc/self/mountinfo`.
    pub fn find() -> Result<Hierarchy> {
        mount::find().map(|root| Hierarchy {
            root: Arc::new(root),
        })
    }

    /// The controllers the tree has.
    pub fn controllers(&self) -> Result<Vec<String>> {
        Ok(words(&self.root.read("cgroup.controllers")?))
    }

    /// Where the tree is mounted.
    pub fn mount_point(&self) -> &std::path::Path {
        &self.root.path
    }

    /// Makes the cgroup `path` (below the mount) with these limits and device rules, and its
    /// parents as needed; only the controllers that the limits need are enabled on the way.
    ///
    /// An empty cgroup that is there already is made anew, one with processes is an error. When
    /// it fails, nothing that it made is left.
    pub fn create(&self, path: &str, resources: &LinuxResources) -> Result<Cgroup> {
        let components = path::components(path)?;
        let settings: Vec<Setting> = limits::plan(resources)?
            .into_iter()
            .filter(|setting| !setting.is_default)
            .collect();
        let filter = Filter::of_resources(resources)?;
        require(&self.root, &settings)?;
        let mut made = Made {
            root: &self.root,
            paths: Vec::new(),
        };
        let directory = made.directories(&components, &settings)?;
        let cgroup = Cgroup {
            root: Arc::clone(&self.root),
            directory,
            components,
        };
        settings
            .iter()
            .try_for_each(|setting| cgroup.write_setting(setting))?;
        if let Some(filter) = filter {
            filter.attach(cgroup.fd())?;
        }
        made.paths.clear();
        Ok(cgroup)
    }

    /// The cgroup `path` (below the mount), which is there.
    pub fn open(&self, path: &str) -> Result<Cgroup> {
        let components = path::components(path)?;
        let directory = self.root.open(&components.join("/"))?;
        Ok(Cgroup {
            root: Arc::clone(&self.root),
            directory,
            components,
        })
    }

    /// Removes the cgroup `path` and those below it, if it is there. Processes in it are not
    /// killed: they make it fail after a while.
    pub fn remove(&self, path: &str) -> Result<()> {
        removal::remove(&self.root, &path::components(path)?)
    }

    /// Removes the cgroup `path` only if nothing is in it or below it; says whether it is gone.
    pub fn remove_if_empty(&self, path: &str) -> Result<bool> {
        match self.root.remove(&path::components(path)?.join("/")) {
            Ok(()) => Ok(true),
            Err(error) if removal::is_busy(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Directories made so far, deepest last; those still listed when it goes are removed.
struct Made<'a> {
    root: &'a Directory,
    paths: Vec<String>,
}

impl Made<'_> {
    fn directories(&mut self, components: &[String], settings: &[Setting]) -> Result<Directory> {
        enable(self.root, settings)?;
        let (_, parents) = components.split_last().expect("a path has a component");
        for depth in 1..=parents.len() {
            let path = components[..depth].join("/");
            if self.root.make(&path)? {
                self.paths.push(path.clone());
            }
            enable(&self.root.open(&path)?, settings)?;
        }
        let path = components.join("/");
        if !self.root.make(&path)? {
            // Limits of an earlier life would stay in force.
            if events::is_populated(&self.root.open(&path)?)? {
                return Err(CgroupError::InUse {
                    path: self.root.path.join(path),
                });
            }
            removal::remove(self.root, components)?;
            self.root.make(&path)?;
        }
        self.paths.push(path.clone());
        self.root.open(&path)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for path in self.paths.iter().rev() {
            // One that somebody else uses by now is theirs.
            let _ = self.root.remove(path);
        }
    }
}

/// Every controller that `settings` need is in the tree's root.
fn require(root: &Directory, settings: &[Setting]) -> Result<()> {
    let needed = settings
        .iter()
        .filter(|setting| setting.controller.is_some());
    if needed.clone().next().is_none() {
        return Ok(());
    }
    let present = words(&root.read("cgroup.controllers")?);
    for setting in needed {
        if setting
            .controller
            .as_ref()
            .is_some_and(|it| !present.contains(it))
        {
            return Err(unavailable(root, setting, &present));
        }
    }
    Ok(())
}

/// Lets the children of `parent` have the controllers that `settings` need.
fn enable(parent: &Directory, settings: &[Setting]) -> Result<()> {
    let needed: BTreeSet<&String> = settings
        .iter()
        .filter_map(|setting| setting.controller.as_ref())
        .collect();
    if needed.is_empty() {
        return Ok(());
    }
    let enabled = words(&parent.read("cgroup.subtree_control")?);
    let missing: Vec<&&String> = needed.iter().filter(|it| !enabled.contains(**it)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let present = words(&parent.read("cgroup.controllers")?);
    if let Some(lacking) = missing.iter().find(|it| !present.contains(**it)) {
        let setting = settings
            .iter()
            .find(|it| it.controller.as_ref() == Some(**lacking));
        return Err(unavailable(
            parent,
            setting.expect("a setting needs it"),
            &present,
        ));
    }
    let list: Vec<String> = missing.iter().map(|it| format!("+{it}")).collect();
    parent.write("cgroup.subtree_control", &list.join(" "))
}

fn unavailable(directory: &Directory, setting: &Setting, present: &[String]) -> CgroupError {
    let nothing = || "nothing".to_owned();
    CgroupError::Unavailable {
        limit: setting.limit.clone(),
        value: setting
            .writes
            .last()
            .map_or_else(String::new, |write| write.value.clone()),
        controller: setting.controller.clone().unwrap_or_default(),
        looked: directory.path.join("cgroup.controllers"),
        present: if present.is_empty() {
            nothing()
        } else {
            present.join(" ")
        },
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
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
        let is_absent = source.kind() == std_io::ErrorKind::NotFound;
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
    pub fn events(&self) -> Result<std::os::fd::OwnedFd> {
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
