//! Strategic merge patches of Kubernetes' own kinds: which of their fields are of a type with lists
//! that merge. Lists of other kinds are replaced.

use serde_json::Value;
use weft_stdx::strategic::{self, How, Place, StrategicError, lists};

use super::id::Id;
use super::paths;

/// Owner, field, and the type of it or of its elements.
const TYPES: [(&str, &str, &str); 17] = [
    ("CronJob", "spec", "CronJobSpec"),
    ("CronJobSpec", "jobTemplate", "JobTemplateSpec"),
    ("JobTemplateSpec", "metadata", "ObjectMeta"),
    ("JobTemplateSpec", "spec", "Workload"),
    ("Node", "spec", "NodeSpec"),
    ("Node", "status", "NodeStatus"),
    ("Pod", "spec", "PodSpec"),
    ("Pod", "status", "PodStatus"),
    ("PodSpec", "containers", "Container"),
    ("PodSpec", "ephemeralContainers", "EphemeralContainer"),
    ("PodSpec", "initContainers", "Container"),
    ("PodTemplate", "template", "PodTemplateSpec"),
    ("PodTemplateSpec", "metadata", "ObjectMeta"),
    ("PodTemplateSpec", "spec", "PodSpec"),
    ("Service", "spec", "ServiceSpec"),
    ("Service", "status", "ServiceStatus"),
    ("Workload", "template", "PodTemplateSpec"),
];

/// A value of a type; nothing is said of those whose type has no name.
struct At {
    of: &'static str,
    /// Of a list: how its elements, which are of that type, merge.
    how: How,
}

/// Merges `patch` into an object.
pub fn merge(target: &mut Value, patch: &Value) -> Result<(), StrategicError> {
    let top = At {
        of: own(&Id::of(target)),
        how: How::Replace,
    };
    strategic::merge(Some(&top), target, patch)
}

/// Whether it is known how an object merges.
pub fn is_known(object: &Value) -> bool {
    own(&Id::of(object)) != "Unknown"
}

/// What the type of an object is called here.
fn own(id: &Id) -> &'static str {
    let is_kubernetes = !id.group.contains('.') || id.group.ends_with(".k8s.io");
    let known = TYPES.iter().find(|(owner, ..)| *owner == id.kind);
    match known {
        _ if !is_kubernetes => "Unknown",
        Some((owner, ..)) => owner,
        None if paths::template(&id.kind).is_some() => "Template",
        None if id.kind == "ServiceAccount" => "ServiceAccount",
        None => "Object",
    }
}

impl Place for At {
    const IS_FIRST: bool = true;

    fn field(&self, name: &str) -> Option<At> {
        let found = TYPES
            .iter()
            .find(|(owner, field, _)| *owner == self.of && *field == name);
        let of = match (found, self.of, name) {
            (_, "Unknown", _) => "",
            (Some((.., of)), ..) => of,
            (None, "Template", "spec") => "Workload",
            (
                None,
                "Pod" | "Service" | "ServiceAccount" | "Node" | "Template" | "Object",
                "metadata",
            ) => "ObjectMeta",
            (None, "CronJob" | "PodTemplate", "metadata") => "ObjectMeta",
            _ => "",
        };
        let keys = lists::keys(self.of, name);
        let how = keys.map_or(How::Replace, |keys| match keys.is_empty() {
            true => How::Set,
            false => {
                let key = |(name, default): &(&str, Option<&str>)| {
                    ((*name).to_owned(), default.map_or(Value::Null, Value::from))
                };
                How::By(keys.iter().map(key).collect())
            }
        });
        Some(At { of, how })
    }

    fn list(&self) -> Option<(Option<At>, How)> {
        let item = At {
            of: self.of,
            how: How::Replace,
        };
        Some((Some(item), self.how.clone()))
    }
}
