//! What a directory tree takes on disk, by descriptor: no name in it is resolved through a link or
//! into a mount, however the tree changes meanwhile.
//!
//! Whoever writes to the tree may be hostile. One directory is open at a time, and some of those
//! above it; of the others a place is kept that is found again, so that neither depth nor number
//! costs memory that counts.
//!
//! ```text
//!   top ─► a ─► b ─► …        down: where a directory was left is kept (who it is, how far it was read)
//!        ◄─   ◄─               up: `..`, if that is who was left; else the nearest that is held
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, Stat};
use rustix::io::Errno;

use crate::tree::{DIRECTORY, open_below};

/// Directories at the top that are held open. What is moved about below them may be missed.
const HELD_MAX: usize = 64;

/// A directory that was left for one in it.
struct Left {
    device: u64,
    inode: u64,
    /// Behind the entry that was gone into.
    offset: i64,
    held: Option<OwnedFd>,
}

/// Bytes that a file, or the files of a tree, take on disk; none if it is not there. Of a file with
/// several names each counts a part.
///
/// # Errors
/// Something of it can't be read.
pub fn used(path: &Path) -> io::Result<u64> {
    match rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()) {
        Ok(top) => used_below(top),
        Err(Errno::NOENT) => Ok(0),
        Err(Errno::NOTDIR) => Ok(std::fs::symlink_metadata(path)?.blocks() * 512),
        Err(errno) => Err(errno.into()),
    }
}

fn used_below(top: OwnedFd) -> io::Result<u64> {
    let mut total = 0;
    let mut above: Vec<Left> = Vec::new();
    let (mut at, mut offset) = (top, 0);
    loop {
        if let Some((below, behind)) = read(&at, offset, &mut total)? {
            let stat = rustix::fs::fstat(&at)?;
            let (device, inode) = who(&stat);
            above.push(Left {
                device,
                inode,
                offset: behind,
                held: (above.len() < HELD_MAX).then_some(at),
            });
            (at, offset) = (below, 0);
            continue;
        }
        match up(&at, &mut above)? {
            Some(next) => (at, offset) = next,
            None => return Ok(total),
        }
    }
}

/// Counts what is in a directory, from `offset` on, up to the first directory; that one, and where it
/// was read to.
fn read(at: &OwnedFd, offset: i64, total: &mut u64) -> io::Result<Option<(OwnedFd, i64)>> {
    let mut stream = Dir::read_from(at)?;
    if offset != 0 {
        stream.seek(offset)?;
    }
    while let Some(entry) = stream.read() {
        let entry = match entry {
            Err(Errno::NOENT) => break,
            entry => entry?,
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            *total += part(bytes(&stat), stat.st_nlink);
            continue;
        }
        match open_below(at.as_fd(), name) {
            Ok(below) => {
                *total += bytes(&stat);
                return Ok(Some((below, entry.offset())));
            }
            // Gone, something else by now, or a mount.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// The directory that was left for `at`, or, if that was moved meanwhile, the nearest that is held.
fn up(at: &OwnedFd, above: &mut Vec<Left>) -> io::Result<Option<(OwnedFd, i64)>> {
    let mut is_near = true;
    while let Some(left) = above.pop() {
        if let Some(held) = left.held {
            return Ok(Some((held, left.offset)));
        }
        if !is_near {
            continue;
        }
        is_near = false;
        let Ok(parent) = rustix::fs::openat(at, "..", DIRECTORY, Mode::empty()) else {
            continue;
        };
        if who(&rustix::fs::fstat(&parent)?) == (left.device, left.inode) {
            return Ok(Some((parent, left.offset)));
        }
    }
    Ok(None)
}

fn who(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn bytes(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

/// What one of `names` (whose type is the machine's affair) has of a file.
fn part(bytes: u64, names: impl Into<u64>) -> u64 {
    bytes / names.into().max(1)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    /// More than a directory is itself.
    const MUCH: usize = 1 << 20;

    fn about(path: &Path) -> u64 {
        used(path).unwrap() / MUCH as u64
    }

    #[test]
    fn what_takes_room_is_counted_once_and_nothing_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        assert_eq!(used(&tree).unwrap(), 0);
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("much"), vec![1; 4 * MUCH]).unwrap();
        fs::write(tree.join("one"), vec![1; 2 * MUCH]).unwrap();
        fs::hard_link(tree.join("one"), tree.join("a/again")).unwrap();
        let odd = OsStr::from_bytes(b"a/b/\xff\xfe");
        fs::write(tree.join(odd), vec![1; MUCH]).unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();
        fs::File::create(tree.join("hole"))
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        assert_eq!(about(&tree), 3);
        assert_eq!(about(&tree.join("one")), 2);
    }

    #[test]
    fn no_tree_is_too_deep_or_too_wide() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("deep");
        fs::create_dir(&top).unwrap();
        let mut at = rustix::fs::open(&top, DIRECTORY, Mode::empty()).unwrap();
        for level in 0..2_000 {
            // Some beside, so that a directory is left in its midst.
            for name in ["a", "z"] {
                rustix::fs::mkdirat(&at, name, Mode::RWXU).unwrap();
            }
            if level % 500 == 0 {
                let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
                let file = rustix::fs::openat(&at, "file", flags, Mode::RWXU).unwrap();
                io::Write::write_all(&mut fs::File::from(file), &vec![1; MUCH]).unwrap();
            }
            at = rustix::fs::openat(&at, "a", DIRECTORY, Mode::empty()).unwrap();
        }
        let directories = used(&top).unwrap() - 4 * MUCH as u64;
        assert!(directories < 4001 * 8192, "{directories}");
        crate::tree::remove(&top).unwrap();
    }

    #[test]
    fn what_moves_meanwhile_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("top/a/b")).unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let open = |path: &str| {
            let path = dir.path().join(path);
            rustix::fs::open(path, DIRECTORY, Mode::empty()).unwrap()
        };
        let (top, a, b) = (open("top"), open("top/a"), open("top/a/b"));
        let left = |fd: &OwnedFd, held: Option<OwnedFd>| {
            let (device, inode) = who(&rustix::fs::fstat(fd).unwrap());
            Left {
                device,
                inode,
                offset: 7,
                held,
            }
        };
        let mut above = vec![left(&top, Some(open("top"))), left(&a, None)];
        fs::rename(dir.path().join("top/a/b"), dir.path().join("elsewhere/b")).unwrap();
        let (next, offset) = up(&b, &mut above).unwrap().unwrap();
        let is = who(&rustix::fs::fstat(&next).unwrap());
        assert_eq!((is, offset), (who(&rustix::fs::fstat(&top).unwrap()), 7));
        assert!(above.is_empty());
    }
}
