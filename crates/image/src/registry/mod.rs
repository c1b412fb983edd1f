//! Owns talking to registries (OCI distribution spec 1.1). Never stores anything.

mod config;

pub use config::{Credentials, RegistryConfig, RegistrySettings};
