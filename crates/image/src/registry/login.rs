//! Asking a registry whether it takes credentials, without asking for anything else.

use super::endpoint::Ask;
use super::{Credentials, RegistryConfig, RegistryError, Repository, ok};
use crate::reference::{DEFAULT_DOMAIN, Reference};
use crate::store::Store;

impl Store {
    /// Whether the registry at `server` (`host[:port]`, or Docker Hub's old address) takes
    /// `credentials`. Nothing is stored.
    ///
    /// # Errors
    /// It refuses them, can't be reached, or `server` names no registry.
    pub async fn login(&self, server: &str, credentials: Credentials) -> Result<(), RegistryError> {
        check(&self.0.registries, server, credentials).await
    }
}

async fn check(
    config: &RegistryConfig,
    server: &str,
    credentials: Credentials,
) -> Result<(), RegistryError> {
    let reference = reference(server).ok_or_else(|| RegistryError::Setup {
        host: server.chars().take(80).collect(),
        why: "it is not the name of a registry: expected HOST[:PORT]".to_owned(),
    })?;
    let mut repository = Repository::new(config, &reference, Some(credentials))?;
    // Mirrors have no credentials of ours, and their answer would say nothing.
    repository
        .endpoints
        .retain(|endpoint| endpoint.credentials.is_some());
    repository.scope.clear();
    repository
        .somewhere(async |endpoint| {
            let ask = Ask {
                path: "/v2/".to_owned(),
                accept: "application/json",
                from: 0,
                scope: &repository.scope,
                what: "a login",
            };
            ok(endpoint, &ask, endpoint.get(&ask).await?)
                .await
                .map(drop)
        })
        .await
}

/// Some repository there: only its host counts.
fn reference(server: &str) -> Option<Reference> {
    let bare = server
        .strip_prefix("https://")
        .or_else(|| server.strip_prefix("http://"));
    let host = bare.unwrap_or(server).split('/').next().unwrap_or_default();
    let host = if host.is_empty() || host == "index.docker.io" {
        DEFAULT_DOMAIN
    } else {
        host
    };
    let reference = Reference::parse(&format!("{host}/login/check")).ok()?;
    (reference.domain() == host).then_some(reference)
}

#[cfg(test)]
mod tests {
    use super::reference;

    #[test]
    fn servers_are_read_as_docker_writes_them() {
        for (text, host) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("https://reg.example/v2/", "reg.example"),
        ] {
            assert_eq!(reference(text).unwrap().domain(), host, "{text}");
        }
        for text in ["no registry", "user@host", "name"] {
            assert!(reference(text).is_none(), "{text}");
        }
    }
}
