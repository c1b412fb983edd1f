//! Owns making a tar archive of a tree that may be in use: everything is opened by handle, so what
//! somebody renames or links meanwhile never leads out of it (CVE-2018-15664). Memory does not grow
//! with the tree. Never reads devices, pipes, or what the kernel shows as files.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use weft_stdx::facts;
use weft_sys::path::{is_kernel_filesystem, reopen};

use crate::error::{ErrorKind, io_kind};
use crate::store::tree::DEPTH_MAX;
use crate::unpack::{Ids, shown};

/// Most files with several names that are remembered; further ones are stored once per name.
const LINKS_MAX: usize = 1 << 20;
/// Longest name a plain header takes.
const NAME_MAX: usize = 100;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A tree could not be made an archive.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something of it can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Its name in the archive.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The archive's reader is gone, or does not take it.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

impl PackError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { source, .. } | Self::Write(source) => io_kind(source),
        }
    }
}

/// Writes what `handle` is open on, with all below it, as the archive entry `name`, to `out`.
pub fn pack(out: impl Write, handle: &OwnedFd, name: &[u8], ids: Ids) -> Result<(), PackError> {
    packed(out, ids, |packer| packer.add(handle, name, 0))
}

/// Writes what is in the directory `root`, without an entry of its own, to `out`.
pub fn pack_contents(out: impl Write, root: &OwnedFd, ids: Ids) -> Result<(), PackError> {
    let dir = readable(root).map_err(|e| unreadable(b"/", e))?;
    packed(out, ids, |packer| packer.contents(&dir, b"", 0))
}

fn packed<W: Write>(
    out: W,
    ids: Ids,
    add: impl FnOnce(&mut Packer<W>) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let mut packer = Packer {
        builder: tar::Builder::new(out),
        ids,
        linked: HashMap::new(),
    };
    add(&mut packer)?;
    let mut out = packer.builder.into_inner().map_err(PackError::Write)?;
    out.flush().map_err(PackError::Write)
}

struct Packer<W: Write> {
    builder: tar::Builder<W>,
    ids: Ids,
    /// The first name of files that have several, by device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

/// What a header says beyond its plain fields.
#[derive(Default)]
struct Extra {
    link: Vec<u8>,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, handle: &OwnedFd, name: &[u8], depth: usize) -> Result<(), PackError> {
        let read = |e: io::Error| unreadable(name, e);
        let stat =
            rustix::fs::statat(handle, c"", AtFlags::EMPTY_PATH).map_err(|e| read(e.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(handle, name, &stat, depth),
            FileType::RegularFile => self.file(handle, name, &stat),
            FileType::Symlink => {
                let target =
                    rustix::fs::readlinkat(handle, c"", Vec::new()).map_err(|e| read(e.into()))?;
                let extra = Extra {
                    link: target.into_bytes(),
                    ..Extra::default()
                };
                self.entry(name, &stat, tar::EntryType::Symlink, extra, io::empty())
            }
            FileType::CharacterDevice => self.plain(name, &stat, tar::EntryType::Char),
            FileType::BlockDevice => self.plain(name, &stat, tar::EntryType::Block),
            FileType::Fifo => self.plain(name, &stat, tar::EntryType::Fifo),
            // Sockets have no entry; whoever listens makes them anew.
            _ => Ok(()),
        }
    }

    fn directory(
        &mut self,
        handle: &OwnedFd,
        name: &[u8],
        stat: &Stat,
        depth: usize,
    ) -> Result<(), PackError> {
        let read = |e: io::Error| unreadable(name, e);
        let dir = readable(handle).map_err(read)?;
        let extra = Extra {
            xattrs: xattrs(dir.as_fd(), self.ids).map_err(read)?,
            ..Extra::default()
        };
        let mut shown = name.to_vec();
        if !shown.ends_with(b"/") {
            shown.push(b'/');
        }
        self.entry(&shown, stat, tar::EntryType::Directory, extra, io::empty())?;
        if is_kernel_filesystem(&dir).map_err(read)? {
            return Ok(());
        }
        self.contents(&dir, &shown, depth)
    }

    /// `prefix` is the directory's name with a `/`, or nothing.
    fn contents(&mut self, dir: &OwnedFd, prefix: &[u8], depth: usize) -> Result<(), PackError> {
        let read = |e: io::Error| unreadable(prefix, e);
        if depth > DEPTH_MAX {
            let text = format!("directories are nested deeper than {DEPTH_MAX}");
            return Err(read(io::Error::other(text)));
        }
        for entry in Dir::read_from(dir).map_err(|e| read(e.into()))? {
            let entry = entry.map_err(|e| read(e.into()))?;
            let file = entry.file_name();
            if file == c"." || file == c".." {
                continue;
            }
            let below = [prefix, file.to_bytes()].concat();
            match rustix::fs::openat(dir, file, HANDLE, Mode::empty()) {
                Ok(handle) => self.add(&handle, &below, depth + 1)?,
                // Removed since it was listed.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(unreadable(&below, errno.into())),
            }
        }
        Ok(())
    }

    fn file(&mut self, handle: &OwnedFd, name: &[u8], stat: &Stat) -> Result<(), PackError> {
        let read = |e: io::Error| unreadable(name, e);
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.linked.get(&key) {
                let extra = Extra {
                    link: first.clone(),
                    ..Extra::default()
                };
                return self.entry(name, stat, tar::EntryType::Link, extra, io::empty());
            }
            if self.linked.len() < LINKS_MAX {
                self.linked.insert(key, name.to_vec());
            }
        }
        if is_kernel_filesystem(handle).map_err(read)? {
            let text = "it is in a file system of the kernel";
            return Err(read(io::Error::new(io::ErrorKind::PermissionDenied, text)));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = reopen(handle, flags).map_err(read)?;
        let extra = Extra {
            xattrs: xattrs(file.as_fd(), self.ids).map_err(read)?,
            ..Extra::default()
        };
        let mut data = Exactly {
            file: file.into(),
            left: u64::try_from(stat.st_size).unwrap_or(0),
            failed: None,
        };
        let added = self.entry(name, stat, tar::EntryType::Regular, extra, &mut data);
        match data.failed {
            Some(error) => Err(unreadable(name, error)),
            None => added,
        }
    }

    fn plain(&mut self, name: &[u8], stat: &Stat, kind: tar::EntryType) -> Result<(), PackError> {
        self.entry(name, stat, kind, Extra::default(), io::empty())
    }

    fn entry(
        &mut self,
        name: &[u8],
        stat: &Stat,
        kind: tar::EntryType,
        extra: Extra,
        data: impl Read,
    ) -> Result<(), PackError> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(u64::from(self.ids.inside(stat.st_uid)));
        header.set_gid(u64::from(self.ids.inside(stat.st_gid)));
        let mtime = u64::try_from(stat.st_mtime).unwrap_or(0);
        header.set_mtime(mtime);
        let has_data = kind == tar::EntryType::Regular;
        header.set_size(if has_data { stat.st_size as u64 } else { 0 });
        if matches!(kind, tar::EntryType::Char | tar::EntryType::Block) {
            let major = rustix::fs::major(stat.st_rdev);
            let minor = rustix::fs::minor(stat.st_rdev);
            header
                .set_device_major(major)
                .and_then(|()| header.set_device_minor(minor))
                .map_err(|e| unreadable(name, e))?;
        }
        let fields = header.as_gnu_mut().expect("made as one");
        let mut records: Vec<(&str, &[u8])> = Vec::new();
        if !put(&mut fields.name, name) {
            records.push(("path", name));
        }
        if !put(&mut fields.linkname, &extra.link) {
            records.push(("linkpath", &extra.link));
        }
        let xattrs = extra.xattrs.iter();
        records.extend(xattrs.map(|(key, value)| (key.as_str(), value.as_slice())));
        header.set_cksum();
        if !records.is_empty() {
            self.builder
                .append_pax_extensions(records)
                .map_err(PackError::Write)?;
        }
        self.builder.append(&header, data).map_err(PackError::Write)
    }
}

fn readable(directory: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, c".", flags, Mode::empty())?)
}

/// Fills a field; says whether all of `bytes` fits.
fn put(field: &mut [u8; NAME_MAX], bytes: &[u8]) -> bool {
    let length = bytes.len().min(NAME_MAX);
    field[..length].copy_from_slice(&bytes[..length]);
    bytes.len() <= NAME_MAX
}

fn unreadable(name: &[u8], source: io::Error) -> PackError {
    let path = shown(name);
    PackError::Read { path, source }
}

/// Exactly so many bytes of a file, or an error: the header with the size is out already.
struct Exactly {
    file: std::fs::File,
    left: u64,
    failed: Option<io::Error>,
}

impl Read for &mut Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let max = usize::try_from(self.left).unwrap_or(usize::MAX);
        let max = max.min(buffer.len());
        if max == 0 {
            return Ok(0);
        }
        let error = match self.file.read(&mut buffer[..max]) {
            Ok(0) => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter while it was copied",
            ),
            Ok(count) => {
                self.left -= count as u64;
                return Ok(count);
            }
            Err(error) => error,
        };
        let copy = io::Error::new(error.kind(), error.to_string());
        self.failed = Some(error);
        Err(copy)
    }
}

/// The attributes that mean something elsewhere, with their names in the archive.
fn xattrs(file: BorrowedFd<'_>, ids: Ids) -> io::Result<Vec<(String, Vec<u8>)>> {
    let capability = |name: &CStr| name == c"security.capability";
    let wanted = |name: &CStr| {
        let text = name.to_bytes();
        let user = text.starts_with(b"user.") && !text.starts_with(b"user.overlay.");
        name.to_str().is_ok() && (user || capability(name))
    };
    let mut found = Vec::new();
    for (name, value) in facts::xattrs(file, wanted)? {
        let value = if capability(&name) {
            unbound(value, ids)
        } else {
            Some(value)
        };
        let name = format!("SCHILY.xattr.{}", name.to_string_lossy());
        found.extend(value.map(|value| (name, value)));
    }
    Ok(found)
}

/// File capabilities without the user namespace they hold in, where that is the container's own
/// (`struct vfs_ns_cap_data`, revision 3, ends in the host's id of its root); others mean nothing
/// elsewhere.
fn unbound(mut value: Vec<u8>, ids: Ids) -> Option<Vec<u8>> {
    const REVISION: usize = 3;
    const ROOT: std::ops::Range<usize> = 20..24;
    if value.len() != ROOT.end || value[REVISION] != 3 {
        return Some(value);
    }
    let root = u32::from_le_bytes(value[ROOT].try_into().expect("four bytes"));
    if root != ids.base {
        return None;
    }
    value.truncate(ROOT.start);
    value[REVISION] = 2;
    Some(value)
}
