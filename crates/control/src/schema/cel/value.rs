//! Values while an expression runs.
//!
//! Owns: how an object's values are read by their types, and when two are equal. The object is only
//! borrowed.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::functions::{named::Named, time, url::Url};
use super::types::{self, Type, Unique};
use super::{Fail, Run};
use crate::quantity::Quantity;

#[derive(Clone, Debug)]
pub(in crate::schema) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Arc<[u8]>),
    Time(Timestamp),
    /// Billionths of a second.
    Duration(i64),
    /// A list or an object of the object.
    Node(&'a Value, &'a Type),
    List(Arc<[Val<'a>]>),
    Map(Arc<[(Val<'a>, Val<'a>)]>),
    Optional(Option<Arc<Val<'a>>>),
    Quantity(Quantity),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Url(Arc<Url>),
    Type(&'static str),
    Format(&'static Named),
}

#[derive(Clone, Debug)]
pub(in crate::schema) enum Text<'a> {
    Lent(&'a str),
    Own(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Lent(text) => text,
            Text::Own(text) => text,
        }
    }
}

static ANY: Type = Type::Any;

impl<'a> Val<'a> {
    /// What an object says, where this type is.
    pub(in crate::schema) fn read(value: &'a Value, kind: &'a Type) -> Result<Val<'a>, Fail> {
        let number = |number: &serde_json::Number| match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Val::Int(int),
            (None, Some(uint)) => Val::UInt(uint),
            (None, None) => Val::Double(number.as_f64().unwrap_or(f64::NAN)),
        };
        Ok(match value {
            Value::Null => Val::Null,
            Value::Bool(is) => Val::Bool(*is),
            Value::Number(found) if kind.bits() == types::DOUBLE => {
                Val::Double(found.as_f64().unwrap_or(f64::NAN))
            }
            Value::Number(found) => number(found),
            Value::String(text) => match kind.bits() {
                types::TIME => Val::Time(time::read(text)?),
                types::DURATION => Val::Duration(time::duration(text)?),
                types::BYTES => {
                    let bytes = STANDARD.decode(text);
                    let bytes = bytes.map_err(|_| Fail::new("bytes that are not base64"))?;
                    Val::Bytes(bytes.into())
                }
                _ => Val::Text(Text::Lent(text)),
            },
            Value::Array(_) | Value::Object(_) => Val::Node(value, kind),
        })
    }

    pub(super) fn text(text: impl Into<Arc<str>>) -> Val<'a> {
        Val::Text(Text::Own(text.into()))
    }

    pub(in crate::schema) fn optional(value: Option<Val<'a>>) -> Val<'a> {
        Val::Optional(value.map(Arc::new))
    }

    pub(super) fn bits(&self) -> u32 {
        match self {
            Val::Null => types::NULL,
            Val::Bool(_) => types::BOOL,
            Val::Int(_) => types::INT,
            Val::UInt(_) => types::UINT,
            Val::Double(_) => types::DOUBLE,
            Val::Text(_) => types::TEXT,
            Val::Bytes(_) => types::BYTES,
            Val::Time(_) => types::TIME,
            Val::Duration(_) => types::DURATION,
            Val::Node(Value::Array(_), _) | Val::List(_) => types::LIST,
            Val::Node(_, Type::Object(fields)) if !fields.is_open => types::OBJECT,
            Val::Node(..) | Val::Map(_) => types::MAP,
            Val::Optional(_) => types::OPTIONAL,
            Val::Quantity(_) => types::QUANTITY,
            Val::Ip(_) => types::IP,
            Val::Cidr(..) => types::CIDR,
            Val::Url(_) => types::URL,
            Val::Type(_) => types::TYPE,
            Val::Format(_) => types::FORMAT,
        }
    }

    /// How many elements it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Val::Node(Value::Array(list), _) => list.len(),
            Val::Node(Value::Object(map), _) => map.len(),
            Val::List(list) => list.len(),
            Val::Map(map) => map.len(),
            _ => 0,
        }
    }

    /// An element of a list.
    pub(super) fn at(&self, index: usize) -> Option<Result<Val<'a>, Fail>> {
        match self {
            Val::Node(Value::Array(list), kind) => {
                let value = list.get(index)?;
                Some(Val::read(value, inner(kind)))
            }
            Val::List(list) => list.get(index).cloned().map(Ok),
            _ => None,
        }
    }

    /// What a list has, or a map as keys.
    pub(super) fn elements(&self, run: &mut Run) -> Result<Vec<Val<'a>>, Fail> {
        run.spend(self.len() as u64)?;
        match self {
            Val::Node(Value::Object(map), _) => {
                let keys = map.keys().map(|key| Val::Text(Text::Lent(key)));
                Ok(keys.collect())
            }
            Val::Map(map) => Ok(map.iter().map(|(key, _)| key.clone()).collect()),
            list => (0..list.len()).filter_map(|index| list.at(index)).collect(),
        }
    }

    /// A property or a map's value, by the name that expressions have for it.
    pub(super) fn field(&self, name: &str, run: &mut Run) -> Result<Option<Val<'a>>, Fail> {
        match self {
            Val::Node(Value::Object(map), Type::Object(fields)) if !fields.is_open => {
                let Some((name, kind)) = fields.known.get(name) else {
                    return Err(Fail::new(format!("undefined field '{name}'")));
                };
                let value = map.get(&**name).filter(|value| !value.is_null());
                value.map(|value| Val::read(value, kind)).transpose()
            }
            Val::Node(Value::Object(map), kind) => {
                let value = map.get(name);
                value.map(|value| Val::read(value, inner(kind))).transpose()
            }
            Val::Map(_) => self.key(&Val::text(name), run),
            _ => Err(Fail::new(format!(
                "no such overload: a {} has no field '{name}'",
                types::name(self.bits())
            ))),
        }
    }

    /// A map's value.
    pub(super) fn key(&self, key: &Val<'a>, run: &mut Run) -> Result<Option<Val<'a>>, Fail> {
        match (self, key) {
            (Val::Node(Value::Object(map), kind), Val::Text(key)) => {
                let value = map.get(&**key);
                value.map(|value| Val::read(value, inner(kind))).transpose()
            }
            (Val::Map(map), key) => {
                for (found, value) in map.iter() {
                    if found.is(key, run)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Whether they are equal; what is of another type is not.
    pub(super) fn is(&self, other: &Val<'a>, run: &mut Run) -> Result<bool, Fail> {
        run.spend(1)?;
        Ok(match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Text(a), Val::Text(b)) => {
                run.spend_text(a.len().min(b.len()))?;
                **a == **b
            }
            (Val::Bytes(a), Val::Bytes(b)) => {
                run.spend_text(a.len().min(b.len()))?;
                a == b
            }
            (Val::Time(a), Val::Time(b)) => a == b,
            (Val::Duration(a), Val::Duration(b)) => a == b,
            (Val::Quantity(a), Val::Quantity(b)) => a == b,
            (Val::Ip(a), Val::Ip(b)) => a == b,
            (Val::Cidr(a, m), Val::Cidr(b, n)) => (a, m) == (b, n),
            (Val::Url(a), Val::Url(b)) => a == b,
            (Val::Type(a), Val::Type(b)) => a == b,
            (Val::Format(a), Val::Format(b)) => std::ptr::eq(*a, *b),
            (Val::Optional(a), Val::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.is(b, run)?,
                (a, b) => a.is_none() && b.is_none(),
            },
            (a, b) if a.bits() == types::LIST && b.bits() == types::LIST => a.is_list(b, run)?,
            (a, b) if a.is_mapped() && b.is_mapped() => a.is_map(b, run)?,
            (a, b) => a.order(b) == Some(Ordering::Equal),
        })
    }

    fn is_mapped(&self) -> bool {
        self.bits() & (types::MAP | types::OBJECT) != 0
    }

    fn is_list(&self, other: &Val<'a>, run: &mut Run) -> Result<bool, Fail> {
        if self.len() != other.len() {
            return Ok(false);
        }
        let (ours, theirs) = (self.elements(run)?, other.elements(run)?);
        let is_ordered = matches!(self.unique(), Unique::Place);
        for (index, value) in ours.iter().enumerate() {
            let found = match is_ordered {
                true => value.is(&theirs[index], run)?,
                false => value.is_in(&theirs, run)?,
            };
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_map(&self, other: &Val<'a>, run: &mut Run) -> Result<bool, Fail> {
        if self.len() != other.len() {
            return Ok(false);
        }
        if let (Val::Node(Value::Object(a), kind), Val::Node(Value::Object(b), _)) = (self, other) {
            for (name, value) in a {
                let kind = match kind {
                    Type::Object(fields) => {
                        let known = fields.known.values().find(|(known, _)| **known == **name);
                        known.map_or(&ANY, |(_, kind)| kind)
                    }
                    kind => inner(kind),
                };
                let Some(other) = b.get(name) else {
                    return Ok(false);
                };
                if !Val::read(value, kind)?.is(&Val::read(other, kind)?, run)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        for key in self.elements(run)? {
            let same = match (self.key(&key, run)?, other.key(&key, run)?) {
                (Some(a), Some(b)) => a.is(&b, run)?,
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether one of these is equal to it.
    pub(super) fn is_in(&self, list: &[Val<'a>], run: &mut Run) -> Result<bool, Fail> {
        for value in list {
            if self.is(value, run)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What makes the elements of this list one.
    pub(super) fn unique(&self) -> &'a Unique {
        match self {
            Val::Node(_, Type::List(_, unique)) => unique,
            _ => &Unique::Place,
        }
    }

    /// Which one comes first; nothing: they have no order.
    pub(super) fn order(&self, other: &Val<'a>) -> Option<Ordering> {
        match (self, other) {
            (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            (Val::UInt(a), Val::UInt(b)) => Some(a.cmp(b)),
            (Val::Int(a), Val::UInt(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Val::UInt(a), Val::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
            (Val::Double(a), Val::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Val::Double(a), Val::UInt(b)) => a.partial_cmp(&(*b as f64)),
            (Val::Int(a), Val::Double(b)) => (*a as f64).partial_cmp(b),
            (Val::UInt(a), Val::Double(b)) => (*a as f64).partial_cmp(b),
            (Val::Text(a), Val::Text(b)) => Some((**a).cmp(&**b)),
            (Val::Bytes(a), Val::Bytes(b)) => Some(a.cmp(b)),
            (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
            (Val::Duration(a), Val::Duration(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// For people and tests.
    pub(super) fn shown(&self) -> String {
        match self {
            Val::Text(text) => text.to_string(),
            Val::Bool(is) => is.to_string(),
            Val::Int(number) => number.to_string(),
            Val::UInt(number) => format!("{number}u"),
            Val::Double(number) => number.to_string(),
            Val::Quantity(quantity) => quantity.to_string(),
            Val::Node(value, _) => value.to_string(),
            Val::List(list) => {
                let list: Vec<String> = list.iter().map(Val::shown).collect();
                format!("[{}]", list.join(", "))
            }
            Val::Optional(Some(value)) => format!("some {}", value.shown()),
            Val::Optional(None) => "none".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

/// What is in a list or a map of this type.
fn inner(kind: &Type) -> &Type {
    match kind {
        Type::List(inner, _) | Type::Map(inner) => inner,
        _ => &ANY,
    }
}
