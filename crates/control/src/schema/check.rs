//! Finds what is wrong with an object, and takes out what is not known.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Node, Rest, Schema, Shape};
use crate::failure::Cause;

/// Most mistakes told of one object.
pub(crate) const MISTAKES_MAX: usize = 64;

/// What a check finds.
#[derive(Debug, Default)]
pub struct Findings {
    /// Wrong types and missing fields.
    pub mistakes: Vec<Cause>,
    /// Paths of fields the schema does not know; they are taken out.
    pub unknown: Vec<String>,
}

/// What is said of fields that are not known, or stand there twice.
pub fn odd(unknown: &[String], duplicates: &[String]) -> Vec<String> {
    let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
    let twice = duplicates
        .iter()
        .map(|path| format!("duplicate field {path:?}"));
    unknown.chain(twice).collect()
}

/// Why an object with such fields is refused, where none is wanted.
pub fn strict(unknown: &[String], duplicates: &[String]) -> String {
    let odd = odd(unknown, duplicates).join(", ");
    format!("strict decoding error: {odd}")
}

/// Checks `object`, without its type and metadata's meaning; unknown fields are taken out, and so
/// are those that are null.
pub fn check(schema: &Schema, object: &mut Map<String, Value>) -> Findings {
    let mut findings = prune(schema, object);
    if let Some(rules) = &schema.rules {
        // Of a value of the wrong type nothing more is to be said.
        let wrong = std::mem::take(&mut findings.mistakes);
        let is_new = |cause: &Cause| wrong.iter().all(|known| known.field != cause.field);
        let broken = rules.check(object).into_iter().filter(is_new);
        let broken: Vec<Cause> = broken.collect();
        findings.mistakes = wrong.into_iter().chain(broken).take(MISTAKES_MAX).collect();
    }
    findings
}

/// The same, of types only.
pub fn prune(schema: &Schema, object: &mut Map<String, Value>) -> Findings {
    walk(schema, object, None)
}

/// What becomes of a part of the wrong type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// It is left out.
    LeaveOut,
    /// It is what may have been meant, or something empty of the right type.
    Guess,
}

/// Makes all types of `object` right.
pub(crate) fn mend(schema: &Schema, object: &mut Map<String, Value>, how: Mend) {
    walk(schema, object, Some(how));
}

fn walk(schema: &Schema, object: &mut Map<String, Value>, mend: Option<Mend>) -> Findings {
    let mut findings = Findings::default();
    let mut walk = Walk {
        schema,
        mend,
        path: String::new(),
        findings: &mut findings,
    };
    let mut value = Value::Object(std::mem::take(object));
    walk.value(&schema.root, &mut value);
    if let Value::Object(map) = value {
        *object = map;
    }
    findings
}

struct Walk<'a> {
    schema: &'a Schema,
    mend: Option<Mend>,
    path: String,
    findings: &'a mut Findings,
}

impl Walk<'_> {
    fn value(&mut self, node: &Node, value: &mut Value) {
        let schema = self.schema;
        let wrong = match schema.follow(node) {
            Shape::Object {
                fields,
                required,
                rest,
                ..
            } => match value {
                Value::Object(map) => {
                    // Nothing is said of an absent field; null says the same, where it is known.
                    let is_kept =
                        |name: &str| matches!(rest, Rest::Any) && !fields.contains_key(name);
                    map.retain(|name, value| !value.is_null() || is_kept(name));
                    for (name, value) in &mut *map {
                        let below = match (fields.get(name.as_str()), rest) {
                            (Some(node), _) | (None, Rest::Of(node)) => node,
                            (None, Rest::Any | Rest::Unknown) => continue,
                        };
                        self.step(name, |walk| walk.value(below, value));
                    }
                    if self.mend == Some(Mend::LeaveOut) {
                        map.retain(|name, value| !value.is_null() || is_kept(name));
                    }
                    map.retain(|name, value| {
                        let is_silent = |node: &Arc<Node>| node.is_silent;
                        !(is_empty(value) && fields.get(name.as_str()).is_some_and(is_silent))
                    });
                    if matches!(rest, Rest::Unknown) {
                        self.take_unknown(map, |name| fields.contains_key(name));
                    }
                    for name in required {
                        if !map.contains_key(&**name) {
                            self.step(name, |walk| walk.mistake(|path| Cause::required(path, "")));
                        }
                    }
                    return;
                }
                _ => "object",
            },
            Shape::List(item, _) => match value {
                Value::Array(list) => {
                    self.elements(item, list);
                    return;
                }
                _ => "array",
            },
            Shape::Any | Shape::Named(_) => return,
            leaf => {
                if matches!(leaf, Shape::Integer(_)) && schema.is_defined() {
                    make_whole(value);
                }
                match wanted(leaf, value) {
                    Some(wanted) => wanted,
                    None => return,
                }
            }
        };
        let found = kind_of(value);
        self.mistake(|path| Cause::type_invalid(path, found, wrong));
        match self.mend {
            None => {}
            Some(Mend::LeaveOut) => *value = Value::Null,
            Some(Mend::Guess) => *value = right(schema.follow(node), value),
        }
    }

    fn elements(&mut self, item: &Node, list: &mut [Value]) {
        for (index, value) in list.iter_mut().enumerate() {
            let before = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            self.value(item, value);
            if self.mend.is_some() && value.is_null() {
                // Those behind it keep their places.
                *value = right(self.schema.follow(item), value);
            }
            self.path.truncate(before);
        }
    }

    fn step(&mut self, name: &str, visit: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        visit(self);
        self.path.truncate(before);
    }

    fn mistake(&mut self, cause: impl FnOnce(String) -> Cause) {
        if self.findings.mistakes.len() < MISTAKES_MAX {
            self.findings.mistakes.push(cause(self.path.clone()));
        }
    }

    fn take_unknown(&mut self, map: &mut Map<String, Value>, known: impl Fn(&str) -> bool) {
        map.retain(|name, _| {
            let keep = known(name);
            if !keep && self.findings.unknown.len() < MISTAKES_MAX {
                let dot = if self.path.is_empty() { "" } else { "." };
                self.findings
                    .unknown
                    .push(format!("{}{dot}{name}", self.path));
            }
            keep
        });
    }
}

/// Whether it says what an absent one does, if anything that is empty does.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// 3.0 is 3 where a definition wants a whole number: JSON has only one kind of number.
fn make_whole(value: &mut Value) {
    /// Beyond it, not all whole numbers are.
    const EXACT: f64 = ((1_u64 << 53) - 1) as f64;
    let float = value.as_f64().filter(|_| value.is_f64());
    if let Some(float) = float.filter(|float| float.fract() == 0.0 && float.abs() <= EXACT) {
        *value = (float as i64).into();
    }
}

/// What a value that is neither object nor list should have been, if it is not.
fn wanted(shape: &Shape, value: &Value) -> Option<&'static str> {
    let fits_32 = |value: &Value| value.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
    let (fits, wanted) = match shape {
        Shape::Text => (value.is_string(), "string"),
        Shape::Time => (
            value
                .as_str()
                .is_some_and(|t| t.parse::<jiff::Timestamp>().is_ok()),
            "time (RFC 3339)",
        ),
        Shape::Bytes => (value.is_string(), "string (base64)"),
        Shape::Integer(32) => (fits_32(value), "int32"),
        Shape::Integer(_) => (value.is_i64() || value.is_u64(), "integer"),
        Shape::Number => (value.is_number(), "number"),
        Shape::Bool => (value.is_boolean(), "boolean"),
        Shape::IntOrString => (
            value.is_i64() || value.is_f64() || value.is_string(),
            "integer or string",
        ),
        _ => (true, ""),
    };
    (!fits).then_some(wanted)
}

/// What a value of the wrong type may have been meant to be; else something of the right one.
fn right(shape: &Shape, value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => String::new(),
    };
    match shape {
        Shape::Object { .. } => Map::new().into(),
        Shape::List(..) => Value::Array(Vec::new()),
        Shape::Text | Shape::Bytes => text.into(),
        Shape::Time => "1970-01-01T00:00:00Z".into(),
        Shape::Integer(_) | Shape::IntOrString => text.parse::<i32>().unwrap_or(0).into(),
        Shape::Number => text.parse::<f64>().unwrap_or(0.0).into(),
        Shape::Bool => (text == "true").into(),
        Shape::Any | Shape::Named(_) => Value::Null,
    }
}

/// How a message shows what was found: values may be secret, so only their kind.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> Schema {
        let document = schemars::schema_for!(k8s_openapi::api::core::v1::Pod);
        Schema::compile(&document.to_value())
    }

    fn found(object: Value) -> (Vec<String>, Vec<String>, Value) {
        let Value::Object(mut map) = object else {
            panic!("an object")
        };
        let findings = check(&pods(), &mut map);
        let mistakes = findings.mistakes.iter().map(Cause::to_string).collect();
        (mistakes, findings.unknown, map.into())
    }

    #[test]
    fn every_mistake_is_told_by_its_path() {
        let (mistakes, unknown, _) = found(json!({
            "metadata": { "name": 5, "labels": { "a": 1 }, "creationTimestamp": "yesterday" },
            "spec": {
                "containers": [
                    { "name": "a", "ports": [{ "containerPort": "80" }], "imagee": "x" },
                    { "image": "b", "env": {} },
                ],
                "terminationGracePeriodSeconds": 1.5,
                "hostNetwork": "yes",
                "nope": { "a": 1 },
            },
        }));
        assert_eq!(
            mistakes,
            [
                "metadata.creationTimestamp: Invalid value: string: must be of type time (RFC 3339)",
                "metadata.labels.a: Invalid value: number: must be of type string",
                "metadata.name: Invalid value: number: must be of type string",
                "spec.containers[0].ports[0].containerPort: Invalid value: string: must be of type int32",
                "spec.containers[1].env: Invalid value: object: must be of type array",
                "spec.containers[1].name: Required value",
                "spec.hostNetwork: Invalid value: string: must be of type boolean",
                "spec.terminationGracePeriodSeconds: Invalid value: number: must be of type integer",
            ]
        );
        assert_eq!(unknown, ["spec.containers[0].imagee", "spec.nope"]);
    }

    #[test]
    fn what_is_right_stays_and_nulls_go() {
        let pod = json!({
            "metadata": { "name": "a", "annotations": null },
            "spec": {
                "containers": [{
                    "name": "a",
                    "livenessProbe": { "httpGet": { "port": "http" } },
                    "resources": { "limits": { "cpu": 1, "memory": "1Gi" } },
                }],
                "nodeSelector": { "x": "y" },
            },
        });
        let (mistakes, unknown, kept) = found(pod.clone());
        assert!(
            mistakes.is_empty() && unknown.is_empty(),
            "{mistakes:?} {unknown:?}"
        );
        assert!(kept["metadata"].get("annotations").is_none());
        assert_eq!(kept["spec"], pod["spec"]);
    }

    #[test]
    fn what_is_defined_tells_types_and_rules_at_once_and_keeps_nulls_it_does_not_know() {
        let schema = Schema::defined(&json!({
            "type": "object",
            "properties": { "spec": { "type": "object", "properties": {
                "name": { "type": "string", "minLength": 1 },
                "size": { "type": "string", "enum": ["S"] },
                "count": { "type": "integer", "minimum": 1 },
                "values": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": true,
                    "properties": { "known": { "type": "string" } },
                },
            } } },
        }));
        let object = json!({ "spec": {
            "name": "", "size": "X", "count": "y",
            "values": { "n": null, "known": null, "m": { "x": null } },
        } });
        let Value::Object(mut object) = object else {
            panic!("it is one")
        };
        let findings = check(&schema, &mut object);
        let mut fields: Vec<&str> = findings.mistakes.iter().map(|one| &*one.field).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["spec.count", "spec.name", "spec.size"]);
        let values = &object["spec"]["values"];
        assert_eq!(*values, json!({ "n": null, "m": { "x": null } }));
    }
}
