//! The vocabulary that crosses processes: error codes and the Docker Engine API's wire types.
//!
//! It does no I/O, takes no decisions and knows no other weft crate.

pub mod docker;
mod error;

pub use error::ErrorCode;
