//! From Docker's wire types to the engine's total types.
//!
//! Pure. Everything that is wrong with a request is said at once: each part adds to one list of
//! refusals. It decides shape and range only; what exists is for the engine to say.

mod container;
mod exec;
mod health;
mod mounts;
mod network;
mod ports;
mod refusals;
mod resources;
mod security;
mod update;

pub use container::container;
pub use exec::exec;
pub use network::{endpoint, network_create};
pub use refusals::Refusals;
pub use update::update;
