//! What a node has observed becomes statuses and events, and the end of pods that are gone from it.

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use weft_api::assignment::PodId;
use weft_api::observed::{Event, Pod, Subject};

use super::{NAME, Node, routes, status};
use crate::controllers::claims::DISCARD;
use crate::controllers::{PAUSE, tell};
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::store::{DeleteOptions, Patch, WriteOptions, now, object};

/// Statuses that are written at once: the keyspace makes one commit of many.
const AT_ONCE: usize = 32;
/// How often a status is written anew after somebody else's change.
const TRIES: usize = 8;
/// How often what the store refuses for reasons of its own is tried.
const PATIENCE: usize = 30;

pub(super) async fn take(node: &Node, pods: Vec<Pod>, events: Vec<Event>) {
    let writing = stream::iter(pods).for_each_concurrent(AT_ONCE, |pod| async move {
        for _ in 0..PATIENCE {
            let done = match pod.gone {
                true => delete(node, &pod.id).await,
                false => write(node, &pod).await,
            };
            match done {
                Ok(()) => return,
                Err(failure) if failure.reason == Reason::Invalid => {
                    tracing::warn!(%failure, pod = pod.id.name, "a status is refused");
                    return;
                }
                Err(failure) => {
                    tracing::warn!(%failure, pod = pod.id.name, "a status could not be written");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    writing.await;
    for event in events {
        if let Err(failure) = say(node, &event).await {
            tracing::warn!(%failure, "could not tell what happened on a node");
        }
    }
}

/// Nothing: it is not there any more, or another one.
async fn found(node: &Node, id: &PodId) -> Result<Option<Object>, Failure> {
    let kinds = node.store.kinds();
    let Some(pods) = kinds.find("", "v1", "pods") else {
        return Ok(None);
    };
    match node.store.get(pods, &id.namespace, &id.name).await {
        Ok(item) => Ok(Some(object(&item)?).filter(|pod| pod.meta().text("uid") == id.uid)),
        Err(failure) if failure.reason == Reason::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn write(node: &Node, seen: &Pod) -> Result<(), Failure> {
    let kinds = node.store.kinds();
    let Some(pods) = kinds.find("", "v1", "pods") else {
        return Ok(());
    };
    let host_ip = node
        .about
        .address
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    for _ in 0..TRIES {
        let Some(before) = found(node, &seen.id).await? else {
            return Ok(());
        };
        let pod = serde_json::from_value(Value::Object(before.0.clone())).unwrap_or_default();
        let mut after = before.clone();
        status::apply(&mut after, &pod, seen, &host_ip, &now());
        if after == before {
            return Ok(());
        }
        let options = WriteOptions {
            manager: NAME.to_owned(),
            subresource: "status",
            ..WriteOptions::default()
        };
        let (namespace, name) = (&seen.id.namespace, &seen.id.name);
        let put = node.store.replace(pods, namespace, name, after, &options);
        match put.await {
            Err(failure) if failure.reason == Reason::Conflict => {}
            Err(failure) if failure.reason == Reason::NotFound => return Ok(()),
            other => return other.map(drop),
        }
    }
    Err(Failure::new(Reason::Conflict, "it changes all the time"))
}

/// The data of a volume is gone: nothing holds the volume any more.
pub(super) async fn discarded(node: &Node, name: &str) -> Result<(), Failure> {
    let kinds = node.store.kinds();
    let Some(volumes) = kinds.find("", "v1", "persistentvolumes") else {
        return Ok(());
    };
    let done = async {
        let volume = object(&*node.store.get(volumes, "", name).await?)?;
        let left = volume.meta().finalizers().filter(|held| *held != DISCARD);
        let left: Vec<&str> = left.collect();
        let version = volume.meta().text("resourceVersion");
        let patch = json!({ "metadata": { "finalizers": left, "resourceVersion": version } });
        let options = WriteOptions {
            manager: NAME.to_owned(),
            ..WriteOptions::default()
        };
        let patch = Patch::Merge(patch);
        node.store.patch(volumes, "", name, &patch, &options).await
    };
    match done.await {
        Err(failure) if failure.reason == Reason::NotFound => Ok(()),
        other => other.map(drop),
    }
}

/// It was marked, and nothing of it runs any more: now it goes.
async fn delete(node: &Node, id: &PodId) -> Result<(), Failure> {
    let kinds = node.store.kinds();
    let Some(pods) = kinds.find("", "v1", "pods") else {
        return Ok(());
    };
    if found(node, id)
        .await?
        .is_none_or(|pod| !pod.meta().is_deleting())
    {
        return Ok(());
    }
    let options = DeleteOptions {
        uid: Some(id.uid.clone()),
        grace_s: Some(0),
        ..DeleteOptions::default()
    };
    let deleted = node.store.delete(pods, &id.namespace, &id.name, &options);
    match deleted.await {
        Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Conflict) => Ok(()),
        other => other.map(drop),
    }
}

async fn say(node: &Node, event: &Event) -> Result<(), Failure> {
    let kinds = node.store.kinds();
    let (plural, by) = match event.about {
        Subject::Pod(_) => ("pods", "kubelet"),
        Subject::Service(_) => ("services", "kube-proxy"),
    };
    let Some(kind) = kinds.find("", "v1", plural) else {
        return Ok(());
    };
    let about = match &event.about {
        Subject::Pod(id) => of(id),
        Subject::Service(name) => {
            let Some((namespace, name)) = routes::place(name) else {
                tracing::warn!(name, "what was told is of no service");
                return Ok(());
            };
            match node.store.get(kind, namespace, name).await {
                Ok(item) => object(&item)?,
                Err(failure) if failure.reason == Reason::NotFound => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
    };
    let told = tell::Told {
        by,
        host: &node.about.name,
        field: &event.field,
        kind: if event.warning { "Warning" } else { "Normal" },
        reason: &event.reason,
        message: &event.message,
    };
    tell::tell(&node.store, kind, &about, &told).await
}

/// A pod, as far as an event names it.
fn of(id: &PodId) -> Object {
    let mut pod = Object::default();
    for (name, value) in [
        ("name", &id.name),
        ("namespace", &id.namespace),
        ("uid", &id.uid),
    ] {
        pod.set_meta(name, Some(json!(value)));
    }
    pod
}
