//! What std lacks: atomic file replacement, removal of trees, names that are safe as
//! file names, pools, the clock, random ids.
//! Knows nothing about containers.

pub mod clock;
pub mod file;
pub mod id;
pub mod name;
pub mod pool;
pub mod trash;
pub mod tree;
