//! From the engine's types to Docker's wire types.
//!
//! Pure but for looking up where volumes are: what the engine says is written down as it is.

pub mod container;
pub mod health;
mod host;
pub mod image;
pub mod network;
pub mod status;
pub mod time;
