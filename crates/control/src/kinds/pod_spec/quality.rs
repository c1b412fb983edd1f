//! Quality of service of a pod: how much of what it may use it is promised.

use serde_json::Value;

use crate::object::Object;
use crate::quantity::Quantity;

const COUNTED: [&str; 2] = ["cpu", "memory"];

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(in super::super) fn quality(pod: &Object) -> &'static str {
    let lists = ["containers", "initContainers"].map(|name| pod.at(&["spec", name]));
    let containers = lists
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten();
    let whole = pod.at(&["spec", "resources"]);
    let mut all: Vec<Option<&Value>> = containers.map(|one| one.get("resources")).collect();
    if whole
        .and_then(Value::as_object)
        .is_some_and(|whole| !whole.is_empty())
    {
        all = vec![whole];
    }
    let mut is_guaranteed = true;
    let mut is_anything = false;
    for name in COUNTED {
        let (mut wanted, mut most) = (Quantity::ZERO, Quantity::ZERO);
        for resources in &all {
            let limit = amount(*resources, "limits", name);
            is_guaranteed &= !limit.is_zero();
            most = most.plus(limit);
            wanted = wanted.plus(amount(*resources, "requests", name));
        }
        is_anything |= !wanted.is_zero() || !most.is_zero();
        is_guaranteed &= wanted == most;
    }
    match (is_anything, is_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn amount(resources: Option<&Value>, list: &str, name: &str) -> Quantity {
    let value = resources.and_then(|all| all.get(list)?.get(name));
    let found = value.and_then(|value| Quantity::of(value).ok());
    found
        .filter(|amount| !amount.is_negative())
        .unwrap_or(Quantity::ZERO)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quality_follows_from_requests_and_limits() {
        let both = json!({ "cpu": "1", "memory": "1Gi" });
        let same = json!({ "cpu": "1000m", "memory": "1024Mi" });
        for (resources, expected) in [
            (json!([{}]), "BestEffort"),
            (
                json!([{ "requests": { "example.com/a": 1 } }]),
                "BestEffort",
            ),
            (json!([{ "requests": { "cpu": "0" } }]), "BestEffort"),
            (json!([{ "requests": { "cpu": "1" } }]), "Burstable"),
            (json!([{ "requests": both, "limits": same }]), "Guaranteed"),
            (
                json!([{ "requests": both, "limits": same }, {}]),
                "Burstable",
            ),
            (
                json!([{ "requests": { "cpu": "1" }, "limits": both }]),
                "Burstable",
            ),
        ] {
            let list = resources.as_array().unwrap();
            let containers: Vec<_> = list.iter().map(|r| json!({ "resources": r })).collect();
            let pod = json!({ "spec": { "containers": containers } });
            let pod = Object(pod.as_object().unwrap().clone());
            assert_eq!(quality(&pod), expected, "{resources}");
        }
    }
}
