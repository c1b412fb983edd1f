//! Mounts that hold what has no process: namespaces, and memory.
//!
//! They are made below one directory that shares its mounts with the spawner, whose children join
//! by these files. Never: what is pinned.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use weft_sys::mount::identity;

/// Makes `dir` a mount of its own, which those who copy this table of mounts follow; does nothing if
/// it is one. Before the spawner starts.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    if !is_mount(dir)? {
        rustix::mount::mount_bind(dir, dir)?;
    }
    Ok(rustix::mount::mount_change(
        dir,
        MountPropagationFlags::SHARED,
    )?)
}

/// Takes that mount away, if nothing is in it.
pub(crate) fn clear(dir: &Path) {
    let is_empty = fs::read_dir(dir).is_ok_and(|mut list| list.next().is_none());
    if is_empty && is_mount(dir).unwrap_or(false) {
        let _ = rustix::mount::unmount(dir, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
}

/// Keeps the namespace behind `fd` at `path`.
pub(super) fn pin(fd: impl AsFd, path: &Path) -> io::Result<()> {
    File::create(path)?;
    let namespace = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    Ok(rustix::mount::mount_bind(namespace, path)?)
}

/// Shows `from` at `path`.
pub(super) fn bind(from: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    Ok(rustix::mount::mount_bind(from, path)?)
}

/// Memory at `path` that everybody may write to, and that is `owner`'s; without a size, up to half
/// of the machine's.
pub(super) fn memory(path: &Path, bytes: Option<u64>, owner: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mut options = format!("mode=1777,uid={owner},gid={owner}");
    if let Some(bytes) = bytes {
        options += &format!(",size={bytes}");
    }
    let options = std::ffi::CString::new(options).expect("digits and letters");
    Ok(rustix::mount::mount(
        c"shm",
        path,
        c"tmpfs",
        flags,
        options.as_c_str(),
    )?)
}

/// Whether something is mounted at `path`.
pub(super) fn is_pinned(path: &Path) -> bool {
    is_mount(path).unwrap_or(false)
}

/// Takes away what is mounted on the entries of `dir`, however often.
pub(super) fn clear_below(dir: &Path) {
    for name in crate::adopt::names_in(dir) {
        let path = dir.join(name);
        // Bounded by what this file mounts: once each.
        while is_pinned(&path) {
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            if let Err(error) = rustix::mount::unmount(&path, flags) {
                tracing::warn!(path = %path.display(), %error, "a mount could not be taken away");
                break;
            }
        }
    }
}

fn is_mount(path: &Path) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(identity(file)?.1)
}
