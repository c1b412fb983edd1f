//! Owns one place a registry is reached at: its base URL, the HTTP client with its TLS rules, and
//! the tokens it gave. Credentials are bound to its scheme, host and port and leave for nowhere
//! else; redirects are followed here, bounded and judged, never by the HTTP library.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::challenge::{self, Challenge};
use super::error::RegistryError;
use super::guard::{self, Reach};
use super::{Credentials, RegistrySettings, Timeouts, tls, token};

/// Most redirects of one request.
const HOPS_MAX: usize = 5;
/// Most clients kept for hosts we were sent to.
const SENT_MAX: usize = 16;

pub(super) struct Endpoint {
    pub base: Url,
    /// The registry as the user named it.
    pub host: String,
    pub credentials: Option<Credentials>,
    /// A helper program that has them, for the message when they turn out to be needed.
    pub helper: Option<String>,
    settings: RegistrySettings,
    timeouts: Timeouts,
    client: Client,
    /// Clients for other hosts, each pinned to addresses that were judged.
    sent: Mutex<HashMap<String, Client>>,
    authorization: tokio::sync::Mutex<Option<Authorization>>,
}

/// What goes into `Authorization`, for one scope until some time.
#[derive(Clone)]
struct Authorization {
    scope: String,
    value: HeaderValue,
    until: Option<Instant>,
}

/// What is asked for.
pub(super) struct Ask<'a> {
    pub path: String,
    pub accept: &'static str,
    /// First byte wanted.
    pub from: u64,
    /// `repository:<path>:pull`
    pub scope: &'a str,
    /// For messages.
    pub what: &'a str,
}

impl Endpoint {
    pub fn new(
        base: Url,
        host: &str,
        settings: &RegistrySettings,
        timeouts: Timeouts,
    ) -> Result<Self, RegistryError> {
        let client = client(&base, host, settings, timeouts, |builder| builder)?;
        Ok(Self {
            base,
            host: host.to_owned(),
            credentials: None,
            helper: None,
            settings: settings.clone(),
            timeouts,
            client,
            sent: Mutex::default(),
            authorization: tokio::sync::Mutex::default(),
        })
    }

    /// Sends a GET, with credentials if asked for them, through redirects. Answers with any
    /// response that is neither a redirect nor 401.
    pub async fn get(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let first = self
            .base
            .join(&ask.path)
            .map_err(|e| self.setup(e.to_string()))?;
        let mut authorization = self.known(ask.scope).await;
        let mut asked = false;
        loop {
            let response = self
                .follow(first.clone(), ask, authorization.as_ref())
                .await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            if !same_origin(response.url(), &self.base) {
                // Whoever that is, it is not whom the credentials are for (CVE-2020-15157).
                return Err(self.denied(ask, "another host it sent us to wants credentials"));
            }
            if asked {
                return Err(self.refused(ask));
            }
            asked = true;
            authorization = Some(self.authorize(ask, response.headers()).await?);
        }
    }

    /// GET of a URL that is not the registry's: judged, and without credentials.
    pub async fn get_foreign(&self, url: Url, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let response = self.follow(url, ask, None).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.denied(ask, "another host it sent us to wants credentials"));
        }
        Ok(response)
    }

    async fn follow(
        &self,
        mut url: Url,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        for _ in 0..=HOPS_MAX {
            let home = same_origin(&url, &self.base);
            let client = if home {
                self.client.clone()
            } else {
                self.client_for(&url).await?
            };
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
            if ask.from > 0 {
                let range = HeaderValue::try_from(format!("bytes={}-", ask.from));
                headers.insert(
                    reqwest::header::RANGE,
                    range.expect("digits are a valid header"),
                );
            }
            if let Some(value) = authorization.filter(|_| home) {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let sent = client.get(url.clone()).headers(headers).send().await;
            let response = sent.map_err(|source| self.broken(&url, source))?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                return Ok(response);
            }
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|l| l.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next.ok_or_else(|| self.answer(ask.what, "a redirect to nowhere"))?;
        }
        Err(self.answer(ask.what, "it redirects again and again"))
    }

    /// The client for a host the registry sent us to, if we may go there.
    async fn client_for(&self, url: &Url) -> Result<Client, RegistryError> {
        let plain = url.scheme() == "http" && self.base.scheme() == "http";
        if url.scheme() != "https" && !plain {
            return Err(self.sent_to(url, "it is not https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.sent_to(url, "it carries credentials"));
        }
        let origin = url.origin().ascii_serialization();
        if let Some(client) = self.sent().get(&origin) {
            return Ok(client.clone());
        }
        let lookup = |_| self.sent_to(url, "its name does not resolve");
        let (addresses, closest) = guard::resolve(url).await.map_err(lookup)?;
        if closest > Reach::Global {
            let own = guard::resolve(&self.base)
                .await
                .map_or(Reach::Global, |(_, own)| own);
            if closest == Reach::Never || closest > own {
                return Err(self.sent_to(
                    url,
                    "its address is closer to this machine than the registry's",
                ));
            }
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = client(url, &self.host, &self.settings, self.timeouts, |builder| {
            builder.resolve_to_addrs(&host, &addresses)
        })?;
        let mut sent = self.sent();
        if sent.len() >= SENT_MAX {
            sent.clear();
        }
        sent.insert(origin, client.clone());
        Ok(client)
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, HashMap<String, Client>> {
        // A cache: whatever a panic left in it is usable.
        self.sent
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn known(&self, scope: &str) -> Option<HeaderValue> {
        let known = self.authorization.lock().await;
        let known = known.as_ref()?;
        let fresh = known.scope == scope && known.until.is_none_or(|until| Instant::now() < until);
        fresh.then(|| known.value.clone())
    }

    /// Answers the registry's challenge, and keeps the answer.
    async fn authorize(
        &self,
        ask: &Ask<'_>,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, RegistryError> {
        let mut kept = self.authorization.lock().await;
        let all = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|h| h.to_str().ok());
        let header = all.collect::<Vec<_>>().join(", ");
        let (value, lifetime) = match challenge::parse(&header) {
            Some(Challenge::Basic) => {
                let credentials = self.credentials.as_ref().ok_or_else(|| self.refused(ask))?;
                (token::basic(credentials), None)
            }
            Some(Challenge::Bearer { realm, service }) => {
                let realm = Url::parse(&realm)
                    .map_err(|_| self.answer(ask.what, "its token server has no usable address"))?;
                let client = if same_origin(&realm, &self.base) {
                    self.client.clone()
                } else {
                    self.client_for(&realm).await?
                };
                let token = token::fetch(self, &client, realm, service.as_deref(), ask).await?;
                (token.value, Some(token.lifetime))
            }
            None => return Err(self.answer(ask.what, "401 without a challenge we know")),
        };
        // A token that runs out while a request is on its way is of no use.
        let margin = Duration::from_secs(5);
        let until = lifetime.map(|lifetime| Instant::now() + lifetime.saturating_sub(margin));
        *kept = Some(Authorization {
            scope: ask.scope.to_owned(),
            value: value.clone(),
            until,
        });
        Ok(value)
    }

    pub fn broken(&self, url: &Url, source: reqwest::Error) -> RegistryError {
        let host = match (url.host_str(), same_origin(url, &self.base)) {
            (Some(other), false) => format!("{} (through {other})", self.host),
            _ => self.host.clone(),
        };
        let source = source.without_url();
        if !source.is_connect() {
            return RegistryError::Transfer { host, source };
        }
        let guess = "; if it speaks plain HTTP or has a certificate of its own, say so in \
            [registries.\"<host>\"] insecure or ca";
        let is_tls = url.scheme() == "https" && is_tls_failure(&source);
        RegistryError::Connect {
            host,
            hint: if is_tls { guess } else { "" },
            source,
        }
    }

    /// The error for an answer of 401 or 403 in spite of what we have.
    pub fn refused(&self, ask: &Ask<'_>) -> RegistryError {
        let why = match (&self.credentials, &self.helper) {
            (Some(credentials), _) => {
                format!(
                    "it refuses the credentials of user {:?}",
                    credentials.username
                )
            }
            (None, Some(helper)) => format!(
                "it wants credentials, which docker-credential-{helper} keeps; weft does not run \
                 such helpers, log in with `weft login`"
            ),
            (None, None) => {
                "the repository does not exist or needs credentials: `weft login` stores them"
                    .to_owned()
            }
        };
        RegistryError::Denied {
            host: self.host.clone(),
            what: ask.what.to_owned(),
            why,
        }
    }

    fn denied(&self, ask: &Ask<'_>, why: &str) -> RegistryError {
        let (host, what, why) = (self.host.clone(), ask.what.to_owned(), why.to_owned());
        RegistryError::Denied { host, what, why }
    }

    pub fn answer(&self, what: &str, why: &str) -> RegistryError {
        let (host, what, why) = (self.host.clone(), what.to_owned(), why.to_owned());
        RegistryError::Answer { host, what, why }
    }

    fn setup(&self, why: String) -> RegistryError {
        RegistryError::Setup {
            host: self.host.clone(),
            why,
        }
    }

    fn sent_to(&self, url: &Url, why: &'static str) -> RegistryError {
        let to = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        RegistryError::Sent {
            host: self.host.clone(),
            to,
            why,
        }
    }
}

pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

fn is_tls_failure(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let text = error.to_string();
        if text.contains("certificate")
            || text.contains("InvalidMessage")
            || text.contains("corrupt message")
        {
            return true;
        }
        source = error.source();
    }
    false
}

fn client(
    url: &Url,
    host: &str,
    settings: &RegistrySettings,
    timeouts: Timeouts,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, RegistryError> {
    let setup = |why: String| RegistryError::Setup {
        host: host.to_owned(),
        why,
    };
    let loopback = guard::is_loopback(url.host_str().unwrap_or_default());
    let mut builder = Client::builder()
        .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.idle)
        .pool_max_idle_per_host(8);
    if loopback {
        builder = builder.no_proxy();
    }
    if let Some(path) = &settings.ca {
        builder = builder.tls_backend_preconfigured(tls::trusting(path).map_err(setup)?);
    } else if settings.insecure || loopback || url.scheme() == "http" {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    more(builder)
        .build()
        .map_err(|e| setup(format!("cannot set up TLS: {e}")))
}
