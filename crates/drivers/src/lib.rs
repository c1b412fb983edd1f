//! What runs pods on a node: weft's own engine.
//!
//! Never: deciding what runs.

mod native;

pub use native::{Native, sandbox_name};
