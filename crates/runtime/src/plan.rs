//! What a container is to be, with every question answered: the specification, lowered.
//!
//! Owns: the total internal types and the pure function from the OCI specification to them.
//! Never: touches the kernel or a file. What the specification asks for and this runtime does not
//! do is refused here, by name, everything at once.

mod devices;
mod lower;
mod mounts;
mod process;
pub mod sysctl;

use std::collections::HashMap;
use std::ffi::CString;
use std::path::PathBuf;

use oci_spec::runtime::{Hooks, LinuxResources};
use weft_sys::mount::Propagation;
use weft_sys::namespace::{IdMap, Kind, Kinds};

use crate::capabilities::Sets;

pub use lower::lower;
pub use mounts::{BENEATH, is_proc_bind};
pub use process::lower_process;

/// Everything in a specification that weft does not do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the specification asks for what weft does not do: {}", reasons.join("; "))]
pub struct Refused {
    /// One sentence per refusal, each beginning with the field's name.
    pub reasons: Vec<String>,
}

/// A container.
#[derive(Debug)]
pub struct Plan {
    /// Its root.
    pub root: Root,
    /// In the order in which they are mounted.
    pub mounts: Vec<MountPlan>,
    /// Nodes in `/dev`. `None` when `/dev` is a bind, whose nodes are its owner's business.
    pub devices: Option<Vec<Device>>,
    /// Paths whose content is hidden.
    pub masked: Vec<PathBuf>,
    /// Paths made read-only.
    pub read_only: Vec<PathBuf>,
    /// Which namespaces are made, and which are joined.
    pub namespaces: Namespaces,
    /// Maps of the user namespace, also when it is joined.
    pub id_maps: Option<IdMaps>,
    /// Files below `/proc/sys` and what is written to them.
    pub sysctls: Vec<Sysctl>,
    /// The cgroup, below the mount point of the version 2 tree. `None`: that of the caller.
    pub cgroup: Option<String>,
    /// Limits.
    pub resources: LinuxResources,
    /// Host name.
    pub host_name: Option<String>,
    /// NIS domain name.
    pub domain_name: Option<String>,
    /// Programs run at points of the life cycle.
    pub hooks: Hooks,
    /// For hooks.
    pub annotations: HashMap<String, String>,
    /// The process.
    pub process: ProcessPlan,
}

/// The root filesystem.
#[derive(Debug, PartialEq, Eq)]
pub struct Root {
    /// Absolute, on the host.
    pub path: PathBuf,
    /// Whether it is read-only for the process.
    pub read_only: bool,
    /// How mounts below it propagate.
    pub propagation: Propagation,
}

/// Namespaces of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Made.
    pub new: Kinds,
    /// Joined by path.
    pub join: Vec<(Kind, PathBuf)>,
}

/// Maps of a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// Users.
    pub users: Vec<IdMap>,
    /// Groups.
    pub groups: Vec<IdMap>,
}

impl IdMaps {
    /// What user `inside` is outside, if it is mapped.
    pub fn user(&self, inside: u32) -> Option<u32> {
        translate(&self.users, inside)
    }

    /// What group `inside` is outside, if it is mapped.
    pub fn group(&self, inside: u32) -> Option<u32> {
        translate(&self.groups, inside)
    }
}

fn translate(maps: &[IdMap], inside: u32) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = inside.checked_sub(map.inside)?;
        (offset < map.count).then(|| map.outside + offset)
    })
}

/// One mount.
#[derive(Debug, PartialEq, Eq)]
pub struct MountPlan {
    /// Where, in the container: absolute, without `.` and `..`.
    pub destination: PathBuf,
    /// What.
    pub source: Source,
    /// Attributes of this mount alone.
    pub own: Attributes,
    /// Attributes of this mount and those that came with it.
    pub recursive: Attributes,
    /// Propagation, and whether also of those that came with it.
    pub propagation: Option<(Propagation, bool)>,
}

/// Bits of `weft_sys::mount::attribute` to set and to clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// To set.
    pub set: u64,
    /// To clear.
    pub clear: u64,
}

/// What is mounted.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of the host.
    Bind {
        /// It; or the directory it lies in.
        path: PathBuf,
        /// Relative, of what lies in a directory that others write to: nothing leads out of that.
        beneath: Option<PathBuf>,
        /// With the mounts below it.
        recursive: bool,
        /// Whether ids are mapped by the container's user namespace, and how deep.
        id_map: IdMapping,
    },
    /// A new instance of a filesystem.
    Filesystem {
        /// Which.
        kind: Filesystem,
        /// Its own options, in order: key, and value if it has one.
        options: Vec<(CString, Option<CString>)>,
    },
}

/// Whether a bind is id-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMapping {
    /// It is not.
    No,
    /// The mount itself is.
    Own,
    /// It and the mounts below it are.
    Recursive,
}

/// The filesystems a container can get new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// Processes of its pid namespace.
    Proc,
    /// Devices, with those of its network namespace.
    Sysfs,
    /// Memory.
    Tmpfs,
    /// Terminals.
    Devpts,
    /// POSIX message queues of its ipc namespace.
    Mqueue,
    /// The version 2 tree, from its cgroup namespace's root.
    Cgroup,
}

/// A node in `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Relative to `/dev`.
    pub path: PathBuf,
    /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`.
    pub kind: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permissions.
    pub mode: u32,
    /// Owner, in the container.
    pub uid: u32,
    /// Group, in the container.
    pub gid: u32,
}

/// A kernel parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// Relative to `/proc/sys`.
    pub path: PathBuf,
    /// What is written.
    pub value: String,
}

/// A process.
#[derive(Debug)]
pub struct ProcessPlan {
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Rows and columns of that.
    pub size: Option<(u16, u16)>,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// The program and its arguments; not empty.
    pub arguments: Vec<CString>,
    /// Environment, as it is.
    pub environment: Vec<CString>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Capabilities; `None` leaves them as they are.
    pub capabilities: Option<Sets>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Whether execve never gives more privileges.
    pub no_new_privileges: bool,
    /// How willingly the kernel kills it when memory is short, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
}

/// A resource limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `RLIMIT_…`, for messages.
    pub name: &'static str,
    /// Its number.
    pub resource: u32,
    /// Soft.
    pub soft: u64,
    /// Hard.
    pub hard: u64,
}

/// Adds `reason` for a field that is there and that weft does not do.
fn refuse_some<T>(reasons: &mut Vec<String>, field: &str, value: Option<&T>) {
    if value.is_some() {
        reasons.push(format!("{field} is not supported"));
    }
}

/// A string the kernel can take: without NUL bytes.
fn kernel_string(reasons: &mut Vec<String>, field: &str, value: &str) -> CString {
    CString::new(value).unwrap_or_else(|_| {
        reasons.push(format!("{field} contains a NUL byte"));
        CString::default()
    })
}
