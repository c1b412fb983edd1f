//! What is put into a pod that runs, to look around: `pods/NAME/ephemeralcontainers`.
//!
//! Owns: that nothing else of the pod is changed there, and that what was put in stays as it is.

use std::sync::{Arc, OnceLock};

use super::super::rules::{Mistakes, Spot};
use super::pod_spec::{self, Use};
use super::{kind, status};
use crate::failure::Cause;
use crate::kind::Kind;
use crate::object::Object;

const LIST: &str = "ephemeralContainers";

/// Pods, as they are changed there.
pub fn debugged() -> &'static Arc<Kind> {
    static KIND: OnceLock<Arc<Kind>> = OnceLock::new();
    KIND.get_or_init(|| {
        Arc::new(Kind {
            inherit,
            validate,
            ..kind()
        })
    })
}

/// All but what is put in is the pod's.
fn inherit(old: &Object, pod: &mut Object) {
    let given = pod.at(&["spec", LIST]).cloned();
    let mut next = old.clone();
    if let Some(spec) = next.0.get_mut("spec").and_then(|spec| spec.as_object_mut()) {
        match given {
            Some(given) => drop(spec.insert(LIST.to_owned(), given)),
            None => drop(spec.remove(LIST)),
        }
    }
    *pod = next;
}

fn validate(pod: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let spec = Spot::of(pod, "spec");
    status(&mut mistakes, &Spot::of(pod, "status"));
    pod_spec::validate(&mut mistakes, &spec, Use::Pod, [].into_iter());
    let list = spec.at(LIST);
    let before = old.and_then(|old| old.at(&["spec", LIST]));
    let before = before.and_then(|before| before.as_array());
    for one in before.into_iter().flatten() {
        let name = one["name"].as_str().unwrap_or_default();
        let now = list.items().find(|now| now.at("name").text() == name);
        let wrong = match now {
            None => "removed",
            Some(now) if now.value() != Some(one) => "changed",
            Some(_) => continue,
        };
        let why = format!("existing ephemeral containers {name:?} may not be {wrong}");
        mistakes.forbidden(&list, &why);
    }
    mistakes.into_causes()
}
