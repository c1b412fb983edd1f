//! Owns telling what a container changed, from overlayfs's upper directory: whiteouts (0/0
//! character devices) are deletions. Never looks at the merged view.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Mounts;
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

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

pub(super) fn changes(mounts: &Mounts) -> io::Result<Vec<Change>> {
    let upper = rustix::fs::openat(CWD, &mounts.upper, DIRECTORY, Mode::empty())?;
    let lower: Result<Vec<OwnedFd>, Errno> = mounts
        .lower
        .iter()
        .map(|path| rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()))
        .collect();
    let mut found = Vec::new();
    walk(&upper, &lower?, Path::new("/"), 0, &mut found)?;
    found.sort();
    Ok(found)
}

/// `lower` are the directories that lie below `upper` here, top first.
fn walk(
    upper: &OwnedFd,
    lower: &[OwnedFd],
    path: &Path,
    depth: usize,
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
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            found.push(Change {
                path,
                kind: ChangeKind::Deleted,
            });
            continue;
        }
        let what = if below.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        found.push(Change {
            path: path.clone(),
            kind: what,
        });
        if kind == FileType::Directory && depth < DEPTH_MAX {
            let upper = match rustix::fs::openat(upper, name, DIRECTORY, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => return Err(errno.into()),
            };
            walk(&upper, &below.unwrap_or_default(), &path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// What `name` is below: `None` if nothing, else the directories to merge (none for a file).
fn visible(lower: &[OwnedFd], name: &std::ffi::CStr) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut merged: Option<Vec<OwnedFd>> = None;
    for dir in lower {
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if stat.st_rdev == 0 => break,
            FileType::Directory => {
                let fd = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
                let opaque = is_opaque(fd.as_fd());
                merged.get_or_insert_default().push(fd);
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
