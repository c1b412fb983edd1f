//! Lowering of mounts: fstab's option words to attributes, and what is mounted where.
//!
//! Never: opens a source.

use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::Mount;
use weft_sys::mount::{Propagation, attribute};

use super::{Attributes, Filesystem, IdMapping, MountPlan, Source, kernel_string};

/// Files below `/proc` that a bind may replace: figures of this machine that lxcfs and its kin
/// show in a container's own measure. Everything else there stays the kernel's
/// (CVE-2019-16884, CVE-2023-27561).
const PROC_BINDS: [&str; 9] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
];

/// weft's own word: the source is a directory, and what is bound lies beneath it, at this path.
pub const BENEATH: &str = "x-weft-beneath=";

pub(super) fn lower(mount: &Mount, dir: &Path, reasons: &mut Vec<String>) -> Option<MountPlan> {
    let destination = clean(mount.destination());
    let shown = destination.display().to_string();
    let options = words(mount);
    let bind = options.iter().any(|word| word == "bind" || word == "rbind");
    if destination == Path::new("/") {
        reasons.push("mounts: a mount at / hides the root filesystem".to_owned());
        return None;
    }
    let kind = match mount.typ().as_deref() {
        Some("bind") => None,
        _ if bind => None,
        Some(kind) => match filesystem(kind) {
            Some(kind) => Some(kind),
            None => {
                reasons.push(format!("mounts: {shown}: type {kind} is not supported"));
                return None;
            }
        },
        None => {
            reasons.push(format!("mounts: {shown}: no type and not a bind"));
            return None;
        }
    };
    refuse_over_proc(&destination, kind, reasons);
    let mut parsed = Options::default();
    for word in &options {
        parsed.take(word, kind, &shown, reasons);
    }
    let mapped = mount.uid_mappings().is_some() || mount.gid_mappings().is_some();
    if mapped && (kind.is_some() || parsed.id_map == IdMapping::No) {
        reasons.push(format!(
            "mounts: {shown}: uidMappings and gidMappings need a bind with idmap or ridmap"
        ));
    }
    let source = match kind {
        Some(kind) => Source::Filesystem {
            kind,
            options: parsed.data,
        },
        None => Source::Bind {
            path: bind_source(mount, dir, &shown, reasons)?,
            beneath: parsed.beneath,
            recursive: parsed.recursive_bind,
            id_map: parsed.id_map,
        },
    };
    Some(MountPlan {
        destination,
        source,
        own: parsed.own,
        recursive: parsed.recursive,
        propagation: parsed.propagation,
    })
}

/// An absolute path without `.` and `..`, read as from the root.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

fn words(mount: &Mount) -> Vec<String> {
    mount.options().clone().unwrap_or_default()
}

fn filesystem(kind: &str) -> Option<Filesystem> {
    Some(match kind {
        "proc" => Filesystem::Proc,
        "sysfs" => Filesystem::Sysfs,
        "tmpfs" => Filesystem::Tmpfs,
        "devpts" => Filesystem::Devpts,
        "mqueue" => Filesystem::Mqueue,
        // The word comes from version 1; which tree it means is the machine's.
        "cgroup" | "cgroup2" => Filesystem::Cgroup,
        _ => return None,
    })
}

/// Whether `destination` is a file below `/proc` that a bind may replace.
pub fn is_proc_bind(destination: &Path) -> bool {
    PROC_BINDS.iter().any(|path| destination == Path::new(path))
}

fn refuse_over_proc(destination: &Path, kind: Option<Filesystem>, reasons: &mut Vec<String>) {
    let below = destination.starts_with("/proc");
    let known = is_proc_bind(destination);
    let proper = match kind {
        Some(Filesystem::Proc) => destination == Path::new("/proc"),
        Some(_) => !below,
        None => !below || known,
    };
    if !proper {
        let shown = destination.display();
        reasons.push(format!(
            "mounts: {shown}: only proc itself may be mounted over /proc"
        ));
    }
}

fn bind_source(
    mount: &Mount,
    dir: &Path,
    shown: &str,
    reasons: &mut Vec<String>,
) -> Option<PathBuf> {
    match mount.source() {
        Some(source) if !source.as_os_str().is_empty() => Some(dir.join(source)),
        _ => {
            reasons.push(format!("mounts: {shown}: a bind without a source"));
            None
        }
    }
}

struct Options {
    own: Attributes,
    recursive: Attributes,
    propagation: Option<(Propagation, bool)>,
    recursive_bind: bool,
    beneath: Option<PathBuf>,
    id_map: IdMapping,
    data: Vec<(std::ffi::CString, Option<std::ffi::CString>)>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            own: Attributes::default(),
            recursive: Attributes::default(),
            propagation: None,
            recursive_bind: false,
            beneath: None,
            id_map: IdMapping::No,
            data: Vec::new(),
        }
    }
}

impl Options {
    fn take(
        &mut self,
        word: &str,
        kind: Option<Filesystem>,
        shown: &str,
        reasons: &mut Vec<String>,
    ) {
        if let Some(change) = attributes(word) {
            self.own.apply(change);
            return;
        }
        if let Some(change) = word.strip_prefix('r').and_then(attributes) {
            self.recursive.apply(change);
            return;
        }
        if let Some(propagation) = propagation(word) {
            self.propagation = Some(propagation);
            return;
        }
        if let (Some(path), None) = (word.strip_prefix(BENEATH), kind) {
            self.beneath = Some(PathBuf::from(path));
            return;
        }
        match (word, kind) {
            ("bind", None) | ("defaults" | "silent" | "loud" | "async" | "nomand", _) => {}
            ("rbind", None) => self.recursive_bind = true,
            ("idmap", None) => self.id_map = IdMapping::Own,
            ("ridmap", None) => self.id_map = IdMapping::Recursive,
            // Every devpts is an instance of its own since Linux 4.7.
            ("newinstance", Some(Filesystem::Devpts)) => {}
            ("tmpcopyup" | "remount" | "mand", _) | (_, None) => {
                reasons.push(format!("mounts: {shown}: option {word} is not supported"));
            }
            (_, Some(_)) => {
                let (key, value) = match word.split_once('=') {
                    Some((key, value)) => (key, Some(value)),
                    None => (word, None),
                };
                let key = kernel_string(reasons, "mounts.options", key);
                let value = value.map(|value| kernel_string(reasons, "mounts.options", value));
                self.data.push((key, value));
            }
        }
    }
}

impl Attributes {
    fn apply(&mut self, (set, clear): (u64, u64)) {
        self.set = (self.set & !clear) | set;
        self.clear |= clear;
    }
}

/// (to set, to clear first) of a word that changes attributes.
fn attributes(word: &str) -> Option<(u64, u64)> {
    use attribute as bit;
    Some(match word {
        "ro" => (bit::READ_ONLY, 0),
        "rw" => (0, bit::READ_ONLY),
        "nosuid" => (bit::NO_SUID, 0),
        "suid" => (0, bit::NO_SUID),
        "nodev" => (bit::NO_DEV, 0),
        "dev" => (0, bit::NO_DEV),
        "noexec" => (bit::NO_EXEC, 0),
        "exec" => (0, bit::NO_EXEC),
        "nodiratime" => (bit::NO_DIR_ATIME, 0),
        "diratime" => (0, bit::NO_DIR_ATIME),
        "noatime" => (bit::NO_ATIME, bit::ACCESS_TIME),
        "strictatime" => (bit::STRICT_ATIME, bit::ACCESS_TIME),
        "relatime" | "atime" | "norelatime" | "nostrictatime" => (bit::RELATIME, bit::ACCESS_TIME),
        "nosymfollow" => (bit::NO_SYM_FOLLOW, 0),
        "symfollow" => (0, bit::NO_SYM_FOLLOW),
        _ => return None,
    })
}

pub(super) fn propagation(word: &str) -> Option<(Propagation, bool)> {
    Some(match word {
        "shared" => (Propagation::Shared, false),
        "rshared" => (Propagation::Shared, true),
        "slave" => (Propagation::Slave, false),
        "rslave" => (Propagation::Slave, true),
        "private" => (Propagation::Private, false),
        "rprivate" => (Propagation::Private, true),
        "unbindable" => (Propagation::Unbindable, false),
        "runbindable" => (Propagation::Unbindable, true),
        _ => return None,
    })
}
