//! Owns telling what a container changed, from overlayfs's upper directory: whiteouts are
//! deletions. Never looks at the merged view.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, Stat};
use rustix::io::Errno;
use weft_stdx::tree::DIRECTORY;
use weft_sys::path::Root;

use super::Mounts;
use crate::overlay::{is_whiteout, visible, without_links};
use crate::store::tree::DEPTH_MAX;

/// One path that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute, as the container sees it.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// In the image too, but different.
    Modified,
    /// Not in the image.
    Added,
    /// In the image only.
    Deleted,
}

/// Paths that something is mounted on, in a container: whoever runs it makes what is missing.
struct Ours {
    targets: HashSet<PathBuf>,
    above: HashSet<PathBuf>,
}

/// What differs from the image, without what was only made to mount something on: `targets`.
pub(super) fn changes(mounts: &Mounts, targets: &[PathBuf]) -> io::Result<Vec<Change>> {
    let upper = rustix::fs::openat(CWD, &mounts.upper, DIRECTORY, Mode::empty())?;
    let lower: Result<Vec<OwnedFd>, Errno> = mounts
        .lower
        .iter()
        .map(|path| rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()))
        .collect();
    let ours = Ours::new(mounts, targets)?;
    let mut found = Vec::new();
    walk(&upper, &lower?, Path::new("/"), 0, &ours, &mut found)?;
    found.sort();
    Ok(found)
}

impl Ours {
    fn new(mounts: &Mounts, targets: &[PathBuf]) -> io::Result<Self> {
        let layers = [&mounts.upper].into_iter().chain(&mounts.lower);
        let layers: Vec<Root> = layers
            .map(|layer| Root::open_at(layer))
            .collect::<io::Result<_>>()?;
        let targets: HashSet<PathBuf> = targets
            .iter()
            .map(|target| without_links(&layers, target))
            .collect();
        let above = targets.iter().flat_map(|target| target.ancestors().skip(1));
        Ok(Self {
            above: above.map(Path::to_owned).collect(),
            targets,
        })
    }

    /// Whether a directory with nothing changed in it is no change.
    fn covers_directory(&self, path: &Path, stat: &Stat, below: Option<&Vec<OwnedFd>>) -> bool {
        if !self.targets.contains(path) && !self.above.contains(path) {
            return false;
        }
        let Some(below) = below else {
            return true;
        };
        let same = |other: Stat| {
            let of = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid);
            of(&other) == of(stat)
        };
        let first = below.first().map(rustix::fs::fstat);
        self.above.contains(path) && first.is_some_and(|other| other.is_ok_and(same))
    }

    fn covers_file(&self, path: &Path, stat: &Stat, below: Option<&Vec<OwnedFd>>) -> bool {
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        is_file && stat.st_size == 0 && below.is_none() && self.targets.contains(path)
    }
}

/// `lower` are the directories that lie below `upper` here, top first.
fn walk(
    upper: &OwnedFd,
    lower: &[OwnedFd],
    path: &Path,
    depth: usize,
    ours: &Ours,
    found: &mut Vec<Change>,
) -> io::Result<()> {
    for entry in Dir::read_from(upper)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match rustix::fs::statat(upper, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let path = path.join(OsStr::from_bytes(name.to_bytes()));
        let below = visible(lower, name)?;
        let below: Option<Vec<OwnedFd>> =
            below.map(|dirs| dirs.into_iter().map(|(_, fd)| fd).collect());
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let kind = match &below {
            _ if is_whiteout(&stat) => ChangeKind::Deleted,
            Some(_) => ChangeKind::Modified,
            None => ChangeKind::Added,
        };
        if ours.covers_file(&path, &stat, below.as_ref()) {
            continue;
        }
        let change = Change {
            path: path.clone(),
            kind,
        };
        found.push(change);
        if !is_directory || depth >= DEPTH_MAX {
            continue;
        }
        let upper = match rustix::fs::openat(upper, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let before = found.len();
        let under = below.as_deref().unwrap_or_default();
        walk(&upper, under, &path, depth + 1, ours, found)?;
        if found.len() == before && ours.covers_directory(&path, &stat, below.as_ref()) {
            found.pop();
        }
    }
    Ok(())
}
