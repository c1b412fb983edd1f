//! The tree as a whole: making cgroups in it, finding and removing them.
//!
//! Owns: enabling controllers on the way down, and undoing what a failed creation made.
//! Never: what a limit means (`limits`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use oci_spec::runtime::LinuxResources;

use super::directory::Directory;
use super::limits::{self, Setting};
use super::{Cgroup, CgroupError, Result, events, mount, path, removal};

/// The cgroup v2 tree of this machine.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    root: Arc<Directory>,
}

impl Hierarchy {
    /// Finds the tree through `/proc/self/mountinfo`; looked for once in a process, and found by
    /// what is forked from it.
    pub fn find() -> Result<Hierarchy> {
        static FOUND: OnceLock<Hierarchy> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found.clone());
        }
        let root = Arc::new(mount::find()?);
        Ok(FOUND.get_or_init(|| Hierarchy { root }).clone())
    }

    /// The controllers the tree has.
    pub fn controllers(&self) -> Result<Vec<String>> {
        Ok(words(&self.root.read("cgroup.controllers")?))
    }

    /// Where the tree is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.root.path
    }

    /// Makes the cgroup `path` (below the mount) with these limits, but no device rules
    /// ([`crate::devices::Filter::attach`]), and its parents as needed; only the controllers that the limits need are enabled on the way.
    ///
    /// An empty cgroup that is there already is made anew, one with processes is an error. When
    /// it fails, nothing that it made is left.
    pub fn create(&self, path: &str, resources: &LinuxResources) -> Result<Cgroup> {
        let components = path::components(path)?;
        let settings: Vec<Setting> = limits::plan(resources)?
            .into_iter()
            .filter(|setting| !setting.is_default)
            .collect();
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
pub(super) fn require(root: &Directory, settings: &[Setting]) -> Result<()> {
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
pub(super) fn enable(parent: &Directory, settings: &[Setting]) -> Result<()> {
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
    parent
        .write("cgroup.subtree_control", &list.join(" "))
        .map_err(|error| {
            if !removal::is_busy(&error) {
                return error;
            }
            let names: Vec<&str> = missing.iter().map(|it| it.as_str()).collect();
            CgroupError::Occupied {
                path: parent.path.clone(),
                controllers: names.join(", "),
            }
        })
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

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
