//! What an autoscaler may be.

use crate::failure::Cause;
use crate::kinds::rules::{Mistakes, Spot};
use crate::names;
use crate::object::Object;

/// Kinds of metric, with the field that says which.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
/// Longest period of a policy, and longest window.
const PERIOD_MAX_S: i64 = 1800;
const WINDOW_MAX_S: i64 = 3600;

/// The kind of metric, with its field.
pub(super) fn source(kind: &str) -> Option<(&'static str, &'static str)> {
    SOURCES.into_iter().find(|(name, _)| *name == kind)
}

pub(super) fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    mistakes.spec(object, old, check);
    mistakes.into_causes()
}

fn check(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, _: Option<&Spot<'_, '_>>) {
    let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    mistakes.within(&least, 1..=i64::MAX, "must be greater than or equal to 1");
    mistakes.within(&most, 1..=i64::MAX, "must be greater than 0");
    if most.number() < least.number() {
        mistakes.invalid(&most, "must be greater than or equal to `minReplicas`");
    }
    reference(mistakes, &spec.at("scaleTargetRef"));
    for metric in spec.at("metrics").items() {
        check_metric(mistakes, &metric);
    }
    let behavior = spec.at("behavior");
    for direction in ["scaleUp", "scaleDown"] {
        let rules = behavior.at(direction);
        if rules.is_some() {
            check_speed(mistakes, &rules);
        }
    }
}

fn reference(mistakes: &mut Mistakes, spot: &Spot<'_, '_>) {
    for name in ["kind", "name"] {
        mistakes.must_be_name(&spot.at(name), names::path_segment);
    }
}

fn check_metric(mistakes: &mut Mistakes, metric: &Spot<'_, '_>) {
    let kind = metric.at("type");
    let Some((_, field)) = source(kind.text()) else {
        mistakes.must_be_one_of(&kind, &SOURCES.map(|(name, _)| name));
        return;
    };
    for (_, other) in SOURCES.iter().filter(|(_, other)| *other != field) {
        let other = metric.at(other);
        if other.is_some() {
            mistakes.forbidden(&other, "must populate the given metric source only");
        }
    }
    let source = metric.at(field);
    if !source.is_some() {
        let why = "must populate information for the given metric source";
        mistakes.required(&source, why);
        return;
    }
    let target = source.at("target");
    match field {
        "resource" | "containerResource" => {
            mistakes.must_be(&source.at("name"), "must specify a resource name");
            if field == "containerResource" {
                mistakes.must_be_name(&source.at("container"), names::dns_label);
            }
            one_target(mistakes, &target, ["averageUtilization", "averageValue"]);
        }
        "pods" => {
            metric_name(mistakes, &source.at("metric"));
            let why = "must specify a positive target averageValue";
            mistakes.must_be(&target.at("averageValue"), why);
        }
        _ => {
            if field == "object" {
                reference(mistakes, &source.at("describedObject"));
            }
            metric_name(mistakes, &source.at("metric"));
            one_target(mistakes, &target, ["value", "averageValue"]);
        }
    }
    check_target(mistakes, &target);
}

fn metric_name(mistakes: &mut Mistakes, metric: &Spot<'_, '_>) {
    mistakes.must_be_name(&metric.at("name"), names::path_segment);
    mistakes.label_selector(&metric.at("selector"));
}

fn one_target(mistakes: &mut Mistakes, target: &Spot<'_, '_>, names: [&str; 2]) {
    let [one, other] = names.map(|name| target.at(name));
    match (one.is_some(), other.is_some()) {
        (false, false) => {
            let why = format!("must set either a {} or a {}", names[0], names[1]);
            mistakes.required(&one, &why);
        }
        (true, true) => {
            let why = format!("may not set both a {} and a {}", names[0], names[1]);
            mistakes.forbidden(&other, &why);
        }
        _ => {}
    }
}

fn check_target(mistakes: &mut Mistakes, target: &Spot<'_, '_>) {
    let known = ["AverageValue", "Utilization", "Value"];
    mistakes.must_be_one_of(&target.at("type"), &known);
    mistakes.positive(&target.at("averageUtilization"));
    mistakes.size(&target.at("value"));
    mistakes.size(&target.at("averageValue"));
}

fn check_speed(mistakes: &mut Mistakes, rules: &Spot<'_, '_>) {
    let why = format!("must be between 0 and {WINDOW_MAX_S}, inclusive");
    let window = rules.at("stabilizationWindowSeconds");
    mistakes.within(&window, 0..=WINDOW_MAX_S, &why);
    let chosen = rules.at("selectPolicy");
    mistakes.one_of(&chosen, &["Disabled", "Max", "Min"]);
    mistakes.amount(&rules.at("tolerance"));
    let policies = rules.at("policies");
    mistakes.must_be(&policies, "must specify at least one Policy");
    for policy in policies.items() {
        mistakes.must_be_one_of(&policy.at("type"), &["Percent", "Pods"]);
        mistakes.positive(&policy.at("value"));
        let why = format!("must be between 1 and {PERIOD_MAX_S}, inclusive");
        let period = policy.at("periodSeconds");
        mistakes.within(&period, 1..=PERIOD_MAX_S, &why);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::kind;
    use crate::kinds::testing::refuses;

    #[test]
    fn mistakes_are_told() {
        let base = json!({
            "metadata": { "name": "web" },
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "web" }, "maxReplicas": 5 },
        });
        let spec = |spec: Value| json!({ "spec": spec });
        let metric = |metric: Value| json!({ "spec": { "metrics": [metric] } });
        let cpu = |target: Value| {
            metric(json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } }))
        };
        let down = |rules: Value| json!({ "spec": { "behavior": { "scaleDown": rules } } });
        refuses(
            &kind(),
            &base,
            &[
                (
                    spec(json!({ "minReplicas": 0 })),
                    &["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"],
                ),
                (
                    spec(json!({ "maxReplicas": 0 })),
                    &[
                        "spec.maxReplicas: Invalid value: 0: must be greater than 0",
                        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
                    ],
                ),
                (
                    spec(json!({ "minReplicas": 6 })),
                    &[
                        "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`",
                    ],
                ),
                (
                    spec(json!({ "scaleTargetRef": { "kind": "", "name": "a/b" } })),
                    &[
                        "spec.scaleTargetRef.kind: Required",
                        "spec.scaleTargetRef.name: Invalid",
                    ],
                ),
                (
                    metric(json!({ "type": "Luck" })),
                    &["spec.metrics[0].type: Unsupported value: \"Luck\""],
                ),
                (
                    metric(json!({ "type": "Pods" })),
                    &[
                        "spec.metrics[0].pods: Required value: must populate information for the given metric source",
                    ],
                ),
                (
                    metric(
                        json!({ "type": "Pods", "pods": { "metric": { "name": "" }, "target": { "type": "AverageValue" } }, "resource": { "name": "cpu", "target": { "type": "Value" } } }),
                    ),
                    &[
                        "spec.metrics[0].resource: Forbidden",
                        "spec.metrics[0].pods.metric.name: Required",
                        "spec.metrics[0].pods.target.averageValue: Required",
                    ],
                ),
                (
                    cpu(json!({ "type": "Utilization" })),
                    &[
                        "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a averageUtilization",
                    ],
                ),
                (
                    cpu(json!({ "type": "Some", "averageUtilization": 0, "averageValue": "0" })),
                    &[
                        "spec.metrics[0].resource.target.averageValue: Forbidden",
                        "spec.metrics[0].resource.target.type: Unsupported",
                        "spec.metrics[0].resource.target.averageUtilization: Invalid",
                        "spec.metrics[0].resource.target.averageValue: Invalid",
                    ],
                ),
                (
                    metric(
                        json!({ "type": "ContainerResource", "containerResource": { "name": "", "container": "A", "target": { "type": "Utilization", "averageUtilization": 5 } } }),
                    ),
                    &[
                        "spec.metrics[0].containerResource.name: Required",
                        "spec.metrics[0].containerResource.container: Invalid",
                    ],
                ),
                (
                    metric(
                        json!({ "type": "Object", "object": { "describedObject": { "kind": "", "name": "x" }, "metric": { "name": "a", "selector": { "matchLabels": { "-": "" } } }, "target": { "type": "Value", "value": "-1" } } }),
                    ),
                    &[
                        "spec.metrics[0].object.describedObject.kind: Required",
                        "spec.metrics[0].object.metric.selector.matchLabels: Invalid",
                        "spec.metrics[0].object.target.value: Invalid",
                    ],
                ),
                (
                    down(
                        json!({ "policies": [], "stabilizationWindowSeconds": 3601, "selectPolicy": "Avg", "tolerance": "-1" }),
                    ),
                    &[
                        "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid",
                        "spec.behavior.scaleDown.selectPolicy: Unsupported",
                        "spec.behavior.scaleDown.tolerance: Invalid",
                        "spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
                    ],
                ),
                (
                    down(
                        json!({ "policies": [{ "type": "All", "value": 0, "periodSeconds": 1801 }] }),
                    ),
                    &[
                        "spec.behavior.scaleDown.policies[0].type: Unsupported",
                        "spec.behavior.scaleDown.policies[0].value: Invalid",
                        "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid",
                    ],
                ),
            ],
        );
    }
}
