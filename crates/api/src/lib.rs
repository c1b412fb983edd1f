//! The vocabulary that crosses processes: error codes, the Docker Engine API's wire types, what a
//! node is to run and what it says of it, and the frames of forwarded ports (`spdy`).
//!
//! It does no I/O, takes no decisions and knows no other weft crate.

pub mod assignment;
pub mod docker;
mod error;

pub mod observed;
pub mod spdy;

pub use error::ErrorCode;
