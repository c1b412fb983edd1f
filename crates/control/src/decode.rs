//! JSON and YAML as clients send them, with what is wrong in them.
//!
//! Never: stops at a field that stands there twice: the last one counts, as in Go, and it is told.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::schema::MISTAKES_MAX;

/// A document, and the paths of fields that stand there more than once.
#[derive(Debug)]
pub struct Decoded {
    /// What it says.
    pub value: Value,
    /// `spec.replicas`; the first of them.
    pub duplicates: Vec<String>,
}

/// Reads JSON. Nesting is bounded by the reader (128).
///
/// # Errors
/// In words, with line and column.
pub fn json(bytes: &[u8]) -> Result<Decoded, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let decoded = read(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(decoded)
}

/// Reads what `reader` gives, which hands on keys that stand there twice.
///
/// # Errors
/// The reader's.
pub fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<Decoded, D::Error> {
    let duplicates = RefCell::new(Vec::new());
    let path = RefCell::new(String::new());
    let seed = Any {
        duplicates: &duplicates,
        path: &path,
    };
    let value = seed.deserialize(reader)?;
    Ok(Decoded {
        value,
        duplicates: duplicates.into_inner(),
    })
}

#[derive(Clone, Copy)]
struct Any<'a> {
    duplicates: &'a RefCell<Vec<String>>,
    path: &'a RefCell<String>,
}

impl Any<'_> {
    /// Runs `read` with the path one step longer.
    fn below<T>(self, step: fmt::Arguments<'_>, read: impl FnOnce() -> T) -> T {
        let before = self.path.borrow().len();
        fmt::Write::write_fmt(&mut *self.path.borrow_mut(), step).expect("a string takes all");
        let result = read();
        self.path.borrow_mut().truncate(before);
        result
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let step = format!("[{}]", list.len());
            let read = || items.next_element_seed(self);
            match self.below(format_args!("{step}"), read)? {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let dot = if self.path.borrow().is_empty() {
                ""
            } else {
                "."
            };
            let read = || {
                let mut duplicates = self.duplicates.borrow_mut();
                if map.contains_key(&name) && duplicates.len() < MISTAKES_MAX {
                    duplicates.push(self.path.borrow().clone());
                }
                drop(duplicates);
                fields.next_value_seed(self)
            };
            let value = self.below(format_args!("{dot}{name}"), read)?;
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_told_by_their_path() {
        let decoded = json(br#"{"a":{"b":1,"b":[2]},"c":[{"d":1},{"d":1,"d":2}],"a":3}"#).unwrap();
        assert_eq!(decoded.duplicates, ["a.b", "c[1].d", "a"]);
        assert_eq!(decoded.value["a"], 3);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{}x", "[1,]", "nul", "{\"a\":}"] {
            assert!(json(text.as_bytes()).is_err(), "{text}");
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(json(&deep).is_err());
    }
}
