//! What can go wrong with a cgroup, in words that say what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::LimitError;
use crate::devices::DeviceError;

/// What can go wrong with a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup v2 mount.
    #[error(
        "find a cgroup v2 mount in /proc/self/mountinfo: there is none; boot with \
         systemd.unified_cgroup_hierarchy=1, or mount one with: mount -t cgroup2 none /sys/fs/cgroup"
    )]
    NoHierarchy,
    /// A path that must not become a cgroup.
    #[error("cgroup path {path:?}: {reason}")]
    Path {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit with no sense, or none in v2.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A limit whose controller is not there.
    #[error(
        "limit {limit} = {value}: the cgroup v2 tree has no {controller} controller here ({looked} \
         lists: {present}); leave the limit out, or boot with cgroup_no_v1=all so that v2 gets it"
    )]
    Unavailable {
        /// The limit's name in the specification.
        limit: String,
        /// What was asked for.
        value: String,
        /// The controller it needs.
        controller: String,
        /// The file that lists those there are.
        looked: PathBuf,
        /// What it lists.
        present: String,
    },
    /// A limit whose file the kernel does not have.
    #[error("limit {limit} = {value}: this kernel has no file {file}")]
    NoFile {
        /// The limit's name in the specification.
        limit: String,
        /// What was asked for.
        value: String,
        /// The file.
        file: PathBuf,
    },
    /// The kernel refused a limit.
    #[error("limit {limit}: write {value:?} to {file}")]
    Refused {
        /// The limit's name in the specification.
        limit: String,
        /// What was written.
        value: String,
        /// Where.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A lower limit than what is in use, with `checkBeforeUpdate`.
    #[error("limit memory.limit = {limit}: {current} bytes are in use, and it asks to be checked")]
    BelowUse {
        /// The limit.
        limit: i64,
        /// What is in use.
        current: u64,
    },
    /// A file of the cgroup could not be read or written.
    #[error("{action} {path}")]
    File {
        /// `open`, `read`, `make`…
        action: String,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The cgroup to make is there and has processes.
    #[error("make cgroup {path}: it is there and has processes")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Its parent cannot hand controllers down.
    #[error(
        "let the children of cgroup {path} have {controllers}: it has processes of its own, which \
         cgroup v2 does not allow beside children with controllers; move them to a child of it"
    )]
    Occupied {
        /// The parent.
        path: PathBuf,
        /// What they need.
        controllers: String,
    },
    /// It would not become empty, or not freeze, in time.
    #[error("{action} cgroup {path}: not done after {waited:?}, {processes} processes in it")]
    Timeout {
        /// What was waited for.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// How long.
        waited: Duration,
        /// How many are left.
        processes: usize,
    },
    /// Device control.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
