//! Mounts as descriptors: made detached, changed detached, put in place last.
//!
//! The calls of the new mount API (`fsopen`, `fsmount`, `open_tree`, `move_mount`,
//! `mount_setattr`). Nothing here takes a path except to open a tree the caller trusts.
//! Never: which filesystems a container gets.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

/// `MOUNT_ATTR_*` bits of `mount_setattr(2)` and `fsmount(2)`.
pub mod attribute {
    /// Read-only.
    pub const READ_ONLY: u64 = 0x1;
    /// Set-user-id bits and file capabilities have no effect.
    pub const NO_SUID: u64 = 0x2;
    /// Device nodes cannot be opened.
    pub const NO_DEV: u64 = 0x4;
    /// Nothing can be executed.
    pub const NO_EXEC: u64 = 0x8;
    /// All bits that choose how access times are kept. To be cleared before one is set.
    pub const ACCESS_TIME: u64 = 0x70;
    /// Access times follow relatime (the value 0 of [`ACCESS_TIME`]).
    pub const RELATIME: u64 = 0x0;
    /// Access times never change.
    pub const NO_ATIME: u64 = 0x10;
    /// Access times always change.
    pub const STRICT_ATIME: u64 = 0x20;
    /// Access times of directories never change.
    pub const NO_DIR_ATIME: u64 = 0x80;
    /// Ids are mapped by a user namespace.
    pub const ID_MAP: u64 = 0x10_0000;
    /// Symbolic links are not followed.
    pub const NO_SYM_FOLLOW: u64 = 0x20_0000;
}

/// How mount events cross from and to other copies of a mount: `MS_*` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Both ways.
    Shared,
    /// Towards this one only.
    Slave,
    /// Not at all.
    Private,
    /// Not at all, and it cannot be bound.
    Unbindable,
}

impl Propagation {
    fn bits(self) -> u64 {
        match self {
            Propagation::Shared => libc::MS_SHARED,
            Propagation::Slave => libc::MS_SLAVE,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// A change of a mount's attributes.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// [`attribute`] bits to set.
    pub set: u64,
    /// [`attribute`] bits to clear first.
    pub clear: u64,
    /// New propagation.
    pub propagation: Option<Propagation>,
    /// A user namespace whose map the mount gets: an id on disk is read as an id inside, and
    /// shown as what that is outside. Only for a detached mount that has none yet.
    pub id_map: Option<BorrowedFd<'a>>,
}

impl Change<'_> {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation.is_none() && self.id_map.is_none()
    }
}

/// Layout of `struct mount_attr` (`MOUNT_ATTR_SIZE_VER0`, Linux 5.12).
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Changes the mount whose root `mount` is open on, and with `recursive` all below it.
pub fn change(mount: impl AsFd, recursive: bool, change: &Change<'_>) -> io::Result<()> {
    let mut set = change.set;
    if change.id_map.is_some() {
        set |= attribute::ID_MAP;
    }
    let attributes = MountAttr {
        set,
        clear: change.clear,
        propagation: change.propagation.map_or(0, Propagation::bits),
        userns: change.id_map.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: `attributes` has the given size and outlives the call; the path is a C string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attributes),
            size_of::<MountAttr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Copies the mount at `file` (any file or directory, which becomes the root of the copy), with
/// `recursive` all mounts below it, into a detached tree.
pub fn clone_tree(file: impl AsFd, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(file, c"", flags)?)
}

/// Attaches a detached mount (or moves an attached one) to what `target` is open on.
pub fn place(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, c"", target, c"", flags)?)
}

/// A filesystem being configured, before it is mounted.
#[derive(Debug)]
pub struct Context(OwnedFd);

impl Context {
    /// Begins with the filesystem type `name`.
    pub fn open(name: &CStr) -> io::Result<Context> {
        Ok(Context(rustix::mount::fsopen(
            name,
            FsOpenFlags::FSOPEN_CLOEXEC,
        )?))
    }

    /// Sets `key` to `value`. The kernel takes up to 255 bytes.
    pub fn set(&self, key: &CStr, value: &CStr) -> io::Result<()> {
        Ok(rustix::mount::fsconfig_set_string(&self.0, key, value)?)
    }

    /// Sets the flag `key`.
    pub fn set_flag(&self, key: &CStr) -> io::Result<()> {
        Ok(rustix::mount::fsconfig_set_flag(&self.0, key)?)
    }

    /// Sets `key` to an open file, where the filesystem takes one (overlayfs since Linux 6.13).
    pub fn set_fd(&self, key: &CStr, value: impl AsFd) -> io::Result<()> {
        Ok(rustix::mount::fsconfig_set_fd(&self.0, key, value)?)
    }

    /// Makes the filesystem and mounts it, detached, with these [`attribute`] bits.
    pub fn mount(&self, attributes: u64) -> io::Result<OwnedFd> {
        rustix::mount::fsconfig_create(&self.0)?;
        let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
        Ok(rustix::mount::fsmount(
            &self.0,
            FsMountFlags::FSMOUNT_CLOEXEC,
            attributes,
        )?)
    }

    /// What the filesystem has said about the configuration so far, without the severities.
    pub fn messages(&self) -> String {
        let mut messages = Vec::new();
        let mut line = [0_u8; 512];
        // The kernel keeps at most eight.
        while messages.len() < 8 {
            match rustix::io::read(&self.0, &mut line) {
                Ok(length) if length > 0 => {
                    let text = String::from_utf8_lossy(&line[..length]);
                    messages.push(text.trim_end().get(2..).unwrap_or_default().to_owned());
                }
                _ => break,
            }
        }
        messages.join("; ")
    }
}

/// Makes `new_root` (an attached mount's root, also the caller's working directory afterwards)
/// the root of the mount namespace and lets go of the old one, lazily, with all below it.
///
/// Nothing else may be mounted on either root: it would be unmounted instead of the old root, and
/// `/..` would lead there. That is made sure of at the end.
pub fn pivot(new_root: impl AsFd) -> io::Result<()> {
    use rustix::process::{fchdir, pivot_root};
    let new_root = new_root.as_fd();
    fchdir(new_root)?;
    pivot_root(c".", c".")?;
    // "." still is the new root; the old one is mounted on top of it and comes off first.
    rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")?;
    // Going up from the root stays there, but enters what is mounted on it.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let above = rustix::fs::open(c"/..", flags, rustix::fs::Mode::empty())?;
    if identity(&above)?.0 != identity(new_root)?.0 {
        return Err(io::Error::other(
            "something is left mounted on the new root",
        ));
    }
    Ok(())
}

/// The mount that `file` is in, by number, with whether `file` is its root.
pub fn identity(file: impl AsFd) -> io::Result<(u64, bool)> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let root = StatxAttributes::MOUNT_ROOT;
    Ok((found.stx_mnt_id, found.stx_attributes.contains(root)))
}
