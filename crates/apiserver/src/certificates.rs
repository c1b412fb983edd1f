//! Certificates for the keys of requests: for a bootstrap token, or instead of the one shown.
//!
//! Owns: for whom. A token's bearer becomes whom the token names; everybody else stays who they
//! are. Nothing in a request changes that.
//! Never: signs, or stores anything.

use std::net::IpAddr;
use std::time::Instant;

use http::Method;
use http::request::Parts;
use hyper::body::Incoming;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use weft_control::{Cause, Failure, Reason};
use weft_identity::authority::{CERTIFICATE_LIFE_S, CsrError, Grant, IssueError};
use weft_identity::subject::{AUTHENTICATED, Kind, Subject};
use weft_identity::token::Token;

use crate::answer::Answer;
use crate::auditing::Note;
use crate::gate::Question;
use crate::objects::Asked;
use crate::query::Query;
use crate::reviews::{answered, invalid, sound};
use crate::serve::Server;
use crate::target::Target;
use crate::{body, bootstrap, impersonation};

/// The group and plural of certificates.
pub(crate) const KIND: (&str, &str) = ("nanocloud.io", "certificates");

/// The bootstrap token of a request that may be made with one: there is only this one.
pub(crate) fn token(
    head: &Parts,
    certificates: &[CertificateDer<'_>],
    target: Option<&Target>,
) -> Option<Token> {
    let (group, plural) = KIND;
    let is_here = head.method == Method::POST
        && certificates.is_empty()
        && target.is_some_and(|target| target.is_of(group, plural) && target.name.is_empty());
    is_here.then(|| bootstrap::shown(&head.headers)).flatten()
}

/// Answers `POST certificates` of whoever has only a bootstrap token.
///
/// # Errors
/// The token is not good, the request neither, or there were too many.
pub(crate) async fn exchange(
    server: &Server,
    (head, body): (&Parts, &mut Incoming),
    source: IpAddr,
    (target, token): (&Target, &Token),
    note: &mut Note,
) -> Result<Answer, Failure> {
    if !server.exchanges.allows(source, Instant::now()) {
        let message = "too many exchanges of bootstrap tokens from this address; wait a little";
        return Err(Failure::new(Reason::TooManyRequests, message));
    }
    let good = bootstrap::look(&server.store, token).await?;
    let bearer = format!("system:bootstrap:{}", token.id());
    let groups = ["system:bootstrappers".to_owned()];
    let bearer = Subject::user(&bearer, &groups, good.expires_s()).map_err(Failure::internal)?;
    note.asker(&bearer);
    note.question(&Question::Object {
        verb: "create".to_owned(),
        group: target.kind.group.to_string(),
        resource: target.kind.plural.to_string(),
        subresource: String::new(),
        namespace: String::new(),
        name: String::new(),
    });
    if impersonation::is_asked(&head.headers) {
        let message = "a bootstrap token's bearer asks as nobody else";
        return Err(Failure::new(Reason::Forbidden, message));
    }
    let grant = good.grant()?;
    if let Grant::User { user, groups } = &grant {
        let groups = groups.join(", ");
        note.allowed(&format!("a bootstrap token for {user:?} ({groups})"));
    }
    let body = body::read(body).await?;
    let query = Query::of(&head.uri);
    let asked = Asked::new(server, (&[], head), target, &query, bearer);
    // What is wrong with the request does not cost a use.
    let answer = signed(&asked, &body, &grant, CERTIFICATE_LIFE_S)?;
    bootstrap::spend(&server.store, token).await?;
    Ok(answer)
}

/// Answers `POST certificates` of somebody known: another certificate, the same name and groups.
///
/// # Errors
/// They have no certificates, or the request is not good.
pub(crate) fn renew(asked: &Asked<'_>, asker: &Subject, body: &[u8]) -> Result<Answer, Failure> {
    let forbidden = |message: &str| Err(Failure::new(Reason::Forbidden, message));
    if impersonation::is_asked(&asked.head.headers) {
        return forbidden("a certificate is for who asks, not for whom they ask as");
    }
    let grant = match (asker.kind, asker.node_name()) {
        (Kind::User, _) => Grant::User {
            user: asker.user.clone(),
            groups: asker
                .groups
                .iter()
                .filter(|group| *group != AUTHENTICATED)
                .cloned()
                .collect(),
        },
        (Kind::Node, Some(name)) => Grant::Node {
            name: name.to_owned(),
        },
        _ => return forbidden("service accounts have tokens, no certificates"),
    };
    let left = asker.expires_s - Timestamp::now().as_second();
    // A bearer token may be as short as somebody meant it to be, and is not made longer.
    let life_s = match asked.certificates {
        [] => CERTIFICATE_LIFE_S.min(left),
        _ => CERTIFICATE_LIFE_S,
    };
    signed(asked, body, &grant, life_s)
}

fn signed(asked: &Asked<'_>, body: &[u8], grant: &Grant, life_s: i64) -> Result<Answer, Failure> {
    let kind = &asked.target.kind;
    if asked.query.is_dry_run()? {
        return Err(Failure::bad_request(
            "a certificate cannot be had for a trial",
        ));
    }
    let (object, warnings) = sound(asked, kind, body)?;
    let csr = object.text(&["spec", "csr"]).unwrap_or_default();
    let now = Timestamp::now().as_second();
    let (certificate, authority) =
        asked
            .gate
            .certify(csr, grant, life_s, now)
            .map_err(|error| match &error {
                IssueError::Csr(CsrError::Name { .. }) => {
                    Failure::new(Reason::Forbidden, error.to_string())
                }
                IssueError::Csr(_) => {
                    let mut cause = Cause::forbidden("spec.csr", "");
                    cause.reason = "FieldValueInvalid";
                    cause.message = format!("Invalid value: {error}");
                    invalid(kind, vec![cause])
                }
                _ => Failure::internal(&error),
            })?;
    let until = Timestamp::from_second(certificate.not_after_s).map_err(Failure::internal)?;
    let status = json!({
        "certificate": certificate.chain_pem,
        "caBundle": authority,
        "expirationTimestamp": until.to_string(),
    });
    Ok(answered(object, status, warnings))
}
