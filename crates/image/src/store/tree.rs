//! Owns how deep trees may be. What they take on disk [`weft_stdx::disk`] knows.

/// Deepest tree that is walked; each level holds one descriptor.
pub(crate) const DEPTH_MAX: usize = 512;
