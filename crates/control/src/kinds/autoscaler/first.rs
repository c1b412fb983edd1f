//! `autoscaling/v1`: a share of the processor alone. What it has no field for stands in
//! annotations, as Kubernetes writes them, so that nothing is lost by going through it.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use serde_json::{Map, Value, json};

use super::metrics;
use crate::failure::Cause;
use crate::form::Form;
use crate::kind::Kind;
use crate::kinds::document;
use crate::kinds::rules::fill::{Fields, below, set};
use crate::object::Object;
use crate::schema;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const TARGET: &str = "targetCPUUtilizationPercentage";
const FOUND: &str = "currentCPUUtilizationPercentage";
/// What its status tells even if it is zero.
const COUNTED: [&str; 2] = ["currentReplicas", "desiredReplicas"];

pub(super) fn forms() -> &'static [Arc<Kind>] {
    static FORMS: LazyLock<[Arc<Kind>; 1]> = LazyLock::new(|| [Arc::new(kind())]);
    &*FORMS
}

fn kind() -> Kind {
    Kind {
        version: "v1".into(),
        document: document::<HorizontalPodAutoscaler>(),
        default: |scaler| {
            if let Some(spec) = below(&mut scaler.0, "spec") {
                set(spec, "minReplicas", 1);
            }
        },
        validate,
        counted: Some(&COUNTED),
        forms: || &[],
        form: Some(Form {
            stored: Arc::new(super::kind()),
            write,
            read,
        }),
        ..super::kind()
    }
}

/// Annotations may have brought anything.
fn validate(scaler: &Object, old: Option<&Object>) -> Vec<Cause> {
    let form = &forms()[0];
    let mut stored = form.as_stored(scaler).into_owned();
    let mistakes = schema::check(form.stored().schema(), &mut stored.0).mistakes;
    if !mistakes.is_empty() {
        return mistakes;
    }
    let old = old.map(|old| form.as_stored(old));
    super::rules::validate(&stored, old.as_deref())
}

/// Takes an annotation out; nothing: it is not there, or no JSON, which is as good.
fn take(scaler: &mut Object, name: &str) -> Option<Value> {
    let meta = below(&mut scaler.0, "metadata")?;
    let annotations = below(meta, "annotations")?;
    let text = annotations.remove(name)?;
    if annotations.is_empty() {
        meta.remove("annotations");
    }
    serde_json::from_str(text.as_str()?).ok()
}

fn put(scaler: &mut Object, name: &str, value: &Value) {
    let meta = scaler.meta_mut();
    let annotations = meta.entry("annotations").or_insert(Value::Null);
    if !annotations.is_object() {
        *annotations = Map::new().into();
    }
    annotations[name] = value.to_string().into();
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// To `autoscaling/v2`.
fn write(scaler: &mut Object) {
    let [others, current, conditions, behavior] =
        [METRICS, CURRENT, CONDITIONS, BEHAVIOR].map(|name| take(scaler, name));
    if let Some(spec) = below(&mut scaler.0, "spec") {
        let share = spec.remove(TARGET).filter(|share| !share.is_null());
        let share = share.map(|share| {
            json!({ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": share },
            } })
        });
        let mut all: Vec<Value> = share.into_iter().collect();
        all.extend(
            list(others)
                .into_iter()
                .map(|one| metrics::second(one, metrics::TARGET)),
        );
        if !all.is_empty() {
            spec.insert("metrics".to_owned(), all.into());
        }
        let behavior = behavior.filter(|found| *found != json!({}) && found.is_object());
        if let Some(behavior) = behavior {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    let [current, conditions] = [current, conditions].map(list);
    if let Some(status) = status(scaler, !(current.is_empty() && conditions.is_empty())) {
        let share = status.remove(FOUND).filter(|share| !share.is_null());
        let share = share.map(|share| {
            json!({ "type": "Resource", "resource": {
                "name": "cpu", "current": { "averageUtilization": share },
            } })
        });
        // The annotation has the share, too, and says more.
        let all: Vec<Value> = match current.is_empty() {
            true => share.into_iter().collect(),
            false => {
                let all = current.into_iter();
                all.map(|one| metrics::second(one, metrics::CURRENT))
                    .collect()
            }
        };
        for (name, all) in [("currentMetrics", all), ("conditions", conditions)] {
            if !all.is_empty() {
                status.insert(name.to_owned(), all.into());
            }
        }
    }
}

/// The status, made where something has to be put there.
fn status(scaler: &mut Object, is_needed: bool) -> Option<&mut Fields> {
    if is_needed {
        let status = scaler.0.entry("status").or_insert(Value::Null);
        if !status.is_object() {
            *status = Map::new().into();
        }
    }
    below(&mut scaler.0, "status")
}

/// From `autoscaling/v2`.
fn read(scaler: &mut Object) {
    let (mut others, mut behavior) = (Vec::new(), None);
    if let Some(spec) = below(&mut scaler.0, "spec") {
        let mut all = list(spec.remove("metrics"));
        let share = all
            .iter()
            .find_map(|metric| metrics::share_of_cpu(metric, metrics::TARGET));
        if let Some(share) = share.cloned() {
            spec.insert(TARGET.to_owned(), share);
        }
        all.retain(|metric| metrics::share_of_cpu(metric, metrics::TARGET).is_none());
        others = all;
        behavior = spec.remove("behavior").filter(|found| !found.is_null());
    }
    let (mut current, mut conditions) = (Vec::new(), Vec::new());
    if let Some(status) = below(&mut scaler.0, "status") {
        current = list(status.remove("currentMetrics"));
        conditions = list(status.remove("conditions"));
        let share = current
            .iter()
            .find_map(|metric| metrics::share_of_cpu(metric, metrics::CURRENT));
        if let Some(share) = share.cloned() {
            status.insert(FOUND.to_owned(), share);
        }
        for name in COUNTED {
            set(status, name, 0);
        }
    }
    let others: Vec<Value> = {
        let others = others.into_iter();
        others
            .map(|one| metrics::first(one, metrics::TARGET))
            .collect()
    };
    let current: Vec<Value> = {
        let current = current.into_iter();
        current
            .map(|one| metrics::first(one, metrics::CURRENT))
            .collect()
    };
    for (name, list) in [
        (METRICS, others),
        (CURRENT, current),
        (CONDITIONS, conditions),
    ] {
        if !list.is_empty() {
            put(scaler, name, &list.into());
        }
    }
    if let Some(behavior) = behavior {
        put(scaler, BEHAVIOR, &behavior);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{defaulted, mistakes, object, refuses};

    fn stored(given: Value) -> Object {
        let given = object(defaulted(&kind(), given));
        kind().as_stored(&given).into_owned()
    }

    fn base() -> Value {
        json!({
            "metadata": { "name": "web" },
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "web" }, "maxReplicas": 5 },
        })
    }

    #[test]
    fn a_share_of_the_processor_has_a_field() {
        let mut given = base();
        given["spec"][TARGET] = 50.into();
        given["status"] = json!({ "currentReplicas": 1, "desiredReplicas": 1, FOUND: 20 });
        let stored = stored(given.clone());
        let cpu = json!([{ "type": "Resource", "resource": {
            "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 },
        } }]);
        assert_eq!(stored.0["apiVersion"], "autoscaling/v2");
        assert_eq!(stored.0["spec"]["metrics"], cpu);
        let found = &stored.0["status"]["currentMetrics"][0]["resource"]["current"];
        assert_eq!(*found, json!({ "averageUtilization": 20 }));
        let shown = kind().of_stored(&stored).into_owned();
        assert_eq!(shown.0["spec"][TARGET], 50);
        assert_eq!(shown.0["status"][FOUND], 20);
        // What was found is told whole, too.
        assert!(shown.text(&["metadata", "annotations", CURRENT]).is_some());
        assert_eq!(shown.at(&["metadata", "annotations", METRICS]), None);
        assert_eq!(*kind().as_stored(&shown), stored);
    }

    #[test]
    fn who_says_nothing_gets_what_is_usual() {
        let shown = kind().of_stored(&stored(base())).into_owned();
        assert_eq!(shown.0["spec"][TARGET], 80);
        assert_eq!(shown.0["spec"]["minReplicas"], 1);
    }

    #[test]
    fn what_has_no_field_goes_by_annotations_and_comes_back() {
        let selector = json!({ "matchLabels": { "a": "b" } });
        let metric = json!({ "name": "hits", "selector": selector });
        let mut second = base();
        second["apiVersion"] = "autoscaling/v2".into();
        second["kind"] = "HorizontalPodAutoscaler".into();
        second["spec"]["minReplicas"] = 2.into();
        second["spec"]["metrics"] = json!([
            { "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } } },
            { "type": "Resource", "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "1Gi" } } },
            { "type": "ContainerResource", "containerResource": { "name": "cpu", "container": "c", "target": { "type": "Utilization", "averageUtilization": 70 } } },
            { "type": "Pods", "pods": { "metric": metric, "target": { "type": "AverageValue", "averageValue": "5" } } },
            { "type": "Object", "object": { "describedObject": { "kind": "Service", "name": "s" }, "metric": metric, "target": { "type": "Value", "value": "7" } } },
            { "type": "Object", "object": { "describedObject": { "kind": "Service", "name": "s" }, "metric": { "name": "hits" }, "target": { "type": "AverageValue", "averageValue": "7" } } },
            { "type": "External", "external": { "metric": metric, "target": { "type": "AverageValue", "averageValue": "9" } } },
        ]);
        second["spec"]["behavior"] = json!({ "scaleDown": { "stabilizationWindowSeconds": 60 } });
        second["status"] = json!({
            "currentReplicas": 1,
            "desiredReplicas": 2,
            "currentMetrics": [
                { "type": "Object", "object": { "describedObject": { "kind": "Service", "name": "s" }, "metric": metric, "current": { "value": "3" } } },
                { "type": "Pods", "pods": { "metric": metric, "current": { "averageValue": "4" } } },
            ],
            "conditions": [{ "type": "ScalingActive", "status": "True" }],
        });
        let second = object(defaulted(&super::super::kind(), second));
        let shown = kind().of_stored(&second).into_owned();
        assert_eq!(shown.0["spec"][TARGET], 60);
        let mut known = shown.clone();
        assert_eq!(
            schema::check(kind().schema(), &mut known.0).unknown,
            [""; 0]
        );
        let others = shown.text(&["metadata", "annotations", METRICS]).unwrap();
        let others: Value = serde_json::from_str(others).unwrap();
        assert_eq!(
            others[0],
            json!({ "type": "Resource", "resource": { "name": "memory", "targetAverageValue": "1Gi" } })
        );
        assert_eq!(
            others[2],
            json!({ "type": "Pods", "pods": { "metricName": "hits", "selector": selector, "targetAverageValue": "5" } })
        );
        assert_eq!(
            others[4],
            json!({ "type": "Object", "object": { "target": { "kind": "Service", "name": "s" }, "metricName": "hits", "targetValue": "0", "averageValue": "7" } })
        );
        assert_eq!(*kind().as_stored(&shown), second);
    }

    #[test]
    fn an_annotation_brings_nothing_in_that_is_not_allowed() {
        let with = |metrics: &str| {
            let mut given = base();
            given["metadata"]["annotations"] = json!({ METRICS: metrics });
            given
        };
        let wrong = with(r#"[{"type":"Luck"},{"type":"Pods","pods":{"targetAverageValue":true}}]"#);
        assert!(!mistakes(&kind(), wrong, None).is_empty());
        let odd = r#"[{"type":"Pods","odd":1,"pods":{"metricName":"a","targetAverageValue":"1"}}]"#;
        assert_eq!(mistakes(&kind(), with(odd), None), [""; 0]);
        let stored = stored(with(odd));
        assert_eq!(stored.0["spec"]["metrics"][0].get("odd"), None);
        assert_eq!(stored.at(&["metadata", "annotations"]), None);
        refuses(
            &kind(),
            &base(),
            &[
                (
                    json!({ "spec": { TARGET: 0 } }),
                    &["spec.metrics[0].resource.target.averageUtilization: Invalid"],
                ),
                (
                    json!({ "spec": { "maxReplicas": 0 } }),
                    &["spec.maxReplicas", "spec.maxReplicas"],
                ),
            ],
        );
    }
}
