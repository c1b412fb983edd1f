//! What is known of a value before there is one: from a schema, or from what gives it.
//!
//! Owns: which types a schema's places have, and by which names expressions know their properties.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub(super) const NULL: u32 = 1;
pub(super) const BOOL: u32 = 1 << 1;
pub(super) const INT: u32 = 1 << 2;
pub(super) const UINT: u32 = 1 << 3;
pub(super) const DOUBLE: u32 = 1 << 4;
pub(super) const TEXT: u32 = 1 << 5;
pub(super) const BYTES: u32 = 1 << 6;
pub(super) const TIME: u32 = 1 << 7;
pub(super) const DURATION: u32 = 1 << 8;
pub(super) const LIST: u32 = 1 << 9;
pub(super) const MAP: u32 = 1 << 10;
pub(super) const OBJECT: u32 = 1 << 11;
pub(super) const OPTIONAL: u32 = 1 << 12;
pub(super) const QUANTITY: u32 = 1 << 13;
pub(super) const IP: u32 = 1 << 14;
pub(super) const CIDR: u32 = 1 << 15;
pub(super) const URL: u32 = 1 << 16;
pub(super) const TYPE: u32 = 1 << 17;
pub(super) const FORMAT: u32 = 1 << 18;
pub(super) const ANY: u32 = (1 << 19) - 1;
pub(super) const NUMBER: u32 = INT | UINT | DOUBLE;

/// Words of the language: properties of these names have others.
const RESERVED: [&str; 18] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
];

#[derive(Clone, Debug)]
pub(in crate::schema) enum Type {
    Any,
    /// One of the bits.
    Plain(u32),
    IntOrText,
    List(Arc<Type>, Arc<Unique>),
    Map(Arc<Type>),
    Object(Arc<Fields>),
    Optional(Arc<Type>),
}

/// What makes the elements of a list one.
#[derive(Debug)]
pub(in crate::schema) enum Unique {
    /// Their place.
    Place,
    /// They themselves.
    Value,
    /// These fields.
    By(Vec<Box<str>>),
}

/// An object's properties, by the names that expressions have for them.
#[derive(Debug)]
pub(in crate::schema) struct Fields {
    pub(in crate::schema) known: BTreeMap<Box<str>, (Box<str>, Type)>,
    /// Whether nothing is said of its properties.
    pub(in crate::schema) is_open: bool,
}

impl Type {
    pub(in crate::schema) const BOOL: Type = Type::Plain(BOOL);
    pub(in crate::schema) const TEXT: Type = Type::Plain(TEXT);

    /// What a place of a schema holds.
    pub(in crate::schema) fn of(schema: &Value) -> Type {
        let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        if flag("x-kubernetes-int-or-string") {
            return Type::IntOrText;
        }
        let format = schema.get("format").and_then(Value::as_str);
        match schema.get("type").and_then(Value::as_str) {
            Some("boolean") => Type::BOOL,
            Some("integer") => Type::Plain(INT),
            Some("number") => Type::Plain(DOUBLE),
            Some("string") => Type::Plain(match format {
                Some("date-time" | "date") => TIME,
                Some("duration") => DURATION,
                Some("byte") => BYTES,
                _ => TEXT,
            }),
            Some("array") => {
                let item = schema.get("items").map_or(Type::Any, Type::of);
                Type::List(Arc::new(item), Arc::new(Unique::of(schema)))
            }
            Some("object") => Type::of_object(schema),
            _ => Type::Any,
        }
    }

    fn of_object(schema: &Value) -> Type {
        let properties = schema.get("properties").and_then(Value::as_object);
        match schema.get("additionalProperties") {
            Some(rest) if rest.is_object() => return Type::Map(Arc::new(Type::of(rest))),
            Some(Value::Bool(true)) => return Type::Map(Arc::new(Type::Any)),
            _ => {}
        }
        let known = properties
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| {
                let named = escaped(name)?.into();
                Some((named, (name.as_str().into(), Type::of(schema))))
            });
        Type::Object(Arc::new(Fields {
            known: known.collect(),
            is_open: properties.is_none(),
        }))
    }

    /// What may be there.
    pub(in crate::schema) fn optional(of: Type) -> Type {
        Type::Optional(of.into())
    }

    /// How a path goes on to a property or a map's key, and what is there.
    pub(in crate::schema) fn step(&self, name: &str) -> Option<(String, Type)> {
        match self {
            Type::Map(inner) => Some((format!("[{name}]"), (**inner).clone())),
            Type::Object(fields) => {
                let mut known = fields.known.values();
                let (name, kind) = known.find(|(known, _)| **known == *name)?;
                Some((format!(".{name}"), kind.clone()))
            }
            _ => None,
        }
    }

    pub(super) fn bits(&self) -> u32 {
        match self {
            Type::Any => ANY,
            Type::Plain(bits) => *bits,
            Type::IntOrText => INT | TEXT,
            Type::List(..) => LIST,
            Type::Map(_) => MAP,
            Type::Object(fields) if fields.is_open => MAP | OBJECT,
            Type::Object(_) => OBJECT,
            Type::Optional(_) => OPTIONAL,
        }
    }

    /// As messages call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Type::Any => "dyn",
            Type::IntOrText => "int or string",
            Type::Object(_) => "object",
            other => name(other.bits()),
        }
    }

    /// A list of such.
    pub(super) fn list(of: Type) -> Type {
        Type::List(Arc::new(of), Arc::new(Unique::Place))
    }

    /// What is in it: a list's elements, a map's values, what an optional may hold.
    pub(super) fn inner(&self) -> Type {
        match self {
            Type::List(inner, _) | Type::Map(inner) | Type::Optional(inner) => (**inner).clone(),
            _ => Type::Any,
        }
    }
}

impl Unique {
    fn of(schema: &Value) -> Unique {
        match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Unique::Value,
            Some("map") => {
                let keys = schema.get("x-kubernetes-list-map-keys");
                let keys = keys.and_then(Value::as_array).into_iter().flatten();
                Unique::By(keys.filter_map(Value::as_str).map(Into::into).collect())
            }
            _ => Unique::Place,
        }
    }
}

/// What messages call the type of these bits.
pub(super) fn name(bits: u32) -> &'static str {
    match bits {
        NULL => "null_type",
        BOOL => "bool",
        INT => "int",
        UINT => "uint",
        DOUBLE => "double",
        TEXT => "string",
        BYTES => "bytes",
        TIME => "google.protobuf.Timestamp",
        DURATION => "google.protobuf.Duration",
        LIST => "list",
        MAP => "map",
        OBJECT => "object",
        OPTIONAL => "optional_type",
        QUANTITY => "kubernetes.Quantity",
        IP => "net.IP",
        CIDR => "net.CIDR",
        URL => "kubernetes.URL",
        TYPE => "type",
        FORMAT => "kubernetes.NamedFormat",
        _ => "dyn",
    }
}

/// How expressions write a property's name; nothing: they cannot.
pub(super) fn escaped(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let is_right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    if !name.chars().all(is_right) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let name = name
        .replace("__", "__underscores__")
        .replace('.', "__dot__");
    Some(name.replace('-', "__dash__").replace('/', "__slash__"))
}
