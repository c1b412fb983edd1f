//! Owns telling what a container changed, from overlayfs's upper directory: whiteouts (0/0
//! character devices) are deletions. Never looks at the merged view.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use weft_sys::path::Root;

use super::Mounts;
use crate::store::tree::DEPTH_MAX;

/// Links followed before a path counts as a loop, as the kernel has it.
const LINKS_MAX: usize = 40;

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

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

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

/// `path` as it is once the links in it are followed, in what the `layers` (top first) show.
fn without_links(layers: &[Root], path: &Path) -> PathBuf {
    let parts = |path: &Path| -> Vec<OsString> {
        let parts = path.components().rev();
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut left = parts(path);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.as_bytes() {
            b"/" => done = PathBuf::from("/"),
            b"." => {}
            b".." => drop(done.pop()),
            _ => {
                let link = link_at(layers, &done.join(&part));
                match link.filter(|_| links < LINKS_MAX) {
                    Some(link) => {
                        links += 1;
                        left.extend(parts(&link));
                    }
                    None => done.push(part),
                }
            }
        }
    }
    done
}

/// What the link at `path`, in whose directory there are none, says in the topmost layer that has
/// anything there.
fn link_at(layers: &[Root], path: &Path) -> Option<PathBuf> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let handle = layers
        .iter()
        .find_map(|layer| layer.open(path, flags).ok())?;
    let link = rustix::fs::readlinkat(handle, c"", Vec::new()).ok()?;
    Some(PathBuf::from(OsStr::from_bytes(link.as_bytes())))
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

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// What `name` is in `lower` (top first): `None` if nothing, else the directories to merge, each
/// with the number of the one it is in (none for a file).
pub(super) fn visible(lower: &[OwnedFd], name: &CStr) -> io::Result<Option<Vec<(usize, OwnedFd)>>> {
    let mut merged: Option<Vec<(usize, OwnedFd)>> = None;
    for (at, dir) in lower.iter().enumerate() {
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if is_whiteout(&stat) => break,
            FileType::Directory => {
                let fd = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
                let opaque = is_opaque(fd.as_fd());
                merged.get_or_insert_default().push((at, fd));
                if opaque {
                    break;
                }
            }
            _ => {
                merged.get_or_insert_default();
                break;
            }
        }
    }
    Ok(merged)
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0_u8; 1];
    matches!(
        rustix::fs::fgetxattr(dir, c"trusted.overlay.opaque", &mut value),
        Ok(1)
    ) && value == *b"y"
}
