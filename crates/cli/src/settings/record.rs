//! The configuration file's form.
//!
//! Owns the keys and that unknown ones are errors. It never reads a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// How one registry is talked to (`[registries."host:port"]`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Plain HTTP, or TLS with any certificate.
    #[serde(default)]
    pub insecure: bool,
    /// Tried before the registry itself.
    #[serde(default)]
    pub mirror: Vec<String>,
    /// File with the certificate authority that signed its certificate.
    pub ca: Option<PathBuf>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub data_dir: Option<PathBuf>,
    pub run_dir: Option<PathBuf>,
    pub host: Option<String>,
    pub detach_keys: Option<String>,
    pub listen: Option<String>,
    /// Where a server serves `/deployments` without TLS.
    pub deployments_listen: Option<String>,
    pub secrets_key: Option<PathBuf>,
    pub node_name: Option<String>,
    pub pod_subnet: Option<String>,
    pub disable_agent: Option<bool>,
    #[serde(default)]
    pub registries: BTreeMap<String, Registry>,
}
