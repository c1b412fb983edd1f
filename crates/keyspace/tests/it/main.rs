//! Keyspaces of this process, from outside.

#![allow(clippy::unwrap_used)]

mod bounds;
mod concurrent;
mod conform;
mod crash;
mod model;
mod snapshots;
mod starting;
