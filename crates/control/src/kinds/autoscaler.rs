//! HorizontalPodAutoscaler: how many of some pods there are to be, by what they use.

mod first;
mod metrics;
mod rules;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};

use super::document;
use super::pod_spec::number;
use super::rules::Spot;
use super::rules::amounts::shown;
use super::rules::fill::{Fields, below, made, set};
use crate::kind::{Column, Kind, texts};
use crate::object::Object;

/// How many metrics are shown.
const SHOWN: usize = 2;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["hpa"]),
        categories: texts(&["all"]),
        document: document::<HorizontalPodAutoscaler>(),
        default,
        validate: rules::validate,
        forms: first::forms,
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        counted: Some(&["desiredReplicas"]),
        ..Kind::of(
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
        )
    }
}

fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set(spec, "minReplicas", 1);
    if spec
        .get("metrics")
        .is_some_and(|metrics| *metrics == json!([]))
    {
        spec.remove("metrics");
    }
    let usual = json!([{
        "type": "Resource",
        "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } },
    }]);
    set(spec, "metrics", usual);
    let Some(behavior) = below(spec, "behavior") else {
        return;
    };
    let share = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    let some = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
    if let Some(up) = made(behavior, "scaleUp") {
        set(up, "stabilizationWindowSeconds", 0);
        speed(up, json!([some, share]));
    }
    if let Some(down) = made(behavior, "scaleDown") {
        speed(down, json!([share]));
    }
}

fn speed(rules: &mut Fields, policies: Value) {
    set(rules, "selectPolicy", "Max");
    set(rules, "policies", policies);
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Reference", "What it scales.", |scaler| {
            let spec = Spot::of(scaler, "spec");
            let target = spec.at("scaleTargetRef");
            let part = |name| target.at(name).text();
            format!("{}/{}", part("kind"), part("name")).into()
        }),
        Column::text("Targets", "What is used, and what is to be.", |scaler| {
            targets(scaler).into()
        }),
        Column::text("MinPods", "Fewest.", |scaler| {
            match Spot::of(scaler, "spec").at("minReplicas").number() {
                Some(least) => least.to_string().into(),
                None => "<unset>".into(),
            }
        }),
        Column::text("MaxPods", "Most.", |scaler| {
            number(scaler, &["spec", "maxReplicas"]).into()
        }),
        Column::text("Replicas", "How many there are.", |scaler| {
            number(scaler, &["status", "currentReplicas"]).into()
        }),
        Column::age(),
    ]
}

fn targets(scaler: &Object) -> String {
    let (spec, status) = (Spot::of(scaler, "spec"), Spot::of(scaler, "status"));
    let (metrics, found) = (spec.at("metrics"), status.at("currentMetrics"));
    let mut found = found.items();
    let all: Vec<String> = metrics
        .items()
        .map(|metric| target(&metric, found.next()))
        .collect();
    match all.len() {
        0 => "<none>".to_owned(),
        count if count > SHOWN => {
            format!("{} + {} more...", all[..SHOWN].join(", "), count - SHOWN)
        }
        _ => all.join(", "),
    }
}

/// `cpu: 20%/80%`
fn target(metric: &Spot<'_, '_>, found: Option<Spot<'_, '_>>) -> String {
    let Some((_, field)) = rules::source(metric.at("type").text()) else {
        return "<unknown type>".to_owned();
    };
    let source = metric.at(field);
    let wanted = source.at("target");
    let current = |name: &str, unit: &str| {
        let value = found.and_then(|found| found.at(field).at("current").at(name).value());
        match value {
            Some(value) => format!("{}{unit}", shown(Some(value))),
            None => "<unknown>".to_owned(),
        }
    };
    let amount = |name: &str| shown(wanted.at(name).value());
    let is_average = wanted.at("averageValue").is_some();
    match field {
        "resource" | "containerResource" => {
            let name = source.at("name").text();
            if is_average {
                let current = current("averageValue", "");
                return format!("{name}: {current}/{}", amount("averageValue"));
            }
            let share = match wanted.at("averageUtilization").number() {
                Some(percent) => format!("{percent}%"),
                None => "<auto>".to_owned(),
            };
            format!("{name}: {}/{share}", current("averageUtilization", "%"))
        }
        "pods" => format!("{}/{}", current("averageValue", ""), amount("averageValue")),
        _ if is_average => {
            format!(
                "{}/{} (avg)",
                current("averageValue", ""),
                amount("averageValue")
            )
        }
        _ => format!("{}/{}", current("value", ""), amount("value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{defaulted, shows};

    #[test]
    fn what_is_left_out_is_filled_in() {
        let reference = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" });
        let given = json!({ "spec": { "scaleTargetRef": reference, "maxReplicas": 5 } });
        let cpu = json!([{
            "type": "Resource",
            "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } },
        }]);
        let wanted = json!({ "spec": {
            "scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 5, "metrics": cpu,
        } });
        assert_eq!(defaulted(&kind(), given.clone()), wanted);
        let mut given = given;
        given["spec"]["behavior"] = json!({ "scaleDown": { "stabilizationWindowSeconds": 60 } });
        let wanted = json!({
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [
                    { "type": "Pods", "value": 4, "periodSeconds": 15 },
                    { "type": "Percent", "value": 100, "periodSeconds": 15 },
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 60,
                "selectPolicy": "Max",
                "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 15 }],
            },
        });
        assert_eq!(defaulted(&kind(), given)["spec"]["behavior"], wanted);
    }

    #[test]
    fn columns_are_kubectls() {
        let row = |targets: &'static str, least: &'static str| {
            [
                ("NAME", "web"),
                ("REFERENCE", "Deployment/web"),
                ("TARGETS", targets),
                ("MINPODS", least),
                ("MAXPODS", "5"),
                ("REPLICAS", "0"),
            ]
        };
        let mut scaler = json!({
            "metadata": { "name": "web" },
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "web" }, "maxReplicas": 5 },
        });
        shows(&kind(), scaler.clone(), &row("<none>", "<unset>"));
        let mut scaler_with = |metrics: Value, found: Value| {
            scaler["spec"]["metrics"] = metrics;
            scaler["spec"]["minReplicas"] = 2.into();
            scaler["status"] = json!({ "currentMetrics": found });
            scaler.clone()
        };
        let cpu = json!({ "type": "Resource", "resource": { "name": "cpu", "target": { "averageUtilization": 80 } } });
        let memory = json!({ "type": "ContainerResource", "containerResource": { "name": "memory", "target": { "averageValue": "1Gi" } } });
        let pods = json!({ "type": "Pods", "pods": { "target": { "averageValue": "5" } } });
        let thing = json!({ "type": "Object", "object": { "target": { "averageValue": "7" } } });
        let outer = json!({ "type": "External", "external": { "target": { "value": "9" } } });
        let found = json!([{ "resource": { "current": { "averageUtilization": 20 } } }]);
        for (metrics, found, shown) in [
            (
                json!([cpu, memory]),
                found,
                "cpu: 20%/80%, memory: <unknown>/1Gi",
            ),
            (
                json!([pods]),
                json!([{ "pods": { "current": { "averageValue": "3" } } }]),
                "3/5",
            ),
            (
                json!([thing, outer]),
                json!([]),
                "<unknown>/7 (avg), <unknown>/9",
            ),
            (
                json!([outer, thing, pods]),
                json!([{ "external": { "current": { "value": "1" } } }]),
                "1/9, <unknown>/7 (avg) + 1 more...",
            ),
        ] {
            shows(&kind(), scaler_with(metrics, found), &row(shown, "2"));
        }
    }
}
