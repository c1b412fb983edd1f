//! The kernel, as safe calls over owned file descriptors.
//!
//! Owns: every `unsafe` block of weft. Each module wraps one area of the kernel that `rustix`
//! does not cover, or covers only as an `unsafe fn`, so that no other crate needs `unsafe`.
//! Never: policy. Nothing here knows what a container is, reads configuration or logs.
#![allow(unsafe_code)]

pub mod bpf;
pub mod fd;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod path;
pub mod process;
pub mod pty;
pub mod seal;
pub mod seccomp;
pub mod signal;
pub mod trampoline;
