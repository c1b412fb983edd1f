//! What std lacks: atomic file replacement, the clock, random ids.
//! Knows nothing about containers.

pub mod clock;
pub mod file;
pub mod id;
