//! The half in the container's namespaces: everything put in place, and the root entered.
//!
//! Every path below the root is resolved in the root by `openat2`, once, to a handle, and the
//! mount is attached to that handle. Never: uses a name twice.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use weft_sys::mount::{self, Change, Context, Propagation, attribute};
use weft_sys::path::{Facts, Root};

use super::mask::{Masks, is_absent};
use super::prepare::{Prepared, Tree, attributes};
use crate::launch::step::{Failure, Named, Step};
use crate::plan::{Filesystem, MountPlan, Plan, Source};

/// A root filesystem that is entered.
#[derive(Debug)]
pub struct Assembled {
    /// The new `/`, to resolve in.
    pub root: Root,
    /// The procfs instance at `/proc`, if there is one: not to be found by its path again.
    pub proc: Option<OwnedFd>,
    /// The devpts instance at `/dev/pts`, if there is one.
    pub devpts: Option<OwnedFd>,
}

/// Puts the mounts in place, in a mount namespace that is the caller's own.
///
/// `before_pivot` runs when all is mounted and the host's tree is still there.
pub fn assemble(
    plan: &Plan,
    prepared: Prepared,
    before_pivot: impl FnOnce(&Assembled) -> Result<(), Failure>,
) -> Result<Assembled, Failure> {
    let Prepared {
        root,
        mounts,
        masks,
    } = prepared;
    let host = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .named(Step::Root, "/")?;
    if plan.id_maps.is_none() {
        // With a user namespace the kernel has made all mounts slaves of the host's already.
        let slave = Change {
            propagation: Some(Propagation::Slave),
            ..Change::default()
        };
        mount::change(&host, true, &slave).named(Step::Root, "/")?;
    }
    // It goes on top of the host's root, which is let go with all below it by the pivot.
    mount::place(&root, &host).named(Step::Root, plan.root.path.display())?;
    let handle = root
        .try_clone()
        .named(Step::Root, plan.root.path.display())?;
    let mut assembled = Assembled {
        root: Root::new(handle),
        proc: None,
        devpts: None,
    };
    for (planned, tree) in plan.mounts.iter().zip(mounts) {
        put(&mut assembled, planned, tree)?;
    }
    make_directory(&assembled.root, &plan.process.cwd)?;
    before_pivot(&assembled)?;
    if let Some(masks) = masks {
        let masks = Masks::attach(masks)?;
        for path in &plan.masked {
            masks.cover(&assembled.root, path)?;
        }
    }
    for path in &plan.read_only {
        freeze(&assembled.root, path)?;
    }
    mount::pivot(&root).named(Step::Pivot, plan.root.path.display())?;
    finish(plan, &root)?;
    Ok(assembled)
}

fn put(assembled: &mut Assembled, planned: &MountPlan, tree: Option<Tree>) -> Result<(), Failure> {
    let shown = || planned.destination.display();
    let is_directory = tree.as_ref().is_none_or(|tree| tree.is_directory);
    let target = mount_point(&assembled.root, planned, is_directory)?;
    let mount = match (tree, &planned.source) {
        (Some(tree), _) => tree.mount,
        (None, Source::Filesystem { kind, options }) => make(*kind, options, planned)?,
        (None, Source::Bind { .. }) => {
            unreachable!("binds are prepared with the host's privileges")
        }
    };
    let there = Facts::of(&target).named(Step::Mountpoint, shown())?;
    if there.is_directory() != is_directory {
        let error = std::io::Error::from(rustix::io::Errno::NOTDIR);
        return Err(Failure::new(Step::MountpointKind, shown(), &error));
    }
    mount::place(&mount, &target).named(Step::Mount, shown())?;
    if let (Source::Filesystem { .. }, Some((propagation, _))) =
        (&planned.source, planned.propagation)
    {
        let change = Change {
            propagation: Some(propagation),
            ..Change::default()
        };
        mount::change(&mount, false, &change).named(Step::MountAttributes, shown())?;
    }
    match planned.source {
        Source::Filesystem {
            kind: Filesystem::Proc,
            ..
        } => assembled.proc = Some(mount),
        Source::Filesystem {
            kind: Filesystem::Devpts,
            ..
        } if planned.destination == Path::new("/dev/pts") => {
            assembled.devpts = Some(mount);
        }
        _ => {}
    }
    Ok(())
}

/// The handle a mount is attached to, made if it is missing.
///
/// `/proc`, `/sys`, `/dev` and what is below them must be what they are called: a link there is
/// an image trying to have the kernel's files somewhere else (CVE-2019-19921, CVE-2026-41579).
/// Elsewhere links are followed, inside the root.
fn mount_point(root: &Root, planned: &MountPlan, is_directory: bool) -> Result<OwnedFd, Failure> {
    let path = &planned.destination;
    let strict = ["/proc", "/sys", "/dev"]
        .iter()
        .any(|top| path.starts_with(top));
    let open = |strict: bool| {
        if strict {
            root.handle_without_links(path)
        } else {
            root.handle(path)
        }
    };
    let target = match open(strict) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let made = if is_directory {
                root.make_directory(path, 0o755)
            } else {
                root.make_file(path, 0o644)
            };
            let made = made.named(Step::Mountpoint, path.display())?;
            if strict { open(true) } else { Ok(made) }
        }
        other => other,
    };
    let target = match target {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Failure::new(Step::MountpointLink, path.display(), &error));
        }
        other => other.named(Step::Mountpoint, path.display())?,
    };
    let (mount, is_root) = mount::identity(&target).named(Step::Mountpoint, path.display())?;
    if is_root
        && mount
            == mount::identity(root)
                .named(Step::Mountpoint, path.display())?
                .0
    {
        let error = std::io::Error::from(rustix::io::Errno::LOOP);
        return Err(Failure::new(Step::MountpointRoot, path.display(), &error));
    }
    Ok(target)
}

fn make(
    kind: Filesystem,
    options: &[(std::ffi::CString, Option<std::ffi::CString>)],
    planned: &MountPlan,
) -> Result<OwnedFd, Failure> {
    let name = match kind {
        Filesystem::Proc => c"proc",
        Filesystem::Sysfs => c"sysfs",
        Filesystem::Tmpfs => c"tmpfs",
        Filesystem::Devpts => c"devpts",
        Filesystem::Mqueue => c"mqueue",
        Filesystem::Cgroup => c"cgroup2",
    };
    let shown = || planned.destination.display();
    let context = Context::open(name).named(Step::Mount, shown())?;
    for (key, value) in options {
        let set = match value {
            Some(value) => context.set(key, value),
            None => context.set_flag(key),
        };
        set.map_err(|error| {
            let option = key.to_string_lossy();
            Failure::new(Step::Mount, format!("{}: option {option}", shown()), &error)
        })?;
    }
    context
        .mount(attributes(planned))
        .named(Step::Mount, shown())
}

fn make_directory(root: &Root, path: &Path) -> Result<(), Failure> {
    match root.make_directory(path, 0o755) {
        Ok(_) => Ok(()),
        // Whether it can be entered is found out when it is; a read-only root is no reason yet.
        Err(error) if error.raw_os_error().is_some() => Ok(()),
        Err(error) => Err(Failure::new(Step::Directory, path.display(), &error)),
    }
}

/// Makes `path`, with all below it, read-only: a copy of itself is put on top.
fn freeze(root: &Root, path: &Path) -> Result<(), Failure> {
    let shown = || path.display();
    let target = match root.handle(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        other => other.named(Step::ReadOnly, shown())?,
    };
    let copy = mount::clone_tree(&target, true).named(Step::ReadOnly, shown())?;
    let change = Change {
        set: attribute::READ_ONLY,
        ..Change::default()
    };
    mount::change(&copy, true, &change).named(Step::ReadOnly, shown())?;
    mount::place(&copy, &target).named(Step::ReadOnly, shown())?;
    let now = root.handle(path).named(Step::ReadOnly, shown())?;
    let same = mount::identity(&now).and_then(|now| Ok(now.0 == mount::identity(&copy)?.0));
    if same.named(Step::ReadOnly, shown())? {
        return Ok(());
    }
    let error = std::io::Error::other("something else took its place");
    Err(Failure::new(Step::ReadOnly, shown(), &error))
}

/// Comes after the pivot, which refuses shared mounts.
fn finish(plan: &Plan, root: &OwnedFd) -> Result<(), Failure> {
    let change = Change {
        set: if plan.root.read_only {
            attribute::READ_ONLY
        } else {
            0
        },
        propagation: (plan.root.propagation != Propagation::Private)
            .then_some(plan.root.propagation),
        ..Change::default()
    };
    if change.is_empty() {
        return Ok(());
    }
    mount::change(root.as_fd(), false, &change)
        .named(Step::MountAttributes, plan.root.path.display())
}
