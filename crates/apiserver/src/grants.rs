//! `POST /v1/serviceaccounts/token`: a bootstrap token for a bearer token that buys a certificate, as
//! Nanocloud's clients have it.
//!
//! Owns: that each use of the token gives one, that a token that is over is told from one that never
//! was, and that what is given is good for `certificates` and for nothing else.
//! Never: stores anything.

use std::net::IpAddr;
use std::time::Instant;

use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Value, json};
use weft_control::{Failure, Reason};
use weft_identity::authority::Grant;
use weft_identity::jwt::{Holder, SHORTEST_LIFE_S};
use weft_identity::subject::Subject;
use weft_identity::token::{Token, TokenError};

use crate::answer::{self, Answer};
use crate::auditing::Note;
use crate::body;
use crate::bootstrap::{self, Refused};
use crate::gate::Question;
use crate::serve::Server;

/// Where.
pub(crate) const PATH: &str = "/v1/serviceaccounts/token";
/// What such a bearer token is meant for.
pub(crate) const AUDIENCE: &str = "nanocloud.io/certificate";
const FIELD: &str = "singleUseToken";

/// Answers it.
///
/// # Errors
/// 404: there is no such token; 410: there was; 400: the body names none.
pub(crate) async fn exchange(
    server: &Server,
    (head, body): (&Parts, &mut Incoming),
    source: IpAddr,
    note: &mut Note,
) -> Result<Answer, Failure> {
    note.question(&Question::Path {
        verb: head.method.as_str().to_ascii_lowercase(),
        path: PATH.to_owned(),
    });
    if head.method != Method::POST {
        let message = "the server does not allow this method on the requested resource";
        return Err(Failure::new(Reason::MethodNotAllowed, message));
    }
    if !server.exchanges.allows(source, Instant::now()) {
        let message = "too many exchanges of bootstrap tokens from this address; wait a little";
        return Err(Failure::new(Reason::TooManyRequests, message));
    }
    let token = parsed(&body::read(body).await?)?;
    let good = bootstrap::look(&server.store, &token).await.map_err(over)?;
    let bearer = format!("system:bootstrap:{}", token.id());
    let groups = ["system:bootstrappers".to_owned()];
    let bearer = Subject::user(&bearer, &groups, good.expires_s()).map_err(Failure::internal)?;
    note.asker(&bearer);
    let Grant::User { user, groups } = good.grant().map_err(over)? else {
        return Err(Failure::internal("a token buys a user's certificate alone"));
    };
    note.allowed(&format!(
        "a bootstrap token for {user:?} ({})",
        groups.join(", ")
    ));
    let now_s = Timestamp::now().as_second();
    let holder = Holder::User { user, groups };
    let audience = [AUDIENCE.to_owned()];
    let made = server
        .gate
        .token(&holder, &audience, SHORTEST_LIFE_S, now_s)?;
    let time = |at_s| Timestamp::from_second(at_s).map_err(Failure::internal);
    let (issued, until) = (time(now_s)?, time(now_s + SHORTEST_LIFE_S)?);
    bootstrap::spend(&server.store, &token)
        .await
        .map_err(over)?;
    let told = json!({
        "token": made,
        "issuedAt": issued.to_string(),
        "expiresAt": until.to_string(),
    });
    Ok(answer::json(StatusCode::OK, &told))
}

fn parsed(body: &[u8]) -> Result<Token, Failure> {
    let wrong =
        |why: &str| Failure::bad_request(format!("the body must be {{\"{FIELD}\": TOKEN}}: {why}"));
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))?;
    let fields = value.as_object().ok_or_else(|| wrong("it is no object"))?;
    if let Some(other) = fields.keys().find(|field| *field != FIELD) {
        return Err(wrong(&format!("unknown field {other:?}")));
    }
    let text = fields.get(FIELD).and_then(Value::as_str);
    let text = text.ok_or_else(|| wrong("there is no text of that name"))?;
    Token::parse(text.trim()).map_err(|error| wrong(&error.to_string()))
}

/// What has been a token is gone; what never was is not found.
fn over(refused: Refused) -> Failure {
    let reason = match &refused {
        Refused::Token(TokenError::Expired | TokenError::Spent) => Reason::Expired,
        Refused::Token(_) => Reason::NotFound,
        Refused::Failure(_) => return refused.into(),
    };
    let told = Failure::from(refused);
    Failure::new(reason, told.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_one_field() {
        let good = r#"{"singleUseToken":" abcdef.0123456789abcdef\n"}"#;
        assert_eq!(parsed(good.as_bytes()).unwrap().id(), "abcdef");
        for wrong in [
            "",
            "[]",
            "\"x\"",
            "{}",
            r#"{"singleUseToken":1}"#,
            r#"{"singleUseToken":""}"#,
            r#"{"singleUseToken":"abcdef"}"#,
            r#"{"singleUseToken":"abcdef.0123456789abcdef","x":1}"#,
        ] {
            let failure = parsed(wrong.as_bytes()).unwrap_err();
            assert_eq!(failure.reason, Reason::BadRequest, "{wrong}");
        }
    }
}
