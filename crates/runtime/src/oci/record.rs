//! What is kept of a container between commands of the OCI command line.
//!
//! Read again only by the same version's commands or newer ones: fields may be added, with a
//! default, and never change their meaning.

use std::collections::HashMap;
use std::path::PathBuf;

use oci_spec::runtime::Hook;
use serde::{Deserialize, Serialize};

/// Version of [`Record`].
pub const VERSION: u32 = 1;

/// A container.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// Its name.
    pub id: String,
    /// Version of its specification.
    pub oci_version: String,
    /// The container directory.
    pub dir: PathBuf,
    /// Its root filesystem.
    pub rootfs: PathBuf,
    /// Init, in the host's pid namespace; 0 until it is there.
    pub pid: i32,
    /// When init began, in clock ticks since boot: tells it from a later owner of its number.
    pub start_ticks: u64,
    /// When the container was made, in nanoseconds of the Unix clock.
    pub created_at_ns: i64,
    /// Its cgroup below the version 2 mount.
    pub cgroup: Option<String>,
    /// Annotations of the specification.
    #[serde(default)]
    pub annotations: HashMap<String, String>,
    /// Hooks for after the start.
    #[serde(default)]
    pub poststart: Vec<Hook>,
    /// Hooks for after the end.
    #[serde(default)]
    pub poststop: Vec<Hook>,
}
