//! From a container directory (OCI runtime specification 1.2) to a process.
//!
//! Owns: lowering the specification, making rootfs and namespaces, starting and joining, and the
//! processes that do so for the daemon (spawner, monitor). Synchronous; no async runtime.
//! Never: images, networks, names of containers, restart policies.

pub mod oci;
pub mod plan;
pub mod rootfs;

pub mod launch;

pub mod capabilities;
pub mod cgroup;
pub mod devices;
pub mod seccomp;

pub mod monitor;
pub mod spawner;
