//! The container's `/dev`: a tmpfs of its own, filled before anybody in the container can see it.
//!
//! The nodes are made here, never bound from the host, so that nothing done to them in the
//! container (ownership, mode) reaches the host's. Never: device permissions (the cgroup's).

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, Uid};
use weft_sys::mount::{self, Change, Context, attribute};

use super::prepare::attributes;
use crate::launch::step::{Failure, Named, Step};
use crate::plan::{Device, IdMaps, MountPlan, Plan, Source};

/// Links every container finds (runtime-spec, runtime-linux.md, "Dev symbolic links").
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes it, with the mount points of what will be mounted in it.
pub(super) fn make(
    plan: &Plan,
    planned: &MountPlan,
    options: &[(CString, Option<CString>)],
) -> Result<OwnedFd, Failure> {
    let maps = plan.id_maps.as_ref();
    let set = attributes(planned) & !attribute::READ_ONLY;
    let tree = tmpfs(options, maps, set).named(Step::Mount, "/dev")?;
    for device in plan.devices.iter().flatten() {
        node(&tree, device, maps).named(Step::Device, device.path.display())?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &tree, name).named(Step::Device, name)?;
        own(&tree, Path::new(name), 0, 0, maps).named(Step::Device, name)?;
    }
    let has_console = |device: &Device| device.path == Path::new("console");
    if plan.process.terminal && !plan.devices.iter().flatten().any(has_console) {
        file(&tree, "console", maps).named(Step::Device, "console")?;
    }
    for other in &plan.mounts {
        let Ok(below) = other.destination.strip_prefix("/dev") else {
            continue;
        };
        if let Source::Filesystem { .. } = other.source {
            directories(&tree, below, maps).named(Step::Mountpoint, other.destination.display())?;
        }
    }
    if attributes(planned) & attribute::READ_ONLY != 0 {
        let change = Change {
            set: attribute::READ_ONLY,
            ..Change::default()
        };
        mount::change(&tree, false, &change).named(Step::MountAttributes, "/dev")?;
    }
    Ok(tree)
}

/// The options are the container's: their ids have to be read with its maps.
fn tmpfs(
    options: &[(CString, Option<CString>)],
    maps: Option<&IdMaps>,
    attributes: u64,
) -> std::io::Result<OwnedFd> {
    let context = Context::open(c"tmpfs")?;
    let (mut uid, mut gid) = (0, 0);
    for (key, value) in options {
        let number = || {
            value
                .as_ref()
                .and_then(|value| value.to_str().ok()?.parse().ok())
        };
        match (key.as_bytes(), value) {
            (b"uid", _) => uid = number().ok_or(std::io::ErrorKind::InvalidInput)?,
            (b"gid", _) => gid = number().ok_or(std::io::ErrorKind::InvalidInput)?,
            (_, Some(value)) => context.set(key, value)?,
            (_, None) => context.set_flag(key)?,
        }
    }
    let (uid, gid) = outside(uid, gid, maps)?;
    if (uid, gid) != (0, 0) {
        let text = |id: u32| CString::new(id.to_string()).expect("digits have no NUL");
        context.set(c"uid", &text(uid))?;
        context.set(c"gid", &text(gid))?;
    }
    context.mount(attributes)
}

fn node(tree: &OwnedFd, device: &Device, maps: Option<&IdMaps>) -> std::io::Result<()> {
    if let Some(parent) = device.path.parent() {
        directories(tree, parent, maps)?;
    }
    let kind = rustix::fs::FileType::from_raw_mode(device.kind);
    let number = rustix::fs::makedev(device.major, device.minor);
    let mode = Mode::from_raw_mode(device.mode);
    rustix::fs::mknodat(tree, &device.path, kind, mode, number)?;
    // The mask of the caller had its say in mknod.
    rustix::fs::chmodat(tree, &device.path, mode, AtFlags::empty())?;
    own(tree, &device.path, device.uid, device.gid, maps)
}

fn file(tree: &OwnedFd, name: &str, maps: Option<&IdMaps>) -> std::io::Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(tree, name, rustix::fs::FileType::RegularFile, mode, 0)?;
    own(tree, Path::new(name), 0, 0, maps)
}

fn directories(tree: &OwnedFd, path: &Path, maps: Option<&IdMaps>) -> std::io::Result<()> {
    let mut made = std::path::PathBuf::new();
    for name in path.components() {
        made.push(name);
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdirat(tree, &made, mode) {
            Ok(()) => {
                // The mask of the caller had its say in mkdir.
                rustix::fs::chmodat(tree, &made, mode, AtFlags::empty())?;
                own(tree, &made, 0, 0, maps)?;
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn own(
    tree: &OwnedFd,
    path: &Path,
    uid: u32,
    gid: u32,
    maps: Option<&IdMaps>,
) -> std::io::Result<()> {
    let (uid, gid) = outside(uid, gid, maps)?;
    // Nothing to change for what root made for root.
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::chownat(
        tree,
        path,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn outside(uid: u32, gid: u32, maps: Option<&IdMaps>) -> std::io::Result<(u32, u32)> {
    let Some(maps) = maps else {
        return Ok((uid, gid));
    };
    match (maps.user(uid), maps.group(gid)) {
        (Some(uid), Some(gid)) => Ok((uid, gid)),
        _ => Err(std::io::Error::other(
            "its owner is not mapped in the user namespace",
        )),
    }
}
