//! Keyspaces of this process, from outside.

mod bounds;
mod conform;
mod crash;
mod model;
mod snapshots;
mod starting;
