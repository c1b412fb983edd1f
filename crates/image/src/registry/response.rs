//! Owns what a registry answers: a stream from the byte asked for, a bounded body, or an error in
//! the registry's own words.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::RegistryError;
use super::endpoint::{Ask, Endpoint};
use crate::wire::RegistryErrors;

/// Longest pause a registry can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Largest error body that is read.
const ERROR_MAX: u64 = 64 << 10;

/// A blob on its way, from some byte on.
#[derive(Debug)]
pub(crate) struct BlobStream {
    response: Response,
    /// Bytes to pass over: the registry ignored the range.
    skip: u64,
    host: String,
}

impl BlobStream {
    /// The next bytes; `None` when the connection ends, complete or not.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let piece = self.response.chunk().await;
            let failed = |source: reqwest::Error| RegistryError::Transfer {
                host: self.host.clone(),
                source: source.without_url(),
            };
            let Some(mut piece) = piece.map_err(failed)? else {
                return Ok(None);
            };
            if self.skip > 0 {
                let over = self.skip.min(piece.len() as u64);
                self.skip -= over;
                piece = piece.slice(usize::try_from(over).expect("no more than the piece")..);
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
}

pub(super) async fn stream(
    endpoint: &Endpoint,
    ask: &Ask<'_>,
    response: Response,
) -> Result<BlobStream, RegistryError> {
    let host = endpoint.host.clone();
    if response.status() == StatusCode::PARTIAL_CONTENT {
        let range = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok());
        let start = range.and_then(|range| {
            range
                .strip_prefix("bytes ")?
                .split('-')
                .next()?
                .parse()
                .ok()
        });
        if start != Some(ask.from) {
            return Err(endpoint.answer(ask.what, "it sends another range than asked for"));
        }
        return Ok(BlobStream {
            response,
            skip: 0,
            host,
        });
    }
    let response = ok(endpoint, ask, response).await?;
    Ok(BlobStream {
        response,
        skip: ask.from,
        host,
    })
}

/// Lets 200 pass and turns everything else into an error.
pub(super) async fn ok(
    endpoint: &Endpoint,
    ask: &Ask<'_>,
    response: Response,
) -> Result<Response, RegistryError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let wait = wait
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let body = read_all(endpoint, response, ERROR_MAX, ask.what)
        .await
        .unwrap_or_default();
    let said = said(&body);
    let (host, what) = (endpoint.host.clone(), ask.what.to_owned());
    Err(match status {
        StatusCode::NOT_FOUND => RegistryError::NotFound { what, host, said },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => endpoint.refused(ask),
        status => {
            if status == StatusCode::TOO_MANY_REQUESTS
                && let Some(wait) = wait
            {
                tokio::time::sleep(wait.min(PAUSE_MAX)).await;
            }
            RegistryError::Status {
                host,
                status,
                what,
                said,
            }
        }
    })
}

/// What a registry's error body says, fit for one line.
fn said(body: &[u8]) -> String {
    let errors: RegistryErrors = serde_json::from_slice(body).unwrap_or_default();
    let Some(error) = errors.errors.first() else {
        return String::new();
    };
    let text = if error.message.is_empty() {
        &error.code
    } else {
        &error.message
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    if text.is_empty() {
        text
    } else {
        format!(": {text}")
    }
}

pub(super) async fn read_all(
    endpoint: &Endpoint,
    mut response: Response,
    limit: u64,
    what: &str,
) -> Result<Vec<u8>, RegistryError> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|e| endpoint.broken(&url, e))?
    {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > limit {
            let (what, host) = (what.to_owned(), endpoint.host.clone());
            return Err(RegistryError::Large { what, host, limit });
        }
    }
    Ok(bytes)
}
