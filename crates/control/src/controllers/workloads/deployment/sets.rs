//! The sets of a deployment's templates: which is of the newest, what is written on them.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_planner::workloads;

use super::super::acts::reference;
use super::super::{hash, pods};
use super::Pods;
use crate::kind::Kind;
use crate::object::Object;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Revisions it had before, with commas between.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";
/// The revision under which all its pods were available once.
pub(super) const COMPLETED: &str = "nanocloud.io/completed-revision";
/// What is a set's or a deployment's own, and not copied.
const OWN: [&str; 7] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
    COMPLETED,
];
const HASH: &str = "pod-template-hash";
/// Longest history, in bytes.
const HISTORY_MAX: usize = 2000;

/// A set, and its pods.
#[derive(Debug)]
pub(super) struct One {
    pub(super) object: Arc<Object>,
    pods: Pods,
}

/// All sets, the oldest first.
#[derive(Debug)]
pub(super) struct Sets {
    pub(super) all: Vec<One>,
    /// Which is of the newest template.
    pub(super) new: Option<usize>,
    counted: u32,
}

/// As the planner wants them.
#[derive(Debug)]
pub(super) struct Lowered {
    all: Vec<workloads::Set>,
    new: Option<usize>,
    has_old_pods: bool,
    counted: u32,
}

impl Lowered {
    pub(super) fn all(&self) -> workloads::Sets<'_> {
        workloads::Sets {
            all: &self.all,
            new: self.new,
            has_old_pods: self.has_old_pods,
            counted: self.counted,
        }
    }
}

impl Sets {
    pub(super) fn of(
        deployment: &Object,
        mut all: Vec<Arc<Object>>,
        pods: &HashMap<String, Pods>,
    ) -> Sets {
        let age = |set: &Arc<Object>| {
            let meta = set.meta();
            (
                meta.text("creationTimestamp").to_owned(),
                meta.name().to_owned(),
            )
        };
        all.sort_by_cached_key(age);
        let template = bare(deployment);
        let new = all.iter().position(|set| bare(set) == template);
        let one = |object: Arc<Object>| {
            let pods = pods.get(object.meta().text("uid")).copied();
            One {
                pods: pods.unwrap_or_default(),
                object,
            }
        };
        Sets {
            all: all.into_iter().map(one).collect(),
            new,
            counted: pods::number(deployment, &["status", "replicas"]),
        }
    }

    /// A set that was just made, of the newest template.
    pub(super) fn add(&mut self, set: Object) {
        self.new = Some(self.all.len());
        self.all.push(One {
            object: Arc::new(set),
            pods: Pods::default(),
        });
    }

    pub(super) fn newest(&self) -> Option<&Arc<Object>> {
        self.new.map(|at| &self.all[at].object)
    }

    pub(super) fn old(&self) -> impl Iterator<Item = &Arc<Object>> {
        let all = self.all.iter().enumerate();
        let old = all.filter(|(at, _)| Some(*at) != self.new);
        old.map(|(_, one)| &one.object)
    }

    pub(super) fn last_old_revision(&self) -> i64 {
        self.old().map(|set| revision(set)).max().unwrap_or(0)
    }

    pub(super) fn lowered(&self) -> Lowered {
        let lower = |one: &One| {
            let said = |name| one.object.meta().annotation(name)?.parse().ok();
            workloads::Set {
                wanted: pods::number(&one.object, &["spec", "replicas"]),
                available: one.pods.available,
                created_s: pods::seconds(one.object.meta().text("creationTimestamp")).unwrap_or(0),
                asked: said(DESIRED),
                most: said(MOST),
            }
        };
        let all = self.all.iter().enumerate();
        let mut old = all.filter(|(at, _)| Some(*at) != self.new);
        Lowered {
            all: self.all.iter().map(lower).collect(),
            new: self.new,
            has_old_pods: old.any(|(_, one)| one.pods.is_any),
            counted: self.counted,
        }
    }
}

pub(super) fn revision(set: &Object) -> i64 {
    let said = set.meta().annotation(REVISION);
    said.and_then(|said| said.parse().ok()).unwrap_or(0)
}

/// Whether it has no pods, is to have none, and its controller has seen so.
pub(super) fn is_settled(set: &Object) -> bool {
    let number = |path: &[&str]| pods::number(set, path);
    number(&["spec", "replicas"]) == 0
        && number(&["status", "replicas"]) == 0
        && number(&["status", "observedGeneration"]) >= number(&["metadata", "generation"])
        && !set.meta().is_deleting()
}

/// The template, without what tells the sets apart.
pub(super) fn bare(object: &Object) -> Value {
    let template = object.at(&["spec", "template"]);
    let mut template = template.cloned().unwrap_or(Value::Null);
    if let Some(meta) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("creationTimestamp");
        let labels = meta.get_mut("labels").and_then(Value::as_object_mut);
        if let Some(labels) = labels {
            labels.remove(HASH);
        }
        meta.retain(|_, value| {
            !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty())
        });
    }
    template
}

/// The annotations of a set, which may be there already, under a revision: those of the deployment,
/// and its own.
pub(super) fn annotations(
    deployment: &Object,
    set: Option<&Object>,
    revision: i64,
) -> Map<String, Value> {
    let own = deployment.meta().map("annotations");
    let own = own.filter(|(name, _)| !OWN.contains(name));
    let mut all: Map<String, Value> = own
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let before = set.map_or(0, self::revision);
    let revision_now = revision.to_string();
    if before > 0 && before != revision {
        let history = set
            .and_then(|set| set.meta().annotation(HISTORY))
            .unwrap_or_default();
        let history = match history {
            "" => before.to_string(),
            history => format!("{history},{before}"),
        };
        // The oldest ones go.
        let from = history.len().saturating_sub(HISTORY_MAX);
        let from = match from {
            0 => 0,
            from => history[from..]
                .find(',')
                .map_or(history.len(), |at| from + at + 1),
        };
        all.insert(HISTORY.to_owned(), history[from..].into());
    }
    all.insert(REVISION.to_owned(), revision_now.into());
    all
}

/// Those that a deployment gets back with the template of a set.
pub(super) fn annotations_back(deployment: &Object, set: &Object) -> Map<String, Value> {
    let kept = deployment
        .meta()
        .map("annotations")
        .filter(|(name, _)| OWN.contains(name));
    let back = set
        .meta()
        .map("annotations")
        .filter(|(name, _)| !OWN.contains(name));
    kept.chain(back)
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// A new set of the deployment's template: how many pods, most of all sets, revision.
pub(super) fn made(
    kind: &Kind,
    deployment: &Object,
    collisions: u32,
    (size, most, revision): (u32, u32, i64),
) -> Object {
    let mut template = bare(deployment);
    let hash = hash::of(&template, collisions);
    let asked = pods::number(deployment, &["spec", "replicas"]);
    let mut annotations = annotations(deployment, None, revision);
    annotations.insert(DESIRED.to_owned(), asked.to_string().into());
    annotations.insert(MOST.to_owned(), most.to_string().into());
    let mut selector = deployment
        .at(&["spec", "selector"])
        .cloned()
        .unwrap_or(json!({}));
    selector["matchLabels"][HASH] = hash.as_str().into();
    template["metadata"]["labels"][HASH] = hash.as_str().into();
    let mut spec = json!({ "replicas": size, "selector": selector });
    if let Some(seconds) = deployment.at(&["spec", "minReadySeconds"]) {
        spec["minReadySeconds"] = seconds.clone();
    }
    let meta = json!({
        "name": format!("{}-{hash}", deployment.meta().name()),
        "namespace": deployment.meta().namespace(),
        "labels": template["metadata"]["labels"],
        "annotations": annotations,
        "ownerReferences": [reference(kind, deployment)],
    });
    spec["template"] = template;
    let mut set = Object::default();
    set.0.insert("metadata".to_owned(), meta);
    set.0.insert("spec".to_owned(), spec);
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value) -> Object {
        Object(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_revision_joins_those_before() {
        let deployment = of(json!({ "metadata": { "annotations": {
            "a": "1", REVISION: "9", "kubectl.kubernetes.io/last-applied-configuration": "{}",
        } } }));
        let fresh = annotations(&deployment, None, 1);
        assert_eq!(Value::from(fresh), json!({ "a": "1", REVISION: "1" }));
        let set = of(json!({ "metadata": { "annotations": { REVISION: "1", "b": "2" } } }));
        let back = annotations(&deployment, Some(&set), 3);
        assert_eq!(
            Value::from(back),
            json!({ "a": "1", REVISION: "3", HISTORY: "1" })
        );
        let set = of(json!({ "metadata": { "annotations": { REVISION: "3", HISTORY: "1" } } }));
        assert_eq!(annotations(&deployment, Some(&set), 5)[HISTORY], "1,3");
        assert!(
            annotations(&deployment, Some(&set), 3)
                .get(HISTORY)
                .is_none()
        );
        let long: Vec<String> = (1000..2000).map(|one| one.to_string()).collect();
        let set = of(
            json!({ "metadata": { "annotations": { REVISION: "2000", HISTORY: long.join(",") } } }),
        );
        let kept = annotations(&deployment, Some(&set), 2001);
        let kept = kept[HISTORY].as_str().unwrap();
        assert!(
            kept.len() <= HISTORY_MAX && kept.starts_with("1") && kept.ends_with(",1999,2000"),
            "{kept}"
        );
    }
}
