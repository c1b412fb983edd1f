//! The Docker Engine API over the engine: thin HTTP.
//!
//! A request is lowered to the engine's total types, the engine is called, its answer is raised
//! to Docker's wire types. No decision about containers is taken here, no state is kept.

mod containers;
mod dispatch;
mod error;
mod events;
mod exec;
#[doc(hidden)]
pub mod fuzz;
mod images;
mod lower;
mod networks;
mod prune;
mod raise;
mod router;
mod serve;
mod session;
mod sizes;
mod system;
mod transport;
mod volumes;

pub use error::{ApiError, status};
pub use serve::serve;
