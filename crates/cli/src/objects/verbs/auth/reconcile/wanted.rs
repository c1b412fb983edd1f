//! What a role gives and whom a binding is for, read out of objects.
//!
//! Owns: reading them strictly. A field that is misspelt and left out gives more than was meant: a rule
//! without its `resourceNames` is about all objects, a selector without its labels about all roles.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use weft_identity::rbac::{GROUP, Rule};

/// What the server alone writes: a manifest may come from `weft get -o yaml`.
const OF_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// A role or a binding.
#[derive(Debug)]
pub(super) struct Wanted {
    /// As it is sent where there is none yet.
    pub object: Value,
    pub labels: Marks,
    pub annotations: Marks,
    pub rights: Rights,
}

/// Labels or annotations.
pub(super) type Marks = BTreeMap<String, String>;

/// What it gives, or to whom.
#[derive(Debug, PartialEq)]
pub(super) enum Rights {
    Role {
        rules: Vec<Rule>,
        /// Of which other roles it has the rules; nothing: it has its own.
        selectors: Option<Vec<Selector>>,
    },
    Binding {
        role: RoleRef,
        subjects: Vec<Subject>,
    },
}

/// The role that a binding gives: kind, group and name.
#[derive(Debug, PartialEq)]
pub(super) struct RoleRef(String, String, String);

/// Which roles are meant.
#[derive(Debug)]
pub(super) struct Selector {
    /// As it was written.
    pub object: Value,
    labels: Marks,
    /// Key, operator, values.
    expressions: Vec<(String, String, Vec<String>)>,
}

impl PartialEq for Selector {
    fn eq(&self, other: &Selector) -> bool {
        (&self.labels, &self.expressions) == (&other.labels, &other.expressions)
    }
}

/// Whom a binding is for.
#[derive(Debug)]
pub(super) struct Subject {
    /// As it was written.
    pub object: Value,
    kind: String,
    group: String,
    name: String,
    namespace: String,
}

impl Subject {
    /// The group that is meant: the server writes it down where nobody did.
    fn group_meant(&self) -> &str {
        match (self.group.as_str(), self.kind.as_str()) {
            ("", "User" | "Group") => GROUP,
            (group, _) => group,
        }
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Subject) -> bool {
        let all = |one: &Subject| [&one.kind, &one.name, &one.namespace].map(String::clone);
        all(self) == all(other) && self.group_meant() == other.group_meant()
    }
}

impl std::fmt::Display for Subject {
    /// As kubectl shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Subject {
            kind,
            group,
            name,
            namespace,
            ..
        } = self;
        write!(
            f,
            "{{Kind:{kind} APIGroup:{group} Name:{name} Namespace:{namespace}}}"
        )
    }
}

impl Wanted {
    /// Out of a manifest that goes into `namespace`, if its kind is in one.
    ///
    /// # Errors
    /// The field that is no such field, or not what it should be.
    pub(super) fn read(manifest: &Value, namespace: Option<&str>) -> Result<Wanted, String> {
        let mut object = manifest.clone();
        let Some(map) = object["metadata"].as_object_mut() else {
            return Err("metadata: it is no object".to_owned());
        };
        map.retain(|key, _| !OF_SERVER.contains(&key.as_str()));
        match namespace {
            Some(namespace) => drop(map.insert("namespace".to_owned(), namespace.into())),
            None => drop(map.remove("namespace")),
        }
        let meta = &manifest["metadata"];
        Ok(Wanted {
            labels: marks(&meta["labels"], "metadata.labels")?,
            annotations: marks(&meta["annotations"], "metadata.annotations")?,
            rights: Rights::read(manifest)?,
            object,
        })
    }
}

impl Rights {
    /// Those of an object of one of the four kinds.
    ///
    /// # Errors
    /// The field that is no such field, or not what it should be.
    pub(super) fn read(object: &Value) -> Result<Rights, String> {
        let always = ["apiVersion", "kind", "metadata"];
        match object["kind"].as_str().unwrap_or_default() {
            kind @ ("Role" | "ClusterRole") => {
                let own: &[&str] = match kind {
                    "Role" => &["rules"],
                    _ => &["rules", "aggregationRule"],
                };
                fields(object, "", &[&always, own].concat())?;
                Ok(Rights::Role {
                    rules: each(&object["rules"], "rules", rule)?,
                    selectors: selectors(&object["aggregationRule"])?,
                })
            }
            _ => {
                fields(
                    object,
                    "",
                    &[&always[..], &["roleRef", "subjects"]].concat(),
                )?;
                Ok(Rights::Binding {
                    role: role_ref(&object["roleRef"])?,
                    subjects: each(&object["subjects"], "subjects", subject)?,
                })
            }
        }
    }
}

fn rule(value: &Value, at: &str) -> Result<Rule, String> {
    let known = [
        "verbs",
        "apiGroups",
        "resources",
        "resourceNames",
        "nonResourceURLs",
    ];
    fields(value, at, &known)?;
    let [verbs, groups, resources, names, paths] =
        known.map(|key| texts(&value[key], &format!("{at}.{key}")));
    Ok(Rule {
        verbs: verbs?,
        groups: groups?,
        resources: resources?,
        names: names?,
        paths: paths?,
    })
}

fn selectors(value: &Value) -> Result<Option<Vec<Selector>>, String> {
    if value.is_null() {
        return Ok(None);
    }
    fields(value, "aggregationRule", &["clusterRoleSelectors"])?;
    let at = "aggregationRule.clusterRoleSelectors";
    each(&value["clusterRoleSelectors"], at, selector).map(Some)
}

fn selector(value: &Value, at: &str) -> Result<Selector, String> {
    fields(value, at, &["matchLabels", "matchExpressions"])?;
    let expression = |value: &Value, at: &str| {
        fields(value, at, &["key", "operator", "values"])?;
        let [key, operator] = ["key", "operator"].map(|key| text(value, at, key));
        let values = texts(&value["values"], &format!("{at}.values"))?;
        Ok((key?, operator?, values))
    };
    Ok(Selector {
        object: value.clone(),
        labels: marks(&value["matchLabels"], &format!("{at}.matchLabels"))?,
        expressions: each(
            &value["matchExpressions"],
            &format!("{at}.matchExpressions"),
            expression,
        )?,
    })
}

fn role_ref(value: &Value) -> Result<RoleRef, String> {
    let at = "roleRef";
    fields(value, at, &["apiGroup", "kind", "name"])?;
    let mut group = text(value, at, "apiGroup")?;
    if group.is_empty() {
        GROUP.clone_into(&mut group);
    }
    Ok(RoleRef(
        text(value, at, "kind")?,
        group,
        text(value, at, "name")?,
    ))
}

fn subject(value: &Value, at: &str) -> Result<Subject, String> {
    let known = ["kind", "apiGroup", "name", "namespace"];
    fields(value, at, &known)?;
    let [kind, group, name, namespace] = known.map(|key| text(value, at, key));
    Ok(Subject {
        object: value.clone(),
        kind: kind?,
        group: group?,
        name: name?,
        namespace: namespace?,
    })
}

/// An object with no fields but those that are known.
fn fields<'a>(
    value: &'a Value,
    at: &str,
    known: &[&str],
) -> Result<&'a Map<String, Value>, String> {
    let Some(map) = value.as_object() else {
        return Err(format!("{at}: it is no object"));
    };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(map),
        Some(key) if at.is_empty() => Err(format!("{key}: there is no such field")),
        Some(key) => Err(format!("{at}.{key}: there is no such field")),
    }
}

fn each<T>(
    value: &Value,
    at: &str,
    read: impl Fn(&Value, &str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(all) => {
            let all = all.iter().enumerate();
            all.map(|(number, one)| read(one, &format!("{at}[{number}]")))
                .collect()
        }
        _ => Err(format!("{at}: it is no list")),
    }
}

fn texts(value: &Value, at: &str) -> Result<Vec<String>, String> {
    each(value, at, |one, at| match one.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("{at}: it is no text")),
    })
}

fn text(value: &Value, at: &str, key: &str) -> Result<String, String> {
    match &value[key] {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("{at}.{key}: it is no text")),
    }
}

/// Texts by name.
pub(super) fn marks(value: &Value, at: &str) -> Result<Marks, String> {
    match value {
        Value::Null => Ok(Marks::new()),
        Value::Object(map) => {
            let read = |(key, value): (&String, &Value)| match value.as_str() {
                Some(text) => Ok((key.clone(), text.to_owned())),
                None => Err(format!("{at}.{key}: it is no text")),
            };
            map.iter().map(read).collect()
        }
        _ => Err(format!("{at}: it is no object")),
    }
}

#[cfg(test)]
mod tests;
