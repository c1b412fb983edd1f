//! Test support: a whole weft in directories of its own, the real peers it must get along with,
//! and images made on the spot.
//!
//! Owns starting and stopping what a test starts, and the check that nothing of it stays. Never
//! reaches into weft's crates: the harness sees what a user sees.

pub mod command;
pub mod engine;
pub mod http;
pub mod image;
pub mod leftovers;
pub mod peer;
pub mod registry;
pub mod server;
pub mod tarball;
pub mod terminal;
pub mod wait;

pub use command::{Background, Ran};
pub use engine::Weft;
pub use peer::{docker, peer, skip};
pub use registry::Registry;
pub use terminal::Terminal;
pub use wait::{until, within};
