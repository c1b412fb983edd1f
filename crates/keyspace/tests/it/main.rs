//! Keyspaces of this process, from outside.

mod conform;
