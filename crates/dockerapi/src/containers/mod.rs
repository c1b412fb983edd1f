//! `/containers`: one file for each kind of request.
//!
//! Nothing is decided here but what an HTTP request means.

pub mod archive;
pub mod attach;
pub mod create;
pub mod inspect;
pub mod lifecycle;
pub mod list;
pub mod logs;
pub mod remove;
pub mod stats;
mod top;
pub mod wait;
