//! What covers masked paths: an empty file and an empty directory of our own.
//!
//! Both are inodes made for this container outside its root, never `/dev/null` or anything else
//! it could have replaced (CVE-2025-31133). Never: decides what is masked.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use weft_sys::mount::{self, Change, Context, attribute};
use weft_sys::path::{Facts, Root};

use crate::launch::step::{Failure, Named, Step};

const FILE: &str = "file";
const DIRECTORY: &str = "directory";

/// Makes the filesystem both are in, detached and read-only.
pub(super) fn make() -> Result<OwnedFd, Failure> {
    let context = Context::open(c"tmpfs").named(Step::Mask, "")?;
    context.set(c"mode", c"555").named(Step::Mask, "")?;
    let tree = context
        .mount(attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC)
        .named(Step::Mask, "")?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&tree, FILE, flags, Mode::from_raw_mode(0o444)).named(Step::Mask, "")?;
    rustix::fs::mkdirat(&tree, DIRECTORY, Mode::from_raw_mode(0o555)).named(Step::Mask, "")?;
    let read_only = Change {
        set: attribute::READ_ONLY,
        ..Change::default()
    };
    mount::change(&tree, false, &read_only).named(Step::Mask, "")?;
    Ok(tree)
}

/// The masks, in a mount namespace where they are attached somewhere.
pub(super) struct Masks {
    file: OwnedFd,
    directory: OwnedFd,
}

impl Masks {
    /// Attaches the masks, since only what is attached can be copied: over the host's procfs,
    /// which nobody looks at any more when all else is mounted, and which the pivot lets go. A
    /// place in the container would have to be unmounted, and each unmount waits for an RCU
    /// grace period (0.1 ms on an idle machine, several on a busy one).
    pub(super) fn attach(tree: OwnedFd) -> Result<Masks, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = rustix::fs::open("/proc", flags, Mode::empty()).named(Step::Mask, "")?;
        mount::place(&tree, &place).named(Step::Mask, "")?;
        let open = |name: &str| {
            rustix::fs::openat(&tree, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .named(Step::Mask, "")
        };
        let (file, directory) = (open(FILE)?, open(DIRECTORY)?);
        Ok(Masks { file, directory })
    }

    /// Covers `path` in `root`, if it is there, and makes sure that it is covered.
    pub(super) fn cover(&self, root: &Root, path: &Path) -> Result<(), Failure> {
        let target = match root.handle(path) {
            // Nothing there, nothing to hide. A path through a file is nothing as well.
            Err(error) if is_absent(&error) => return Ok(()),
            other => other.named(Step::Mask, path.display())?,
        };
        let facts = Facts::of(&target).named(Step::Mask, path.display())?;
        let mask = if facts.is_directory() {
            &self.directory
        } else {
            &self.file
        };
        let copy = mount::clone_tree(mask, false).named(Step::Mask, path.display())?;
        mount::place(&copy, &target).named(Step::Mask, path.display())?;
        verify(root, path, mask.as_fd()).named(Step::Mask, path.display())
    }
}

pub(super) fn is_absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// What is at `path` now has to be our own inode.
fn verify(root: &Root, path: &Path, mask: std::os::fd::BorrowedFd<'_>) -> std::io::Result<()> {
    let found = Facts::of(root.handle(path)?)?;
    let ours = Facts::of(mask)?;
    if (found.device, found.inode) == (ours.device, ours.inode) {
        Ok(())
    } else {
        Err(std::io::Error::other("something else took its place"))
    }
}
