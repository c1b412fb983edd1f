//! Fields by their path: `spec/template/spec/containers[]/image`.
//!
//! `[]` means each element of a list; a step into a list without it does, too.

use serde_json::{Map, Value};

/// Kinds with a template of pods, and where it is.
const TEMPLATES: [(&str, &str); 8] = [
    ("CronJob", "spec/jobTemplate/spec/template"),
    ("DaemonSet", "spec/template"),
    ("Deployment", "spec/template"),
    ("Job", "spec/template"),
    ("PodTemplate", "template"),
    ("ReplicaSet", "spec/template"),
    ("ReplicationController", "spec/template"),
    ("StatefulSet", "spec/template"),
];

/// Where the template of pods is in an object of `kind`.
pub fn template(kind: &str) -> Option<&'static str> {
    let found = TEMPLATES.iter().find(|(name, _)| *name == kind);
    found.map(|(_, path)| *path)
}

/// Where what a pod is to be is in an object of `kind`.
pub fn pod_spec(kind: &str) -> Option<String> {
    match kind {
        "Pod" => Some("spec".to_owned()),
        kind => template(kind).map(|path| format!("{path}/spec")),
    }
}

/// Calls `each` with every value at `path`; maps on the way are made where `create` says so.
pub fn visit(value: &mut Value, path: &str, create: bool, each: &mut dyn FnMut(&mut Value)) {
    if path.is_empty() {
        each(value);
        return;
    }
    let (step, rest) = path.split_once('/').unwrap_or((path, ""));
    if let Value::Array(list) = value {
        for one in list {
            visit(one, path, create, each);
        }
        return;
    }
    if create && value.is_null() {
        *value = Map::new().into();
    }
    let Value::Object(map) = value else { return };
    let (name, is_list) = match step.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (step, false),
    };
    let makes = create && !is_list;
    if makes && !map.contains_key(name) {
        map.insert(name.to_owned(), Value::Null);
    }
    match map.get_mut(name) {
        Some(Value::Array(list)) if is_list => {
            for one in list {
                visit(one, rest, create, each);
            }
        }
        Some(below) if !is_list => visit(below, rest, create, each),
        _ => {}
    }
}

/// Puts `pairs` into the map at `path`.
pub fn insert(
    value: &mut Value,
    path: &str,
    create: bool,
    pairs: &std::collections::BTreeMap<String, String>,
) {
    visit(value, path, create, &mut |at| {
        if at.is_null() && create {
            *at = Map::new().into();
        }
        if let Value::Object(map) = at {
            let new = pairs.iter();
            map.extend(new.map(|(name, text)| (name.clone(), text.as_str().into())));
        }
    });
}
