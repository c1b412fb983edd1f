//! The Docker Engine API's wire types (v1.43, what 1.24 to 1.47 clients send and read).
//!
//! Names, units and meaning of the fields are those of Docker's API reference. Only what weft
//! honours or answers has a field. Types that arrive in requests keep every other member in
//! `rest`, so that the server can refuse by name what it does not know: nothing is dropped here.
//! A `null` means the same as an absent member, as it does in Docker's own decoder.

#[macro_use]
mod wire;

pub mod container;
pub mod create;
pub mod event;
pub mod exec;
pub mod host;
pub mod image;
pub mod network;
pub mod stats;
pub mod stream;
pub mod system;
pub mod text;
pub mod volume;

pub use container::*;
pub use create::*;
pub use event::*;
pub use exec::*;
pub use host::*;
pub use image::*;
pub use network::*;
pub use stats::*;
pub use stream::*;
pub use system::*;
pub use volume::*;

/// Members of a request that have no field here, by name.
pub type Rest = serde_json::Map<String, serde_json::Value>;

/// Go's `map[string]struct{}`: a set written as an object whose values are `{}`.
pub type Set = std::collections::BTreeMap<String, wire::Present>;

/// The value in a [`Set`], and a command.
pub use wire::{Present, Words};

/// Highest API version served, as `major.minor`.
pub const API_VERSION: &str = "1.47";

/// Docker's name of this machine's architecture, which is Go's.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
/// Lowest API version served, as `major.minor`.
pub const MIN_API_VERSION: &str = "1.24";

/// `{"message": …}`: the body of every answer that is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ErrorResponse {
    /// What was tried, on what, and why it failed.
    pub message: String,
}

/// `{"Id": …}`: the answer to requests that made something small.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdResponse {
    /// The new thing's id.
    pub id: String,
}
