//! Reviews: `kubectl auth can-i`, `kubectl auth whoami`, and programs that ask about others.
//!
//! Never: stores anything, or decides.

use http::StatusCode;
use serde_json::{Map, Value, json};
use weft_control::{Cause, Failure, Kind, Object, Reason, schema};
use weft_identity::rbac::Rule;
use weft_identity::subject::{self, Subject};

use crate::answer::{self, Answer};
use crate::gate::Question;
use crate::objects::Asked;

/// Answers a question of one of the kinds that are questions.
///
/// # Errors
/// It cannot be understood.
pub(crate) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
    let kind = &asked.target.kind;
    let (object, warnings) = sound(asked, kind, body)?;
    let spec = object.0.get("spec").cloned().unwrap_or_default();
    let status = match &*kind.kind {
        "SelfSubjectReview" => json!({ "userInfo": user(&asked.subject) }),
        "SelfSubjectRulesReview" => rules(asked, &spec)?,
        "SelfSubjectAccessReview" => {
            let subject = &asked.subject;
            access(asked, &spec, &subject.user, &subject.groups)?
        }
        "TokenReview" => token(asked, &spec).await?,
        _ => of_another(asked, &spec)?,
    };
    Ok(answered(object, status, warnings))
}

/// The object in a body, of the right types.
pub(crate) fn sound(
    asked: &Asked<'_>,
    kind: &Kind,
    body: &[u8],
) -> Result<(Object, Vec<String>), Failure> {
    let (mut object, warnings) = asked.object_of(kind, body)?;
    // The answer is not for whoever asks to give, and is not looked at.
    object.0.remove("status");
    object.meta_mut();
    let mistakes = schema::check(kind.schema(), &mut object.0).mistakes;
    match mistakes.is_empty() {
        true => Ok((object, warnings)),
        false => Err(invalid(kind, mistakes)),
    }
}

/// The question with its answer.
pub(crate) fn answered(object: Object, status: Value, warnings: Vec<String>) -> Answer {
    let mut map = Map::new();
    map.extend(object.0);
    map.insert("status".to_owned(), status);
    let mut answer = answer::json(StatusCode::CREATED, &Value::Object(map));
    answer::warn(&mut answer, warnings);
    answer
}

pub(crate) fn invalid(kind: &Kind, causes: Vec<Cause>) -> Failure {
    let told: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let message = format!(
        "{}.{} is invalid: {}",
        kind.kind,
        kind.group,
        told.join(", ")
    );
    let mut failure = Failure::new(Reason::Invalid, message).about(&kind.group, &kind.kind, "");
    failure.about.causes = causes;
    failure
}

fn user(subject: &Subject) -> Value {
    let mut user = json!({ "username": subject.user, "groups": subject.groups });
    if !subject.uid.is_empty() {
        user["uid"] = json!(subject.uid);
    }
    if !subject.extra.is_empty() {
        user["extra"] = json!(subject.extra);
    }
    user
}

fn of_another(asked: &Asked<'_>, spec: &Value) -> Result<Value, Failure> {
    let kind = &asked.target.kind;
    let user = text(spec, "user");
    let groups = texts(spec, "groups");
    if user.is_empty() && groups.is_empty() {
        let why = "at least one of user or groups must be specified";
        return Err(invalid(kind, vec![Cause::required("spec.user", why)]));
    }
    if kind.is_namespaced {
        let (within, named) = (&asked.target.namespace, &spec["resourceAttributes"]);
        let named = text(named, "namespace");
        if named != *within {
            let why = format!("must be {within:?}, as in the path");
            let field = "spec.resourceAttributes.namespace";
            return Err(invalid(kind, vec![Cause::invalid(field, named, &why)]));
        }
    }
    access(asked, spec, &user, &groups)
}

fn access(
    asked: &Asked<'_>,
    spec: &Value,
    user: &str,
    groups: &[String],
) -> Result<Value, Failure> {
    let (object, path) = (
        spec.get("resourceAttributes"),
        spec.get("nonResourceAttributes"),
    );
    let question = match (object, path) {
        (Some(object), None) => Question::Object {
            verb: text(object, "verb"),
            group: text(object, "group"),
            resource: text(object, "resource"),
            subresource: text(object, "subresource"),
            namespace: text(object, "namespace"),
            name: text(object, "name"),
        },
        (None, Some(path)) if !asked.target.kind.is_namespaced => Question::Path {
            verb: text(path, "verb"),
            path: text(path, "path"),
        },
        _ => {
            let why = "exactly one of resourceAttributes and nonResourceAttributes is needed; in a \
                       namespace, the first";
            return Err(invalid(
                &asked.target.kind,
                vec![Cause::required("spec", why)],
            ));
        }
    };
    let (allowed, reason) = asked.gate.decide(user, groups, &question);
    let mut status = json!({ "allowed": allowed });
    if !reason.is_empty() {
        status["reason"] = reason.into();
    }
    Ok(status)
}

fn rules(asked: &Asked<'_>, spec: &Value) -> Result<Value, Failure> {
    let namespace = text(spec, "namespace");
    if namespace.is_empty() {
        let cause = Cause::required("spec.namespace", "say where");
        return Err(invalid(&asked.target.kind, vec![cause]));
    }
    let rules = asked.gate.rules(&asked.subject, &namespace);
    let (mut objects, mut paths) = (Vec::new(), Vec::new());
    for rule in &rules {
        if !rule.resources.is_empty() {
            objects.push(rule_of_objects(rule));
        }
        if !rule.paths.is_empty() {
            paths.push(json!({ "verbs": rule.verbs, "nonResourceURLs": rule.paths }));
        }
    }
    // What is a node's by being its own stands in no rule.
    let is_node = asked.subject.kind == subject::Kind::Node;
    let mut status = json!({
        "resourceRules": objects, "nonResourceRules": paths, "incomplete": is_node,
    });
    if is_node {
        status["evaluationError"] = "a node's rights to what is its own are not listed".into();
    }
    Ok(status)
}

fn rule_of_objects(rule: &Rule) -> Value {
    let mut value = json!({
        "verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources,
    });
    if !rule.names.is_empty() {
        value["resourceNames"] = json!(rule.names);
    }
    value
}

async fn token(asked: &Asked<'_>, spec: &Value) -> Result<Value, Failure> {
    let token = text(spec, "token");
    if token.is_empty() {
        let cause = Cause::required("spec.token", "");
        return Err(invalid(&asked.target.kind, vec![cause]));
    }
    let mut audiences = texts(spec, "audiences");
    if audiences.is_empty() {
        audiences.push(asked.gate.audience().to_owned());
    }
    Ok(match asked.gate.holder(&token, &audiences).await {
        Ok((subject, audiences)) => json!({
            "authenticated": true, "user": user(&subject), "audiences": audiences,
        }),
        Err(failure) if failure.reason == Reason::Unauthorized => {
            json!({ "authenticated": false, "user": {}, "error": failure.message })
        }
        Err(failure) => return Err(failure),
    })
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let list = value[name].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
