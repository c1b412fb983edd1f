//! Owns the measuring of directory trees by descriptor: no name in them is resolved through a
//! link, however the tree changes meanwhile.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode};
use rustix::io::Errno;
use weft_stdx::tree::DIRECTORY;

/// Deepest tree that is walked; each level holds one descriptor.
pub(crate) const DEPTH_MAX: usize = 512;

/// Bytes that a file, or the files of a tree, take on disk. Of a file with several names each counts a part.
pub(crate) fn disk_usage(path: &Path) -> io::Result<u64> {
    match rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()) {
        Ok(fd) => usage_below(&fd, 0),
        Err(Errno::NOENT) => Ok(0),
        Err(Errno::NOTDIR) => Ok(std::fs::symlink_metadata(path)?.blocks() * 512),
        Err(errno) => Err(errno.into()),
    }
}

/// What one of `names` (whose type is the machine's affair) has of a file.
fn part(bytes: u64, names: impl Into<u64>) -> u64 {
    bytes / names.into().max(1)
}

fn usage_below(fd: &OwnedFd, depth: usize) -> io::Result<u64> {
    let mut total = 0;
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        // What names elsewhere keep is not freed with these.
        total += if is_directory {
            bytes
        } else {
            part(bytes, stat.st_nlink)
        };
        if is_directory && depth < DEPTH_MAX {
            match rustix::fs::openat(fd, name, DIRECTORY, Mode::empty()) {
                Ok(below) => total += usage_below(&below, depth + 1)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(total)
}
