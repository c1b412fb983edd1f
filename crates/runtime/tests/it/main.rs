//! The runtime against the real kernel, as root.
//!
//! Each test makes a container directory of its own around a busybox and drives the `launch`
//! example, which has one thread as launching demands.

#![allow(clippy::unwrap_used, reason = "what is not as expected fails the test")]

mod bed;
mod cve;
mod differential;
mod inside;
mod lifecycle;
mod policy;
mod race;
mod residue;
mod spawner;
