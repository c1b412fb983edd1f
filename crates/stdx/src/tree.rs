//! Removing a directory tree by descriptor: no name in it is resolved through a link, however the
//! tree changes meanwhile (CVE-2022-21658 class), and no depth of it is too deep.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

/// Levels that are walked by descending; each holds two descriptors. What lies deeper is first
/// moved up to the top, so that whoever nests a million directories is no match.
const DEPTH_MAX: usize = 64;

/// How a directory is opened that must be no link to one.
pub const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Removes the tree at the trusted path `path`; fine if it is not there.
///
/// # Errors
/// Whatever looking at or unlinking an entry answers; the rest may be gone by then.
pub fn remove(path: &Path) -> io::Result<()> {
    let unlink = || rustix::fs::unlinkat(CWD, path, AtFlags::empty());
    let open = || rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty());
    remove_entry(CWD, path, unlink, open, false)
}

/// Removes `name` in `dir`, whatever it is, without following links or entering mounts, which may
/// be in a mount namespace that is not the caller's.
///
/// # Errors
/// As [`remove`].
pub fn remove_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let unlink = || unlink_below(dir, name, true);
    remove_entry(dir, name, unlink, || open_below(dir, name), true)
}

/// Removes `name` in `dir`, which is no directory, unless something is mounted on it.
///
/// # Errors
/// `EBUSY` for what is mounted on, and whatever unlinking answers.
pub fn unlink_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    Ok(unlink_below(dir, name, true)?)
}

/// The kernel spares what is mounted on in the caller's own mount namespace only; in others it
/// takes the mount away with the name.
fn unlink_below(dir: BorrowedFd<'_>, name: &CStr, mounts: bool) -> Result<(), Errno> {
    if mounts {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let found = rustix::fs::statx(dir, name, nofollow, StatxFlags::empty())?;
        if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            return Err(Errno::BUSY);
        }
    }
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
}

/// What is mounted in a tree is not part of it.
pub(crate) fn open_below(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(dir, name, DIRECTORY, Mode::empty(), resolve)
}

fn remove_entry(
    dir: BorrowedFd<'_>,
    name: impl rustix::path::Arg + Copy,
    unlink: impl FnOnce() -> Result<(), Errno>,
    open: impl FnOnce() -> Result<OwnedFd, Errno>,
    mounts: bool,
) -> io::Result<()> {
    let Some(top) = unlink_or(unlink, open)? else {
        return Ok(());
    };
    loop {
        let mut moved = false;
        empty(&top, &top, 1, mounts, &mut moved)?;
        if !moved {
            break;
        }
    }
    rmdir(dir, name)
}

/// Empties `directory`, in which there may be `mounts`; what is too deep goes to `top` instead and
/// `moved` says so.
fn empty(
    directory: &OwnedFd,
    top: &OwnedFd,
    depth: usize,
    mounts: bool,
    moved: &mut bool,
) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let open = || open_below(directory.as_fd(), name);
        let unlink = || unlink_below(directory.as_fd(), name, mounts);
        let Some(below) = unlink_or(unlink, open)? else {
            continue;
        };
        if depth < DEPTH_MAX {
            empty(&below, top, depth + 1, mounts, moved)?;
            rmdir(directory.as_fd(), name)?;
        } else {
            let aside = crate::id::random_hex(16);
            rustix::fs::renameat(directory, name, top, aside)?;
            *moved = true;
        }
    }
    Ok(())
}

/// Unlinks a name, or opens it if it is a directory.
fn unlink_or(
    unlink: impl FnOnce() -> Result<(), Errno>,
    open: impl FnOnce() -> Result<OwnedFd, Errno>,
) -> io::Result<Option<OwnedFd>> {
    match unlink() {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    match open() {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn rmdir(dir: BorrowedFd<'_>, name: impl rustix::path::Arg) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_tree_goes_and_what_its_links_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/b/link")).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        remove(&tree).unwrap();
        remove(&outside.join("kept")).unwrap();
        assert!(!outside.join("kept").exists());
    }

    #[test]
    fn no_depth_is_too_deep() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("deep");
        fs::create_dir(&top).unwrap();
        let mut at = rustix::fs::open(&top, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        remove(&top).unwrap();
        assert!(!top.exists());
    }
}
