//! Bootstrap tokens: made, found and spent.
//!
//! Owns: that whoever makes one gives no more than they could be themselves, that its text is
//! told once, and that each of its uses is counted before anything is given for it.
//! Never: stores the secret half; its hash is in a record beside the object, which is not served.
//!
//! ```text
//!   create ─► object abcdef {whom, how often, used} + record abcdef {hash, the object's uid}
//!   spend  ─► record: is it the one ─► object: one use more, if it is still what was read
//! ```

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::{Value, json};
use weft_control::store::{self, DeleteOptions, Deleted, ListOptions, WriteOptions};
use weft_control::{Cause, Failure, Kind, Object, Reason, Store, kinds};
use weft_identity::authority::Grant;
use weft_identity::token::record::{Buys, Record};
use weft_identity::token::{self, TOKEN_LIFE_S, Token, TokenError};

use crate::answer::Answer;
use crate::gate;
use crate::impersonation::asked_as;
use crate::objects::Asked;
use crate::reviews::{answered, invalid, sound};

/// The group and plural of tokens.
pub(crate) const KIND: (&str, &str) = ("nanocloud.io", "bootstraptokens");
/// How often a token is spent anew because somebody else has.
const TRIES: usize = 20;
/// Ids that are tried: one of 36^6 that is taken is rare, two are not to be expected.
const IDS: usize = 5;

/// The token in a request's head, if that is what its bearer token looks like.
pub(crate) fn shown(head: &HeaderMap) -> Option<Token> {
    Token::parse(bearer(head)?).ok()
}

/// The bearer token in a request's head.
pub(crate) fn bearer(head: &HeaderMap) -> Option<&str> {
    let text = head.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then_some(token.trim())
}

/// Answers `POST bootstraptokens`.
///
/// # Errors
/// It cannot be, or would give more than whoever asks may be.
pub(crate) async fn create(asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
    let kind = &asked.target.kind;
    let (mut object, warnings) = sound(asked, kind, body)?;
    let options = asked.write_options();
    for field in ["name", "generateName"] {
        if !object.meta().text(field).is_empty() {
            let cause = Cause::forbidden(
                format!("metadata.{field}"),
                "a token has its name from the server",
            );
            return Err(invalid(kind, vec![cause]));
        }
    }
    let spec = object.0.get("spec").cloned().unwrap_or_default();
    sweep(asked.store, kind).await?;
    for _ in 0..IDS {
        let (token, record) = made(asked, &spec)?;
        fill(&mut object, &record)?;
        let item = match asked.store.create(kind, "", object.clone(), &options).await {
            Err(failure) if failure.reason == Reason::AlreadyExists => continue,
            made => made?,
        };
        let stored = store::object(&item)?;
        let mut status = stored.0.get("status").cloned().unwrap_or_default();
        if !options.is_dry_run {
            keep(asked.store, kind, &stored, &record).await?;
            status["token"] = token.reveal().as_str().into();
        }
        return Ok(answered(stored, status, warnings));
    }
    Err(Failure::internal("no id of a token is free"))
}

/// A token as the spec wants it, if whoever asks may give it.
fn made(asked: &Asked<'_>, spec: &Value) -> Result<(Token, Record), Failure> {
    let kind = &asked.target.kind;
    let groups: Vec<String> = spec["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group.as_str().map(str::to_owned))
        .collect();
    let user = spec["user"].as_str().filter(|user| !user.is_empty());
    // Whoever shows it is that user from then on: the same right as to ask as them.
    let may = |resource: &str, name: &str| {
        gate::may(&**asked.gate, &asked.subject, &asked_as(resource, "", name))
    };
    if let Some(user) = user {
        may("users", user)?;
    }
    for group in &groups {
        may("groups", group)?;
    }
    let wrong = |field: &str, found: &Value, why: &dyn std::fmt::Display| {
        let cause = Cause::invalid(
            format!("spec.{field}"),
            format_args!("{found}"),
            &why.to_string(),
        );
        invalid(kind, vec![cause])
    };
    let uses = spec["uses"].as_i64().unwrap_or(1);
    let uses = u32::try_from(uses)
        .map_err(|_| wrong("uses", &spec["uses"], &"no such number of uses is possible"))?;
    let life_s = spec["ttlSeconds"].as_i64().unwrap_or(TOKEN_LIFE_S);
    let buys = Buys::User {
        // Replaced as soon as there is an id.
        user: user.unwrap_or("bootstrap").to_owned(),
        groups,
    };
    let made = token::create(buys, life_s, uses, Timestamp::now().as_second());
    let (token, mut record) = made.map_err(|error| {
        let field = match error {
            token::CreateError::Life(_) => "ttlSeconds",
            token::CreateError::Uses(_) => "uses",
            token::CreateError::Name(_) => "user",
        };
        wrong(field, &spec[field], &error)
    })?;
    if let (None, Buys::User { user, .. }) = (user, &mut record.buys) {
        *user = format!("bootstrap:{}", record.id);
    }
    Ok((token, record))
}

/// What was not said, and what is known from the start.
fn fill(object: &mut Object, record: &Record) -> Result<(), Failure> {
    let until = Timestamp::from_second(record.expires_s).map_err(Failure::internal)?;
    object.set_meta("name", Some(record.id.as_str().into()));
    let status = json!({ "expiresAt": until.to_string(), "used": 0 });
    object.0.insert("status".to_owned(), status);
    if let (Some(spec), Buys::User { user, groups }) = (object.0.get_mut("spec"), &record.buys) {
        spec["user"] = user.as_str().into();
        spec["groups"] = json!(groups);
        spec["uses"] = record.uses_left.into();
        spec["ttlSeconds"] = (record.expires_s - record.created_s).into();
    }
    Ok(())
}

/// Stores the record of an object. Without it the object is good for nothing, and goes.
async fn keep(store: &Store, kind: &Kind, of: &Object, record: &Record) -> Result<(), Failure> {
    let mut object = Object::default();
    object.set_meta("name", Some(record.id.as_str().into()));
    let text = serde_json::to_value(record).map_err(Failure::internal)?;
    object.0.insert("record".to_owned(), text);
    let uid = of.meta().text("uid");
    object.0.insert("of".to_owned(), uid.into());
    let options = WriteOptions::default();
    let records = kinds::bootstrap_token_record();
    let kept = store.create(&records, "", object, &options).await;
    if let Err(failure) = kept {
        let _ = remove(store, kind, &record.id, uid).await;
        return Err(failure);
    }
    Ok(())
}

async fn remove(store: &Store, kind: &Kind, name: &str, uid: &str) -> Result<(), Failure> {
    let options = DeleteOptions {
        uid: Some(uid.to_owned()),
        ..DeleteOptions::default()
    };
    match store.delete(kind, "", name, &options).await {
        Ok(Deleted::Gone(_) | Deleted::Marked(_) | Deleted::Unread) => Ok(()),
        Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Conflict) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Takes away what has expired, and records whose object is gone.
async fn sweep(store: &Store, kind: &Kind) -> Result<(), Failure> {
    let (all, now) = (ListOptions::default(), Timestamp::now());
    for item in &store.list(kind, "", &all).await?.items {
        let object = store::object(item)?;
        let until = object.text(&["status", "expiresAt"]);
        let until = until.and_then(|until| until.parse::<Timestamp>().ok());
        if until.is_none_or(|until| until <= now) {
            let meta = object.meta();
            remove(store, kind, meta.name(), meta.text("uid")).await?;
        }
    }
    let records = kinds::bootstrap_token_record();
    for item in &store.list(&records, "", &all).await?.items {
        let record = store::object(item)?;
        let (name, uid) = (record.meta().name(), record.meta().text("uid"));
        // The object is made before its record: one that is not there now was deleted.
        let of = found(store, kind, name).await?;
        if of.is_none_or(|of| Some(of.meta().text("uid")) != record.text(&["of"])) {
            remove(store, &records, name, uid).await?;
        }
    }
    Ok(())
}

async fn found(store: &Store, kind: &Kind, name: &str) -> Result<Option<Object>, Failure> {
    match store.get(kind, "", name).await {
        Ok(item) => store::object(&item).map(Some),
        Err(failure) if failure.reason == Reason::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn read(stored: &Object) -> Result<Record, Failure> {
    let record = stored.0.get("record").cloned().unwrap_or_default();
    serde_json::from_value(record).map_err(|error| {
        let name = stored.meta().name();
        Failure::internal(format!(
            "read the record of the bootstrap token {name}: {error}"
        ))
    })
}

/// A token that is good, as it was when it was looked at.
#[derive(Debug)]
pub(crate) struct Good {
    object: Object,
    record: Record,
}

impl Good {
    /// Whom it makes of its bearer.
    pub(crate) fn grant(&self) -> Result<Grant, Refused> {
        match &self.record.buys {
            Buys::User { user, groups } => Ok(Grant::User {
                user: user.clone(),
                groups: groups.clone(),
            }),
            other @ Buys::Node { .. } => Err(Refused::Token(TokenError::OtherPurpose {
                buys: other.name(),
                asked: "a user",
            })),
        }
    }

    /// When it ends, in seconds since 1970.
    pub(crate) fn expires_s(&self) -> i64 {
        self.record.expires_s
    }
}

/// What `token` is good for now.
///
/// # Errors
/// Nothing: 401.
pub(crate) async fn look(store: &Store, token: &Token) -> Result<Good, Refused> {
    let kinds = store.kinds();
    let (group, plural) = KIND;
    let kind = kinds.find(group, "v1", plural);
    let kind = kind.ok_or_else(|| Failure::internal("there is no kind of bootstrap tokens"))?;
    let stored = found(store, &kinds::bootstrap_token_record(), token.id()).await?;
    let object = found(store, kind, token.id()).await?;
    let (Some(stored), Some(object)) = (stored, object) else {
        return Err(Refused::Token(TokenError::OtherRecord));
    };
    if stored.text(&["of"]) != Some(object.meta().text("uid")) || object.meta().is_deleting() {
        return Err(Refused::Token(TokenError::OtherRecord));
    }
    let mut record = read(&stored)?;
    let used = object.at(&["status", "used"]).and_then(Value::as_u64);
    let used = used.and_then(|used| u32::try_from(used).ok());
    record.uses_left = record.uses_left.saturating_sub(used.unwrap_or(u32::MAX));
    let now = Timestamp::now().as_second();
    token::check(&record, token, now).map_err(Refused::Token)?;
    Ok(Good { object, record })
}

/// Uses `token` once. Of those who do so at the same time as many have what it buys as it has uses.
///
/// # Errors
/// It is not good any more: 401.
pub(crate) async fn spend(store: &Store, token: &Token) -> Result<(), Refused> {
    let (group, plural) = KIND;
    let kinds = store.kinds();
    let kind = kinds.find(group, "v1", plural);
    let kind = kind.ok_or_else(|| Failure::internal("there is no kind of bootstrap tokens"))?;
    for _ in 0..TRIES {
        let Good { mut object, record } = look(store, token).await?;
        let now = Timestamp::now().as_second();
        let spent = token::spend(&record, token, token::Asked::User, now);
        let spent = spent.map_err(Refused::Token)?;
        let uses = object.at(&["spec", "uses"]).and_then(Value::as_u64);
        let used = uses.unwrap_or(1).saturating_sub(spent.uses_left.into());
        object.0["status"]["used"] = used.into();
        let options = WriteOptions::default();
        // It names the version that was read.
        match store.replace(kind, "", token.id(), object, &options).await {
            Err(failure) if failure.reason == Reason::Conflict => {}
            Err(failure) if failure.reason == Reason::NotFound => {
                return Err(Refused::Token(TokenError::OtherRecord));
            }
            other => return Ok(other.map(drop)?),
        }
    }
    let message = "the bootstrap token is used by many at once; try again";
    Err(Failure::new(Reason::TooManyRequests, message).into())
}

/// Why a token buys nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not good.
    Token(TokenError),
    /// Something else is in the way.
    Failure(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Failure(failure)
    }
}

/// Only who has the secret half is told what is wrong.
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let message = match refused {
            Refused::Failure(failure) => return failure,
            Refused::Token(
                error @ (TokenError::Expired | TokenError::Spent | TokenError::OtherPurpose { .. }),
            ) => error.to_string(),
            Refused::Token(_) => "the bootstrap token is not one of this cluster's".to_owned(),
        };
        Failure::new(Reason::Unauthorized, message)
    }
}
