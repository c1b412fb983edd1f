//! Owns talking to registries (OCI distribution spec 1.1): manifests and blobs of one repository,
//! from its mirrors or itself, with retries. Never stores anything.

mod challenge;
mod config;
mod credentials;
mod endpoint;
mod error;
mod guard;
mod login;
mod response;
mod tls;
mod token;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

pub use config::{Credentials, RegistryConfig, RegistrySettings, Timeouts};
pub use credentials::CredentialsError;
pub use error::RegistryError;

use crate::digest::{Digest, Hasher};
use crate::manifest::{self, Descriptor, MANIFEST_MAX};
use crate::reference::{DEFAULT_DOMAIN, Reference};
use credentials::Found;
use endpoint::{Ask, Endpoint};
pub(crate) use response::BlobStream;
use response::{ok, read_all, stream};

/// Where docker.io's registry really is.
const DOCKER_IO: &str = "registry-1.docker.io";
/// How often a request is made in all, and how long after the first failure the next follows; the
/// pause triples each time.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// Attempts when nothing even answers.
const CONNECT_ATTEMPTS: u32 = 2;

/// One repository at its registry (and mirrors).
pub(crate) struct Repository {
    path: String,
    scope: String,
    /// In the order they are tried.
    endpoints: Vec<Endpoint>,
    /// The one that answered last.
    current: AtomicUsize,
}

/// A manifest or index as it came.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub bytes: Vec<u8>,
    pub media_type: String,
    pub digest: Digest,
}

impl Repository {
    pub fn new(
        config: &RegistryConfig,
        reference: &Reference,
        auth: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let host = reference.domain();
        let settings = config.settings(host);
        let mut endpoints = Vec::new();
        for mirror in &settings.mirrors {
            endpoints.extend(mirror_endpoints(config, mirror)?);
        }
        let found = match auth {
            Some(credentials) => Found::Credentials(credentials),
            None => credentials::find(config, host)?,
        };
        let real = if host == DEFAULT_DOMAIN {
            DOCKER_IO
        } else {
            host
        };
        for mut endpoint in own_endpoints(config, real, host, &settings)? {
            match &found {
                Found::Credentials(credentials) => endpoint.credentials = Some(credentials.clone()),
                Found::Helper(helper) => endpoint.helper = Some(helper.clone()),
                Found::Nothing => {}
            }
            endpoints.push(endpoint);
        }
        Ok(Self {
            path: reference.path().to_owned(),
            scope: format!("repository:{}:pull", reference.path()),
            endpoints,
            current: AtomicUsize::new(0),
        })
    }

    /// The manifest or index called `name` (tag or digest). A digest is checked.
    pub async fn manifest(
        &self,
        name: &str,
        digest: Option<&Digest>,
    ) -> Result<Fetched, RegistryError> {
        let what = match digest {
            Some(digest) => format!("{}@{digest}", self.path),
            None => format!("{}:{name}", self.path),
        };
        let target = digest.map_or_else(|| name.to_owned(), Digest::to_string);
        let path = format!("/v2/{}/manifests/{target}", self.path);
        self.somewhere(|endpoint| self.manifest_at(endpoint, &path, &what, digest))
            .await
    }

    async fn manifest_at(
        &self,
        endpoint: &Endpoint,
        path: &str,
        what: &str,
        digest: Option<&Digest>,
    ) -> Result<Fetched, RegistryError> {
        let ask = self.ask(path, manifest::ACCEPT, 0, what);
        let response = ok(endpoint, &ask, endpoint.get(&ask).await?).await?;
        let header = |name: &str| {
            let value = response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let media_type = header(CONTENT_TYPE.as_str());
        let announced = Digest::parse(&header("docker-content-digest")).ok();
        let bytes = read_all(endpoint, response, MANIFEST_MAX, what).await?;
        let own = Digest::of(&bytes);
        for expected in digest.into_iter().chain(announced.as_ref()) {
            let mut hasher = Hasher::new(expected.algorithm());
            hasher.update(&bytes);
            let got = hasher.finish();
            if got != *expected {
                let (what, host) = (what.to_owned(), endpoint.host.clone());
                return Err(RegistryError::Digest { what, host, got });
            }
        }
        Ok(Fetched {
            bytes,
            media_type,
            digest: digest.cloned().unwrap_or(own),
        })
    }

    /// A small blob, whole and checked.
    pub async fn document(&self, blob: &Descriptor, max: u64) -> Result<Vec<u8>, RegistryError> {
        let what = format!("{}@{}", self.path, blob.digest);
        let limit = blob.size.min(max);
        let path = format!("/v2/{}/blobs/{}", self.path, blob.digest);
        self.somewhere(|endpoint| self.document_at(endpoint, &path, &what, blob, limit))
            .await
    }

    async fn document_at(
        &self,
        endpoint: &Endpoint,
        path: &str,
        what: &str,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let ask = self.ask(path, "*/*", 0, what);
        let response = ok(endpoint, &ask, endpoint.get(&ask).await?).await?;
        let bytes = read_all(endpoint, response, limit, what).await?;
        let mut hasher = Hasher::new(blob.digest.algorithm());
        hasher.update(&bytes);
        match hasher.finish() {
            got if got == blob.digest => Ok(bytes),
            got => {
                let (what, host) = (what.to_owned(), endpoint.host.clone());
                Err(RegistryError::Digest { what, host, got })
            }
        }
    }

    /// A blob from byte `from` on; from the places the manifest names if the registry has it not.
    pub async fn blob(&self, blob: &Descriptor, from: u64) -> Result<BlobStream, RegistryError> {
        let what = format!("{}@{}", self.path, blob.digest);
        let path = format!("/v2/{}/blobs/{}", self.path, blob.digest);
        let found = self.somewhere(|endpoint| self.blob_at(endpoint, &path, &what, from));
        let mut failure = match found.await {
            Err(error @ RegistryError::NotFound { .. }) => error,
            other => return other,
        };
        let home = self
            .endpoints
            .last()
            .expect("the registry itself is always there");
        for url in blob.urls.iter().filter_map(|url| Url::parse(url).ok()) {
            let ask = self.ask(&path, "*/*", from, &what);
            match self.foreign(home, url, &ask).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn foreign(
        &self,
        home: &Endpoint,
        url: Url,
        ask: &Ask<'_>,
    ) -> Result<BlobStream, RegistryError> {
        let response = home.get_foreign(url, ask).await?;
        stream(home, ask, response).await
    }

    async fn blob_at(
        &self,
        endpoint: &Endpoint,
        path: &str,
        what: &str,
        from: u64,
    ) -> Result<BlobStream, RegistryError> {
        let ask = self.ask(path, "*/*", from, what);
        let response = endpoint.get(&ask).await?;
        stream(endpoint, &ask, response).await
    }

    fn ask<'a>(&'a self, path: &str, accept: &'static str, from: u64, what: &'a str) -> Ask<'a> {
        Ask {
            path: path.to_owned(),
            accept,
            from,
            scope: &self.scope,
            what,
        }
    }

    /// Asks one endpoint after the other, beginning with the one that answered last, until one
    /// has it. The registry itself comes last and its error is the one told.
    async fn somewhere<'a, T, F: Future<Output = Result<T, RegistryError>>>(
        &'a self,
        ask: impl Fn(&'a Endpoint) -> F,
    ) -> Result<T, RegistryError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failure: Option<RegistryError> = None;
        let mut answered = "";
        for (at, endpoint) in self.endpoints.iter().enumerate().skip(first) {
            let is_tls = endpoint.base.scheme() == "https";
            // It speaks TLS, so plain HTTP would be a step down.
            if !is_tls && answered == endpoint.host {
                continue;
            }
            let next = self.endpoints.get(at + 1);
            let plain_follows = is_tls && next.is_some_and(|next| next.host == endpoint.host);
            let attempts = if plain_follows { 1 } else { CONNECT_ATTEMPTS };
            match retried(attempts, || ask(endpoint)).await {
                Ok(answer) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    if !matches!(error, RegistryError::Connect { .. }) {
                        answered = &endpoint.host;
                    }
                    failure = Some(error);
                }
            }
        }
        Err(failure.expect("there is at least one endpoint"))
    }
}

/// Tries again after transient failures, at most [`ATTEMPTS`] times in all.
async fn retried<T, F: Future<Output = Result<T, RegistryError>>>(
    connect_attempts: u32,
    ask: impl Fn() -> F,
) -> Result<T, RegistryError> {
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let connect = matches!(error, RegistryError::Connect { .. });
        let most = if connect { connect_attempts } else { ATTEMPTS };
        if !error.is_transient() || attempt >= most {
            return Err(error);
        }
        tracing::debug!(%error, attempt, "asking the registry again");
        tokio::time::sleep(pause).await;
        pause *= 3;
        attempt += 1;
    }
}

/// The registry by TLS, then by plain HTTP where that is allowed.
fn own_endpoints(
    config: &RegistryConfig,
    real: &str,
    host: &str,
    settings: &RegistrySettings,
) -> Result<Vec<Endpoint>, RegistryError> {
    let bare = real.rsplit_once(':').map_or(real, |(bare, port)| {
        if port.bytes().all(|c| c.is_ascii_digit()) {
            bare
        } else {
            real
        }
    });
    let plain = settings.insecure || (guard::is_loopback(bare) && settings.ca.is_none());
    let schemes: &[&str] = if plain {
        &["https", "http"]
    } else {
        &["https"]
    };
    let endpoint = |scheme: &&str| {
        let base =
            Url::parse(&format!("{scheme}://{real}/")).map_err(|e| RegistryError::Setup {
                host: host.to_owned(),
                why: format!("its name makes no URL: {e}"),
            })?;
        Endpoint::new(base, host, settings, config.timeouts)
    };
    schemes.iter().map(endpoint).collect()
}

/// A mirror is a registry of its own, without the mirrored one's credentials. Its settings stand
/// under its own name; a scheme in its URL decides whether it is spoken to by TLS.
fn mirror_endpoints(config: &RegistryConfig, mirror: &str) -> Result<Vec<Endpoint>, RegistryError> {
    let trimmed = mirror.trim_end_matches('/');
    let (scheme, host) = match trimmed.split_once("://") {
        Some((scheme @ ("http" | "https"), host)) => (Some(scheme), host),
        Some(_) => {
            let why = "a mirror is a host or an http(s) URL".to_owned();
            return Err(RegistryError::Setup {
                host: mirror.to_owned(),
                why,
            });
        }
        None => (None, trimmed),
    };
    let settings = config.settings(host);
    let mut endpoints = own_endpoints(config, host, host, &settings)?;
    match scheme {
        Some("http") => {
            let base =
                Url::parse(&format!("http://{host}/")).map_err(|e| RegistryError::Setup {
                    host: mirror.to_owned(),
                    why: format!("its name makes no URL: {e}"),
                })?;
            endpoints = vec![Endpoint::new(base, host, &settings, config.timeouts)?];
        }
        Some(_) => endpoints.truncate(1),
        None => {}
    }
    if let Found::Credentials(credentials) = credentials::find(config, host)? {
        for endpoint in &mut endpoints {
            endpoint.credentials = Some(credentials.clone());
        }
    }
    Ok(endpoints)
}
