//! What is told with an object though it stands elsewhere: its events, pods, endpoints.
//!
//! Owns what is asked for which kind. What cannot be had is told as such, or left out: who may see
//! an object is to see it without all of this.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weft_client::Request;
use weft_client::cluster::ApiError;

use super::value::{list, selector, text};
use crate::objects::connect::Api;
use crate::objects::form::items;

/// Objects of one answer.
const PAGE: &str = "500";
/// Label of the slices of a service.
const SERVICE: &str = "kubernetes.io/service-name";
/// Why a pod of a file of its node has another id.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Related {
    /// What happened to it, if that is to be told.
    pub(super) events: Option<Vec<Value>>,
    found: BTreeMap<String, Result<Vec<Value>, String>>,
}

/// Something to ask for.
#[derive(Debug, PartialEq)]
struct Ask {
    name: String,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
}

impl Related {
    /// Asks for all that belongs to `object`.
    pub(super) async fn find(api: &Api, object: &Value, with_events: bool) -> Related {
        let mut related = Related::default();
        for ask in asked(object) {
            let found = objects(api, &ask).await.map_err(|error| error.to_string());
            related.found.insert(ask.name, found);
        }
        if with_events {
            related.events = events(api, object).await;
        }
        related
    }

    /// Objects that were found by this name.
    pub(super) fn of(&self, name: &str) -> &[Value] {
        match self.found.get(name) {
            Some(Ok(found)) => found,
            _ => &[],
        }
    }

    /// Why there are none.
    pub(super) fn failure(&self, name: &str) -> Option<&str> {
        self.found.get(name)?.as_ref().err().map(String::as_str)
    }
}

/// What is to be known of a kind besides its objects.
fn asked(object: &Value) -> Vec<Ask> {
    let (meta, spec) = (&object["metadata"], &object["spec"]);
    let (name, namespace) = (text(&meta["name"]), text(&meta["namespace"]));
    let within = |group: &str, kind: &str, query: Vec<(&'static str, String)>| {
        path_of(kind, group, &namespace, kind, query)
    };
    let chosen = || vec![("labelSelector", selector(&spec["selector"]))];
    let group = text(&object["apiVersion"]);
    let group = group.split_once('/').map_or("", |(group, _)| group);
    match (group, object["kind"].as_str().unwrap_or_default()) {
        ("apps", "Deployment") => vec![within("apis/apps/v1", "replicasets", chosen())],
        ("apps", "ReplicaSet" | "StatefulSet" | "DaemonSet") => {
            vec![within("api/v1", "pods", chosen())]
        }
        ("", "ReplicationController") => {
            let labels = selector(&json!({ "matchLabels": spec["selector"] }));
            vec![within("api/v1", "pods", vec![("labelSelector", labels)])]
        }
        ("", "PersistentVolumeClaim") => vec![within("api/v1", "pods", Vec::new())],
        ("", "ServiceAccount") => vec![within("api/v1", "secrets", Vec::new())],
        ("", "Service") => vec![slices("endpointslices".to_owned(), &namespace, &name)],
        ("networking.k8s.io", "Ingress") => backends(spec, &namespace),
        ("", "Namespace") => ["resourcequotas", "limitranges"]
            .map(|kind| path_of(kind, "api/v1", &name, kind, Vec::new()))
            .into(),
        ("", "Node") => {
            let pods = format!("spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed");
            let lease = format!("leases/{name}");
            vec![
                path_of("pods", "api/v1", "", "pods", vec![("fieldSelector", pods)]),
                path_of(
                    "lease",
                    "apis/coordination.k8s.io/v1",
                    "kube-node-lease",
                    &lease,
                    Vec::new(),
                ),
            ]
        }
        _ => Vec::new(),
    }
}

fn path_of(
    name: &str,
    version: &str,
    namespace: &str,
    rest: &str,
    query: Vec<(&'static str, String)>,
) -> Ask {
    let mut path: Vec<String> = version.split('/').map(str::to_owned).collect();
    if !namespace.is_empty() {
        path.extend(["namespaces".to_owned(), namespace.to_owned()]);
    }
    path.extend(rest.split('/').map(str::to_owned));
    Ask {
        name: name.to_owned(),
        path,
        query,
    }
}

fn slices(name: String, namespace: &str, service: &str) -> Ask {
    let query = vec![("labelSelector", format!("{SERVICE}={service}"))];
    path_of(
        &name,
        "apis/discovery.k8s.io/v1",
        namespace,
        "endpointslices",
        query,
    )
}

/// The services an ingress leads to, and where these lead.
fn backends(spec: &Value, namespace: &str) -> Vec<Ask> {
    let rules = list(&spec["rules"]).iter();
    let paths = rules.flat_map(|rule| list(&rule["http"]["paths"]));
    let all = paths
        .map(|path| &path["backend"])
        .chain([&spec["defaultBackend"]]);
    let mut names: Vec<&str> = all
        .filter_map(|one| one["service"]["name"].as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let asks = names.into_iter().flat_map(|name| {
        let service = format!("services/{name}");
        [
            slices(format!("slices/{name}"), namespace, name),
            path_of(&service, "api/v1", namespace, &service, Vec::new()),
        ]
    });
    asks.collect()
}

/// All pages of a list, or the one object.
async fn objects(api: &Api, ask: &Ask) -> Result<Vec<Value>, ApiError> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        let mut request = Request::get(format!("get {}", ask.name), &path);
        for (key, value) in &ask.query {
            request = request.query(key, value);
        }
        request = request.query("limit", PAGE);
        if !next.is_empty() {
            request = request.query("continue", &next);
        }
        let answer = api.ask(&request).await?.json()?;
        found.extend(items(&answer).into_iter().cloned());
        next = text(&answer["metadata"]["continue"]);
        if next.is_empty() {
            return Ok(found);
        }
    }
}

/// What happened to an object; nothing, if that cannot be had.
async fn events(api: &Api, object: &Value) -> Option<Vec<Value>> {
    let meta = &object["metadata"];
    let (name, kind) = (text(&meta["name"]), text(&object["kind"]));
    let mirrored = meta["annotations"][MIRROR].as_str();
    let uid = mirrored.map_or_else(|| text(&meta["uid"]), str::to_owned);
    let mut found = objects(api, &happened(object, &uid)).await.ok()?;
    if kind == "Node" {
        // Whoever writes a node's events does not always know its id.
        found.extend(objects(api, &happened(object, &name)).await.ok()?);
    }
    Some(found)
}

fn happened(object: &Value, uid: &str) -> Ask {
    let meta = &object["metadata"];
    let namespace = text(&meta["namespace"]);
    let mut fields = vec![format!("involvedObject.name={}", text(&meta["name"]))];
    if !namespace.is_empty() {
        fields.push(format!("involvedObject.namespace={namespace}"));
    }
    if object["kind"] != "Pod" {
        fields.push(format!("involvedObject.kind={}", text(&object["kind"])));
    }
    fields.push(format!("involvedObject.uid={uid}"));
    let query = vec![("fieldSelector", fields.join(","))];
    path_of("events", "api/v1", &namespace, "events", query)
}
