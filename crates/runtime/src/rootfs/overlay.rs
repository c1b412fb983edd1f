//! The overlay a container's root is made of.
//!
//! Never: makes or removes its directories; they belong to whoever keeps the layers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use weft_sys::mount::{self, Change, Context, Propagation};
use weft_sys::process::with_file_owner;

use crate::launch::step::{Failure, Named, Step};
use crate::plan::IdMaps;

/// Mounts, detached, `lower` (top first) under `upper`. With `user_namespace` all of them are
/// id-mapped by it: on disk are the container's own ids.
pub(super) fn mount(
    lower: &[PathBuf],
    upper: &Path,
    work: &Path,
    user_namespace: Option<BorrowedFd<'_>>,
    maps: Option<&IdMaps>,
) -> Result<OwnedFd, Failure> {
    let shown = || upper.display();
    let context = Context::open(c"overlay").named(Step::Overlay, shown())?;
    context
        .set(c"source", c"overlay")
        .named(Step::Overlay, shown())?;
    // A detached mount lasts as long as its own descriptor, so all are kept until the end.
    let mut held = Vec::with_capacity(lower.len() + 1);
    for layer in lower {
        let layer_fd = directory(layer, user_namespace)?;
        context
            .set_fd(c"lowerdir+", &layer_fd)
            .map_err(|error| explain(&context, layer, error))?;
        held.push(layer_fd);
    }
    // Overlayfs renames between the two, so they have to be seen through one mount.
    let (upper_fd, work_fd) = writable(upper, work, user_namespace, &mut held)?;
    context
        .set_fd(c"upperdir", &upper_fd)
        .map_err(|error| explain(&context, upper, error))?;
    context
        .set_fd(c"workdir", &work_fd)
        .map_err(|error| explain(&context, work, error))?;
    // Overlayfs keeps files of its own in `work`, as whoever mounts it: that has to be somebody
    // the mapped mount knows.
    let mounted = match maps.and_then(|maps| Some((maps.user(0)?, maps.group(0)?))) {
        Some((uid, gid)) => with_file_owner(uid, gid, || context.mount(0)).and_then(|done| done),
        None => context.mount(0),
    };
    mounted.map_err(|error| explain(&context, upper, error))
}

/// The directory `path`, through a detached mount of its own if ids are mapped.
fn directory(path: &Path, user_namespace: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory =
        rustix::fs::open(path, flags, Mode::empty()).named(Step::Overlay, path.display())?;
    match user_namespace {
        None => Ok(directory),
        Some(namespace) => mapped(directory.as_fd(), path, namespace),
    }
}

fn mapped(
    directory: BorrowedFd<'_>,
    path: &Path,
    namespace: BorrowedFd<'_>,
) -> Result<OwnedFd, Failure> {
    let tree = mount::clone_tree(directory, false).named(Step::Overlay, path.display())?;
    let change = Change {
        propagation: Some(Propagation::Private),
        id_map: Some(namespace),
        ..Change::default()
    };
    mount::change(&tree, false, &change).named(Step::IdMap, path.display())?;
    Ok(tree)
}

fn writable(
    upper: &Path,
    work: &Path,
    user_namespace: Option<BorrowedFd<'_>>,
    held: &mut Vec<OwnedFd>,
) -> Result<(OwnedFd, OwnedFd), Failure> {
    let Some(namespace) = user_namespace else {
        return Ok((directory(upper, None)?, directory(work, None)?));
    };
    let parent = upper
        .parent()
        .filter(|parent| work.parent() == Some(parent));
    let (Some(parent), Some(upper_name), Some(work_name)) =
        (parent, upper.file_name(), work.file_name())
    else {
        let error = std::io::Error::other("upper and work need one parent directory");
        return Err(Failure::new(Step::Overlay, upper.display(), &error));
    };
    let both = directory(parent, Some(namespace))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let open = |name: &std::ffi::OsStr, whole: &Path| {
        rustix::fs::openat(&both, name, flags, Mode::empty()).named(Step::Overlay, whole.display())
    };
    let opened = (open(upper_name, upper)?, open(work_name, work)?);
    held.push(both);
    Ok(opened)
}

fn explain(context: &Context, path: &Path, error: std::io::Error) -> Failure {
    let messages = context.messages();
    let object = if messages.is_empty() {
        path.display().to_string()
    } else {
        format!("{} ({messages})", path.display())
    };
    Failure::new(Step::Overlay, object, &error)
}
