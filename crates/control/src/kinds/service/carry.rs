//! What a service keeps of the one before: addresses and ports it was given and a client did not
//! name. What a new type has no use for goes, if the client did not change it as well.
//!
//! Never: gives anything out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::kinds::rules::fill::{Fields, below, each, text};
use crate::object::Object;

/// Fields of a service that has addresses in the cluster.
const ADDRESSES: [&str; 4] = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];
const PORT: &str = "nodePort";
const HEALTH: &str = "healthCheckNodePort";
const OUTSIDE: &str = "externalTrafficPolicy";
const SHARES: &str = "allocateLoadBalancerNodePorts";
const CLASS: &str = "loadBalancerClass";

pub(super) fn inherit(old: &Object, new: &mut Object) {
    let old = old.0.get("spec").and_then(Value::as_object);
    if let (Some(old), Some(new)) = (old, below(&mut new.0, "spec")) {
        addresses(old, new);
        ports(old, new);
        rest(old, new);
    }
}

fn kind(spec: &Fields) -> &str {
    match text(spec, "type") {
        "" => "ClusterIP",
        kind => kind,
    }
}

fn is_balanced(spec: &Fields) -> bool {
    kind(spec) == "LoadBalancer"
}

fn has_addresses(spec: &Fields) -> bool {
    kind(spec) != "ExternalName"
}

fn has_node_ports(spec: &Fields) -> bool {
    kind(spec) == "NodePort" || (is_balanced(spec) && spec.get(SHARES) != Some(&Value::Bool(false)))
}

fn has_health_port(spec: &Fields) -> bool {
    is_balanced(spec) && text(spec, OUTSIDE) == "Local"
}

fn has_outside(spec: &Fields) -> bool {
    let given = spec.get("externalIPs").and_then(Value::as_array);
    matches!(kind(spec), "NodePort" | "LoadBalancer")
        || (kind(spec) == "ClusterIP" && given.is_some_and(|given| !given.is_empty()))
}

/// Whether nothing is said: absent, null, empty or zero.
fn is_unsaid(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Number(number)) => number.as_i64() == Some(0),
        Some(_) => false,
    }
}

fn keep(old: &Fields, new: &mut Fields, name: &str) {
    if is_unsaid(new.get(name))
        && let Some(value) = old.get(name)
    {
        new.insert(name.to_owned(), value.clone());
    }
}

/// Takes out what is as it was.
fn drop_same(old: &Fields, new: &mut Fields, name: &str) {
    if new.get(name) == old.get(name) {
        new.remove(name);
    }
}

fn addresses(old: &Fields, new: &mut Fields) {
    if !has_addresses(old) {
        return;
    }
    let is_same = |new: &Fields, name: &str| new.get(name) == old.get(name);
    if !has_addresses(new) {
        if is_same(new, "clusterIP") && is_same(new, "clusterIPs") {
            new.remove("clusterIP");
            new.remove("clusterIPs");
        }
        drop_same(old, new, "ipFamilies");
        drop_same(old, new, "ipFamilyPolicy");
        return;
    }
    keep(old, new, "clusterIP");
    if is_same(new, "clusterIP") {
        for name in ADDRESSES {
            keep(old, new, name);
        }
        if text(new, "ipFamilyPolicy") == "SingleStack" {
            one_family(old, new);
        }
    } else if is_same(new, "clusterIPs") {
        // Who knows the one field only, means both.
        new.remove("clusterIPs");
    }
}

/// Of what is as it was the second goes, when a service is to have one family.
fn one_family(old: &Fields, new: &mut Fields) {
    for name in ["clusterIPs", "ipFamilies"] {
        let is_same = new.get(name) == old.get(name);
        if let Some(Value::Array(list)) = new.get_mut(name).filter(|_| is_same) {
            list.truncate(1);
        }
    }
}

fn node_ports(spec: &Fields) -> impl Iterator<Item = (&str, &Value)> {
    let ports = spec.get("ports").and_then(Value::as_array);
    let ports = ports.into_iter().flatten().filter_map(Value::as_object);
    ports.map(|port| (text(port, "name"), port.get(PORT).unwrap_or(&Value::Null)))
}

fn ports(old: &Fields, new: &mut Fields) {
    if !has_node_ports(old) {
        return;
    }
    let had: BTreeMap<&str, &Value> = node_ports(old).collect();
    if !has_node_ports(new) {
        let numbers = |spec: &Fields| -> Vec<Value> {
            node_ports(spec).map(|(_, port)| port.clone()).collect()
        };
        if numbers(new) == numbers(old) {
            for port in each(new, "ports") {
                port.remove(PORT);
            }
        }
        return;
    }
    let mut used: BTreeSet<i64> = node_ports(new)
        .filter_map(|(_, port)| port.as_i64())
        .collect();
    for port in each(new, "ports") {
        let before = had.get(text(port, "name")).and_then(|port| port.as_i64());
        let before = before.filter(|before| *before != 0 && is_unsaid(port.get(PORT)));
        if let Some(before) = before.filter(|before| used.insert(*before)) {
            port.insert(PORT.to_owned(), before.into());
        }
    }
}

fn rest(old: &Fields, new: &mut Fields) {
    match (has_health_port(old), has_health_port(new)) {
        (true, true) => keep(old, new, HEALTH),
        (true, false) => drop_same(old, new, HEALTH),
        _ => {}
    }
    if is_balanced(old) && !is_balanced(new) {
        drop_same(old, new, SHARES);
        drop_same(old, new, CLASS);
    }
    if has_outside(old) && !has_outside(new) {
        drop_same(old, new, OUTSIDE);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kind;
    use super::*;
    use crate::kinds::testing::{mistakes, object};

    /// `spec` after that of `old` was replaced by `new`, and what is wrong with it.
    fn replaced(old: Value, new: Value) -> (Value, Vec<String>) {
        let of = |spec: Value| object(json!({ "metadata": { "name": "web" }, "spec": spec }));
        let mut old = of(old);
        kind().complete(&mut old);
        let mut new = of(new);
        inherit(&old, &mut new);
        kind().complete(&mut new);
        let wrong = mistakes(&kind(), new.0.clone().into(), Some(&old));
        (new.0["spec"].clone(), wrong)
    }

    fn given() -> Value {
        json!({
            "type": "NodePort",
            "clusterIP": "10.0.0.1",
            "clusterIPs": ["10.0.0.1"],
            "ports": [
                { "name": "a", "port": 80, "nodePort": 30_080 },
                { "name": "b", "port": 81, "nodePort": 30_081 },
            ],
        })
    }

    #[test]
    fn what_was_given_is_kept_where_nothing_is_said() {
        let ports = |list: Value| json!({ "type": "NodePort", "ports": list });
        let new = ports(json!([
            { "name": "c", "port": 83, "nodePort": 30_081 },
            { "name": "b", "port": 82 },
            { "name": "a", "port": 90 },
        ]));
        let (spec, wrong) = replaced(given(), new);
        assert_eq!(wrong, [""; 0]);
        assert_eq!(spec["clusterIP"], "10.0.0.1");
        assert_eq!(spec["clusterIPs"], json!(["10.0.0.1"]));
        let found: Vec<Option<i64>> = (0..3).map(|at| spec["ports"][at][PORT].as_i64()).collect();
        // Another port has taken b's.
        assert_eq!(found, [Some(30_081), None, Some(30_080)]);

        let mut old = given();
        old["ipFamilyPolicy"] = "PreferDualStack".into();
        old["ipFamilies"] = json!(["IPv4", "IPv6"]);
        old["clusterIPs"] = json!(["10.0.0.1", "fd00::1"]);
        let (spec, wrong) = replaced(old, ports(json!([{ "port": 80 }])));
        assert_eq!(wrong, [""; 0]);
        assert_eq!(spec["clusterIPs"], json!(["10.0.0.1", "fd00::1"]));
        assert_eq!(spec["ipFamilies"], json!(["IPv4", "IPv6"]));

        let balanced = json!({
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{ "port": 80 }],
        });
        let mut old = balanced.clone();
        old[HEALTH] = 30_100.into();
        assert_eq!(replaced(old, balanced).0[HEALTH], 30_100);
    }

    #[test]
    fn a_new_type_lets_go_of_what_it_has_no_use_for() {
        let mut old = given();
        old["type"] = "LoadBalancer".into();
        old[SHARES] = true.into();
        old[CLASS] = "a.b/c".into();
        old[OUTSIDE] = "Local".into();
        old[HEALTH] = 30_100.into();
        let with = |kind: &str| {
            let mut new = old.clone();
            new["type"] = kind.into();
            new["externalName"] = "a.b".into();
            new
        };
        let (spec, wrong) = replaced(old.clone(), with("ClusterIP"));
        assert_eq!(wrong, [""; 0]);
        for gone in [SHARES, CLASS, OUTSIDE, HEALTH] {
            assert_eq!(spec.get(gone), None, "{gone}");
        }
        assert_eq!(spec["ports"][0].get(PORT), None);
        assert_eq!(spec["clusterIP"], "10.0.0.1");
        let (spec, wrong) = replaced(old.clone(), with("ExternalName"));
        assert_eq!(wrong, [""; 0]);
        for gone in ADDRESSES {
            assert_eq!(spec.get(gone), None, "{gone}");
        }
        // And back: it may have any address.
        let (spec, wrong) = replaced(spec, json!({ "ports": [{ "port": 80 }] }));
        assert_eq!(wrong, [""; 0]);
        assert_eq!(spec["ipFamilies"], json!(["IPv4"]));

        // What is changed together with the type is meant, and refused.
        for (name, value) in [
            ("clusterIP", json!("10.0.0.2")),
            ("ipFamilies", json!(["IPv6"])),
        ] {
            let mut new = with("ExternalName");
            new[name] = value;
            assert!(!replaced(old.clone(), new).1.is_empty(), "{name}");
        }
        let mut new = with("ClusterIP");
        new["ports"][0][PORT] = 30_099.into();
        let (_, wrong) = replaced(old, new);
        assert!(
            wrong[0].starts_with("spec.ports[0].nodePort: Forbidden"),
            "{wrong:?}"
        );
    }

    #[test]
    fn an_address_stays() {
        let change = |new: Value| {
            let mut spec = given();
            json_patch::merge(&mut spec, &new);
            replaced(given(), spec).1
        };
        assert_eq!(change(json!({ "sessionAffinity": "ClientIP" })), [""; 0]);
        assert_eq!(
            change(json!({ "clusterIP": null, "clusterIPs": null })),
            [""; 0]
        );
        let both = json!({
            "ipFamilyPolicy": "PreferDualStack",
            "ipFamilies": ["IPv4", "IPv6"],
            "clusterIP": "10.0.0.1",
            "clusterIPs": ["10.0.0.1", "fd00::1"],
            "ports": [{ "port": 80 }],
        });
        let with = |name: &str, value: Value| {
            let mut new = both.clone();
            new[name] = value;
            replaced(both.clone(), new)
        };
        let (spec, wrong) = with("ipFamilyPolicy", "SingleStack".into());
        assert_eq!(wrong, [""; 0]);
        assert_eq!(spec["clusterIPs"], json!(["10.0.0.1"]));
        assert_eq!(spec["ipFamilies"], json!(["IPv4"]));
        let (_, wrong) = with("clusterIPs", json!(["10.0.0.1"]));
        assert!(
            wrong[0].starts_with("spec.ipFamilyPolicy: Invalid"),
            "{wrong:?}"
        );
        let (_, wrong) = with("clusterIPs", json!(["10.0.0.1", "fd00::2"]));
        assert!(
            wrong[0].starts_with("spec.clusterIPs[1]: Invalid"),
            "{wrong:?}"
        );
        let wrong = change(json!({ "clusterIP": "10.0.0.2" }));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].ends_with("may not change once set"), "{wrong:?}");
        let wrong = change(json!({ "ipFamilies": ["IPv6"] }));
        assert!(
            wrong[0].starts_with("spec.ipFamilies[0]: Invalid"),
            "{wrong:?}"
        );
    }
}
