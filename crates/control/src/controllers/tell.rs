//! What controllers do, told as events: for people.

use serde_json::{Value, json};

use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, Patch, WriteOptions, now};

/// What happened.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// Who did it.
    pub by: &'static str,
    /// On which node; empty: none.
    pub host: &'a str,
    /// What of the object it is about; empty: all of it.
    pub field: &'a str,
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// Why, in one word.
    pub reason: &'a str,
    /// A sentence.
    pub message: &'a str,
}

/// Tells what happened to `object`, which is of `kind`.
pub(crate) async fn tell(
    store: &Store,
    kind: &Kind,
    object: &Object,
    told: &Told<'_>,
) -> Result<(), Failure> {
    let kinds = store.kinds();
    let Some(events) = kinds.find("", "v1", "events") else {
        return Ok(());
    };
    let meta = object.meta();
    let namespace = match meta.namespace() {
        "" => "default",
        namespace => namespace,
    };
    let now = now();
    // Names are of 253 characters, and no part of one ends with a hyphen.
    let about: String = meta.name().chars().take(200).collect();
    // The same of the same object has one name: it is counted, not said again.
    let said = [
        meta.text("uid"),
        told.by,
        told.field,
        told.reason,
        told.message,
    ];
    let same = fold(said.into_iter());
    let name = format!("{}.{same:016x}", about.trim_end_matches(['-', '.']));
    let mut event = Object::default();
    for (field, value) in [
        ("metadata", json!({ "name": name, "namespace": namespace })),
        ("involvedObject", involved(kind, object, told)),
        ("type", told.kind.into()),
        ("reason", told.reason.into()),
        ("message", told.message.into()),
        ("source", source(told)),
        ("reportingComponent", told.by.into()),
        ("firstTimestamp", now.as_str().into()),
        ("lastTimestamp", now.as_str().into()),
        ("count", 1.into()),
    ] {
        event.0.insert(field.to_owned(), value);
    }
    let options = WriteOptions {
        manager: told.by.to_owned(),
        ..WriteOptions::default()
    };
    match store.create(events, namespace, event, &options).await {
        Err(failure) if failure.reason == Reason::AlreadyExists => {
            count(store, events, (namespace, &name), &now, &options).await
        }
        // Of a namespace that is going nothing is told any more.
        Err(failure) if matches!(failure.reason, Reason::Forbidden | Reason::NotFound) => Ok(()),
        Err(failure) if failure.reason == Reason::Invalid => {
            tracing::warn!(%failure, "could not tell what happened");
            Ok(())
        }
        other => other.map(drop),
    }
}

fn involved(kind: &Kind, object: &Object, told: &Told<'_>) -> Value {
    let meta = object.meta();
    let mut involved = json!({
        "apiVersion": kind.api_version(), "kind": *kind.kind, "namespace": meta.namespace(), "name": meta.name(),
        "uid": meta.text("uid"),
    });
    for (field, value) in [
        ("resourceVersion", meta.text("resourceVersion")),
        ("fieldPath", told.field),
    ] {
        if !value.is_empty() {
            involved[field] = value.into();
        }
    }
    involved
}

fn source(told: &Told<'_>) -> Value {
    let mut source = json!({ "component": told.by });
    if !told.host.is_empty() {
        source["host"] = told.host.into();
    }
    source
}

/// It happened once more.
async fn count(
    store: &Store,
    events: &Kind,
    (namespace, name): (&str, &str),
    now: &str,
    options: &WriteOptions,
) -> Result<(), Failure> {
    let counted = async {
        let item = store.get(events, namespace, name).await?;
        let before = store::object_once(&item)?;
        let count = before.at(&["count"]).and_then(Value::as_i64).unwrap_or(1);
        let next =
            json!({ "count": count.saturating_add(1).min(i32::MAX.into()), "lastTimestamp": now });
        let patch = Patch::Merge(next);
        store.patch(events, namespace, name, &patch, options).await
    };
    match counted.await {
        // Somebody deleted it.
        Err(failure) if failure.reason == Reason::NotFound => Ok(()),
        other => other.map(drop),
    }
}

/// A number for these texts (FNV-1a).
fn fold<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let bytes = texts.flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
