//! Owns extended attributes of unpacked files. Never lets an archive set overlayfs's own, which
//! would redirect what a mount shows.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::directories::failed;
use super::path::c_string;
use super::reader::Entry;
use super::{UnpackError, shown};

/// Where attributes are put.
pub(super) enum Target<'a> {
    /// A file or directory that is open.
    Open(BorrowedFd<'a>),
    /// Something that is not opened: a link, device or pipe in an open directory.
    Named(BorrowedFd<'a>, &'a CStr),
}

/// Sets the attributes of `entry`; answers how many were left out.
pub(super) fn set(entry: &Entry, target: &Target<'_>) -> Result<u64, UnpackError> {
    let mut dropped = 0;
    for (name, value) in &entry.xattrs {
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            dropped += 1;
            continue;
        }
        match put(target, &c_string(name), value) {
            Ok(()) => {}
            // A label of a security module this machine does not run.
            Err(Errno::OPNOTSUPP) if name == b"security.selinux" => {}
            Err(errno) => {
                let what = [b"attribute ".as_slice(), name, b" of ", &entry.path].concat();
                tracing::debug!(attribute = %shown(name), "attribute refused");
                return Err(failed("set", &what)(errno.into()));
            }
        }
    }
    Ok(dropped)
}

fn put(target: &Target<'_>, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    match target {
        Target::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
        Target::Named(dir, file) => {
            // There is no call that takes a directory before 6.13; this path has one part that an
            // archive chose, it has no slash, and it is not followed.
            let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
            path.extend_from_slice(file.to_bytes());
            rustix::fs::lsetxattr(&*c_string(&path), name, value, XattrFlags::empty())
        }
    }
}
