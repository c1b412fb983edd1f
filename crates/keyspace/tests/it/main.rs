//! Keyspaces of this process, from outside.

mod conform;
mod crash;
