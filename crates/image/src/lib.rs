//! Images: content by digest, transfer from registries and archives, unpacking, snapshots.
//!
//! Owns the `images` directory of a data directory. Answers with paths and values: it never
//! mounts, never runs anything, and nothing it reads from an image selects a host action.

pub mod archive;
pub mod config;
pub mod digest;
pub mod error;
pub mod ingest;
pub mod manifest;
pub mod overlay;
pub mod pack;
pub mod platform;
pub mod pull;
pub mod reference;
pub mod registry;
pub mod snapshot;
pub mod store;
pub mod unpack;
mod wire;

pub use archive::{ArchiveError, Changes, Loaded};
pub use config::{ConfigError, ExposedPort, Healthcheck, History, ImageConfig};
pub use digest::Digest;
pub use error::ErrorKind;
pub use platform::Platform;
pub use pull::{LayerState, Progress, PullError, PullOptions};
pub use reference::{Reference, ReferenceError};
pub use registry::{Credentials, RegistryConfig, RegistrySettings};
pub use snapshot::{Change, ChangeKind, Mounts, SnapshotError, Snapshotter};
pub use store::{Image, Layer, NameError, Reclaimed, RemoveOptions, Removed, Store, StoreError};
