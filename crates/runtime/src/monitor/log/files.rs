//! Owns finding one's way among the files of a log while they are being rotated.
//! Never: their content.
//!
//! A file is known by its inode, never by its number, which grows under the reader's hands. A
//! rotation renames the oldest first, so of two neighbours the older one moves first, and a
//! neighbour was the right one if the file's own number was the same before and after opening it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::{FILES_MAX, numbered, open_directory};

/// How often a rotation may get in the way of one step.
const TRIES: usize = 16;

/// The files of one log.
#[derive(Debug)]
pub(super) struct Files {
    directory: OwnedFd,
    name: OsString,
}

/// One of them, open for reading.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) inode: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Older,
    Newer,
}

impl Files {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name();
        let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let directory = open_directory(path.parent().unwrap_or(Path::new(".")))?;
        Ok(Self {
            directory,
            name: name.to_owned(),
        })
    }

    pub(super) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// The file that is written to. `None`: there is none, or none yet.
    pub(super) fn newest(&self) -> io::Result<Option<Found>> {
        self.open(0)
    }

    pub(super) fn oldest(&self) -> io::Result<Option<Found>> {
        for _ in 0..TRIES {
            let Some(last) = self.numbers()?.pop() else {
                return Ok(None);
            };
            if let Some(found) = self.open(last)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether the file of this inode is the one written to.
    pub(super) fn is_newest(&self, inode: u64) -> bool {
        self.inode(0) == Some(inode)
    }

    /// The neighbour of a file. A file that is no longer there has all others after it.
    pub(super) fn next(&self, inode: u64, direction: Direction) -> io::Result<Option<Found>> {
        for _ in 0..TRIES {
            let numbers = self.numbers()?;
            let own = numbers
                .iter()
                .position(|number| self.inode(*number) == Some(inode));
            let neighbour = match (own, direction) {
                (Some(0), Direction::Newer) => None,
                (Some(at), Direction::Newer) => numbers.get(at - 1),
                (Some(at), Direction::Older) => numbers.get(at + 1),
                (None, Direction::Newer) => numbers.last(),
                (None, Direction::Older) => None,
            };
            let Some(neighbour) = neighbour else {
                return Ok(None);
            };
            let found = self.open(*neighbour)?;
            let unmoved = match own {
                Some(at) => self.inode(numbers[at]) == Some(inode),
                None => true,
            };
            if let (Some(found), true) = (found, unmoved) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Numbers in use, ascending: the newest (0) first.
    fn numbers(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            numbers.extend(number_of(&self.name, name));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn inode(&self, number: u32) -> Option<u64> {
        let name = numbered(&self.name, number);
        let stat = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(stat.st_ino)
    }

    fn open(&self, number: u32) -> io::Result<Option<Found>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let name = numbered(&self.name, number);
        let file = match openat(&self.directory, &name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if FileType::from_raw_mode(metadata.mode()) != FileType::RegularFile {
            let name = name.into_vec();
            let text = format!("{} is no file", String::from_utf8_lossy(&name));
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Some(Found {
            file,
            inode: metadata.ino(),
        }))
    }
}

/// The number of the log's file of this name: 0 for the log's own name, N for `name.N`.
fn number_of(log: &OsStr, name: &OsStr) -> Option<u32> {
    match name.as_bytes().strip_prefix(log.as_bytes())? {
        [] => Some(0),
        [b'.', digits @ ..] => {
            let number: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            let canonical = number.to_string().as_bytes() == digits;
            (canonical && (1..=FILES_MAX).contains(&number)).then_some(number)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_logs_own_files_count() {
        let log = OsStr::new("log");
        for (name, number) in [
            ("log", Some(0)),
            ("log.1", Some(1)),
            ("log.12", Some(12)),
            ("log.0", None),
            ("log.01", None),
            ("log.+1", None),
            ("log.tmp", None),
            ("logs", None),
            ("log.99999", None),
            ("exit.json", None),
        ] {
            assert_eq!(number_of(log, OsStr::new(name)), number, "{name}");
        }
    }
}
