//! One request, from its head to an answer. The only place that asks the gate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use weft_control::{Failure, KUBERNETES_MINOR, Reason};
use weft_identity::audit::Outcome;
use weft_identity::subject::Subject;

use crate::accept::Accept;
use crate::answer::{self, Answer};
use crate::auditing::Note;
use crate::gate::Question;
use crate::objects::Asked;
use crate::query::Query;
use crate::serve::Server;
use crate::target::Target;
use crate::upkeep::Task;
use crate::{
    body, certificates, deployments, discovery, gate, grants, health, impersonation, index, issuer,
    metrics, objects, openapi, placing, pods, reviews, usage,
};

/// How a client came in.
#[derive(Clone, Debug)]
pub(crate) enum Came {
    /// By TLS, with these certificates.
    Tls(Arc<[CertificateDer<'static>]>),
    /// Without, and counts as this one: for deployments alone.
    Plain(Arc<Subject>),
}

/// Answers a request of a client that came in so.
pub(crate) async fn dispatch(
    server: &Server,
    came: &Came,
    source: IpAddr,
    request: Request<Incoming>,
) -> Answer {
    let (head, mut body) = request.into_parts();
    let began = Instant::now();
    let mut note = Note::default();
    let request = (&head, &mut body);
    let mut warning = None;
    let done = match came {
        Came::Tls(certificates) => {
            let by = (&**certificates, source);
            try_dispatch(server, by, request, &mut note, &mut warning).await
        }
        Came::Plain(subject) => deployments::plain(server, subject, request, &mut note).await,
    };
    body::discard(&mut body).await;
    let failed = done.as_ref().err().cloned();
    let mut answer = done.unwrap_or_else(|failure| {
        if failure.reason == Reason::InternalError {
            tracing::error!(path = head.uri.path(), %failure, "a request failed");
        }
        let encoding = Accept::of(&head.headers).encoding(&Query::of(&head.uri));
        answer::failure(&failure, encoding)
    });
    // Whatever became of it.
    answer::warn(&mut answer, warning);
    let code = answer.status().as_u16();
    server.metrics.answered(note.label(code), began.elapsed());
    if let Some(entry) = note.entry(&head, source, code, failed.as_ref()) {
        match entry.outcome {
            Outcome::Unauthenticated => server.strangers.record(entry),
            _ => server.audit.record(entry),
        }
    }
    if head.method == Method::HEAD {
        // hyper leaves it out by itself in HTTP/1.1 alone.
        answer::bodiless(&mut answer);
    }
    answer
}

async fn try_dispatch(
    server: &Server,
    (certificates, source): (&[CertificateDer<'static>], IpAddr),
    (head, body): (&Parts, &mut Incoming),
    note: &mut Note,
    warning: &mut Option<String>,
) -> Result<Answer, Failure> {
    let path = head.uri.path();
    if let Some(answer) = open(server, head).await {
        return Ok(answer);
    }
    if path == grants::PATH {
        return grants::exchange(server, (head, body), source, note).await;
    }
    let gate = &*server.gate;
    let target = Target::of(&server.store.kinds(), path);
    let token = certificates::token(head, certificates, target.as_ref());
    if let (Some(token), Some(target)) = (token, &target) {
        let request = (head, body);
        return certificates::exchange(server, request, source, (target, &token), note).await;
    }
    let wants = target
        .as_ref()
        .filter(|target| certificates::is_asked(head, certificates, target));
    if let Some(target) = wants
        && let Some(answer) = certificates::granted(server, (head, &mut *body), target, note).await
    {
        return answer;
    }
    let asker = gate.who(certificates, &head.headers).await?;
    note.asker(&asker);
    let subject = impersonation::subject(gate, asker.clone(), &head.headers)?;
    note.asks_as(&subject);
    let Some(target) = target else {
        if let Some(asked) = deployments::Asked::of(head)? {
            return asked.answer(server, (head, body), &subject, note).await;
        }
        let question = Question::Path {
            verb: head.method.as_str().to_ascii_lowercase(),
            path: path.to_owned(),
        };
        note.question(&question);
        note.allowed(&gate::may(gate, &subject, &question)?);
        if path == "/metrics" && head.method == Method::GET {
            return metrics::answer(server).await;
        }
        if let Some(task) = Task::of(&head.method, path) {
            return task.answer(server).await;
        }
        return about_kinds(server, head);
    };
    let query = Query::of(&head.uri);
    let verb = objects::verb(&head.method, &target, &query)?;
    let question = Question::Object {
        verb: verb.to_owned(),
        group: target.kind.group.to_string(),
        resource: target.kind.plural.to_string(),
        subresource: target.subresource.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
    };
    note.question(&question);
    note.allowed(&gate::may(gate, &subject, &question)?);
    *warning = target.kind.deprecation.as_ref().map(ToString::to_string);
    let part = pods::Asked::new(server, (certificates, head), &target, &query);
    if let Some(answer) = part.answer().await {
        return answer;
    }
    let body = match head.method {
        Method::GET | Method::HEAD => bytes::Bytes::new(),
        _ => body::read(body).await?,
    };
    let by = (verb, subject);
    let asked = Asked::new(server, (certificates, head), &target, &query, by)?;
    about_objects(&asked, &asker, verb, &body).await
}

/// Does what is asked, in the form it is asked for.
async fn about_objects(
    asked: &Asked<'_>,
    asker: &Subject,
    verb: &str,
    body: &[u8],
) -> Result<Answer, Failure> {
    let target = asked.target;
    let answer = if target.is_of(certificates::KIND.0, certificates::KIND.1) {
        certificates::renew(asked, asker, body).await
    } else if placing::is_of_bindings(target) {
        placing::answer(asked, body).await
    } else if target.kind.is_question {
        reviews::answer(asked, body).await
    } else if target.kind.is_measured {
        usage::answer(asked).await
    } else {
        asked.answer(verb, body).await
    };
    asked.shape.finish(answer?).await
}

/// Discovery, schemas, and who makes tokens.
fn about_kinds(server: &Server, head: &Parts) -> Result<Answer, Failure> {
    let path = head.uri.path();
    if head.method == Method::GET {
        let (kinds, pages) = (server.store.kinds(), &*server.pages);
        let found = discovery::answer(pages, &kinds, head)
            .or_else(|| openapi::answer(pages, &kinds, head))
            .or_else(|| issuer::answer(&*server.gate, path).map(Ok))
            .or_else(|| index::answer(&kinds, path).map(Ok));
        if let Some(answer) = found {
            return answer;
        }
    }
    let message = "the server could not find the requested resource";
    Err(Failure::new(Reason::NotFound, message))
}

/// What anybody may ask without saying who they are.
async fn open(server: &Server, head: &Parts) -> Option<Answer> {
    let path = head.uri.path();
    if matches!(path, "/version" | "/version/") {
        return Some(version());
    }
    if let Some(answer) = deployments::ping(head) {
        return Some(answer);
    }
    health::answer(server, path, &Query::of(&head.uri)).await
}

fn version() -> Answer {
    answer::json(
        StatusCode::OK,
        &json!({
            "major": "1",
            "minor": KUBERNETES_MINOR.to_string(),
            "gitVersion": weft_control::VERSION,
            // Some clients insist on these, whatever they say.
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "",
            "goVersion": "",
            "compiler": "rustc",
            "platform": format!("linux/{}", std::env::consts::ARCH),
        }),
    )
}
