//! Where pods are: `pods/NAME/binding`, or `bindings` as clients before 1.0 had it, gives one its node,
//! `pods/NAME/eviction` takes it away.
//!
//! Never: decides which node it is, or which pods may go.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use weft_control::{Cause, Failure, Kind, Object, Reason, kinds};

use crate::answer::{self, Answer};
use crate::body;
use crate::objects::Asked;
use crate::reviews::{invalid, sound};
use crate::target::Target;

/// What is done to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placing {
    Bind,
    Evict,
}

impl Placing {
    pub(crate) fn of(target: &Target) -> Option<Placing> {
        match &*target.subresource {
            _ if !target.is_of("", "pods") || target.name.is_empty() => None,
            "binding" => Some(Placing::Bind),
            "eviction" => Some(Placing::Evict),
            _ => None,
        }
    }

    /// What is asked, as access is decided by; nothing: it is not done with this method.
    pub(crate) fn verb(method: &Method) -> Option<&'static str> {
        (*method == Method::POST).then_some("create")
    }

    /// Does it.
    ///
    /// # Errors
    /// The body says something else, the pod is not there, or it may not be done now.
    pub(crate) async fn answer(self, asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
        let warnings = match self {
            Placing::Bind => bind(asked, asked.target, body).await?,
            Placing::Evict => evict(asked, body).await?,
        };
        Ok(done(warnings))
    }
}

fn done(warnings: Vec<String>) -> Answer {
    let done = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "code": StatusCode::CREATED.as_u16(),
    });
    let mut answer = answer::json(StatusCode::CREATED, &done);
    answer::warn(&mut answer, warnings);
    answer
}

/// Whether a path is that of `bindings`.
pub(crate) fn is_of_bindings(target: &Target) -> bool {
    target.is_of("", "bindings")
}

/// Answers `POST bindings`: the pod is the one the body names.
///
/// # Errors
/// As [`Placing::answer`].
pub(crate) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
    let kind = kinds::binding();
    let (object, _) = sound(asked, &kind, body)?;
    let name = object.meta().name();
    if name.is_empty() {
        return Err(invalid(
            &kind,
            vec![Cause::required("metadata.name", "it names the pod")],
        ));
    }
    let kinds = asked.store.kinds();
    let pods = kinds.find("", "v1", "pods");
    let target = Target {
        kind: Arc::clone(pods.ok_or_else(|| Failure::internal("there is no kind of pods"))?),
        namespace: asked.target.namespace.clone(),
        name: name.to_owned(),
        subresource: "binding".to_owned(),
    };
    Ok(done(bind(asked, &target, body).await?))
}

/// What a body says is about the pod in the path.
fn is_meant(target: &Target, kind: &Kind, object: &Object) -> Result<(), Failure> {
    let name = object.meta().name();
    if !name.is_empty() && name != target.name {
        let kind = &kind.kind;
        let message = format!("name in URL does not match name in {kind} object");
        return Err(Failure::bad_request(message));
    }
    match object.meta().namespace() {
        "" => Ok(()),
        namespace if namespace == target.namespace => Ok(()),
        namespace => Err(Failure::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: \
             {namespace} instead of {}",
            target.namespace
        ))),
    }
}

async fn bind(asked: &Asked<'_>, target: &Target, body: &[u8]) -> Result<Vec<String>, Failure> {
    let kind = kinds::binding();
    let (object, warnings) = sound(asked, &kind, body)?;
    is_meant(target, &kind, &object)?;
    let mut causes = Vec::new();
    let to = object.text(&["target", "kind"]).unwrap_or_default();
    if !matches!(to, "" | "Node") {
        causes.push(Cause::unsupported("target.kind", to, &["Node", "<empty>"]));
    }
    let node = object.text(&["target", "name"]).unwrap_or_default();
    if node.is_empty() {
        causes.push(Cause::required("target.name", ""));
    }
    for field in ["annotations", "labels", "resourceVersion"] {
        if object.at(&["metadata", field]).is_some() {
            let why = "this server binds pods, and changes nothing else of them";
            causes.push(Cause::forbidden(format!("metadata.{field}"), why));
        }
    }
    if !causes.is_empty() {
        return Err(invalid(&kind, causes));
    }
    let this = (&*target.namespace, &*target.name, object.meta().text("uid"));
    let options = asked.write_options();
    asked.store.bind(&target.kind, this, node, &options).await?;
    Ok(warnings)
}

async fn evict(asked: &Asked<'_>, body: &[u8]) -> Result<Vec<String>, Failure> {
    let kind = kinds::eviction("v1");
    // Both versions say the same: what is called v1beta1 is what clients before 1.22 send.
    let said = body::document(&asked.head.headers, kind.schema(), body)?.value;
    let kind = match said["apiVersion"].as_str() {
        Some("policy/v1beta1") => kinds::eviction("v1beta1"),
        _ => kind,
    };
    let (object, warnings) = sound(asked, &kind, body)?;
    is_meant(asked.target, &kind, &object)?;
    let mut said = object.at(&["deleteOptions"]).cloned();
    let dry_run = |value: &Value| {
        value["dryRun"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    };
    if asked.query.has("dryRun") && said.as_ref().is_some_and(dry_run) {
        // Both say it.
        said = said.map(|mut said| {
            said["dryRun"] = Value::Null;
            said
        });
    }
    let options = asked.deletion(said)?;
    if options.is_unread {
        let message = "a pod that cannot be read cannot be evicted";
        return Err(Failure::new(Reason::BadRequest, message));
    }
    let target = asked.target;
    let this = (&*target.namespace, &*target.name);
    let write = asked.write_options();
    asked
        .store
        .evict(&target.kind, this, &options, &write)
        .await?;
    Ok(warnings)
}
