//! A directory of the cgroup file system, held open.
//!
//! Owns: reaching files and directories beneath it, on the same mount, through no link.
//! Never: what they mean.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::CgroupError;

/// Longest file read; the longest there are list processes or devices.
const MAX_FILE: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Directory {
    pub fd: OwnedFd,
    /// For messages only.
    pub path: PathBuf,
}

type Result<T> = std::result::Result<T, CgroupError>;

impl Directory {
    /// The root of a cgroup v2 mount; its file system type is checked.
    pub fn open_root(point: &Path) -> Result<Directory> {
        let failed = |action: &str, source| file_error(action, point, source);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(point, flags, Mode::empty())
            .map_err(|error| failed("open", error.into()))?;
        let kind = rustix::fs::fstatfs(&fd).map_err(|error| failed("examine", error.into()))?;
        /// `CGROUP2_SUPER_MAGIC` (linux/magic.h).
        const CGROUP2: rustix::fs::FsWord = 0x6367_7270;
        if kind.f_type != CGROUP2 {
            let action = "verify that it is a cgroup v2 mount:";
            return Err(failed(action, io::ErrorKind::Unsupported.into()));
        }
        Ok(Directory {
            fd,
            path: point.to_owned(),
        })
    }

    /// A directory beneath it.
    pub fn open(&self, path: &str) -> Result<Directory> {
        let fd = self
            .beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|error| self.error("open", path, error))?;
        Ok(Directory {
            fd,
            path: self.path.join(path),
        })
    }

    /// Makes a directory beneath it; says whether it was not there before.
    pub fn make(&self, path: &str) -> Result<bool> {
        let (parent, name) = self.parent(path)?;
        let fd = parent.as_ref().map_or(&self.fd, |parent| &parent.fd);
        // Containers read their own limits, as users the host does not know; the umask that
        // protects files of ours must not keep them out. What may be written is the files' own.
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdirat(fd, name, mode) {
            Ok(()) => match rustix::fs::chmodat(fd, name, mode, AtFlags::empty()) {
                Ok(()) => Ok(true),
                Err(error) => Err(self.error("open to readers", path, error)),
            },
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(self.error("make", path, error)),
        }
    }

    /// Removes a directory beneath it; one that is not there is removed already.
    pub fn remove(&self, path: &str) -> Result<()> {
        let (parent, name) = match self.parent(path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let fd = parent.as_ref().map_or(&self.fd, |parent| &parent.fd);
        match rustix::fs::unlinkat(fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
            Err(error) => Err(self.error("remove", path, error)),
        }
    }

    fn parent<'a>(&self, path: &'a str) -> Result<(Option<Directory>, &'a str)> {
        match path.rsplit_once('/') {
            None => Ok((None, path)),
            Some((parent, name)) => Ok((Some(self.open(parent)?), name)),
        }
    }

    /// The names of the directories in it, at most `limit`.
    pub fn children(&self, limit: usize) -> Result<Vec<String>> {
        let failed = |error: Errno| self.error("list", "", error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_directory = entry.file_type() == rustix::fs::FileType::Directory;
            let name: &CStr = entry.file_name();
            match name.to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) if is_directory => names.push(name.to_owned()),
                Ok(_) => {}
            }
            if names.len() == limit {
                break;
            }
        }
        Ok(names)
    }

    /// A file in it, for reading.
    pub fn open_file(&self, name: &str) -> Result<OwnedFd> {
        self.beneath(name, OFlags::RDONLY)
            .map_err(|error| self.error("open", name, error))
    }

    /// All of a file in it.
    pub fn read(&self, name: &str) -> Result<String> {
        self.try_read(name)
            .map_err(|error| self.io_error("read", name, error))
    }

    /// All of a file in it; `None` when there is no such file, or the cgroup has gone.
    pub fn read_optional(&self, name: &str) -> Result<Option<String>> {
        match self.try_read(name) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // EOPNOTSUPP: in this state of the cgroup the file has nothing to say.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
            Err(error) => Err(self.io_error("read", name, error)),
        }
    }

    fn try_read(&self, name: &str) -> io::Result<String> {
        use std::io::Read as _;
        let file = std::fs::File::from(self.beneath(name, OFlags::RDONLY)?);
        let mut text = String::new();
        file.take(MAX_FILE as u64).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes a value to a file in it.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        self.try_write(name, value)
            .map_err(|error| self.io_error(&format!("write {value:?} to"), name, error))
    }

    /// As [`Directory::write`], with the bare error.
    pub fn try_write(&self, name: &str, value: &str) -> io::Result<()> {
        let fd = self.beneath(name, OFlags::WRONLY)?;
        // One write: the kernel takes each as a command of its own.
        let written = rustix::io::write(&fd, value.as_bytes())?;
        if written == value.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    fn beneath(&self, path: &str, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve)
    }

    fn error(&self, action: &str, path: &str, error: Errno) -> CgroupError {
        self.io_error(action, path, error.into())
    }

    fn io_error(&self, action: &str, path: &str, source: io::Error) -> CgroupError {
        let path = if path.is_empty() {
            self.path.clone()
        } else {
            self.path.join(path)
        };
        file_error(action, &path, source)
    }
}

fn file_error(action: &str, path: &Path, source: io::Error) -> CgroupError {
    CgroupError::File {
        action: action.to_owned(),
        path: path.to_owned(),
        source,
    }
}

/// Whether the error says that the file or directory is not there.
pub(super) fn is_absent(error: &CgroupError) -> bool {
    let CgroupError::File { source, .. } = error else {
        return false;
    };
    source.kind() == io::ErrorKind::NotFound
        || source.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}
