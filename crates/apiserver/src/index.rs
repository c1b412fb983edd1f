//! `GET /`: which paths there are. Not in the role that discovery needs: as upstream.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::json;
use weft_control::Kinds;

use crate::accept::Encoding;
use crate::answer::{self, Answer};

/// Those that are there whatever the kinds are.
const ALWAYS: [&str; 13] = [
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/healthz",
    "/healthz/keyspace",
    "/healthz/ping",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
];

/// The page; nothing: it is another path.
pub(crate) fn answer(kinds: &Kinds, path: &str) -> Option<Answer> {
    if !matches!(path, "/" | "/index.html") {
        return None;
    }
    let mut paths: BTreeSet<String> = ALWAYS.map(str::to_owned).into();
    for kind in kinds.served() {
        match &*kind.group {
            "" => drop(paths.insert(format!("/api/{}", kind.version))),
            group => {
                paths.insert(format!("/apis/{group}"));
                paths.insert(format!("/apis/{group}/{}", kind.version));
            }
        }
    }
    let text = Encoding::Pretty.text(&json!({ "paths": paths }));
    Some(answer::whole(StatusCode::OK, "application/json", text))
}
