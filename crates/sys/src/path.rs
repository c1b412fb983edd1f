//! Paths inside a tree somebody else controls.
//!
//! [`Root`] resolves every path with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`: links,
//! also absolute ones and `..`, stay inside, and what comes back is a descriptor, never a name to
//! be looked up again. This is the one place where untrusted paths are opened.
//! Never: paths of the host (they need no protection from themselves).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a resolution is tried again that the kernel gave up because the tree changed
/// under it. Each try is a system call; whoever renames that fast does not get a container.
const ATTEMPTS: usize = 128;

/// A directory that paths are resolved in, as if it were `/`.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Takes the directory that `fd` is open on as the root.
    pub fn new(fd: OwnedFd) -> Root {
        Root(fd)
    }

    /// Opens `directory`, a path of the host's that is trusted, as a root.
    pub fn open_at(directory: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root(rustix::fs::open(directory, flags, Mode::empty())?))
    }

    /// Opens `path` with `flags` (close-on-exec is added), following links inside the root.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.open_mode(path, flags, Mode::empty(), ResolveFlags::empty())
    }

    /// Opens `path` as a mere handle (`O_PATH`), following links inside the root.
    pub fn handle(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// Opens `path` as a handle, refusing with `ELOOP` if any part of it is a link.
    pub fn handle_without_links(&self, path: &Path) -> io::Result<OwnedFd> {
        // With O_NOFOLLOW the last part could be one, and the handle would be the link's.
        let links = ResolveFlags::NO_SYMLINKS;
        self.open_mode(path, OFlags::PATH, Mode::empty(), links)
    }

    /// Opens the directory `path` as a handle, making what is missing of it with `mode`.
    pub fn make_directory(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        match self.open(path, directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut walked = PathBuf::from(".");
        let mut parent = self.open(&walked, directory)?;
        for name in names(path)? {
            walked.push(name);
            parent = match self.open(&walked, directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                    self.open(&walked, directory)?
                }
                other => other?,
            };
        }
        Ok(parent)
    }

    /// Opens `path` as a handle; if it is missing, makes it an empty file with `mode`, and the
    /// directories above it with 0755.
    pub fn make_file(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        match self.handle(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (parent, name) = self.parent(path, 0o755)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(mode)) {
            Ok(_) | Err(Errno::EXIST) => self.handle(path),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The directory above `path` (made with `mode` where missing) and the last name of `path`,
    /// for calls that make one name and do not follow links.
    pub fn parent(&self, path: &Path, mode: u32) -> io::Result<(OwnedFd, PathBuf)> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((self.make_directory(above, mode)?, PathBuf::from(name)))
    }

    fn open_mode(
        &self,
        path: &Path,
        flags: OFlags,
        mode: Mode,
        resolve: ResolveFlags,
    ) -> io::Result<OwnedFd> {
        let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        for _ in 0..ATTEMPTS {
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(fd) => return Ok(fd),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The names of an absolute or relative path; `..` is refused, since what it means depends on
/// links that may be planted.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    path.components()
        .filter_map(|component| match component {
            Component::RootDir | Component::CurDir => None,
            Component::Normal(name) => Some(Ok(name)),
            Component::ParentDir | Component::Prefix(_) => {
                Some(Err(io::ErrorKind::InvalidInput.into()))
            }
        })
        .collect()
}

/// Opens `path` beneath `directory` with `flags`: no links at all, no other mounts.
///
/// For trees whose every entry is known, as a procfs instance of one's own.
pub fn open_strictly(directory: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(
        directory,
        path,
        flags,
        Mode::empty(),
        resolve,
    )?)
}

/// What kind of thing a handle is open on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `S_IFMT` bits and permissions.
    pub mode: u32,
    /// Device number of the filesystem.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Device number of a device node.
    pub node: u64,
}

impl Facts {
    /// Asks for the facts of `file`.
    pub fn of(file: impl AsFd) -> io::Result<Facts> {
        let found = rustix::fs::statat(file, c"", AtFlags::EMPTY_PATH)?;
        Ok(Facts {
            mode: found.st_mode,
            device: found.st_dev,
            inode: found.st_ino,
            node: found.st_rdev,
        })
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    /// Whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }
}
