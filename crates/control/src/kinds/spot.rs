//! A place in an object together with its path, so that a rule that is broken says where.
//!
//! Never: types; what is of the wrong one was refused by the schema before.

use std::fmt;

use serde_json::Value;

use crate::failure::Cause;
use crate::object::Object;

/// What stands at a path, if anything does.
#[derive(Clone, Debug)]
pub(super) struct Spot<'a> {
    value: Option<&'a Value>,
    path: String,
}

/// A value as messages show it: JSON.
struct Shown<'a>(Option<&'a Value>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("null"),
        }
    }
}

impl<'a> Spot<'a> {
    /// A field of the object itself.
    pub(super) fn of(object: &'a Object, name: &str) -> Spot<'a> {
        Spot {
            value: object.0.get(name).filter(|value| !value.is_null()),
            path: name.to_owned(),
        }
    }

    /// A field of what is here.
    pub(super) fn field(&self, name: &str) -> Spot<'a> {
        self.below(name, format!("{}.{name}", self.path))
    }

    fn below(&self, name: &str, path: String) -> Spot<'a> {
        let value = self.value.and_then(|value| value.get(name));
        let value = value.filter(|value| !value.is_null());
        Spot { value, path }
    }

    /// The elements of the list that is here.
    pub(super) fn items(&self) -> Vec<Spot<'a>> {
        let list = self.value.and_then(Value::as_array);
        let list = list.into_iter().flatten().enumerate();
        list.map(|(index, value)| Spot {
            value: Some(value),
            path: format!("{}[{index}]", self.path),
        })
        .collect()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What is here.
    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// Whether anything is.
    pub(super) fn is_there(&self) -> bool {
        self.value.is_some()
    }

    /// Whether nothing is, or an empty list, map or text.
    pub(super) fn is_empty(&self) -> bool {
        match self.value {
            None => true,
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        }
    }

    /// The text that is here; empty where there is none.
    pub(super) fn text(&self) -> &'a str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether `true` is here.
    pub(super) fn is_true(&self) -> bool {
        self.value == Some(&Value::Bool(true))
    }

    /// It cannot be meant.
    pub(super) fn invalid(&self, why: &str) -> Cause {
        Cause::invalid(self.path.as_str(), Shown(self.value), why)
    }

    /// It is missing.
    pub(super) fn required(&self, why: &str) -> Cause {
        Cause::required(self.path.as_str(), why)
    }

    /// It may not be here, or not be changed.
    pub(super) fn forbidden(&self, why: &str) -> Cause {
        Cause::forbidden(self.path.as_str(), why)
    }

    /// It is none of those there are.
    pub(super) fn unsupported(&self, known: &[&str]) -> Cause {
        Cause::unsupported(self.path.as_str(), self.text(), known)
    }

    /// A text that is there has to be one of `known`.
    pub(super) fn one_of(&self, known: &[&str]) -> Option<Cause> {
        let is_known = !self.is_there() || known.contains(&self.text());
        (!is_known).then(|| self.unsupported(known))
    }

    /// A text has to be there, and one of `known`.
    pub(super) fn needed_of(&self, known: &[&str]) -> Option<Cause> {
        if self.is_empty() {
            Some(self.required(""))
        } else {
            self.one_of(known)
        }
    }

    /// Something has to be there.
    pub(super) fn needed(&self, why: &str) -> Option<Cause> {
        self.is_empty().then(|| self.required(why))
    }

    /// A text that is there and not empty has to have this shape.
    pub(super) fn shaped(&self, check: fn(&str) -> Result<(), &'static str>) -> Option<Cause> {
        if self.is_empty() {
            return None;
        }
        check(self.text()).err().map(|why| self.invalid(why))
    }

    /// A text has to be there and have this shape.
    pub(super) fn needed_shaped(
        &self,
        check: fn(&str) -> Result<(), &'static str>,
    ) -> Option<Cause> {
        self.needed("").or_else(|| self.shaped(check))
    }

    /// It has to be what it was.
    pub(super) fn unchanged(&self, old: &Spot<'_>) -> Option<Cause> {
        (self.value != old.value).then(|| self.invalid("field is immutable"))
    }
}
