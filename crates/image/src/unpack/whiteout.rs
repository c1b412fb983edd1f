//! Owns what a layer says is not there any more: from the archive's marks to overlayfs's.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use weft_stdx::tree::DIRECTORY;

use super::directories::{Directories, failed};
use super::path::{Clean, c_string};
use super::place::look;
use super::{UnpackError, shown};
use crate::overlay::set_opaque;

/// `.wh.x` hides x of the layers below, `.wh..wh..opq` all of its directory (OCI image-spec
/// 1.1, layer.md, "Whiteouts"); other `.wh..wh.` names were aufs's own and mean nothing.
pub(super) fn entry(
    directories: &mut Directories,
    path: &Clean,
    hidden: &[u8],
) -> Result<(), UnpackError> {
    if hidden == b".wh..opq" {
        if path.parent().is_empty() {
            let what = "it hides everything below it with an opaque root".to_owned();
            return Err(UnpackError::Unsupported(what));
        }
        let dir = directories.open(path.parent(), true)?;
        return set_opaque(dir.as_fd()).map_err(|e| failed("make opaque", path.parent())(e.into()));
    }
    if hidden.starts_with(b".wh.") {
        return Ok(());
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(UnpackError::Format(format!(
            "{} hides nothing",
            shown(path.bytes())
        )));
    }
    let parent = directories.open(path.parent(), true)?;
    hide(path, parent.as_fd(), &c_string(hidden))
}

/// Hides `name` of the layers below; what this layer itself has there stays.
pub(super) fn hide(path: &Clean, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), UnpackError> {
    let made = rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0);
    match made {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed("create whiteout", path.bytes())(errno.into())),
    }
    let stat = look(dir, name, path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(());
    }
    let opaque = || -> Result<(), Errno> {
        let fd = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
        set_opaque(fd.as_fd())
    };
    opaque().map_err(|e| failed("make opaque", path.bytes())(e.into()))
}
