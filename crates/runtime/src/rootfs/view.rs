//! The root filesystem of a container that does not run, for whoever copies its files.
//!
//! ```text
//!   thread of its own ─ unshare ─ overlay ─ volumes ─▶ handle of the root ─▶ thread ends: all gone
//! ```
//! It is mounted in a mount namespace that only the calling thread has, without the ids being
//! mapped: what is seen, and made, are the container's own ids, as on disk.
//! Never: enters the root, or mounts anything the host or another thread could see.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use weft_sys::mount::{self, Change, Propagation, attribute};
use weft_sys::namespace::{self, Kind, Kinds};
use weft_sys::path::{Facts, Root};

use super::{overlay, source};
use crate::launch::Rootfs;
use crate::launch::step::{Failure, Named, Step};

/// A file or directory of the host's that the container has somewhere.
#[derive(Clone, Debug)]
pub struct Bind {
    /// On the host; or the directory it lies in.
    pub source: PathBuf,
    /// Relative, of what lies in a directory that others write to.
    pub beneath: Option<PathBuf>,
    /// In the container.
    pub target: PathBuf,
    /// With what is mounted below it.
    pub recursive: bool,
    /// Not writable.
    pub read_only: bool,
}

/// Mounts `rootfs` and, in their order, `binds` for the calling thread alone, which has to end
/// when it is done: then they are gone.
pub fn view(rootfs: &Rootfs, binds: &[Bind], read_only: bool) -> Result<Root, Failure> {
    namespace::unshare(Kinds::from(Kind::Mount)).named(Step::Unshare, "mount")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let host = rustix::fs::open("/", flags, Mode::empty()).named(Step::Root, "/")?;
    let slave = Change {
        propagation: Some(Propagation::Slave),
        ..Change::default()
    };
    mount::change(&host, true, &slave).named(Step::Root, "/")?;
    let overlay = overlay::mount_here(rootfs)?;
    mount::place(&overlay, &host).named(Step::Root, "/")?;
    let root = Root::new(overlay);
    for bind in binds {
        put(&root, bind)?;
    }
    if read_only {
        let change = Change {
            set: attribute::READ_ONLY,
            ..Change::default()
        };
        mount::change(&root, false, &change).named(Step::MountAttributes, "/")?;
    }
    Ok(root)
}

/// The root of the mount namespace `elsewhere` alone, without what is mounted in it, read-only: a
/// copy that hides nothing below a mount. It is of the calling thread, which has to end when it is
/// done.
pub fn bare(elsewhere: &OwnedFd) -> Result<OwnedFd, Failure> {
    namespace::unshare(Kinds::from(Kind::Mount)).named(Step::Unshare, "mount")?;
    let copy = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty())?;
        mount::clone_tree(&root, false)
    };
    let copied = source::inside(elsewhere, copy).and_then(|copied| copied);
    let root = copied.named(Step::Root, "/")?;
    let change = Change {
        set: attribute::READ_ONLY,
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    mount::change(&root, false, &change).named(Step::MountAttributes, "/")?;
    Ok(root)
}

fn put(root: &Root, bind: &Bind) -> Result<(), Failure> {
    let shown = || bind.target.display();
    let source = source::open(&bind.source, bind.beneath.as_deref())?;
    let is_directory = Facts::of(&source)
        .named(Step::Source, bind.source.display())?
        .is_directory();
    let tree = mount::clone_tree(&source, bind.recursive).named(Step::Source, shown())?;
    let change = Change {
        set: if bind.read_only {
            attribute::READ_ONLY
        } else {
            0
        },
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    mount::change(&tree, true, &change).named(Step::MountAttributes, shown())?;
    let target = match root.handle(&bind.target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_directory => {
            root.make_directory(&bind.target, 0o755)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            root.make_file(&bind.target, 0o644)
        }
        other => other,
    };
    let target = target.named(Step::Mountpoint, shown())?;
    mount::place(&tree, &target).named(Step::Mount, shown())
}
