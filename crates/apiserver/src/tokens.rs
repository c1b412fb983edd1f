//! `kubectl create token`: a bearer token for a service account (`TokenRequest`).
//!
//! Owns: that account and bound object are there, and the ones that are meant.
//! Never: signs, or stores anything.

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_control::{Cause, Failure, Reason, kinds, store};
use weft_identity::jwt::{Bound, BoundKind, Holder, LONGEST_LIFE_S, SHORTEST_LIFE_S};

use crate::answer::Answer;
use crate::objects::Asked;
use crate::reviews::{answered, invalid, sound};

/// Life of a token nobody said more about.
const LIFE_S: i64 = 3600;

/// Answers `POST serviceaccounts/NAME/token`.
///
/// # Errors
/// The account or what the token is to be bound to is not there, or its time cannot be.
pub(crate) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
    let kind = kinds::token_request();
    let (mut object, warnings) = sound(asked, &kind, body)?;
    let (target, spec) = (
        asked.target,
        object.0.get("spec").cloned().unwrap_or_default(),
    );
    let item = asked
        .store
        .get(&target.kind, &target.namespace, &target.name);
    let account = store::object(&*item.await?)?;
    let holder = Holder::Account {
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        uid: account.meta().text("uid").to_owned(),
        bound: bound(asked, &spec["boundObjectRef"]).await?,
    };
    let asked_for = spec["expirationSeconds"].as_i64().unwrap_or(LIFE_S);
    if asked_for < SHORTEST_LIFE_S {
        let why = format!("may not specify a duration less than {SHORTEST_LIFE_S} seconds");
        let cause = Cause::invalid("spec.expirationSeconds", asked_for, &why);
        return Err(invalid(&kind, vec![cause]));
    }
    // As upstream: a server may give less than is asked for, and says what it gave.
    let life_s = asked_for.min(LONGEST_LIFE_S);
    let mut audiences: Vec<String> = spec["audiences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect();
    if audiences.is_empty() {
        audiences.push(asked.gate.audience().to_owned());
    }
    let now = Timestamp::now().as_second();
    let token = asked.gate.token(&holder, &audiences, life_s, now)?;
    let until = Timestamp::from_second(now + life_s).map_err(Failure::internal)?;
    if let Some(spec) = object.0.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("audiences".to_owned(), json!(audiences));
        spec.insert("expirationSeconds".to_owned(), json!(life_s));
    }
    object.set_meta("name", Some(target.name.as_str().into()));
    object.set_meta("namespace", Some(target.namespace.as_str().into()));
    let status = json!({ "token": token, "expirationTimestamp": until.to_string() });
    Ok(answered(object, status, warnings))
}

async fn bound(asked: &Asked<'_>, reference: &Value) -> Result<Option<Bound>, Failure> {
    if reference.is_null() {
        return Ok(None);
    }
    let text = |name: &str| reference[name].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let (bound, plural) = match kind {
        "Pod" => (BoundKind::Pod, "pods"),
        "Secret" => (BoundKind::Secret, "secrets"),
        "Node" => (BoundKind::Node, "nodes"),
        _ => return Err(unbound(kind)),
    };
    let kinds = asked.store.kinds();
    let found = kinds.find("", "v1", plural);
    let found = found.ok_or_else(|| unbound(kind))?;
    let namespace = if found.is_namespaced {
        asked.target.namespace.as_str()
    } else {
        ""
    };
    let item = asked.store.get(found, namespace, name).await?;
    let object = store::object(&item)?;
    let uid = object.meta().text("uid");
    let wanted = text("uid");
    if !wanted.is_empty() && wanted != uid {
        let message = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record \
             ({uid}). The object might have been deleted and then recreated"
        );
        return Err(Failure::new(Reason::Conflict, message).about("", plural, name));
    }
    Ok(Some(Bound {
        kind: bound,
        name: name.to_owned(),
        uid: uid.to_owned(),
    }))
}

fn unbound(kind: &str) -> Failure {
    let message = format!(
        "cannot bind a token to an object of kind {kind:?}: Pod, Secret and Node are possible, where this server has them"
    );
    Failure::bad_request(message)
}
