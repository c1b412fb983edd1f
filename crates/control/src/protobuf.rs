//! Objects as Kubernetes' typed clients send them: protobuf, read to what JSON would have said.
//!
//! Owns: the envelope, and how a message becomes JSON, by the kind's schema and the numbers of its
//! fields. Never: writes protobuf; every client that sends it takes JSON.
//!
//! ```text
//!   "k8s\0" Unknown { typeMeta { apiVersion, kind }, raw ─► the object's message }
//!
//!   message ─► number ─► name (numbers.txt) ─► schema: what the value is ─► JSON
//! ```

mod numbers;
mod reader;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

pub(crate) use self::numbers::is_silent;
use self::numbers::{Field, Message};
use self::reader::{Reader, Wire};
use crate::schema::{Node, Rest, Schema, Shape};

/// How Kubernetes marks it (`runtime/serializer/protobuf`).
const MAGIC: &[u8] = b"k8s\0";
/// Deepest nesting, as JSON's.
const DEEPEST: usize = 128;

/// Its media type.
pub const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// Reads an object with its envelope.
///
/// # Errors
/// It is none, broken, or of a type that has no protobuf form.
pub fn decode(schema: &Schema, bytes: &[u8]) -> Result<Value, String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("it does not begin with k8s\\0")?;
    let (mut kind, mut raw) = (Map::new(), &[][..]);
    for field in Reader::new(rest) {
        match field? {
            (1, Wire::Bytes(found)) => kind = type_of(found)?,
            (2, Wire::Bytes(found)) => raw = found,
            (3, Wire::Bytes(found)) if !found.is_empty() => {
                return Err("its content is encoded, and that is not supported".to_owned());
            }
            _ => {}
        }
    }
    let root = numbers::of(schema.name())
        .ok_or_else(|| format!("{} has no protobuf form", schema.name()))?;
    let mut object = Map::new();
    let place = Place {
        schema,
        node: schema.top(),
        message: root,
    };
    place.read(0, raw, DEEPEST, &mut object)?;
    object.append(&mut kind);
    Ok(Value::Object(object))
}

/// `TypeMeta`
fn type_of(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut kind = Map::new();
    for field in Reader::new(bytes) {
        let (number, wire) = field?;
        let name = match number {
            1 => "apiVersion",
            2 => "kind",
            _ => continue,
        };
        kind.insert(name.to_owned(), text(wire)?.into());
    }
    Ok(kind)
}

/// A message, and what is known of it.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: &'a Schema,
    node: &'a Node,
    message: &'a Message,
}

impl Place<'_> {
    /// Reads the fields of the message, or of the one its field `inline` holds.
    fn read(
        self,
        inline: u32,
        bytes: &[u8],
        depth: usize,
        object: &mut Map<String, Value>,
    ) -> Result<(), String> {
        let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
        for part in Reader::new(bytes) {
            let (number, wire) = part?;
            if inline == 0 && self.message.is_inline(number) {
                let Wire::Bytes(inner) = wire else {
                    return Err(format!("field {number} is no message"));
                };
                self.read(number, inner, depth, object)?;
                continue;
            }
            // Fields of later versions are passed over, as protobuf means it.
            let Some(field) = self.message.field(inline, number) else {
                continue;
            };
            let Some(node) = self.schema.field(self.node, field.name) else {
                continue;
            };
            self.put(field, node, wire, depth, object)
                .map_err(|why| format!("{}: {why}", field.name))?;
        }
        Ok(())
    }

    /// Puts one occurrence of a field where it belongs.
    fn put(
        self,
        field: &Field,
        node: &Node,
        wire: Wire<'_>,
        depth: usize,
        object: &mut Map<String, Value>,
    ) -> Result<(), String> {
        match self.schema.follow(node) {
            Shape::List(item, _) => {
                let list = object
                    .entry(field.name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                let value = value(self.schema, item, wire, depth)?;
                if let Some(list) = list.as_array_mut() {
                    list.push(value.unwrap_or_default());
                }
            }
            Shape::Object {
                fields,
                rest: Rest::Of(item),
                ..
            } if fields.is_empty() => {
                let Wire::Bytes(entry) = wire else {
                    return Err("it is no map".to_owned());
                };
                let (key, value) = entry_of(self.schema, item, entry, depth)?;
                let map = object
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Some(map) = map.as_object_mut() {
                    map.insert(key, value);
                }
            }
            _ => {
                let found = value(self.schema, node, wire, depth)?;
                if let Some(found) = found.filter(|value| field.says_zero || !is_zero(value)) {
                    object.insert(field.name.to_owned(), found);
                }
            }
        }
        Ok(())
    }
}

/// What Go leaves out of JSON: fields that are always on the wire, and say nothing.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(flag) => !flag,
        _ => false,
    }
}

/// An entry of a map: key 1, value 2.
fn entry_of(
    schema: &Schema,
    item: &Node,
    bytes: &[u8],
    depth: usize,
) -> Result<(String, Value), String> {
    let (mut key, mut found) = (String::new(), None);
    for part in Reader::new(bytes) {
        match part? {
            (1, wire) => key = text(wire)?,
            (2, wire) => found = value(schema, item, wire, depth)?,
            _ => {}
        }
    }
    let empty = || match schema.follow(item) {
        Shape::Object { .. } => Value::Object(Map::new()),
        Shape::List(..) => Value::Array(Vec::new()),
        _ => "".into(),
    };
    Ok((key, found.unwrap_or_else(empty)))
}

/// Nothing: a time that was not set.
fn value(
    schema: &Schema,
    node: &Node,
    wire: Wire<'_>,
    depth: usize,
) -> Result<Option<Value>, String> {
    let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
    let name = match &node.shape {
        Shape::Named(name) => &**name,
        _ => "",
    };
    let own = name.rsplit('.').next().unwrap_or_default();
    Ok(Some(match (schema.follow(node), wire) {
        (Shape::IntOrString, Wire::Bytes(bytes)) if own == "Quantity" => first_text(bytes)?.into(),
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Time, Wire::Bytes(bytes)) => return time(own == "MicroTime", bytes),
        (Shape::Bytes, Wire::Bytes(bytes)) => BASE64.encode(bytes).into(),
        (Shape::Text, wire) => text(wire)?.into(),
        (Shape::Bool, Wire::Number(number)) => (number != 0).into(),
        // Negative numbers are sign-extended.
        (Shape::Integer(_), Wire::Number(number)) => number.cast_signed().into(),
        (Shape::Number, Wire::Fixed(bits)) => f64::from_bits(bits).into(),
        // A list that is a map's value: it has a message of its own.
        (Shape::List(item, _), Wire::Bytes(bytes)) => {
            let mut list = Vec::new();
            for part in Reader::new(bytes) {
                let (_, wire) = part?;
                list.extend(value(schema, item, wire, depth)?);
            }
            list.into()
        }
        (Shape::Object { .. } | Shape::Any, Wire::Bytes(bytes)) => match numbers::of(name) {
            Some(message) => {
                let place = Place {
                    schema,
                    node,
                    message,
                };
                let mut object = Map::new();
                place.read(0, bytes, depth, &mut object)?;
                object.into()
            }
            None => json(bytes)?,
        },
        (_, wire) => return Err(format!("{} is not what it should be", wire.told())),
    }))
}

/// Types that hold JSON: `RawExtension`, `FieldsV1`, `JSON`.
fn json(bytes: &[u8]) -> Result<Value, String> {
    for part in Reader::new(bytes) {
        if let (1, Wire::Bytes(raw)) = part? {
            let decoded = crate::decode::json(raw)?;
            return Ok(decoded.value);
        }
    }
    Ok(Map::new().into())
}

fn first_text(bytes: &[u8]) -> Result<String, String> {
    for part in Reader::new(bytes) {
        if let (1, wire) = part? {
            return text(wire);
        }
    }
    // A quantity that was not set is none.
    Ok("0".to_owned())
}

/// Type 1, which says what counts: number 2 or text 3.
fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number, mut words) = (false, 0, String::new());
    for part in Reader::new(bytes) {
        match part? {
            (1, Wire::Number(kind)) => is_text = kind != 0,
            (2, Wire::Number(found)) => number = found.cast_signed(),
            (3, wire) => words = text(wire)?,
            _ => {}
        }
    }
    Ok(if is_text { words.into() } else { number.into() })
}

/// Seconds 1, nanoseconds 2.
fn time(is_micro: bool, bytes: &[u8]) -> Result<Option<Value>, String> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    for part in Reader::new(bytes) {
        match part? {
            (1, Wire::Number(found)) => seconds = found.cast_signed(),
            (2, Wire::Number(found)) => nanos = found.cast_signed(),
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Ok(None);
    }
    let nanos = i32::try_from(nanos).map_err(|_| "it is no time".to_owned())?;
    let time = jiff::Timestamp::new(seconds, if is_micro { nanos } else { 0 })
        .map_err(|error| error.to_string())?;
    Ok(Some(if is_micro {
        format!("{time:.6}").into()
    } else {
        time.to_string().into()
    }))
}

fn text(wire: Wire<'_>) -> Result<String, String> {
    match wire {
        Wire::Bytes(bytes) => {
            String::from_utf8(bytes.to_vec()).map_err(|_| "it is not UTF-8".into())
        }
        other => Err(format!("{} is no text", other.told())),
    }
}

#[cfg(test)]
mod tests;
