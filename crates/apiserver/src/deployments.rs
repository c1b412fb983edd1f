//! `/deployments`: Knit's way to run something, by one POST of one JSON object.
//!
//! Owns: methods, parameters, codes, and that every object is asked for at the gate that is made,
//! changed or deleted; also what is asked for over the listener without TLS.
//! Never: decides what the JSON means (`control`'s `deployments`).

use std::sync::Arc;

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use weft_control::deployments::{self, MAIN, Plan, Step, Wanted};
use weft_control::store::Admit;
use weft_control::{Failure, Kind, Reason};
use weft_identity::subject::Subject;

use crate::answer::{self, Answer};
use crate::auditing::Note;
use crate::body;
use crate::gate::{self, Question};
use crate::query::Query;
use crate::serve::Server;
use crate::target::decode;

const PATH: &str = "/deployments";
/// Where it is unless the query says otherwise: Knit knows no namespaces.
const NAMESPACE: &str = "default";

/// `GET /ping`, by which Knit's clients find out that somebody is there.
pub(crate) fn ping(head: &Parts) -> Option<Answer> {
    let is_asked = head.uri.path() == "/ping" && head.method == Method::GET;
    is_asked.then(|| answer::json(StatusCode::OK, &json!({ "message": "pong" })))
}

/// Answers a request that came without TLS, of whoever such requests count as.
///
/// # Errors
/// It is about something else, or may be a browser's that another site sent.
pub(crate) async fn plain(
    server: &Server,
    subject: &Subject,
    (head, body): (&Parts, &mut Incoming),
    note: &mut Note,
) -> Result<Answer, Failure> {
    is_own_host(head)?;
    if let Some(answer) = ping(head) {
        return Ok(answer);
    }
    note.asker(subject);
    let Some(asked) = Asked::of(head)? else {
        let message =
            "this address serves /deployments and /ping; all else is served over HTTPS at --listen";
        return Err(Failure::new(Reason::NotFound, message));
    };
    if head.headers.contains_key(AUTHORIZATION) {
        let message = "credentials do not belong on a connection anybody can read: this address asks for none; \
                       send them to the HTTPS address of --listen";
        return Err(Failure::bad_request(message));
    }
    // A page of another site may send a form without being asked, but not JSON.
    let media = head
        .headers
        .contains_key(CONTENT_TYPE)
        .then(|| body::media(&head.headers));
    if head.method == Method::POST && media.as_deref() != Some("application/json") {
        let message = "the request needs the header Content-Type: application/json";
        return Err(Failure::new(Reason::UnsupportedMediaType, message));
    }
    asked.answer(server, (head, body), subject, note).await
}

/// A name that somebody else's server gives this address makes a browser think this is that site
/// (DNS rebinding): addresses and names without a dot cannot be given by others.
fn is_own_host(head: &Parts) -> Result<(), Failure> {
    let said = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let said = said.or(head.uri.authority().map(|authority| authority.as_str()));
    let authority = said.unwrap_or_default().parse::<http::uri::Authority>();
    let host = authority.as_ref().map_or("", |authority| authority.host());
    let is_address = host
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    match is_address || (!host.is_empty() && !host.contains('.')) {
        true => Ok(()),
        false => {
            let message = format!(
                "Host {host:?}: name this server by its address, or by a name without a dot"
            );
            Err(Failure::new(Reason::Forbidden, message))
        }
    }
}

/// A request about deployments.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Empty: all.
    name: String,
    namespace: String,
    is_dry_run: bool,
}

impl Asked {
    /// Nothing: it is about something else.
    ///
    /// # Errors
    /// A parameter is none.
    pub(crate) fn of(head: &Parts) -> Result<Option<Asked>, Failure> {
        let Some(rest) = head.uri.path().strip_prefix(PATH) else {
            return Ok(None);
        };
        let name = match rest.strip_prefix('/') {
            None if rest.is_empty() => String::new(),
            Some("") => String::new(),
            Some(step) if !step.contains('/') => match decode(step) {
                Some(name) => name,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let query = Query::of(&head.uri);
        if let Some(other) = query
            .names()
            .find(|name| !matches!(*name, "namespace" | "dryRun" | "pretty"))
        {
            let message = format!("unknown parameter {other:?}: there are namespace and dryRun");
            return Err(Failure::bad_request(message));
        }
        let is_dry_run = match query.text("dryRun") {
            "" => false,
            "All" => true,
            other => {
                let message = format!("dryRun={other}: it is All, or not there");
                return Err(Failure::bad_request(message));
            }
        };
        let namespace = match query.text("namespace") {
            "" => NAMESPACE,
            namespace => namespace,
        };
        Ok(Some(Asked {
            name,
            namespace: namespace.to_owned(),
            is_dry_run,
        }))
    }

    /// Does what is asked, if `subject` may.
    pub(crate) async fn answer(
        &self,
        server: &Server,
        (head, body): (&Parts, &mut Incoming),
        subject: &Subject,
        note: &mut Note,
    ) -> Result<Answer, Failure> {
        match (&head.method, self.name.is_empty()) {
            (&Method::GET | &Method::HEAD, true) => {
                self.may(server, subject, note, "list")?;
                let all = deployments::all(&server.store, &self.namespace).await?;
                Ok(answer::json(StatusCode::OK, &all.into()))
            }
            (&Method::GET | &Method::HEAD, false) => {
                self.may(server, subject, note, "get")?;
                let found = deployments::record(&server.store, &self.namespace, &self.name);
                Ok(answer::json(StatusCode::OK, &found.await?))
            }
            (&Method::POST, true) => self.make(server, (head, body), subject, note).await,
            (&Method::DELETE, false) => self.remove(server, subject, note).await,
            (_, is_all) => {
                let allowed = if is_all { "GET, POST" } else { "GET, DELETE" };
                let message = format!("{} is not allowed here: {allowed} are", head.method);
                let failure = Failure::new(Reason::MethodNotAllowed, message);
                let mut answer = answer::failure(&failure, crate::accept::Encoding::Json);
                let allowed = HeaderValue::from_static(allowed);
                answer.headers_mut().insert(ALLOW, allowed);
                Ok(answer)
            }
        }
    }

    /// What is looked at is looked at as deployments are.
    fn may(
        &self,
        server: &Server,
        subject: &Subject,
        note: &mut Note,
        verb: &str,
    ) -> Result<(), Failure> {
        let question = self.question(MAIN, verb, &self.name);
        note.question(&question);
        note.allowed(&gate::may(&*server.gate, subject, &question)?);
        Ok(())
    }

    fn question(&self, (group, plural): (&str, &str), verb: &str, name: &str) -> Question {
        Question::Object {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: plural.to_owned(),
            subresource: String::new(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }

    /// Each object that is made, changed or deleted is asked for as if it came by itself.
    fn may_all(&self, server: &Server, subject: &Subject, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            let of = (&*step.kind.group, &*step.kind.plural);
            let name = step.object.meta().name();
            let question = self.question(of, step.verb.name(), name);
            gate::may(&*server.gate, subject, &question)?;
        }
        Ok(())
    }

    async fn make(
        &self,
        server: &Server,
        (head, body): (&Parts, &mut Incoming),
        subject: &Subject,
        note: &mut Note,
    ) -> Result<Answer, Failure> {
        // Who may make none at all is not told what there is.
        self.may(server, subject, note, "create")?;
        let media = body::media(&head.headers);
        let body = body::read(body).await?;
        let decoded = match media.as_str() {
            "application/yaml" => body::yaml(&body)?,
            "application/json" => body::json(&body)?,
            other => {
                let message = format!(
                    "the body is {other:?}: send it with the header Content-Type: application/json"
                );
                return Err(Failure::new(Reason::UnsupportedMediaType, message));
            }
        };
        let wanted = Wanted::read(decoded)?;
        let plan = Plan::of(&server.store, &self.namespace, &wanted).await?;
        self.may_all(server, subject, plan.steps())?;
        let admit = |kind: &Arc<Kind>| {
            let (gate, subject, kind) =
                (Arc::clone(&server.gate), subject.clone(), Arc::clone(kind));
            Admit::by(move |old, new| gate.may_write(&subject, &kind, old, new))
        };
        let done = plan
            .carry_out(&server.store, self.is_dry_run, admit)
            .await?;
        let mut answer = answer::json(StatusCode::ACCEPTED, &done.record);
        answer::warn(&mut answer, done.warnings);
        Ok(answer)
    }

    async fn remove(
        &self,
        server: &Server,
        subject: &Subject,
        note: &mut Note,
    ) -> Result<Answer, Failure> {
        self.may(server, subject, note, "delete")?;
        let removal = deployments::removal(&server.store, &self.namespace, &self.name).await?;
        self.may_all(server, subject, removal.steps())?;
        let record: Value = removal.carry_out(&server.store, self.is_dry_run).await?;
        Ok(answer::json(StatusCode::ACCEPTED, &record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str, host: &str) -> Parts {
        let request = http::Request::get(uri).header(HOST, host).body(());
        request.unwrap().into_parts().0
    }

    #[test]
    fn paths_and_parameters_are_few() {
        let asked = |uri: &str| {
            let asked = Asked::of(&head(uri, "a"));
            asked.map(|asked| asked.map(|one| [one.namespace, one.name].join("/")))
        };
        for (uri, expected) in [
            ("/deployments", Some("default/")),
            ("/deployments/", Some("default/")),
            ("/deployments/a?namespace=b&dryRun=All", Some("b/a")),
            ("/deployments/a/b", None),
            ("/deploymentsx", None),
            ("/deployments/%zz", None),
        ] {
            assert_eq!(asked(uri).unwrap().as_deref(), expected, "{uri}");
        }
        for wrong in ["/deployments?x=1", "/deployments?dryRun=1"] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_that_others_give_are_refused_without_tls() {
        for (host, is_own) in [
            ("10.54.0.1:8080", true),
            ("[fd00::1]:8080", true),
            ("localhost:8080", true),
            ("one", true),
            ("evil.example:8080", false),
            ("", false),
        ] {
            assert_eq!(is_own_host(&head("/ping", host)).is_ok(), is_own, "{host}");
        }
    }
}
