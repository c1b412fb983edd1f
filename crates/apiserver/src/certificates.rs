//! Certificates for the keys of requests: for a token, or instead of the one shown.
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
use weft_control::{self as control, Cause, Failure, Object, Reason};
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
use crate::{body, bootstrap, devices, grants, impersonation};

/// The group and plural of certificates.
pub(crate) const KIND: (&str, &str) = ("nanocloud.io", "certificates");

/// The bootstrap token of a request that may be made with one: there is only this one.
pub(crate) fn token(
    head: &Parts,
    certificates: &[CertificateDer<'_>],
    target: Option<&Target>,
) -> Option<Token> {
    let is_here = target.is_some_and(|target| is_asked(head, certificates, target));
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
    note.question(&creation(target));
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
    let asked = Asked::new(server, (&[], head), target, &query, ("create", bearer))?;
    // What is wrong with the request does not cost a use.
    let (object, warnings) = sound(&asked, &target.kind, &body)?;
    let object = (target.kind.as_ref(), object, warnings);
    let signed = signed(&asked, object, &grant, CERTIFICATE_LIFE_S)?;
    bootstrap::spend(&server.store, token).await?;
    asked.shape.finish(signed.answer).await
}

/// Answers `POST certificates` of whoever has a bearer token of [`grants`]; nothing: it is none.
///
/// # Errors
/// The request is not good.
pub(crate) async fn granted(
    server: &Server,
    (head, body): (&Parts, &mut Incoming),
    target: &Target,
    note: &mut Note,
) -> Option<Result<Answer, Failure>> {
    let token = bootstrap::bearer(&head.headers)?;
    let audience = [grants::AUDIENCE.to_owned()];
    let (subject, _) = server.gate.holder(token, &audience).await.ok()?;
    note.asker(&subject);
    note.question(&creation(target));
    note.allowed("a bearer token for one's certificate");
    let query = Query::of(&head.uri);
    Some(
        async {
            let by = ("create", subject.clone());
            let asked = Asked::new(server, (&[], head), target, &query, by)?;
            let grant = own(&asked, &subject)?;
            let body = body::read(body).await?;
            let object = sound(&asked, &target.kind, &body)?;
            let object = (target.kind.as_ref(), object.0, object.1);
            let signed = signed(&asked, object, &grant, CERTIFICATE_LIFE_S)?;
            asked.shape.finish(signed.answer).await
        }
        .await,
    )
}

/// Whether it is a certificate that is asked for, by who shows none.
pub(crate) fn is_asked(head: &Parts, certificates: &[CertificateDer<'_>], target: &Target) -> bool {
    let is_here = target.is_of(KIND.0, KIND.1) && target.name.is_empty();
    head.method == Method::POST && certificates.is_empty() && is_here
}

fn creation(target: &Target) -> Question {
    Question::Object {
        verb: "create".to_owned(),
        group: target.kind.group.to_string(),
        resource: target.kind.plural.to_string(),
        subresource: String::new(),
        namespace: String::new(),
        name: String::new(),
    }
}

/// Answers `POST certificates` of somebody known: another certificate, the same name and groups.
///
/// # Errors
/// They have no certificates, or the request is not good.
pub(crate) async fn renew(
    asked: &Asked<'_>,
    asker: &Subject,
    body: &[u8],
) -> Result<Answer, Failure> {
    let grant = own(asked, asker)?;
    let left = asker.expires_s - Timestamp::now().as_second();
    // A bearer token may be as short as somebody meant it to be, and is not made longer.
    let life_s = match asked.certificates {
        [] => CERTIFICATE_LIFE_S.min(left),
        _ => CERTIFICATE_LIFE_S,
    };
    let kind = &asked.target.kind;
    let (object, warnings) = sound(asked, kind, body)?;
    let signed = signed(asked, (kind.as_ref(), object, warnings), &grant, life_s)?;
    devices::renewed(asked.store, asker, signed.until).await?;
    Ok(signed.answer)
}

/// The certificate that somebody is.
fn own(asked: &Asked<'_>, asker: &Subject) -> Result<Grant, Failure> {
    let forbidden = |message: &str| Err(Failure::new(Reason::Forbidden, message));
    if impersonation::is_asked(&asked.head.headers) {
        return forbidden("a certificate is for who asks, not for whom they ask as");
    }
    match (asker.kind, asker.node_name()) {
        (Kind::User, _) => Ok(Grant::User {
            user: asker.user.clone(),
            groups: asker
                .groups
                .iter()
                .filter(|group| *group != AUTHENTICATED)
                .cloned()
                .collect(),
        }),
        (Kind::Node, Some(name)) => Ok(Grant::Node {
            name: name.to_owned(),
        }),
        _ => forbidden("service accounts have tokens, no certificates"),
    }
}

/// A certificate that was made.
pub(crate) struct Signed {
    /// What tells it.
    pub(crate) answer: Answer,
    /// When it ends.
    pub(crate) until: Timestamp,
}

/// Has the request in an object signed.
///
/// # Errors
/// It is not good, asks for another name, or is a trial.
pub(crate) fn signed(
    asked: &Asked<'_>,
    (kind, object, warnings): (&control::Kind, Object, Vec<String>),
    grant: &Grant,
    life_s: i64,
) -> Result<Signed, Failure> {
    if asked.query.has("dryRun") {
        return Err(Failure::bad_request(
            "a certificate cannot be had for a trial",
        ));
    }
    let csr = object.text(&["spec", "csr"]).unwrap_or_default();
    let now = Timestamp::now().as_second();
    let made = asked.gate.certify(csr, grant, life_s, now);
    let (certificate, authority) = made.map_err(|error| unsigned(kind, &error))?;
    let until = Timestamp::from_second(certificate.not_after_s).map_err(Failure::internal)?;
    let status = json!({
        "certificate": certificate.chain_pem,
        "caBundle": authority,
        "expirationTimestamp": until.to_string(),
    });
    Ok(Signed {
        answer: answered(object, status, warnings),
        until,
    })
}

/// Why a request is not signed.
pub(crate) fn unsigned(kind: &control::Kind, error: &IssueError) -> Failure {
    match error {
        IssueError::Csr(CsrError::Name { .. }) => {
            Failure::new(Reason::Forbidden, error.to_string())
        }
        IssueError::Csr(_) => {
            let mut cause = Cause::forbidden("spec.csr", "");
            cause.reason = "FieldValueInvalid";
            cause.message = format!("Invalid value: {error}");
            invalid(kind, vec![cause])
        }
        _ => Failure::internal(error),
    }
}
