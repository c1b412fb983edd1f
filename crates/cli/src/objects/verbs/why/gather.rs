//! Asks the server for an object and all that may be why it is as it is.
//!
//! Owns what belongs to what. What cannot be had is left out: who may see an object is to be told what
//! can be told without the rest.

use serde_json::Value;
use weft_client::Request;

use super::cause::{Seen, list, name, text};
use crate::objects::choose::{PAGE, pages};
use crate::objects::connect::Api;
use crate::objects::form::items;
use crate::objects::pods;

/// How deep the chain of owners goes: a cronjob's jobs' pods' claims.
const DEPTH_MAX: usize = 4;
/// Of so many of one owner at most the events are asked for.
const WITH_EVENTS_MAX: usize = 20;

/// `object`, with what belongs to it.
pub(super) async fn gather(api: &Api, object: Value) -> Seen {
    Box::pin(deeper(api, object, DEPTH_MAX, true)).await
}

async fn deeper(api: &Api, object: Value, depth: usize, with_events: bool) -> Seen {
    let mut seen = Seen {
        events: match with_events {
            true => events(api, &object).await,
            false => Vec::new(),
        },
        beside: beside(api, &object).await,
        below: Vec::new(),
        object,
    };
    if depth == 0 {
        return seen;
    }
    for (at, child) in below(api, &seen.object).await.into_iter().enumerate() {
        // What is well needs no events to say so.
        let is_well = super::cause::is(&child, "Ready", "True");
        let with_events = at < WITH_EVENTS_MAX && !is_well;
        seen.below
            .push(Box::pin(deeper(api, child, depth - 1, with_events)).await);
    }
    seen
}

/// All objects of a kind, each with its kind said.
async fn all(
    api: &Api,
    version: &str,
    kind: &str,
    plural: &str,
    namespace: &str,
    query: &[(&str, &str)],
) -> Vec<Value> {
    let mut path: Vec<&str> = match version {
        "v1" => vec!["api", "v1"],
        version => [vec!["apis"], version.split('/').collect()].concat(),
    };
    if !namespace.is_empty() {
        path.extend(["namespaces", namespace]);
    }
    path.push(plural);
    let mut request = Request::get(format!("list {plural}"), &path);
    for (key, value) in query {
        request = request.query(key, value);
    }
    let list = pages(request, PAGE, async |page| api.ask(page).await).await;
    let list = list.unwrap_or_default();
    let found = items(&list).into_iter().cloned().map(|mut object| {
        object["kind"] = kind.into();
        object["apiVersion"] = version.into();
        object
    });
    found.collect()
}

/// One object, if it can be had.
async fn one(api: &Api, kind: &str, path: &[&str]) -> Option<Value> {
    let request = Request::get(format!("get {kind}"), path);
    let mut object: Value = api.ask(&request).await.ok()?.json().ok()?;
    object["kind"] = kind.into();
    Some(object)
}

fn owned_by(object: &Value, uid: &str) -> bool {
    let owners = list(object, "/metadata/ownerReferences").iter();
    owners.into_iter().any(|owner| text(owner, "/uid") == uid)
}

/// What it owns or chooses.
async fn below(api: &Api, object: &Value) -> Vec<Value> {
    let namespace = text(object, "/metadata/namespace");
    let uid = text(object, "/metadata/uid");
    let owned = |all: Vec<Value>| -> Vec<Value> {
        let all = all.into_iter();
        all.filter(|one| owned_by(one, uid)).collect()
    };
    match text(object, "/kind") {
        "Deployment" => {
            let sets = all(api, "apps/v1", "ReplicaSet", "replicasets", namespace, &[]).await;
            let sets = owned(sets).into_iter();
            // Those of former templates that have nothing any more say nothing.
            let sets = sets.filter(|set| {
                set["spec"]["replicas"] != 0 || super::cause::int(set, "/status/replicas") > 0
            });
            sets.collect()
        }
        "ReplicaSet" | "ReplicationController" | "StatefulSet" | "DaemonSet" | "Job" => {
            owned(all(api, "v1", "Pod", "pods", namespace, &[]).await)
        }
        "CronJob" => {
            let jobs = owned(all(api, "batch/v1", "Job", "jobs", namespace, &[]).await);
            let newest = jobs
                .into_iter()
                .max_by_key(|job| text(job, "/metadata/creationTimestamp").to_owned());
            newest.into_iter().collect()
        }
        "Service" => match pods::selector(object) {
            Ok(Some(selector)) => {
                let query = [("labelSelector", selector.as_str())];
                all(api, "v1", "Pod", "pods", namespace, &query).await
            }
            _ => Vec::new(),
        },
        // Only of a pod that has no node, or does not start there, are its claims a reason.
        "Pod" if !super::cause::is(object, "ContainersReady", "True") => {
            let mut claims = Vec::new();
            for volume in list(object, "/spec/volumes") {
                let claim = text(volume, "/persistentVolumeClaim/claimName");
                if claim.is_empty() {
                    continue;
                }
                let path = [
                    "api",
                    "v1",
                    "namespaces",
                    namespace,
                    "persistentvolumeclaims",
                    claim,
                ];
                claims.extend(one(api, "PersistentVolumeClaim", &path).await);
            }
            claims
        }
        _ => Vec::new(),
    }
}

/// What else it depends on.
async fn beside(api: &Api, object: &Value) -> Vec<Value> {
    let namespace = text(object, "/metadata/namespace");
    match text(object, "/kind") {
        "Pod" => {
            let node = text(object, "/spec/nodeName");
            match node.is_empty() {
                true => Vec::new(),
                false => one(api, "Node", &["api", "v1", "nodes", node])
                    .await
                    .into_iter()
                    .collect(),
            }
        }
        "Service" => {
            let label = format!("kubernetes.io/service-name={}", name(object));
            let query = [("labelSelector", label.as_str())];
            let version = "discovery.k8s.io/v1";
            all(
                api,
                version,
                "EndpointSlice",
                "endpointslices",
                namespace,
                &query,
            )
            .await
        }
        "PersistentVolumeClaim" => {
            let version = "storage.k8s.io/v1";
            all(api, version, "StorageClass", "storageclasses", "", &[]).await
        }
        _ => Vec::new(),
    }
}

/// What happened to it, oldest first.
async fn events(api: &Api, object: &Value) -> Vec<Value> {
    let namespace = text(object, "/metadata/namespace");
    let fields = format!(
        "involvedObject.name={},involvedObject.uid={}",
        name(object),
        text(object, "/metadata/uid")
    );
    let query = [("fieldSelector", fields.as_str())];
    let mut found = all(api, "v1", "Event", "events", namespace, &query).await;
    found.sort_by_key(|event| {
        let times = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime"];
        let times = times.iter().map(|place| text(event, place));
        let time = times.max().unwrap_or_default().to_owned();
        // Of one second, what was written last.
        let version = text(event, "/metadata/resourceVersion").parse::<u64>();
        (time, version.unwrap_or(0))
    });
    found
}
