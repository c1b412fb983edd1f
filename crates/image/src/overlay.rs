//! Owns what overlayfs makes of directories put on one another: its marks, and what is seen through
//! them. A whiteout (a 0/0 character device) hides what lies lower under its name, an opaque
//! directory all that lies lower in it. Never mounts; only handles are used, so that nothing in a
//! layer leads out of it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;
use weft_stdx::tree::DIRECTORY;
use weft_sys::path::Root;

/// Links followed before a path counts as a loop, as the kernel has it.
const LINKS_MAX: usize = 40;

/// The attribute that makes a directory opaque; containers' overlays are mounted by the host's root,
/// so it is the trusted one.
const OPAQUE: &CStr = c"trusted.overlay.opaque";

/// Whether a file stands for a deletion.
pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0_u8; 1];
    matches!(rustix::fs::fgetxattr(dir, OPAQUE, &mut value), Ok(1)) && value == *b"y"
}

/// Marks a directory as hiding those below it.
pub(crate) fn set_opaque(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsetxattr(dir, OPAQUE, b"y", XattrFlags::empty())
}

/// What `name` is in `lower` (top first): `None` if nothing, else the directories to merge, each
/// with the number of the one it is in (none for a file).
///
/// # Errors
/// What the kernel answers.
pub fn visible(lower: &[OwnedFd], name: &CStr) -> io::Result<Option<Vec<(usize, OwnedFd)>>> {
    let mut merged: Option<Vec<(usize, OwnedFd)>> = None;
    for (at, dir) in lower.iter().enumerate() {
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if is_whiteout(&stat) => break,
            FileType::Directory => {
                let fd = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
                let opaque = is_opaque(fd.as_fd());
                merged.get_or_insert_default().push((at, fd));
                if opaque {
                    break;
                }
            }
            _ => {
                merged.get_or_insert_default();
                break;
            }
        }
    }
    Ok(merged)
}

/// The directories that `path` is in `layers` (top first), to be merged; none where a container
/// would see nothing there, or no directory. Links are followed.
///
/// # Errors
/// What the kernel answers.
pub fn directories(layers: &[PathBuf], path: &Path) -> io::Result<Vec<OwnedFd>> {
    let roots = layers.iter().map(|layer| Root::open_at(layer));
    let path = without_links(&roots.collect::<io::Result<Vec<_>>>()?, path);
    let mut merged = layers
        .iter()
        .map(|layer| rustix::fs::openat(CWD, layer, DIRECTORY, Mode::empty()))
        .collect::<Result<Vec<_>, _>>()?;
    for part in path.components().skip(1) {
        let name = CString::new(part.as_os_str().as_bytes())?;
        let below = visible(&merged, &name)?.unwrap_or_default();
        merged = below.into_iter().map(|(_, fd)| fd).collect();
    }
    Ok(merged)
}

/// `path` as it is once the links in it are followed, in what the `layers` (top first) show.
pub(crate) fn without_links(layers: &[Root], path: &Path) -> PathBuf {
    let parts = |path: &Path| -> Vec<OsString> {
        let parts = path.components().rev();
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut left = parts(path);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.as_bytes() {
            b"/" => done = PathBuf::from("/"),
            b"." => {}
            b".." => drop(done.pop()),
            _ => {
                let link = link_at(layers, &done.join(&part));
                match link.filter(|_| links < LINKS_MAX) {
                    Some(link) => {
                        links += 1;
                        left.extend(parts(&link));
                    }
                    None => done.push(part),
                }
            }
        }
    }
    done
}

/// What the link at `path`, in whose directory there are none, says in the topmost layer that has
/// anything there.
fn link_at(layers: &[Root], path: &Path) -> Option<PathBuf> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let handle = layers
        .iter()
        .find_map(|layer| layer.open(path, flags).ok())?;
    let link = rustix::fs::readlinkat(handle, c"", Vec::new()).ok()?;
    Some(PathBuf::from(OsStr::from_bytes(link.as_bytes())))
}
