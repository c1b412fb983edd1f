//! What is of a deployment: told by its labels, looked for among all kinds.
//!
//! Never: finds what another object owns. That goes with its owner.

use serde_json::{Value, json};
use weft_client::Request;
use weft_client::cluster::ApiError;

use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::Api;
use crate::objects::form::items;
use crate::objects::write::DryRun;

/// The deployment an object is of.
pub(in super::super) const LABEL: &str = "nanocloud.io/deployment";
/// What made it: `file`, or `api` for `POST /deployments`.
pub(super) const ORIGIN: &str = "nanocloud.io/deployed-by";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Marks an object as one of a deployment.
pub(super) fn labelled(object: &mut Value, name: &str) {
    let labels = &mut object["metadata"]["labels"];
    if labels[MANAGED_BY].is_null() {
        labels[MANAGED_BY] = "weft".into();
    }
    labels[LABEL] = name.into();
    labels[ORIGIN] = "file".into();
}

/// Whether it holds data of somebody.
pub(in super::super) fn is_data(target: &Target) -> bool {
    target.kind.group.is_empty() && target.kind.plural == "persistentvolumeclaims"
}

/// What the labels mean.
#[derive(Default)]
pub(in super::super) struct Found {
    /// The objects, and where they are.
    pub(in super::super) objects: Vec<(Target, Value)>,
    /// Kinds that whoever asks may not list. They have made nothing of them, in all likelihood.
    pub(in super::super) unseen: Vec<String>,
}

/// All that the labels mean, in the namespace and in none.
pub(in super::super) async fn found(api: &Api, selector: &str) -> Result<Found, CliError> {
    let mut found = Found::default();
    for kind in api.kinds().await?.preferred() {
        // Namespaces take all that is in them along, whatever it is of.
        let is_looked_at = kind.can("list") && kind.can("delete");
        if !is_looked_at || (kind.group.is_empty() && kind.plural == "events") {
            continue;
        }
        let all = Target {
            kind: kind.clone(),
            namespace: kind.is_namespaced.then(|| api.namespace.clone()),
            name: None,
        };
        let list = match api.ask(&all.get().query("labelSelector", selector)).await {
            Ok(list) => list.json()?,
            Err(error) if is_forbidden(&error) => {
                if kind.is_namespaced {
                    found.unseen.push(kind.full_name());
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for object in items(&list) {
            if is_owned(object) || !is_applied(object) {
                continue;
            }
            let target = Target::of(kind, object);
            let mut object = object.clone();
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.kind.as_str().into();
            found.objects.push((target, object));
        }
    }
    Ok(found)
}

fn is_owned(object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| !owners.is_empty())
}

/// What controllers make may have the labels of what they make it for.
fn is_applied(object: &Value) -> bool {
    let managers = object["metadata"]["managedFields"].as_array();
    let mut managers = managers.into_iter().flatten();
    managers.any(|entry| entry["operation"] == "Apply")
}

fn is_forbidden(error: &ApiError) -> bool {
    error.refusal().is_some_and(|refusal| refusal.code == 403)
}

/// Deletes an object, no other of its name; one that is gone is no failure.
pub(in super::super) async fn delete(
    api: &Api,
    target: &Target,
    object: &Value,
    dry_run: DryRun,
) -> Result<(), ApiError> {
    if dry_run == DryRun::Client {
        return Ok(());
    }
    let mut body = json!({
        "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        "preconditions": { "uid": object["metadata"]["uid"] },
    });
    if dry_run == DryRun::Server {
        body["dryRun"] = json!(["All"]);
    }
    let request = Request::delete(format!("delete {}", target.label()), &target.path(None));
    match api.send(&request.json(&body)).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
