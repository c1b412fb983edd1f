//! Owns paths in containers as `docker cp` means them: from the root whatever they say, the last
//! part not followed unless it ends in `/` or `/.`.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, OFlags, Stat, StatVfsMountFlags};
use rustix::io::Errno;
use weft_sys::mount;
use weft_sys::path::{is_kernel_filesystem, location};

use super::view::View;
use crate::error::{EngineError, ErrorCode, Result};

/// Longest path the kernel takes.
const PATH_MAX: usize = 4095;

/// What is at a path in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFacts {
    /// Its last part.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// `st_mode`.
    pub mode: u32,
    /// When its content changed last, seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Where a link leads in the end, from the container's root; else empty.
    pub link_target: String,
}

/// A path that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    asked: String,
    container: String,
    /// Absolute, without `.` and `..`.
    clean: PathBuf,
    /// Ends in `/` or `/.`: it has to be a directory, or lead to one.
    directory: bool,
    /// What its entry in an archive is called.
    name: Vec<u8>,
}

impl Wanted {
    pub fn parse(asked: &str, container: &str) -> Result<Self> {
        if asked.is_empty() || asked.len() > PATH_MAX || asked.contains('\0') {
            return Err(EngineError::invalid(
                "a path in a container has 1 to 4095 bytes, none of them NUL",
            ));
        }
        let clean = clean(Path::new(asked));
        let contents = asked == "." || asked.ends_with("/.");
        let name = match clean.file_name() {
            _ if contents => b".".to_vec(),
            Some(name) => name.as_bytes().to_vec(),
            None => b"/".to_vec(),
        };
        Ok(Self {
            directory: contents || asked.ends_with('/'),
            asked: asked.to_owned(),
            container: container.to_owned(),
            clean,
            name,
        })
    }

    pub fn path(&self) -> &Path {
        &self.clean
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What is being done, for errors.
    pub fn what(&self, doing: &str) -> String {
        format!("{doing} {} in container {}", self.asked, self.container)
    }

    pub fn facts(&self, view: &View) -> Result<PathFacts> {
        Ok(self.look(view)?.1)
    }

    /// Opens it to be read.
    pub fn open(&self, view: &View) -> Result<(OwnedFd, PathFacts)> {
        let (handle, facts) = self.look(view)?;
        let kernel = is_kernel_filesystem(&handle);
        if kernel.map_err(|e| EngineError::internal(self.what("look at"), e))? {
            return Err(EngineError::new(
                ErrorCode::Forbidden,
                format!(
                    "{}: it is in a file system of the kernel; use exec to look at it",
                    self.what("copy")
                ),
            ));
        }
        Ok((handle, facts))
    }

    fn look(&self, view: &View) -> Result<(OwnedFd, PathFacts)> {
        let flags = if self.directory {
            OFlags::PATH | OFlags::DIRECTORY
        } else {
            OFlags::PATH | OFlags::NOFOLLOW
        };
        let opened = view.root.open(&self.clean, flags);
        let handle = opened.map_err(|e| self.missing(e, "not a directory"))?;
        let stat = rustix::fs::statat(&handle, c"", AtFlags::EMPTY_PATH)
            .map_err(|e| EngineError::internal(self.what("look at"), e))?;
        let facts = self.facts_of(view, &handle, &stat);
        Ok((handle, facts))
    }

    fn facts_of(&self, view: &View, handle: &OwnedFd, stat: &Stat) -> PathFacts {
        let is_link = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink();
        PathFacts {
            name: String::from_utf8_lossy(&self.name).into_owned(),
            size: stat.st_size,
            mode: stat.st_mode,
            modified: (
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            link_target: if is_link {
                let target = self.target(view, handle).unwrap_or_default();
                target.to_string_lossy().into_owned()
            } else {
                String::new()
            },
        }
    }

    /// Where the link leads; one that leads nowhere, what it says.
    fn target(&self, view: &View, link: &OwnedFd) -> std::io::Result<PathBuf> {
        if let Ok(target) = view.root.handle(&self.clean) {
            return location(target);
        }
        let says = rustix::fs::readlinkat(link, c"", Vec::new())?;
        let says = Path::new(OsStr::from_bytes(says.as_bytes()));
        let directory = self.clean.parent().unwrap_or(Path::new("/"));
        Ok(clean(&directory.join(says)))
    }

    /// Makes sure it is a directory that can be written to.
    pub fn directory(&self, view: &View) -> Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let opened = view.root.open(&self.clean, flags);
        let dir = opened.map_err(|e| self.missing(e, "extraction point is not a directory"))?;
        let failed = |e: std::io::Error| EngineError::internal(self.what("look at"), e);
        let about = rustix::fs::fstatvfs(&dir).map_err(|e| failed(e.into()))?;
        if !about.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Ok(());
        }
        let here = mount::identity(&dir).map_err(failed)?.0;
        let root = mount::identity(&view.root).map_err(failed)?.0;
        let what = if here == root {
            "container rootfs"
        } else {
            "mounted volume"
        };
        Err(EngineError::new(
            ErrorCode::Forbidden,
            format!("{}: {what} is marked read-only", self.what("copy to")),
        ))
    }

    fn missing(&self, error: std::io::Error, not_directory: &str) -> EngineError {
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => EngineError::new(
                ErrorCode::NotFound,
                format!(
                    "Could not find the file {} in container {}",
                    self.asked, self.container
                ),
            ),
            Some(Errno::NOTDIR) => {
                EngineError::invalid(format!("{}: {not_directory}", self.what("look at")))
            }
            _ => EngineError::caused(ErrorCode::Invalid, self.what("look at"), error),
        }
    }
}

/// Absolute; `..` takes a part off and stops at the root, whatever the parts are.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_docker_means() {
        for (asked, clean, directory, name) in [
            ("/a/b", "/a/b", false, "b"),
            ("a/../../b", "/b", false, "b"),
            ("/a/b/", "/a/b", true, "b"),
            ("/a/b/.", "/a/b", true, "."),
            ("/", "/", true, "/"),
            (".", "/", true, "."),
            ("/../..", "/", false, "/"),
        ] {
            let wanted = Wanted::parse(asked, "c").unwrap();
            assert_eq!(wanted.clean, Path::new(clean), "{asked}");
            assert_eq!(wanted.directory, directory, "{asked}");
            assert_eq!(wanted.name, name.as_bytes(), "{asked}");
        }
        assert!(Wanted::parse("", "c").is_err());
        assert!(Wanted::parse("/a\0b", "c").is_err());
        assert!(Wanted::parse(&"x".repeat(5000), "c").is_err());
    }
}
