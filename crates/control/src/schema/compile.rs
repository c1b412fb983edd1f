//! From JSON schema, as schemars and CustomResourceDefinitions write it, to [`Shape`]s.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::rules::Rules;
use super::validations::Validations;
use super::{Key, Merge, Node, Rest, Shape, lists};
use crate::failure::Cause;

/// A kind's schema.
#[derive(Debug)]
pub struct Schema {
    name: Box<str>,
    pub(super) rules: Option<Rules>,
    validations: Option<Validations>,
    pub(super) root: Arc<Node>,
    pub(super) named: BTreeMap<Box<str>, Arc<Node>>,
}

impl Schema {
    /// Takes a document whose definitions are in `$defs`.
    pub fn compile(document: &Value) -> Schema {
        Schema::made(document, None, None)
    }

    /// Takes the schema of a definition, with its rules and defaults. What it does not name is
    /// not known.
    pub fn defined(document: &Value) -> Schema {
        Schema::made(
            document,
            Some(Rules::of(document)),
            Validations::of(document),
        )
    }

    /// Puts defaults where something was left out.
    pub(crate) fn fill(&self, object: &mut Map<String, Value>) {
        if let Some(rules) = &self.rules {
            rules.fill(object);
        }
    }

    /// The objects that are embedded in an object, with their paths.
    pub(crate) fn embedded<'a>(
        &self,
        object: &'a Map<String, Value>,
    ) -> Vec<(String, &'a Map<String, Value>)> {
        let rules = self.rules.as_ref();
        rules.map_or_else(Vec::new, |rules| rules.embedded(object))
    }

    /// The definition's rules that an object breaks which is of the right types.
    pub(crate) fn broken(
        &self,
        object: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) -> Vec<Cause> {
        let rules = self.validations.as_ref();
        rules.map_or_else(Vec::new, |rules| rules.broken(object, old))
    }

    fn made(document: &Value, rules: Option<Rules>, validations: Option<Validations>) -> Schema {
        let empty = Map::new();
        let definitions = document.get("$defs").and_then(Value::as_object);
        let named = definitions
            .unwrap_or(&empty)
            .iter()
            .map(|(name, definition)| (name.as_str().into(), node(definition, name)))
            .collect();
        // What users define is no type of ours, whatever they call it.
        let title = document.get("title").and_then(Value::as_str);
        let title = title.filter(|_| rules.is_none());
        Schema {
            name: title.unwrap_or_default().into(),
            rules,
            validations,
            root: node(document, title.unwrap_or_default()),
            named,
        }
    }

    /// Whether users defined it.
    pub fn is_defined(&self) -> bool {
        self.rules.is_some()
    }

    /// What the type is called: `io.k8s.api.core.v1.ConfigMap`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where an object begins.
    pub(crate) fn top(&self) -> &Node {
        &self.root
    }

    /// What the field `name` of an object at `node` is; nothing where that is not said.
    pub(crate) fn field<'a>(&'a self, node: &'a Node, name: &str) -> Option<&'a Node> {
        let Shape::Object { fields, rest, .. } = self.follow(node) else {
            return None;
        };
        match (fields.get(name), rest) {
            (Some(field), _) => Some(field),
            (None, Rest::Of(node)) => Some(node),
            (None, _) => None,
        }
    }

    /// The shape itself where `node` is a reference to it.
    pub(crate) fn follow<'a>(&'a self, node: &'a Node) -> &'a Shape {
        let mut shape = &node.shape;
        // A definition is never only a reference to itself.
        while let Shape::Named(name) = shape {
            match self.named.get(name) {
                Some(node) => shape = &node.shape,
                None => return &Shape::Any,
            }
        }
        shape
    }
}

/// `owner` is the definition it is in.
fn node(schema: &Value, owner: &str) -> Arc<Node> {
    let mut shape = shape(schema, owner);
    if let Shape::Object { is_atomic, .. } = &mut shape {
        *is_atomic |= schema.get("properties").is_some() && lists::is_atomic(owner);
    }
    Arc::new(Node {
        shape,
        is_silent: false,
    })
}

fn shape(schema: &Value, owner: &str) -> Shape {
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return Shape::Named(name.into());
    }
    if flag("x-kubernetes-int-or-string") {
        return Shape::IntOrString;
    }
    let format = schema.get("format").and_then(Value::as_str);
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => object(schema, owner, flag("x-kubernetes-preserve-unknown-fields")),
        Some("array") => {
            let any = Value::Bool(true);
            let item = schema.get("items").unwrap_or(&any);
            Shape::List(node(item, owner), merge(schema))
        }
        Some("string") => match format {
            Some("date-time") => Shape::Time,
            Some("byte") => Shape::Bytes,
            _ => Shape::Text,
        },
        Some("integer") if format == Some("int32") => Shape::Integer(32),
        Some("integer") => Shape::Integer(64),
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Bool,
        _ => Shape::Any,
    }
}

/// How a definition says that its list is merged (`x-kubernetes-list-type`).
fn merge(schema: &Value) -> Merge {
    let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let keys = schema.get("x-kubernetes-list-map-keys");
    let keys = keys.and_then(Value::as_array).into_iter().flatten();
    let of_item = |name: &str| {
        schema
            .get("items")?
            .get("properties")?
            .get(name)?
            .get("default")
    };
    let keys: Arc<[Key]> = keys
        .filter_map(Value::as_str)
        .map(|name| Key {
            name: name.into(),
            default: of_item(name).cloned(),
        })
        .collect();
    match kind {
        Some("set") => Merge::Set,
        Some("map") if !keys.is_empty() => Merge::By(keys),
        _ => Merge::Replace,
    }
}

fn object(schema: &Value, owner: &str, preserve: bool) -> Shape {
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let named = schema.get("properties").and_then(Value::as_object);
    let named = named.into_iter().flatten().map(|(name, field)| {
        let is_required = required.clone().any(|one| one == name);
        let field = member(field, owner, name, is_required);
        (name.as_str().into(), field)
    });
    let fields: BTreeMap<Box<str>, Arc<Node>> = named.collect();
    let rest = match schema.get("additionalProperties") {
        Some(Value::Object(_)) => Rest::Of(node(&schema["additionalProperties"], owner)),
        Some(Value::Bool(true)) => Rest::Any,
        Some(Value::Bool(false)) => Rest::Unknown,
        // An object of which nothing is said, like managed fields.
        _ if preserve || fields.is_empty() => Rest::Any,
        _ => Rest::Unknown,
    };
    let map_type = schema.get("x-kubernetes-map-type").and_then(Value::as_str);
    let required = required.filter(|name| !lists::may_be_left_out(owner, name));
    Shape::Object {
        required: required.map(Into::into).collect(),
        fields,
        rest,
        is_atomic: map_type == Some("atomic"),
    }
}

/// A field of `owner`, which knows how its lists merge.
fn member(schema: &Value, owner: &str, name: &str, is_required: bool) -> Arc<Node> {
    let shape = match shape(schema, owner) {
        Shape::List(item, Merge::Replace) => Shape::List(item, lists::merge(owner, name)),
        Shape::Object {
            fields,
            required,
            rest,
            is_atomic,
        } => Shape::Object {
            fields,
            required,
            rest,
            is_atomic: is_atomic || lists::is_atomic_map(owner, name),
        },
        other => other,
    };
    let is_silent = !is_required && lists::is_silent(owner, name, &shape);
    Arc::new(Node { shape, is_silent })
}
