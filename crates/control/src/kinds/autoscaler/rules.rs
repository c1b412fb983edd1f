//! What an autoscaler may be.

use crate::failure::Cause;
use crate::kinds::{label_selector, spot::Spot, storage};
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

pub(super) fn validate(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut causes = Vec::new();
    let (least, most) = (spec.field("minReplicas"), spec.field("maxReplicas"));
    causes.extend(least.within(1..=i64::MAX, "must be greater than or equal to 1"));
    causes.extend(most.within(1..=i64::MAX, "must be greater than 0"));
    if most.number() < least.number() {
        causes.push(most.invalid("must be greater than or equal to `minReplicas`"));
    }
    reference(&spec.field("scaleTargetRef"), &mut causes);
    for metric in spec.field("metrics").items() {
        check_metric(&metric, &mut causes);
    }
    let behavior = spec.field("behavior");
    for direction in ["scaleUp", "scaleDown"] {
        let rules = behavior.field(direction);
        if rules.is_there() {
            check_speed(&rules, &mut causes);
        }
    }
    causes
}

fn reference(spot: &Spot<'_>, causes: &mut Vec<Cause>) {
    for name in ["kind", "name"] {
        causes.extend(spot.field(name).needed_shaped(names::path_segment));
    }
}

fn check_metric(metric: &Spot<'_>, causes: &mut Vec<Cause>) {
    let kind = metric.field("type");
    let Some((_, field)) = source(kind.text()) else {
        causes.extend(kind.needed_of(&SOURCES.map(|(name, _)| name)));
        return;
    };
    for (_, other) in SOURCES.iter().filter(|(_, other)| *other != field) {
        let other = metric.field(other);
        if other.is_there() {
            causes.push(other.forbidden("must populate the given metric source only"));
        }
    }
    let source = metric.field(field);
    if !source.is_there() {
        let why = "must populate information for the given metric source";
        causes.push(source.required(why));
        return;
    }
    let target = source.field("target");
    match field {
        "resource" | "containerResource" => {
            causes.extend(source.field("name").needed("must specify a resource name"));
            if field == "containerResource" {
                causes.extend(source.field("container").needed_shaped(names::dns_label));
            }
            one_target(&target, ["averageUtilization", "averageValue"], causes);
        }
        "pods" => {
            metric_name(&source.field("metric"), causes);
            let why = "must specify a positive target averageValue";
            causes.extend(target.field("averageValue").needed(why));
        }
        _ => {
            if field == "object" {
                reference(&source.field("describedObject"), causes);
            }
            metric_name(&source.field("metric"), causes);
            one_target(&target, ["value", "averageValue"], causes);
        }
    }
    check_target(&target, causes);
}

fn metric_name(metric: &Spot<'_>, causes: &mut Vec<Cause>) {
    causes.extend(metric.field("name").needed_shaped(names::path_segment));
    causes.extend(label_selector::check(&metric.field("selector")));
}

fn one_target(target: &Spot<'_>, names: [&str; 2], causes: &mut Vec<Cause>) {
    let [one, other] = names.map(|name| target.field(name));
    match (one.is_there(), other.is_there()) {
        (false, false) => {
            let why = format!("must set either a {} or a {}", names[0], names[1]);
            causes.push(one.required(&why));
        }
        (true, true) => {
            let why = format!("may not set both a {} and a {}", names[0], names[1]);
            causes.push(other.forbidden(&why));
        }
        _ => {}
    }
}

fn check_target(target: &Spot<'_>, causes: &mut Vec<Cause>) {
    let known = ["AverageValue", "Utilization", "Value"];
    causes.extend(target.field("type").needed_of(&known));
    causes.extend(target.field("averageUtilization").at_least(1));
    causes.extend(storage::size(&target.field("value")));
    causes.extend(storage::size(&target.field("averageValue")));
}

fn check_speed(rules: &Spot<'_>, causes: &mut Vec<Cause>) {
    let why = format!("must be between 0 and {WINDOW_MAX_S}, inclusive");
    let window = rules.field("stabilizationWindowSeconds");
    causes.extend(window.within(0..=WINDOW_MAX_S, &why));
    let chosen = rules.field("selectPolicy");
    causes.extend(chosen.one_of(&["Disabled", "Max", "Min"]));
    causes.extend(storage::share(&rules.field("tolerance")));
    let policies = rules.field("policies");
    causes.extend(policies.needed("must specify at least one Policy"));
    for policy in policies.items() {
        causes.extend(policy.field("type").needed_of(&["Percent", "Pods"]));
        causes.extend(policy.field("value").at_least(1));
        let why = format!("must be between 1 and {PERIOD_MAX_S}, inclusive");
        let period = policy.field("periodSeconds");
        causes.extend(period.within(1..=PERIOD_MAX_S, &why));
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
