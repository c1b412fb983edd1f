//! Owns asking a token server for a bearer token (distribution spec, token authentication; OAuth2
//! with a refresh token where docker's login left one). Never follows a redirect with
//! credentials.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, Url};

use super::Credentials;
use super::endpoint::{Ask, Endpoint};
use super::error::RegistryError;
use crate::wire::TokenAnswer;

/// Largest answer of a token server.
const ANSWER_MAX: u64 = 1 << 20;
/// How long a token lasts if nobody says (the spec's default).
const LIFETIME: Duration = Duration::from_secs(60);
/// Longest life believed.
const LIFETIME_MAX: u64 = 24 * 3600;

pub(super) struct Token {
    pub value: HeaderValue,
    pub lifetime: Duration,
}

pub(super) fn basic(credentials: &Credentials) -> HeaderValue {
    let pair = format!("{}:{}", credentials.username, credentials.password);
    secret(&format!("Basic {}", STANDARD.encode(pair))).expect("base64 is a valid header")
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) async fn fetch(
    endpoint: &Endpoint,
    client: &Client,
    realm: Url,
    service: Option<&str>,
    ask: &Ask<'_>,
) -> Result<Token, RegistryError> {
    let refresh = endpoint
        .credentials
        .as_ref()
        .and_then(|c| c.identity_token.as_deref());
    let request = match refresh {
        Some(token) => {
            let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
            form.extend([("client_id", "weft"), ("scope", ask.scope)]);
            form.extend(service.map(|service| ("service", service)));
            let mut body = Url::parse("http://form/").expect("a constant");
            body.query_pairs_mut().extend_pairs(form);
            let body = body.query().unwrap_or_default().to_owned();
            client
                .post(realm.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body)
        }
        None => {
            let mut url = realm.clone();
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.map(|service| ("service", service)));
            // A login asks for nothing in particular.
            if !ask.scope.is_empty() {
                query.append_pair("scope", ask.scope);
            }
            drop(query);
            let request = client.get(url);
            match &endpoint.credentials {
                Some(credentials) => request.header(AUTHORIZATION, basic(credentials)),
                None => request,
            }
        }
    };
    let response = request
        .send()
        .await
        .map_err(|source| endpoint.broken(&realm, source))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(endpoint.refused(ask)),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if endpoint.credentials.is_some() => {
            return Err(endpoint.refused(ask));
        }
        status => {
            return Err(RegistryError::Status {
                host: endpoint.host.clone(),
                status,
                what: format!("the token for {}", ask.what),
                said: String::new(),
            });
        }
    }
    let what = format!("the token for {}", ask.what);
    let body = super::read_all(endpoint, response, ANSWER_MAX, &what).await?;
    // The parser's own message could quote the token.
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_| endpoint.answer(&what, "it is not the JSON it should be"))?;
    let token = if answer.token.is_empty() {
        answer.access_token
    } else {
        answer.token
    };
    let value = secret(&format!("Bearer {token}")).filter(|_| !token.is_empty());
    let value = value.ok_or_else(|| endpoint.answer(&what, "it has no usable token"))?;
    let lifetime = answer
        .expires_in
        .map_or(LIFETIME, |s| Duration::from_secs(s.min(LIFETIME_MAX)));
    Ok(Token { value, lifetime })
}
