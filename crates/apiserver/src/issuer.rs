//! Who makes service accounts' tokens here, and how others can read them (OpenID Connect discovery).

use http::StatusCode;
use serde_json::json;

use crate::answer::{self, Answer};
use crate::gate::Gate;

const KEYS: &str = "/openid/v1/jwks";

/// Answers a path of it; nothing if it is none.
pub(crate) fn answer(gate: &dyn Gate, path: &str) -> Option<Answer> {
    let (issuer, keys) = gate.issuer();
    let (media, value) = match path.strip_suffix('/').unwrap_or(path) {
        "/.well-known/openid-configuration" => (
            "application/json",
            json!({
                "issuer": issuer,
                "jwks_uri": format!("{issuer}{KEYS}"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
        ),
        KEYS => ("application/jwk-set+json", keys),
        _ => return None,
    };
    Some(answer::whole(StatusCode::OK, media, value.to_string()))
}
