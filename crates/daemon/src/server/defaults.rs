//! Roles and bindings every cluster begins with, as objects.
//!
//! Owns: that they are there after each start with at least what they are made with, unless
//! somebody has said `autoupdate: "false"` on one.
//! Never: takes away what somebody has added.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_control::store::{self, DeleteOptions, Patch, WriteOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_identity::rbac::{self, Binding, GROUP, Role, Rule};

use super::roles;

const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const BOOTSTRAPPING: &str = "kubernetes.io/bootstrapping";
/// Roles that are made of others, from the smallest on: whoever defines a kind adds a role with
/// the label of one, and it counts in that and in those behind it.
const LADDER: [&str; 3] = ["view", "edit", "admin"];

/// Makes what is missing.
pub(super) async fn ensure(
    store: &Store,
    cluster_roles: &Arc<Kind>,
    cluster_bindings: &Arc<Kind>,
) -> Result<(), Failure> {
    for object in cluster_role_objects() {
        ensure_one(store, cluster_roles, "rules", object).await?;
    }
    for binding in rbac::bindings() {
        let object = binding_object(&binding);
        ensure_one(store, cluster_bindings, "subjects", object).await?;
    }
    Ok(())
}

/// Makes one, or adds to its list what it lacks.
async fn ensure_one(store: &Store, kind: &Kind, list: &str, object: Object) -> Result<(), Failure> {
    let name = object.meta().name().to_owned();
    let options = WriteOptions::default();
    loop {
        let made = store.create(kind, "", object.clone(), &options).await;
        match made {
            Err(failure) if failure.reason == Reason::AlreadyExists => {}
            other => return other.map(drop),
        }
        let found = store::object(&*store.get(kind, "", &name).await?)?;
        if found.text(&["metadata", "annotations", AUTOUPDATE]) != Some("true") {
            return Ok(());
        }
        if found.at(&["roleRef"]) == object.at(&["roleRef"]) {
            let Some(patch) = lacking(list, &object, &found) else {
                return Ok(());
            };
            let patch = Patch::Merge(patch);
            let patched = store.patch(kind, "", &name, &patch, &options).await;
            return patched.map(drop);
        }
        // What a binding gives cannot be changed: it is made anew.
        let delete = DeleteOptions::default();
        store.delete(kind, "", &name, &delete).await?;
    }
}

/// What `found` needs to be at least `wanted`; nothing, if it is.
fn lacking(list: &str, wanted: &Object, found: &Object) -> Option<Value> {
    let mut patch = json!({});
    let of = |object: &Object| object.at(&[list]).and_then(Value::as_array).cloned();
    let mut all = of(found).unwrap_or_default();
    let before = all.len();
    for one in of(wanted).unwrap_or_default() {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.len() > before {
        patch[list] = all.into();
    }
    if let Some(rule) = wanted.at(&["aggregationRule"])
        && found.at(&["aggregationRule"]) != Some(rule)
    {
        patch["aggregationRule"] = rule.clone();
    }
    for (label, value) in wanted.meta().map("labels") {
        if found.meta().label(label) != Some(value) {
            patch["metadata"]["labels"][label] = value.into();
        }
    }
    (patch != json!({})).then_some(patch)
}

fn cluster_role_objects() -> Vec<Object> {
    let (parts, whole): (Vec<Role>, Vec<Role>) = rbac::roles()
        .into_iter()
        .partition(|role| LADDER.contains(&role.name.as_str()));
    let mut objects: Vec<Object> = whole.iter().map(role_object).collect();
    let mut below: Vec<Rule> = Vec::new();
    for (at, name) in LADDER.iter().enumerate() {
        let role = parts.iter().find(|role| role.name == *name);
        let mut own = role.map(|role| role.rules.clone()).unwrap_or_default();
        own.retain(|rule| !below.contains(rule));
        below.extend(own.iter().cloned());
        let mut part = role_object(&Role {
            namespace: None,
            name: format!("system:aggregate-to-{name}"),
            rules: own,
        });
        part.meta_mut()["labels"][label(name)] = "true".into();
        objects.push(part);
        let mut whole = head(name);
        let selector = json!({ "matchLabels": { label(name): "true" } });
        let rule = json!({ "clusterRoleSelectors": [selector] });
        whole.0.insert("aggregationRule".to_owned(), rule);
        if let Some(next) = LADDER.get(at + 1) {
            whole.meta_mut()["labels"][label(next)] = "true".into();
        }
        objects.push(whole);
    }
    objects
}

fn label(name: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{name}")
}

fn head(name: &str) -> Object {
    let mut object = Object::default();
    object.set_meta("name", Some(name.into()));
    object.set_meta("annotations", Some(json!({ AUTOUPDATE: "true" })));
    object.set_meta("labels", Some(json!({ BOOTSTRAPPING: "rbac-defaults" })));
    object
}

fn role_object(role: &Role) -> Object {
    let mut object = head(&role.name);
    let rules: Vec<Value> = role.rules.iter().flat_map(roles::rule_values).collect();
    object.0.insert("rules".to_owned(), rules.into());
    object
}

fn binding_object(binding: &Binding) -> Object {
    let mut object = head(&binding.name);
    let role = json!({ "apiGroup": GROUP, "kind": "ClusterRole", "name": binding.role.name() });
    let subjects: Vec<Value> = binding.who.iter().map(roles::subject_value).collect();
    object.0.insert("roleRef".to_owned(), role);
    object.0.insert("subjects".to_owned(), subjects.into());
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_added() {
        let wanted = binding_object(&rbac::bindings()[0]);
        assert_eq!(lacking("subjects", &wanted, &wanted), None);
        let mut more = wanted.clone();
        let other = json!({ "kind": "User", "apiGroup": GROUP, "name": "a" });
        more.0.insert("subjects".to_owned(), json!([other]));
        let patch = lacking("subjects", &wanted, &more).unwrap();
        assert_eq!(patch["subjects"].as_array().unwrap().len(), 2);
        assert_eq!(patch["subjects"][0], other);
        assert_eq!(patch.as_object().unwrap().len(), 1);
        let mut bare = wanted.clone();
        bare.set_meta("labels", None);
        let patch = lacking("subjects", &wanted, &bare).unwrap();
        let labels = json!({ "metadata": { "labels": { BOOTSTRAPPING: "rbac-defaults" } } });
        assert_eq!(patch, labels);
    }

    #[test]
    fn the_parts_of_a_role_are_the_role() {
        let objects = cluster_role_objects();
        let find = |name: &str| {
            let found = objects.iter().find(|one| one.meta().name() == name);
            roles::role(found.unwrap()).rules
        };
        let mut found: Vec<Rule> = Vec::new();
        for name in LADDER {
            found.extend(find(&format!("system:aggregate-to-{name}")));
            let role = rbac::roles().into_iter().find(|role| role.name == name);
            let rules = role.unwrap().rules;
            assert_eq!(found.len(), rules.len(), "{name}");
            assert!(rules.iter().all(|rule| found.contains(rule)), "{name}");
        }
    }
}
