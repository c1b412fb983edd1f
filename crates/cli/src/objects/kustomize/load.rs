//! Files and directories of kustomizations, and which of them may be read.
//!
//! A file is read only from the directory that names it or from below, wherever links lead: what
//! a kustomization means must not depend on who builds it. Directories may be anywhere.

use std::path::{Path, PathBuf};

use super::id::{Id, Resource};
use super::wire::{Kustomization, NAMES};
use crate::error::CliError;
use crate::objects::manifest::{self, Dialect};

/// Kustomizations that one may be made of.
const LOADS_MAX: usize = 10_000;
/// In one another.
const DEPTH_MAX: usize = 64;

/// Where files may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Restriction {
    /// In the kustomization's directory or below
    #[default]
    #[value(name = "LoadRestrictionsRootOnly")]
    Root,
    /// Anywhere
    #[value(name = "LoadRestrictionsNone")]
    None,
}

/// What is read for one build.
pub struct Loads {
    restriction: Restriction,
    count: usize,
}

/// A directory with a kustomization, and those that asked for it.
pub struct Root {
    dir: PathBuf,
    /// Canonical, outermost first, this one last.
    visited: Vec<PathBuf>,
}

impl Loads {
    /// Nothing read yet.
    pub fn new(restriction: Restriction) -> Loads {
        Loads {
            restriction,
            count: 0,
        }
    }

    /// The directory where it begins.
    pub fn first(&mut self, dir: &Path) -> Result<Root, CliError> {
        self.enter(dir.to_owned(), Vec::new())
    }

    /// The directory that `from` calls `name`.
    pub fn below(&mut self, from: &Root, name: &str) -> Result<Root, CliError> {
        if Path::new(name).is_absolute() {
            return Err(CliError::new(format!(
                "read {name}, as {} asks: directories are named from there",
                from.dir.display()
            ))
            .hint("write its path relative to the kustomization's directory"));
        }
        self.enter(from.dir.join(name), from.visited.clone())
    }

    fn enter(&mut self, dir: PathBuf, mut visited: Vec<PathBuf>) -> Result<Root, CliError> {
        let tried = format!("build {}", dir.display());
        let real = dir
            .canonicalize()
            .map_err(|error| CliError::because(&tried, &error))?;
        if !real.is_dir() {
            return Err(CliError::new(format!("{tried}: it is no directory"))
                .hint("name the directory that its kustomization.yaml is in"));
        }
        if let Some(inner) = visited.iter().find(|one| one.starts_with(&real)) {
            return Err(CliError::new(format!(
                "{tried}: a cycle: {} is asked for by {}",
                real.display(),
                inner.display()
            ))
            .hint("a kustomization cannot have itself, nor a directory around it, as a base"));
        }
        self.count += 1;
        if self.count > LOADS_MAX || visited.len() >= DEPTH_MAX {
            return Err(CliError::new(format!(
                "{tried}: more than {LOADS_MAX} kustomizations, or more than {DEPTH_MAX} in one another"
            )));
        }
        visited.push(real);
        Ok(Root { dir, visited })
    }

    /// The text of the file that `root` calls `name`.
    pub fn text(&self, root: &Root, name: &str) -> Result<String, CliError> {
        let place = root.dir.join(name);
        let bytes = self.bytes(root, name)?;
        String::from_utf8(bytes)
            .map_err(|error| CliError::because(format!("read {}", place.display()), &error))
    }

    /// What is in the file that `root` calls `name`.
    pub fn bytes(&self, root: &Root, name: &str) -> Result<Vec<u8>, CliError> {
        if let Some(refused) = remote(name) {
            return Err(refused);
        }
        let path = root.dir.join(name);
        let tried = format!("read {}", path.display());
        let real = path
            .canonicalize()
            .map_err(|error| CliError::because(&tried, &error))?;
        let own = root.own();
        if self.restriction == Restriction::Root && !real.starts_with(own) {
            return Err(CliError::new(format!(
                "{tried}: {} is not in or below {}",
                real.display(),
                own.display()
            ))
            .hint(
                "copy it there, or make its directory a base with a kustomization.yaml of its own",
            ));
        }
        manifest::whole(&real, &tried)
    }

    /// Whether what `root` calls `name` is a directory.
    pub fn is_dir(&self, root: &Root, name: &str) -> bool {
        root.dir.join(name).is_dir()
    }

    /// The objects in the file that `root` calls `name`.
    pub fn objects(&self, root: &Root, name: &str) -> Result<Vec<Resource>, CliError> {
        let place = root.place(name);
        let text = self.text(root, name)?;
        let mut found = Vec::new();
        manifest::objects(&place, &text, Dialect::Kustomize, &mut found)?;
        let mut resources = Vec::new();
        for one in found {
            let id = Id::of(&one.object);
            if id.name.is_empty() {
                let kind = id.kind;
                return Err(CliError::new(format!("read {place}: a {kind} has no name"))
                    .hint("kustomizations tell objects apart by metadata.name"));
            }
            resources.push(Resource::new(one.object, &place));
        }
        Ok(resources)
    }

    /// The kustomization of `root`, and where it is.
    pub fn kustomization(
        &self,
        root: &Root,
        is_component: bool,
    ) -> Result<(Kustomization, String), CliError> {
        let there = |name: &&&str| root.dir.join(name).is_file();
        let found: Vec<&&str> = NAMES.iter().filter(there).collect();
        let dir = root.dir.display();
        let [name] = &*found else {
            return Err(match found.is_empty() {
                true => CliError::new(format!("build {dir}: it has no kustomization"))
                    .hint(format!("the file is called one of {}", NAMES.join(", "))),
                false => CliError::new(format!("build {dir}: it has more than one kustomization"))
                    .hint("keep one of kustomization.yaml, kustomization.yml and Kustomization"),
            });
        };
        let place = root.place(name);
        let text = self.text(root, name)?;
        let file = Kustomization::parse(&text, &place, is_component)?;
        Ok((file, place))
    }
}

impl Root {
    fn own(&self) -> &Path {
        self.visited.last().unwrap_or(&self.dir)
    }

    /// How `name` in it is called in messages.
    pub fn place(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

/// Says why what is on the web is not read.
pub fn remote(name: &str) -> Option<CliError> {
    let is_git = name.contains("?ref=") || name.starts_with("git@") || name.contains("//");
    let is_remote = name.contains("://") || (is_git && !name.starts_with(['.', '/']));
    is_remote.then(|| {
        CliError::new(format!(
            "read {name}: kustomizations are built from this machine's files alone"
        ))
        .hint("clone or download it, and name the copy")
    })
}
