//! Owns the directories of a layer while it is unpacked: descriptors of those in use, and the
//! times and modes that are set when nothing is put into them any more.
//! Never opens anything but beneath the root.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use weft_stdx::tree::{DIRECTORY, unlink_at};
use weft_sys::path::{Root, is_kernel_filesystem};

use super::path::c_string;
use super::{NAMES_MAX, UnpackError, shown};
use crate::overlay::{is_whiteout, set_opaque};

/// Most descriptors held at once.
const CACHED_MAX: usize = 128;

pub(super) struct Directories {
    root: Root,
    /// Where in the root names begin, when that is not at its top.
    below: PathBuf,
    /// Files of the kernel's may be mounted in the tree: nothing is put there.
    shared: bool,
    top: Rc<OwnedFd>,
    cached: HashMap<Vec<u8>, Rc<OwnedFd>>,
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    pending: HashMap<Vec<u8>, Pending>,
    /// Those nothing was said of so far.
    implied: HashSet<Vec<u8>>,
    /// Bytes of names in these two.
    names: usize,
    max: usize,
}

/// What a directory gets at the end.
struct Pending {
    inode: u64,
    mode: u32,
    mtime: (i64, u32),
}

impl Directories {
    /// The directories of a tree nobody else has: names begin at its top.
    pub fn new(root: &Path, max: usize) -> Result<Self, UnpackError> {
        let root = Root::open_at(root).map_err(failed("open the root", b"/"))?;
        Self::open_top(root, PathBuf::new(), false, max)
    }

    /// The directories below `below` of a tree somebody else works in meanwhile.
    pub fn shared(root: Root, below: &Path, max: usize) -> Result<Self, UnpackError> {
        Self::open_top(root, below.to_owned(), true, max)
    }

    fn open_top(root: Root, below: PathBuf, shared: bool, max: usize) -> Result<Self, UnpackError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let shown = below.as_os_str().as_bytes();
        let top = root
            .open(&below, flags)
            .map_err(failed("open directory", shown))?;
        check_filesystem(shared, top.as_fd(), shown)?;
        Ok(Self {
            root,
            below,
            shared,
            top: Rc::new(top),
            cached: HashMap::new(),
            last: None,
            pending: HashMap::new(),
            implied: HashSet::from([Vec::new()]),
            names: 0,
            max,
        })
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> std::io::Result<OwnedFd> {
        let path = Path::new(OsStr::from_bytes(path));
        if self.below.as_os_str().is_empty() {
            self.root.open(path, flags)
        } else {
            self.root.open(&self.below.join(path), flags)
        }
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
        let fd = match self.resolve(path, flags) {
            Ok(fd) => {
                check_filesystem(self.shared, fd.as_fd(), path)?;
                Rc::new(fd)
            }
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
            Err(Errno::EXIST) if stands_for_deletion(&parent, &name) => {
                unlink_at(parent.as_fd(), &name).map_err(failed("replace", path))?;
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
        self.note(path)?;
        self.implied.insert(path.to_vec());
        Ok(Rc::new(fd))
    }

    /// Makes sure that what is remembered stays within its bounds.
    fn note(&mut self, path: &[u8]) -> Result<(), UnpackError> {
        if self.pending.len() + self.implied.len() >= self.max {
            return Err(UnpackError::Limit("directories", self.max as u64));
        }
        self.names += path.len() + 1;
        if self.names > NAMES_MAX {
            return Err(UnpackError::Limit(
                "bytes of directory names",
                NAMES_MAX as u64,
            ));
        }
        Ok(())
    }

    /// The directories nothing was said of.
    pub fn implied(self) -> Vec<Vec<u8>> {
        self.implied.into_iter().collect()
    }

    /// Notes what `path`, open as `fd`, gets at the end.
    pub fn finish_later(
        &mut self,
        path: &[u8],
        fd: BorrowedFd<'_>,
        mode: u32,
        mtime: (i64, u32),
    ) -> Result<(), UnpackError> {
        self.implied.remove(path);
        if !self.pending.contains_key(path) {
            self.note(path)?;
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
                match self.resolve(&path, DIRECTORY) {
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

fn stands_for_deletion(dir: &OwnedFd, name: &CStr) -> bool {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| is_whiteout(&stat))
}

/// In a tree somebody else arranges, a name may lead into the kernel's own files.
fn check_filesystem(shared: bool, fd: BorrowedFd<'_>, path: &[u8]) -> Result<(), UnpackError> {
    if shared && is_kernel_filesystem(fd).map_err(failed("look at", path))? {
        return Err(UnpackError::Unsupported(format!(
            "{} is in a file system of the kernel",
            shown(path)
        )));
    }
    Ok(())
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
