//! Owns the directories of a layer while it is unpacked: descriptors of those in use, and the
//! times and modes that are set when nothing is put into them any more.
//! Never opens anything but beneath the root.

use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use weft_sys::path::Root;

use super::path::c_string;
use super::place::{is_whiteout, set_opaque};
use super::{UnpackError, shown};

/// Most descriptors held at once.
const CACHED_MAX: usize = 128;

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

pub(super) struct Directories {
    root: Root,
    top: Rc<OwnedFd>,
    cached: HashMap<Vec<u8>, Rc<OwnedFd>>,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    pending: HashMap<Vec<u8>, Pending>,
    max: usize,
}

/// What a directory gets at the end.
struct Pending {
    inode: u64,
    mode: u32,
    mtime: (i64, u32),
}

impl Directories {
    pub fn new(root: &Path, max: usize) -> Result<Self, UnpackError> {
        let open = || -> std::io::Result<(Root, OwnedFd)> {
            let root = Root::open_at(root)?;
            let top = root.open(Path::new("."), DIRECTORY)?;
            Ok((root, top))
        };
        let (root, top) = open().map_err(failed("open the root", b"/"))?;
        let (cached, pending) = (HashMap::new(), HashMap::new());
        Ok(Self {
            root,
            top: Rc::new(top),
            cached,
            last: None,
            pending,
            max,
        })
    }

    /// The directory `path` (clean), following links inside the root. What is missing of it is
    /// made with mode 0755 if `make` says so.
    pub fn open(&mut self, path: &[u8], make: bool) -> Result<Rc<OwnedFd>, UnpackError> {
        if path.is_empty() {
            return Ok(self.top.clone());
        }
        if let Some((last, fd)) = &self.last
            && last == path
        {
            return Ok(fd.clone());
        }
        if let Some(fd) = self.cached.get(path) {
            let fd = fd.clone();
            self.last = Some((path.to_vec(), fd.clone()));
            return Ok(fd);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match self.root.open(Path::new(OsStr::from_bytes(path)), flags) {
            Ok(fd) => Rc::new(fd),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR) if make => self.make(path)?,
                _ => return Err(failed("open directory", path)(error)),
            },
        };
        self.remember(path, fd.clone());
        Ok(fd)
    }

    pub fn remember(&mut self, path: &[u8], fd: Rc<OwnedFd>) {
        if self.cached.len() >= CACHED_MAX {
            self.cached.clear();
        }
        self.cached.insert(path.to_vec(), fd.clone());
        self.last = Some((path.to_vec(), fd));
    }

    /// Something that may have been a directory, or a way to one, is gone.
    pub fn forget(&mut self) {
        self.cached.clear();
        self.last = None;
    }

    fn make(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>, UnpackError> {
        let cut = path.iter().rposition(|byte| *byte == b'/');
        let parent = self.open(&path[..cut.unwrap_or(0)], true)?;
        let name = c_string(&path[cut.map_or(0, |at| at + 1)..]);
        let mode = Mode::from_raw_mode(0o755);
        let made = match rustix::fs::mkdirat(&parent, &*name, mode) {
            Err(Errno::EXIST) if is_whiteout(parent.as_fd(), &name) => {
                unlink(parent.as_fd(), &name).map_err(|e| failed("replace", path)(e.into()))?;
                rustix::fs::mkdirat(&parent, &*name, mode).map(|()| true)
            }
            other => other.map(|()| false),
        };
        let opaque = made.map_err(|e| failed("create directory", path)(e.into()))?;
        let fd = rustix::fs::openat(&parent, &*name, DIRECTORY, Mode::empty())
            .map_err(|e| failed("open directory", path)(e.into()))?;
        // The umask may have taken bits.
        rustix::fs::fchmod(&fd, mode).map_err(|e| failed("chmod", path)(e.into()))?;
        if opaque {
            set_opaque(fd.as_fd()).map_err(|e| failed("make opaque", path)(e.into()))?;
        }
        Ok(Rc::new(fd))
    }

    /// Notes what `path`, open as `fd`, gets at the end.
    pub fn finish_later(
        &mut self,
        path: &[u8],
        fd: BorrowedFd<'_>,
        mode: u32,
        mtime: (i64, u32),
    ) -> Result<(), UnpackError> {
        if self.pending.len() >= self.max {
            return Err(UnpackError::Limit("directories", self.max as u64));
        }
        let inode = rustix::fs::fstat(fd)
            .map_err(|e| failed("look at", path)(e.into()))?
            .st_ino;
        self.pending
            .insert(path.to_vec(), Pending { inode, mode, mtime });
        Ok(())
    }

    /// Sets modes and times. A directory that has been replaced since is passed over.
    pub fn finish(&mut self) -> Result<(), UnpackError> {
        self.forget();
        for (path, pending) in std::mem::take(&mut self.pending) {
            let fd = if path.is_empty() {
                self.top.clone()
            } else {
                match self
                    .root
                    .open(Path::new(OsStr::from_bytes(&path)), DIRECTORY)
                {
                    Ok(fd) => Rc::new(fd),
                    Err(_) => continue,
                }
            };
            let settle = || -> Result<(), Errno> {
                if rustix::fs::fstat(&*fd)?.st_ino != pending.inode {
                    return Ok(());
                }
                rustix::fs::fchmod(&*fd, Mode::from_raw_mode(pending.mode))?;
                rustix::fs::futimens(&*fd, &times(pending.mtime))
            };
            settle().map_err(|e| failed("finish directory", &path)(e.into()))?;
        }
        Ok(())
    }
}

pub(super) fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(nanos),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

pub(super) fn unlink(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
}

pub(super) fn failed(
    doing: &'static str,
    path: &[u8],
) -> impl FnOnce(std::io::Error) -> UnpackError {
    let path = shown(path);
    move |source| UnpackError::Io {
        doing,
        path,
        source,
    }
}
