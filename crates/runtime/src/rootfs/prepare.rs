//! The half with the host's privileges: mounts made detached, before there is a container.
//!
//! Never: looks into the container's root.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use weft_sys::mount::{self, Change, Propagation, attribute};
use weft_sys::path::Facts;

use super::{device, mask, overlay, source};
use crate::launch::Rootfs;
use crate::launch::step::{Failure, Named, Step};
use crate::plan::{Filesystem, IdMapping, MountPlan, Plan, Source};

/// Mounts that exist, detached, and hold only by these descriptors.
#[derive(Debug)]
pub struct Prepared {
    /// The root filesystem.
    pub(super) root: OwnedFd,
    /// For each mount of the plan that init does not make by itself.
    pub(super) mounts: Vec<Option<Tree>>,
    /// What covers masked paths. `None` when there are none.
    pub(super) masks: Option<OwnedFd>,
}

impl Prepared {
    /// The numbers of all its descriptors.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let mounts = self.mounts.iter().flatten().map(|tree| &tree.mount);
        let all = mounts.chain([&self.root]).chain(&self.masks);
        all.map(AsRawFd::as_raw_fd)
    }
}

/// A prepared mount.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) mount: OwnedFd,
    pub(super) is_directory: bool,
}

/// Makes what `plan` needs of the host. `user_namespace` is that of the container, if it has one
/// of its own; `cgroup` is its cgroup's directory. With it come descriptors that are of no use any
/// more, to be closed when nobody waits (see [`overlay::Mounted`]).
pub fn prepare(
    plan: &Plan,
    rootfs: &Rootfs,
    user_namespace: Option<BorrowedFd<'_>>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<(Prepared, Vec<OwnedFd>), Failure> {
    let overlay = overlay::mount(rootfs, user_namespace, plan.id_maps.as_ref())?;
    let (root, spent) = match overlay {
        Some(overlay) => (overlay.root, overlay.spent),
        None => (directory(&plan.root.path)?, Vec::new()),
    };
    let mut mounts = Vec::with_capacity(plan.mounts.len());
    for planned in &plan.mounts {
        mounts.push(prepare_mount(plan, planned, user_namespace, cgroup)?);
    }
    let masks = if plan.masked.is_empty() {
        None
    } else {
        Some(mask::make()?)
    };
    let prepared = Prepared {
        root,
        mounts,
        masks,
    };
    Ok((prepared, spent))
}

fn directory(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let shown = path.display();
    let directory = rustix::fs::open(path, flags, Mode::empty()).named(Step::Root, shown)?;
    let tree = mount::clone_tree(directory, true).named(Step::Root, path.display())?;
    let private = Change {
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    mount::change(&tree, true, &private).named(Step::Root, path.display())?;
    Ok(tree)
}

fn prepare_mount(
    plan: &Plan,
    planned: &MountPlan,
    user_namespace: Option<BorrowedFd<'_>>,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Option<Tree>, Failure> {
    match &planned.source {
        Source::Bind {
            path,
            beneath,
            recursive,
            id_map,
        } => {
            let elsewhere = source::namespace_of(path)?;
            let opened = source::open(path, beneath.as_deref())?;
            let copy = || bind(planned, opened.as_fd(), *recursive);
            let tree = match elsewhere {
                Some(there) => {
                    source::inside(&there, copy).named(Step::Source, path.display())??
                }
                None => copy()?,
            };
            map_ids(tree.mount.as_fd(), *id_map, user_namespace)
                .named(Step::IdMap, path.display())?;
            Ok(Some(tree))
        }
        Source::Filesystem {
            kind: Filesystem::Tmpfs,
            options,
        } if planned.destination == Path::new("/dev") => {
            let mount = device::make(plan, planned, options)?;
            Ok(Some(Tree {
                mount,
                is_directory: true,
            }))
        }
        // Without a cgroup namespace a new mount would show the host's whole tree; the container
        // gets its own part instead.
        Source::Filesystem {
            kind: Filesystem::Cgroup,
            ..
        } if !plan
            .namespaces
            .new
            .contains(weft_sys::namespace::Kind::Cgroup) =>
        {
            let Some(cgroup) = cgroup else {
                let error = std::io::Error::other("there is no cgroup to show");
                return Err(Failure::new(
                    Step::Mount,
                    planned.destination.display(),
                    &error,
                ));
            };
            Ok(Some(bind(planned, cgroup, false)?))
        }
        Source::Filesystem { .. } => Ok(None),
    }
}

fn bind(planned: &MountPlan, source: BorrowedFd<'_>, recursive: bool) -> Result<Tree, Failure> {
    let shown = || planned.destination.display();
    let facts = Facts::of(source).named(Step::Source, shown())?;
    let mount = mount::clone_tree(source, recursive).named(Step::Source, shown())?;
    // A copy of a shared mount is its peer until told otherwise.
    let (propagation, deep) = planned.propagation.unwrap_or((Propagation::Private, true));
    let all = Change {
        set: planned.recursive.set,
        clear: planned.recursive.clear,
        propagation: Some(if deep {
            propagation
        } else {
            Propagation::Private
        }),
        id_map: None,
    };
    mount::change(&mount, true, &all).named(Step::MountAttributes, shown())?;
    let own = Change {
        set: planned.own.set,
        clear: planned.own.clear,
        propagation: (!deep).then_some(propagation),
        id_map: None,
    };
    if !own.is_empty() {
        mount::change(&mount, false, &own).named(Step::MountAttributes, shown())?;
    }
    Ok(Tree {
        mount,
        is_directory: facts.is_directory(),
    })
}

fn map_ids(
    mount: BorrowedFd<'_>,
    mapping: IdMapping,
    user_namespace: Option<BorrowedFd<'_>>,
) -> std::io::Result<()> {
    if mapping == IdMapping::No {
        return Ok(());
    }
    let change = Change {
        id_map: user_namespace,
        ..Change::default()
    };
    mount::change(mount, mapping == IdMapping::Recursive, &change)
}

/// Attributes of a filesystem that did not come with mounts below it.
pub(super) fn attributes(planned: &MountPlan) -> u64 {
    let times = attribute::ACCESS_TIME;
    let (own, recursive) = (planned.own.set, planned.recursive.set);
    if own & times != 0 {
        own | (recursive & !times)
    } else {
        own | recursive
    }
}
