//! Metrics as `autoscaling/v1` writes them into annotations, and as v2 has them. What is said of
//! `target`, what is wanted, holds for `current`, what is found.
//!
//! ```text
//!   v1  {"type":"Pods","pods":{"metricName":"a","targetAverageValue":"5"}}
//!   v2  {"type":"Pods","pods":{"metric":{"name":"a"},"target":{"type":"AverageValue","averageValue":"5"}}}
//! ```

use serde_json::{Map, Value};

use super::rules::source;
use crate::kinds::rules::fill::{Fields, below};

/// What is wanted.
pub(super) const TARGET: &str = "target";
/// What is found.
pub(super) const CURRENT: &str = "current";

/// The share of the processor in a metric of v2.
pub(super) fn share_of_cpu<'a>(metric: &'a Value, under: &str) -> Option<&'a Value> {
    let resource = metric.get("resource")?;
    let is_meant = metric["type"] == "Resource" && resource["name"] == "cpu";
    let share = resource.get(under)?.get("averageUtilization")?;
    (is_meant && !share.is_null()).then_some(share)
}

/// A metric's type, and the fields of its source.
fn of_source(metric: &mut Value) -> Option<(&'static str, &mut Fields)> {
    let name = metric.get("type")?.as_str()?.to_owned();
    let (_, field) = source(&name)?;
    Some((field, below(metric.as_object_mut()?, field)?))
}

/// Amounts: what v1 calls them in a source of type `field`, and v2.
fn amounts(field: &str, under: &str) -> [(String, &'static str); 3] {
    let average = match field {
        "object" => "averageValue".to_owned(),
        _ => format!("{under}AverageValue"),
    };
    [
        (format!("{under}AverageUtilization"), "averageUtilization"),
        (format!("{under}Value"), "value"),
        (average, "averageValue"),
    ]
}

/// What v1 calls the selector of a metric that has a name.
fn selector(field: &str) -> Option<&'static str> {
    match field {
        "object" | "pods" => Some("selector"),
        "external" => Some("metricSelector"),
        _ => None,
    }
}

fn moved(from: &mut Fields, name: &str, to: &mut Fields, new: &str) {
    if let Some(value) = from.remove(name).filter(|value| !value.is_null()) {
        to.insert(new.to_owned(), value);
    }
}

/// A metric of v1 as v2 has it.
pub(super) fn second(mut metric: Value, under: &str) -> Value {
    let Some((field, own)) = of_source(&mut metric) else {
        return metric;
    };
    let mut all = Map::new();
    for (first, second) in amounts(field, under) {
        moved(own, &first, &mut all, second);
    }
    if field == "object" {
        if all.contains_key("averageValue") {
            // v1 cannot do without a value: what stands there is none.
            all.remove("value");
        }
        if let Some(described) = own.remove(TARGET) {
            own.insert("describedObject".to_owned(), described);
        }
    }
    if under == TARGET {
        let kind = match (all.contains_key("averageUtilization"), all.get("value")) {
            (true, _) => "Utilization",
            (_, Some(_)) => "Value",
            _ => "AverageValue",
        };
        all.insert("type".to_owned(), kind.into());
    }
    own.insert(under.to_owned(), all.into());
    if let Some(selector) = selector(field) {
        let mut named = Map::new();
        moved(own, "metricName", &mut named, "name");
        moved(own, selector, &mut named, "selector");
        own.insert("metric".to_owned(), named.into());
    }
    metric
}

/// A metric of v2 as v1 has it.
pub(super) fn first(mut metric: Value, under: &str) -> Value {
    let Some((field, own)) = of_source(&mut metric) else {
        return metric;
    };
    let mut all = taken(own, under);
    if field == "object" {
        let described = taken(own, "describedObject");
        own.insert(TARGET.to_owned(), described.into());
        all.entry("value").or_insert_with(|| "0".into());
    }
    for (first, second) in amounts(field, under) {
        moved(&mut all, second, own, &first);
    }
    if let Some(selector) = selector(field) {
        let mut named = taken(own, "metric");
        moved(&mut named, "name", own, "metricName");
        moved(&mut named, "selector", own, selector);
    }
    metric
}

/// The object at `name`, taken out; empty where there is none.
fn taken(own: &mut Fields, name: &str) -> Fields {
    match own.remove(name) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}
