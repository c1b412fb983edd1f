//! Revisions that are kept of a workload: in the sets of a deployment, or written down by themselves.

use serde_json::{Value, json};

use super::Workload;
use crate::error::CliError;
use crate::objects::choose::{PAGE, Target, pages};
use crate::objects::connect::{Api, no_kind};
use crate::objects::form::items;

const REVISION: &str = "deployment.kubernetes.io/revision";

/// A revision that is kept.
pub(super) struct Kept {
    pub(super) revision: i64,
    /// What it is kept in.
    pub(super) object: Value,
    pub(super) template: Value,
}

impl Kept {
    pub(super) fn cause(&self) -> &str {
        let cause = self.object["metadata"]["annotations"]["kubernetes.io/change-cause"].as_str();
        cause.filter(|cause| !cause.is_empty()).unwrap_or("<none>")
    }
}

/// The revision of a deployment or its set.
pub(super) fn revision(object: &Value) -> i64 {
    let said = object["metadata"]["annotations"][REVISION].as_str();
    said.and_then(|said| said.parse().ok()).unwrap_or(0)
}

/// All that are kept of `workload`, the oldest first.
pub(super) async fn all(
    api: &Api,
    target: &Target,
    workload: &Value,
    kind: Workload,
) -> Result<Vec<Kept>, CliError> {
    let plural = match kind {
        Workload::Deployment => "replicasets.apps",
        _ => "controllerrevisions.apps",
    };
    let known = api.kinds().await?;
    let within = Target {
        kind: known.find(plural).ok_or_else(|| no_kind(plural))?.clone(),
        namespace: target.namespace.clone(),
        name: None,
    };
    let list = pages(within.get(), PAGE, async |page| api.ask(page).await).await?;
    let uid = &workload["metadata"]["uid"];
    let is_own = |object: &&Value| {
        let owners = object["metadata"]["ownerReferences"].as_array();
        let mut owners = owners.into_iter().flatten();
        owners.any(|owner| owner["controller"] == true && owner["uid"] == *uid)
    };
    let kept = |object: &Value| {
        let mut object = object.clone();
        object["kind"] = within.kind.kind.as_str().into();
        object["apiVersion"] = within.kind.api_version().into();
        match kind {
            Workload::Deployment => Kept {
                revision: revision(&object),
                template: object["spec"]["template"].clone(),
                object,
            },
            _ => Kept {
                revision: object["revision"].as_i64().unwrap_or(0),
                template: bare(&object["data"]["spec"]["template"]),
                object,
            },
        }
    };
    let mut all: Vec<Kept> = items(&list).into_iter().filter(is_own).map(kept).collect();
    all.sort_by_key(|one| one.revision);
    Ok(all)
}

/// A template without what tells one of its pods from those of others, or how it is merged.
pub(super) fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    if let Some(meta) = template["metadata"].as_object_mut() {
        meta.remove("creationTimestamp");
        if let Some(labels) = meta.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove("pod-template-hash");
        }
    }
    if template["metadata"] == json!({}) || template["metadata"].is_null() {
        template["metadata"] = json!({});
    }
    template
}
