//! Owns putting one archive entry where it belongs, in the way overlayfs wants its layers.
//! Never follows a link in the last part of a name, and in others only inside the root.

use std::ffi::CStr;
use std::io::{self, BufRead};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use weft_stdx::tree::{DIRECTORY, remove_at, unlink_at};

use super::attributes::{self, Target};
use super::content;
use super::directories::{Directories, failed, times};
use super::path::{Clean, c_string};
use super::reader::{Archive, Entry, Kind};
use super::{Ids, Limits, Tree, UnpackError, shown, whiteout};
use crate::overlay::{is_whiteout, set_opaque};

const LINK_MAX: usize = 4095;

pub(super) struct Place {
    directories: Directories,
    limits: Limits,
    rules: Rules,
    bytes: u64,
    dropped: u64,
}

/// What differs between a layer and a tree that is in use.
struct Rules {
    /// Some names and devices stand for deletions, and the root is the archive's to settle.
    layer: bool,
    ids: Ids,
    owner: Option<(u32, u32)>,
    keep_kinds: bool,
}

impl Place {
    /// For a layer in a directory of its own.
    pub fn layer(root: &Path, limits: Limits) -> Result<Self, UnpackError> {
        let directories = Directories::new(root, limits.directories)?;
        let rules = Rules {
            layer: true,
            ids: Ids::CONTAINER,
            owner: None,
            keep_kinds: false,
        };
        Ok(Self::new(directories, limits, rules))
    }

    /// For a tree that is in use.
    pub fn tree(tree: Tree<'_>, limits: Limits) -> Result<Self, UnpackError> {
        let directories = Directories::shared(tree.root, tree.directory, limits.directories)?;
        let rules = Rules {
            layer: false,
            ids: tree.ids,
            owner: tree.owner,
            keep_kinds: tree.keep_kinds,
        };
        Ok(Self::new(directories, limits, rules))
    }

    fn new(directories: Directories, limits: Limits, rules: Rules) -> Self {
        Self {
            directories,
            limits,
            rules,
            bytes: 0,
            dropped: 0,
        }
    }

    /// Bytes of file content and attributes left out.
    pub fn totals(&self) -> (u64, u64) {
        (self.bytes, self.dropped)
    }

    /// Directories that were made without the archive saying anything of them.
    pub fn implied(self) -> Vec<Vec<u8>> {
        self.directories.implied()
    }

    pub fn finish(&mut self) -> Result<(), UnpackError> {
        self.directories.finish()
    }

    pub fn entry<R: BufRead>(
        &mut self,
        entry: &Entry,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let path = Clean::new(&entry.path, &self.limits)?;
        self.owner(entry)?;
        if path.is_root() {
            return self.root(entry);
        }
        if self.rules.layer
            && let Some(hidden) = path.name().strip_prefix(b".wh.")
        {
            return whiteout::entry(&mut self.directories, &path, hidden);
        }
        let parent = self.directories.open(path.parent(), true)?;
        let (dir, name) = (parent.as_fd(), path.c_name());
        match entry.kind {
            Kind::Directory => self.directory(entry, &path, dir, &name),
            Kind::File => self.file(entry, &path, dir, &name, archive),
            Kind::HardLink => self.hard_link(entry, &path, dir, &name),
            Kind::Symlink => self.symlink(entry, &path, dir, &name),
            Kind::CharDevice if self.rules.layer && entry.device == (0, 0) => {
                whiteout::hide(&path, dir, &name)
            }
            Kind::CharDevice => self.node(entry, &path, dir, &name, FileType::CharacterDevice),
            Kind::BlockDevice => self.node(entry, &path, dir, &name, FileType::BlockDevice),
            Kind::Fifo => self.node(entry, &path, dir, &name, FileType::Fifo),
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        if entry.kind != Kind::Directory {
            return Err(UnpackError::Format(
                "its root is not a directory".to_owned(),
            ));
        }
        if !self.rules.layer {
            return Ok(()); // the directory unpacked into is somebody else's
        }
        let top = self.directories.open(b"", false)?;
        self.settle_directory(entry, b"", &top)
    }

    fn directory(
        &mut self,
        entry: &Entry,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<(), UnpackError> {
        let opaque = match rustix::fs::mkdirat(dir, name, Mode::RWXU) {
            Ok(()) => false,
            Err(Errno::EXIST) => {
                let stat = look(dir, name, path)?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    false
                } else if self.rules.keep_kinds {
                    return Err(kinds("non-directory", path, "directory"));
                } else {
                    unlink_at(dir, name).map_err(failed("replace", path.bytes()))?;
                    self.directories.forget();
                    rustix::fs::mkdirat(dir, name, Mode::RWXU)
                        .map_err(|e| failed("create directory", path.bytes())(e.into()))?;
                    self.rules.layer && is_whiteout(&stat)
                }
            }
            Err(errno) => return Err(failed("create directory", path.bytes())(errno.into())),
        };
        let fd = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())
            .map_err(|e| failed("open directory", path.bytes())(e.into()))?;
        if opaque {
            set_opaque(fd.as_fd()).map_err(|e| failed("make opaque", path.bytes())(e.into()))?;
        }
        let fd = Rc::new(fd);
        self.settle_directory(entry, path.bytes(), &fd)?;
        self.directories.remember(path.bytes(), fd);
        Ok(())
    }

    fn settle_directory(
        &mut self,
        entry: &Entry,
        path: &[u8],
        fd: &Rc<OwnedFd>,
    ) -> Result<(), UnpackError> {
        let (uid, gid) = self.owner(entry)?;
        rustix::fs::fchown(&**fd, Some(uid), Some(gid))
            .map_err(|e| failed("chown", path)(e.into()))?;
        self.dropped += attributes::set(entry, &Target::Open(fd.as_fd()))?;
        self.directories
            .finish_later(path, fd.as_fd(), entry.mode, entry.mtime)
    }

    fn file<R: BufRead>(
        &mut self,
        entry: &Entry,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let fd = self.replacing(path, dir, name, "create file", |dir, name| {
            rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, mode)
        })?;
        self.content(entry, path, &fd, archive)?;
        let (uid, gid) = self.owner(entry)?;
        let settle = || -> Result<(), Errno> {
            // In a layer: made by root, and directories do not pass on their groups yet.
            if !self.rules.layer || (entry.uid, entry.gid) != (0, 0) {
                rustix::fs::fchown(&fd, Some(uid), Some(gid))?;
            }
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(entry.mode))
        };
        settle().map_err(|e| failed("set owner and mode of", path.bytes())(e.into()))?;
        self.dropped += attributes::set(entry, &Target::Open(fd.as_fd()))?;
        rustix::fs::futimens(&fd, &times(entry.mtime))
            .map_err(|e| failed("set times of", path.bytes())(e.into()))
    }

    fn content<R: BufRead>(
        &mut self,
        entry: &Entry,
        path: &Clean,
        fd: &OwnedFd,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        self.bytes = self.bytes.saturating_add(content::stored(entry));
        if self.bytes > self.limits.bytes {
            return Err(UnpackError::Limit("bytes", self.limits.bytes));
        }
        content::write(entry, path, fd, archive)
    }

    fn hard_link(
        &mut self,
        entry: &Entry,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<(), UnpackError> {
        let target = Clean::new(&entry.link, &self.limits)?;
        if target.is_root() || target.bytes() == path.bytes() {
            let (from, to) = (shown(&entry.path), shown(&entry.link));
            return Err(UnpackError::Format(format!(
                "{from} is a hard link to {to}"
            )));
        }
        let missing = |source| UnpackError::Io {
            doing: "hard link",
            path: format!("{} to {}", shown(&entry.path), shown(&entry.link)),
            source,
        };
        let from = self.directories.open(target.parent(), false)?;
        let target = target.c_name();
        // Looked at before anything is removed to make room for the link.
        rustix::fs::statat(&*from, &*target, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| missing(e.into()))?;
        self.replacing(path, dir, name, "hard link", |dir, name| {
            rustix::fs::linkat(&*from, &*target, dir, name, AtFlags::empty())
        })
    }

    fn symlink(
        &mut self,
        entry: &Entry,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<(), UnpackError> {
        if entry.link.is_empty() || entry.link.len() > LINK_MAX {
            let name = shown(&entry.path);
            return Err(UnpackError::Format(format!(
                "{name} is a link to an impossible name"
            )));
        }
        let target = c_string(&entry.link);
        self.replacing(path, dir, name, "create link", |dir, name| {
            rustix::fs::symlinkat(&*target, dir, name)
        })?;
        self.settle_named(entry, path, dir, name)
    }

    fn node(
        &mut self,
        entry: &Entry,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
        kind: FileType,
    ) -> Result<(), UnpackError> {
        let device = rustix::fs::makedev(entry.device.0, entry.device.1);
        let mode = Mode::from_raw_mode(entry.mode);
        self.replacing(path, dir, name, "create device", |dir, name| {
            rustix::fs::mknodat(dir, name, kind, mode, device)
        })?;
        self.settle_named(entry, path, dir, name)?;
        // After the owner, which takes setuid bits; by a handle, since a link may have its name now.
        let chmod = || -> io::Result<()> {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(dir, name, flags, Mode::empty())?;
            weft_sys::path::set_mode(&made, entry.mode)
        };
        chmod().map_err(failed("chmod", path.bytes()))
    }

    /// Owner, attributes and times of what is not opened.
    fn settle_named(
        &mut self,
        entry: &Entry,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<(), UnpackError> {
        let (uid, gid) = self.owner(entry)?;
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), nofollow)
            .map_err(|e| failed("chown", path.bytes())(e.into()))?;
        self.dropped += attributes::set(entry, &Target::Named(dir, name))?;
        rustix::fs::utimensat(dir, name, &times(entry.mtime), nofollow)
            .map_err(|e| failed("set times of", path.bytes())(e.into()))
    }

    /// Whom `entry` is to belong to.
    fn owner(&self, entry: &Entry) -> Result<(Uid, Gid), UnpackError> {
        let (uid, gid) = match self.rules.owner {
            Some((uid, gid)) => (u64::from(uid), u64::from(gid)),
            None => (entry.uid, entry.gid),
        };
        let outside = |what, id| {
            self.rules
                .ids
                .outside(id)
                .ok_or_else(|| UnpackError::Owner {
                    path: shown(&entry.path),
                    what,
                    id,
                    count: self.rules.ids.count,
                })
        };
        let (uid, gid) = (outside("user", uid)?, outside("group", gid)?);
        Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
    }

    /// Makes something, and if another thing has its name, removes that and tries again.
    fn replacing<T>(
        &mut self,
        path: &Clean,
        dir: BorrowedFd<'_>,
        name: &CStr,
        doing: &'static str,
        make: impl for<'a> Fn(BorrowedFd<'a>, &'a CStr) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let refused = |errno: Errno| failed(doing, path.bytes())(errno.into());
        match make(dir, name) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(refused),
        }
        if self.rules.keep_kinds {
            let stat = look(dir, name, path)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                return Err(kinds("directory", path, "non-directory"));
            }
            // Should a directory have come there meanwhile, this refuses.
            unlink_at(dir, name).map_err(failed("replace", path.bytes()))?;
            self.directories.forget();
            return make(dir, name).map_err(refused);
        }
        remove_at(dir, name).map_err(failed("replace", path.bytes()))?;
        self.directories.forget();
        make(dir, name).map_err(refused)
    }
}

fn kinds(present: &'static str, path: &Clean, new: &'static str) -> UnpackError {
    UnpackError::Kind {
        present,
        path: shown(path.bytes()),
        new,
    }
}

pub(super) fn look(dir: BorrowedFd<'_>, name: &CStr, path: &Clean) -> Result<Stat, UnpackError> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| failed("look at", path.bytes())(e.into()))
}
