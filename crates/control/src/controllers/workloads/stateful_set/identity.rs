//! Who a pod of a StatefulSet is: its name, number, host name and volumes.

use serde_json::{Value, json};

use super::super::{pods, revisions};
use super::claims;
use crate::object::Object;

const NAME: &str = "statefulset.kubernetes.io/pod-name";
const INDEX: &str = "apps.kubernetes.io/pod-index";

/// The number of a pod of the set; nothing: it is none of it.
pub(super) fn ordinal(owner: &Object, pod: &Object) -> Option<u32> {
    let name = pod.meta().name().strip_prefix(owner.meta().name())?;
    let digits = name.strip_prefix('-')?;
    // `web-01` is another's.
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

pub(super) fn name(owner: &Object, ordinal: u32) -> String {
    format!("{}-{ordinal}", owner.meta().name())
}

/// The pod of this number, by the template of `revision`.
pub(super) fn pod(owner: &Object, revision: &Object, ordinal: u32, reference: Value) -> Object {
    let mut of = owner.clone();
    of.0["spec"]["template"] = revisions::template(revision);
    let mut pod = pods::of_template(&of, reference);
    let name = name(owner, ordinal);
    pod.set_meta("generateName", None);
    pod.set_meta("name", Some(name.as_str().into()));
    let labels = &mut pod.meta_mut()["labels"];
    labels[NAME] = name.as_str().into();
    labels[INDEX] = ordinal.to_string().into();
    labels[revisions::LABEL] = revision.meta().name().into();
    let Some(spec) = pod.0.get_mut("spec").filter(|spec| spec.is_object()) else {
        return pod;
    };
    spec["hostname"] = name.into();
    spec["subdomain"] = owner
        .at(&["spec", "serviceName"])
        .cloned()
        .unwrap_or("".into());
    let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    for template in claims::templates(owner) {
        let volume = claims::volume(template);
        volumes.retain(|one| one["name"] != volume);
        let claim = claims::name(template, owner, ordinal);
        volumes.push(json!({ "name": volume, "persistentVolumeClaim": { "claimName": claim } }));
    }
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    pod
}
