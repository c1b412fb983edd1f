//! How things look: tables, sizes, times, templates, progress.
//!
//! Pure apart from `progress`; never asks the engine for anything.

pub mod listing;
pub mod progress;
pub mod table;
pub mod template;
pub mod units;
