//! The overlay a container's root is made of.
//!
//! Never: makes or removes its directories; they belong to whoever keeps the layers.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use weft_sys::mount::{self, Change, Context, Propagation};
use weft_sys::namespace::{Kind, Kinds};
use weft_sys::process::{CloneRequest, Side, clone, exit_now, wait, with_file_owner};

use crate::launch::Rootfs;
use crate::launch::channel::{Channel, Message};
use crate::launch::step::{Failure, Named, Step};
use crate::plan::IdMaps;

/// The directories of an overlay, open.
struct Layers {
    /// Top first.
    lower: Vec<OwnedFd>,
    upper: OwnedFd,
    work: OwnedFd,
    /// The detached mounts these are in. One lasts as long as its own descriptor.
    trees: Vec<OwnedFd>,
    /// For messages.
    shown: PathBuf,
}

/// An overlay, mounted but attached nowhere.
pub(super) struct Mounted {
    pub(super) root: OwnedFd,
    /// The detached mounts of its layers. Overlayfs has its own by now, but closing one waits for
    /// an RCU grace period: better when nobody waits.
    pub(super) spent: Vec<OwnedFd>,
}

/// Mounts, detached, the overlay `rootfs`; a plain directory is none. With `user_namespace` all
/// of it is id-mapped: on disk are the container's own ids.
pub(super) fn mount(
    rootfs: &Rootfs,
    user_namespace: Option<BorrowedFd<'_>>,
    maps: Option<&IdMaps>,
) -> Result<Option<Mounted>, Failure> {
    let Rootfs::Overlay { lower, upper, work } = rootfs else {
        return Ok(None);
    };
    let layers = Layers::open(lower, upper, work, user_namespace, user_namespace.is_some())?;
    let context = new_context(&layers)?;
    match layers.give(&context) {
        Ok(()) => Ok(Some(Mounted {
            root: finish(&context, &layers, maps)?,
            spent: layers.spent(),
        })),
        Err(error) if takes_no_descriptors(&error) => {
            let layers = Layers::open(lower, upper, work, user_namespace, true)?;
            Ok(Some(Mounted {
                root: mount_attached(&layers, maps)?,
                spent: layers.spent(),
            }))
        }
        Err(error) => Err(explain(&context, &layers, error)),
    }
}

/// Mounts the overlay `rootfs` as it is on disk, in a mount namespace of the calling thread's own:
/// where overlayfs needs its layers attached, that is where they are.
pub(super) fn mount_here(rootfs: &Rootfs) -> Result<OwnedFd, Failure> {
    let Rootfs::Overlay { lower, upper, work } = rootfs else {
        let error = io::Error::other("it is no overlay");
        return Err(Failure::new(Step::Overlay, "/", &error));
    };
    let layers = Layers::open(lower, upper, work, None, false)?;
    let context = new_context(&layers)?;
    match layers.give(&context) {
        Ok(()) => finish(&context, &layers, None),
        Err(error) if takes_no_descriptors(&error) => {
            attach_and_mount(&Layers::open(lower, upper, work, None, true)?, None)
        }
        Err(error) => Err(explain(&context, &layers, error)),
    }
}

/// Overlayfs takes descriptors since Linux 6.13. Before, it says "invalid argument", or "not
/// supported" where it still has the mount interface from before fsconfig (6.1).
fn takes_no_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP)
    )
}

fn new_context(layers: &Layers) -> Result<Context, Failure> {
    let context = Context::open(c"overlay").named(Step::Overlay, layers.shown.display())?;
    let named = context.set(c"source", c"overlay");
    named.named(Step::Overlay, layers.shown.display())?;
    Ok(context)
}

impl Layers {
    /// Opens the directories; with `detach` each through a detached mount of its own.
    fn open(
        lower: &[PathBuf],
        upper: &Path,
        work: &Path,
        user_namespace: Option<BorrowedFd<'_>>,
        detach: bool,
    ) -> Result<Layers, Failure> {
        let mut trees = Vec::with_capacity(lower.len() + 1);
        let mut opened = Vec::with_capacity(lower.len());
        for layer in lower {
            let layer_fd = open_directory(layer)?;
            if detach {
                let tree = detached(layer_fd.as_fd(), layer, user_namespace)?;
                opened.push(tree.try_clone().named(Step::Overlay, layer.display())?);
                trees.push(tree);
            } else {
                opened.push(layer_fd);
            }
        }
        // Overlayfs renames between these two, so they have to be seen through one mount.
        let (above, upper_name, work_name) = common(upper, work)?;
        let mut parent = open_directory(above)?;
        if detach {
            parent = detached(parent.as_fd(), above, user_namespace)?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = |name: &OsStr| {
            rustix::fs::openat(&parent, name, flags, Mode::empty())
                .named(Step::Overlay, above.join(name).display())
        };
        let (upper_fd, work_fd) = (open(upper_name)?, open(work_name)?);
        if detach {
            trees.push(parent);
        }
        Ok(Layers {
            lower: opened,
            upper: upper_fd,
            work: work_fd,
            trees,
            shown: upper.to_owned(),
        })
    }

    /// All descriptors that hold one of the detached mounts.
    fn spent(self) -> Vec<OwnedFd> {
        let Layers {
            lower,
            upper,
            work,
            trees,
            ..
        } = self;
        lower
            .into_iter()
            .chain([upper, work])
            .chain(trees)
            .collect()
    }

    fn give(&self, context: &Context) -> io::Result<()> {
        for layer in &self.lower {
            context.set_fd(c"lowerdir+", layer)?;
        }
        context.set_fd(c"upperdir", &self.upper)?;
        context.set_fd(c"workdir", &self.work)
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).named(Step::Overlay, path.display())
}

fn detached(
    directory: BorrowedFd<'_>,
    path: &Path,
    user_namespace: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Failure> {
    let tree = mount::clone_tree(directory, false).named(Step::Overlay, path.display())?;
    let change = Change {
        propagation: Some(Propagation::Private),
        id_map: user_namespace,
        ..Change::default()
    };
    mount::change(&tree, false, &change).named(Step::IdMap, path.display())?;
    Ok(tree)
}

fn common<'a>(
    upper: &'a Path,
    work: &'a Path,
) -> Result<(&'a Path, &'a OsStr, &'a OsStr), Failure> {
    let parent = upper
        .parent()
        .filter(|parent| work.parent() == Some(*parent));
    match (parent, upper.file_name(), work.file_name()) {
        (Some(parent), Some(upper), Some(work)) => Ok((parent, upper, work)),
        _ => {
            let error = io::Error::other("upper and work need one parent directory");
            Err(Failure::new(Step::Overlay, upper.display(), &error))
        }
    }
}

/// Overlayfs keeps files of its own in `work`, as whoever mounts it: that has to be somebody the
/// mapped mount knows.
fn finish(context: &Context, layers: &Layers, maps: Option<&IdMaps>) -> Result<OwnedFd, Failure> {
    let mounted = match maps.and_then(|maps| Some((maps.user(0)?, maps.group(0)?))) {
        Some((uid, gid)) => with_file_owner(uid, gid, || context.mount(0)).and_then(|done| done),
        None => context.mount(0),
    };
    mounted.map_err(|error| explain(context, layers, error))
}

/// For kernels whose overlayfs takes only names, and only of attached mounts: a process with a
/// mount namespace of its own attaches the layers, mounts, hands the mount over and ends.
fn mount_attached(layers: &Layers, maps: Option<&IdMaps>) -> Result<OwnedFd, Failure> {
    let shown = || layers.shown.display();
    let (ours, theirs) = Channel::pair().named(Step::Overlay, shown())?;
    let request = CloneRequest {
        namespaces: Kinds::from(Kind::Mount),
        ..CloneRequest::default()
    };
    let child = match clone(&request).named(Step::Overlay, shown())? {
        Side::Parent(child) => child,
        Side::Child => {
            let said = match attach_and_mount(layers, maps) {
                Ok(mounted) => Message::Ready(Some(mounted)),
                Err(failure) => Message::Failed(failure),
            };
            let _ = theirs.send(&said);
            exit_now(0)
        }
    };
    drop(theirs);
    let said = ours.receive();
    wait(&child.pidfd).named(Step::Overlay, shown())?;
    match said.named(Step::Overlay, shown())? {
        Message::Ready(Some(mounted)) => Ok(mounted),
        Message::Failed(failure) => Err(failure),
        _ => {
            let error = io::Error::other("the process that mounts it died");
            Err(Failure::new(Step::Overlay, shown(), &error))
        }
    }
}

fn attach_and_mount(layers: &Layers, maps: Option<&IdMaps>) -> Result<OwnedFd, Failure> {
    let shown = || layers.shown.display();
    let host = open_directory(Path::new("/"))?;
    let slave = Change {
        propagation: Some(Propagation::Slave),
        ..Change::default()
    };
    mount::change(&host, true, &slave).named(Step::Overlay, shown())?;
    for tree in &layers.trees {
        // All in one place: they are named by descriptor, and gone with this process.
        mount::place(tree, &host).named(Step::Overlay, shown())?;
    }
    // From here the name of a layer is its number: a value takes 255 bytes, that is 60 layers.
    rustix::process::chdir("/proc/self/fd").named(Step::Overlay, shown())?;
    let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
    let lower: Vec<String> = layers.lower.iter().map(number).collect();
    let context = new_context(layers)?;
    for (key, value) in [
        (c"lowerdir", lower.join(":")),
        (c"upperdir", number(&layers.upper)),
        (c"workdir", number(&layers.work)),
    ] {
        let value = CString::new(value).expect("digits and colons have no NUL");
        let set = context.set(key, &value);
        set.map_err(|error| explain(&context, layers, error))?;
    }
    finish(&context, layers, maps)
}

fn explain(context: &Context, layers: &Layers, error: io::Error) -> Failure {
    let messages = context.messages();
    let object = if messages.is_empty() {
        layers.shown.display().to_string()
    } else {
        format!("{} ({messages})", layers.shown.display())
    };
    Failure::new(Step::Overlay, object, &error)
}
