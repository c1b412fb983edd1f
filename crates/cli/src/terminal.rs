//! The person's terminal while a container's streams are on it.
//!
//! Owns raw mode and its end, detach keys, window sizes, signals, and moving bytes. Never knows
//! whether they belong to a container or to a command in one.

pub mod detach;
pub mod output;
pub mod pump;
pub mod raw;
pub mod signals;
