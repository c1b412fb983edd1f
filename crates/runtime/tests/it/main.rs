//! The runtime against the real kernel, as root.
//!
//! Each test makes a container directory of its own around a busybox and drives the `launch`
//! example, which has one thread as launching demands.

mod bed;
mod differential;
mod residue;
mod inside;
mod cve;
mod lifecycle;
mod policy;
mod spawner;
