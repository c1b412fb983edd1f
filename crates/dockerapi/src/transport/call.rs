//! One request as handlers see it: version, path values, query, headers, body.
//!
//! Reading the body takes the call apart, so it comes last.

use http::{HeaderMap, header};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::body;
use super::filters::Filters;
use super::query::Query;
use super::route::Params;
use super::version::Version;
use crate::error::ApiError;

/// A routed request.
pub struct Call {
    pub(crate) version: Version,
    pub(crate) params: Params,
    pub(crate) query: Query,
    pub(crate) request: http::Request<Incoming>,
}

impl Call {
    /// The path's value of that name; the route table has it.
    pub fn param(&self, name: &str) -> &str {
        self.params
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.as_str())
            .expect("the route's pattern has the name")
    }

    /// The request's API version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The `filters` parameter, with only the names in `known`.
    pub fn filters(&self, known: &[&str]) -> Result<Filters, ApiError> {
        Filters::parse(&self.query, known)
    }

    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Whether the client asks to turn the connection into a raw stream.
    pub fn wants_upgrade(&self) -> bool {
        let has = |name: header::HeaderName, token: &str| {
            self.headers().get_all(name).iter().any(|value| {
                value.to_str().is_ok_and(|text| {
                    text.split(',')
                        .any(|part| part.trim().eq_ignore_ascii_case(token))
                })
            })
        };
        has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "tcp")
    }

    /// The body as JSON, after checking that it is declared as such where it is declared at all.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        self.check_json_type()?;
        body::read_json(self.request.into_body()).await
    }

    /// As [`Call::json`], where no body means the default.
    pub async fn json_or_default<T: DeserializeOwned + Default>(self) -> Result<T, ApiError> {
        body::read_json_or_default(self.request.into_body()).await
    }

    fn check_json_type(&self) -> Result<(), ApiError> {
        let Some(value) = self.headers().get(header::CONTENT_TYPE) else {
            return Ok(());
        };
        let media = value
            .to_str()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if media.is_empty() || media.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(ApiError::invalid(format!(
            "unsupported Content-Type '{media}': must be application/json"
        )))
    }

    /// The body, to be streamed.
    pub fn into_body(self) -> Incoming {
        self.request.into_body()
    }

    /// The connection as a raw stream, once a 101 has been answered.
    pub fn take_upgrade(&mut self) -> hyper::upgrade::OnUpgrade {
        hyper::upgrade::on(&mut self.request)
    }
}
