//! Owns what an administrator says about registries: which may be spoken to without verified
//! TLS, with which CA, through which mirrors. Never guesses: only loopback needs no saying.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings by registry host (`host` or `host:port`, as it stands in references).
#[derive(Clone, Debug, Default)]
pub struct RegistryConfig {
    /// By host.
    pub registries: BTreeMap<String, RegistrySettings>,
    /// Where credentials are read from; `None` is `~/.docker/config.json` of the process.
    pub docker_config: Option<PathBuf>,
    /// How long to wait for a registry.
    pub timeouts: Timeouts,
}

/// How long to wait for a registry.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(60),
        }
    }
}

/// What is special about one registry.
#[derive(Clone, Debug, Default)]
pub struct RegistrySettings {
    /// Accept plain HTTP and any certificate.
    pub insecure: bool,
    /// PEM file of further certificate authorities.
    pub ca: Option<PathBuf>,
    /// Hosts (or `http(s)://host[:port]`) that are asked first, in order, without credentials of
    /// this registry.
    pub mirrors: Vec<String>,
}

impl RegistryConfig {
    /// The settings of `host`; nothing special if it is not named.
    pub fn settings(&self, host: &str) -> RegistrySettings {
        self.registries.get(host).cloned().unwrap_or_default()
    }
}

/// A name and a secret for one registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name; empty with an identity token.
    pub username: String,
    /// Password or access token.
    pub password: String,
    /// OAuth2 refresh token, used instead of the password if there is one.
    pub identity_token: Option<String>,
}

/// Never shows the secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials {{ username: {:?}, .. }}", self.username)
    }
}
