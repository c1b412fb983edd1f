//! Named volumes: directories that outlive the containers using them.
//!
//! Owns `volumes/<name>/{_data,volume.json}`. Never mounts: it answers with a path.
//! Who uses a volume is the engine's knowledge; it asks before removing.

mod name;
mod record;
mod store;

pub use name::check_name;
pub use store::{CreateError, OpenError, RemoveError, Store, Volume};
