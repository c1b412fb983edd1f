//! Roles and bindings between objects and what `identity` decides by.
//!
//! Never: keeps or decides anything. What an object does not say gives nothing.

use serde_json::{Value, json};
use weft_control::Object;
use weft_identity::rbac::{Binding, GROUP, Role, RoleRef, Rule, Who};

/// A Role or ClusterRole.
pub(super) fn role(object: &Object) -> Role {
    let rules = object.at(&["rules"]).and_then(Value::as_array);
    Role {
        namespace: namespace(object),
        name: object.meta().name().to_owned(),
        rules: rules.into_iter().flatten().map(rule).collect(),
    }
}

/// A RoleBinding or ClusterRoleBinding; nothing, if it names no role.
pub(super) fn binding(object: &Object) -> Option<Binding> {
    let name = object.text(&["roleRef", "name"])?.to_owned();
    let role = match object.text(&["roleRef", "kind"])? {
        "ClusterRole" => RoleRef::Cluster(name),
        "Role" => RoleRef::Namespaced(name),
        _ => return None,
    };
    let namespace = namespace(object);
    let subjects = object.at(&["subjects"]).and_then(Value::as_array);
    let who = subjects.into_iter().flatten();
    let who = who.filter_map(|one| subject(one, namespace.as_deref()));
    Some(Binding {
        who: who.collect(),
        name: object.meta().name().to_owned(),
        namespace,
        role,
    })
}

fn namespace(object: &Object) -> Option<String> {
    let namespace = object.meta().namespace();
    (!namespace.is_empty()).then(|| namespace.to_owned())
}

fn subject(value: &Value, within: Option<&str>) -> Option<Who> {
    let name = value["name"].as_str()?.to_owned();
    match value["kind"].as_str()? {
        "User" => Some(Who::User(name)),
        "Group" => Some(Who::Group(name)),
        "ServiceAccount" => {
            let namespace = value["namespace"].as_str().or(within)?.to_owned();
            Some(Who::Account { namespace, name })
        }
        _ => None,
    }
}

/// One rule.
fn rule(value: &Value) -> Rule {
    let texts = |name: &str| {
        let list = value[name].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Rule {
        verbs: texts("verbs"),
        groups: texts("apiGroups"),
        resources: texts("resources"),
        names: texts("resourceNames"),
        paths: texts("nonResourceURLs"),
    }
}

/// A rule as it stands in an object: a path and a resource are never in the same one.
pub(super) fn rule_values(rule: &Rule) -> Vec<Value> {
    let mut values = Vec::new();
    if !rule.resources.is_empty() {
        let mut value = json!({
            "apiGroups": rule.groups, "resources": rule.resources, "verbs": rule.verbs,
        });
        if !rule.names.is_empty() {
            value["resourceNames"] = json!(rule.names);
        }
        values.push(value);
    }
    if !rule.paths.is_empty() {
        values.push(json!({ "nonResourceURLs": rule.paths, "verbs": rule.verbs }));
    }
    values
}

/// Somebody as they stand in a binding.
pub(super) fn subject_value(who: &Who) -> Value {
    match who {
        Who::User(name) => json!({ "kind": "User", "apiGroup": GROUP, "name": name }),
        Who::Group(name) => json!({ "kind": "Group", "apiGroup": GROUP, "name": name }),
        Who::Account { namespace, name } => {
            json!({ "kind": "ServiceAccount", "namespace": namespace, "name": name })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        Object(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        let texts = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        let found = rule(&json!({
            "verbs": ["get"], "apiGroups": [""], "resources": ["pods/log"],
            "resourceNames": ["a"],
        }));
        let expected = Rule {
            verbs: texts(&["get"]),
            groups: texts(&[""]),
            resources: texts(&["pods/log"]),
            names: texts(&["a"]),
            paths: vec![],
        };
        assert_eq!(found, expected);
        let again: Vec<Rule> = rule_values(&expected).iter().map(rule).collect();
        assert_eq!(again, [expected]);
        let all: Vec<Rule> = rule_values(&Rule::all()).iter().map(rule).collect();
        assert_eq!(all.len(), 2);
        assert!(all[0].paths.is_empty() && all[1].resources.is_empty());
        assert_eq!(rule(&json!({ "verbs": "get" })), Rule::default());
    }

    #[test]
    fn what_a_binding_does_not_say_gives_nothing() {
        let bound = |kind: &str, subjects: Value| {
            binding(&object(json!({
                "metadata": { "name": "b", "namespace": "ns" },
                "roleRef": { "kind": kind, "name": "r" },
                "subjects": subjects,
            })))
        };
        let account = |namespace: &str| Who::Account {
            namespace: namespace.into(),
            name: "a".into(),
        };
        let user = |name: &str| Who::User(name.into());
        for (subject, expected) in [
            (json!({ "kind": "User", "name": "a" }), vec![user("a")]),
            (
                json!({ "kind": "Group", "name": "a" }),
                vec![Who::Group("a".into())],
            ),
            (
                json!({ "kind": "ServiceAccount", "name": "a" }),
                vec![account("ns")],
            ),
            (
                json!({ "kind": "ServiceAccount", "name": "a", "namespace": "x" }),
                vec![account("x")],
            ),
            (json!({ "kind": "Robot", "name": "a" }), vec![]),
            (json!({ "kind": "User" }), vec![]),
        ] {
            let found = bound("Role", json!([subject])).unwrap();
            assert_eq!(found.who, expected, "{subject}");
            assert_eq!(found.role, RoleRef::Namespaced("r".into()));
            for who in &found.who {
                let again = bound("ClusterRole", json!([subject_value(who)])).unwrap();
                assert_eq!(again.who, std::slice::from_ref(who));
            }
        }
        assert_eq!(bound("Other", json!([])), None);
    }
}
