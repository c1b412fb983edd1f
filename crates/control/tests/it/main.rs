//! The store of objects, from outside.

#![allow(clippy::unwrap_used)]

mod history;
mod memory;
mod shaken;
mod truth;
mod watcher;
mod writer;
