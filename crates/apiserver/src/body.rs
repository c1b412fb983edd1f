//! Bodies that come in: JSON, YAML or protobuf, within bounds, one document.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_saphyr::DuplicateKeyPolicy;
use weft_control::decode::{self, Decoded};
use weft_control::schema::Schema;
use weft_control::{Failure, Reason, protobuf};

/// Largest body, as the Kubernetes API server's.
const LARGEST: usize = 3 << 20;
/// Most bytes that are taken of a body nobody wants, and how long that may take.
const DISCARDED: usize = 1 << 20;
const DISCARDING: Duration = Duration::from_secs(2);
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads all of a body.
///
/// # Errors
/// It is too large, too slow, or broken off.
pub(crate) async fn read(body: &mut Incoming) -> Result<Bytes, Failure> {
    let read = Limited::new(body, LARGEST).collect();
    let read = tokio::time::timeout(PATIENCE, read).await.map_err(|_| {
        let seconds = PATIENCE.as_secs();
        Failure::new(
            Reason::Timeout,
            format!("the body did not arrive within {seconds} s"),
        )
    })?;
    match read {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure::new(
            Reason::RequestEntityTooLarge,
            format!("the body has more than {LARGEST} bytes"),
        )),
        Err(error) => Err(Failure::bad_request(format!("read the body: {error}"))),
    }
}

/// Takes what is left of a body that nobody wanted, if it is little: many clients do not look at
/// an answer while they are not done with asking.
pub(crate) async fn discard(body: &mut Incoming) {
    let rest = async {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever takes longer has been told anyway.
    let _ = tokio::time::timeout(DISCARDING, rest).await;
}

/// The media type of a body, without parameters, in small letters.
pub(crate) fn media(head: &HeaderMap) -> String {
    let text = head.get(CONTENT_TYPE).map(|value| value.to_str());
    match text {
        None | Some(Ok("")) => "application/json".to_owned(),
        Some(text) => {
            let media = text.unwrap_or_default().split(';').next();
            media.unwrap_or_default().trim().to_ascii_lowercase()
        }
    }
}

/// Reads an object of `schema`: JSON, or YAML or protobuf where the head says so.
///
/// # Errors
/// It is of another type, or malformed.
pub(crate) fn document(
    head: &HeaderMap,
    schema: &Schema,
    bytes: &[u8],
) -> Result<Decoded, Failure> {
    match media(head).as_str() {
        "application/json" => json(bytes),
        "application/yaml" => yaml(bytes),
        protobuf::MEDIA => {
            let value = protobuf::decode(schema, bytes).map_err(|why| {
                Failure::bad_request(format!("the body is not valid protobuf: {why}"))
            })?;
            Ok(Decoded {
                value,
                duplicates: Vec::new(),
            })
        }
        other => Err(Failure::new(
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json, application/yaml, {}; not {other:?}",
                protobuf::MEDIA
            ),
        )),
    }
}

/// Reads JSON.
///
/// # Errors
/// It is malformed.
pub(crate) fn json(bytes: &[u8]) -> Result<Decoded, Failure> {
    decode::json(bytes)
        .map_err(|why| Failure::bad_request(format!("the body is not valid JSON: {why}")))
}

/// Reads YAML.
///
/// # Errors
/// It is malformed, or made to grow when it is read.
pub(crate) fn yaml(bytes: &[u8]) -> Result<Decoded, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::bad_request("the body is not valid YAML: it is not UTF-8"))?;
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        decode::read(reader)
    });
    read.map_err(|error| Failure::bad_request(format!("the body is not valid YAML: {error}")))
}
