//! A place in an object: what is there, and how it is named.
//!
//! Its path is made into text only when there is something to say about it.

use serde_json::Value;

use crate::object::Object;

/// A place; there may be nothing. Null is nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'p, 'v> {
    value: Option<&'v Value>,
    step: Step<'p>,
    above: Option<&'p Spot<'p, 'v>>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Field(&'p str),
    Index(usize),
    Key(&'p str),
}

impl<'p, 'v> Spot<'p, 'v> {
    /// A field of an object: `spec`.
    pub(crate) fn of(object: &'v Object, name: &'p str) -> Spot<'p, 'v> {
        Spot {
            value: object.0.get(name).filter(|value| !value.is_null()),
            step: Step::Field(name),
            above: None,
        }
    }

    fn below<'a>(&'a self, step: Step<'a>, value: Option<&'v Value>) -> Spot<'a, 'v> {
        Spot {
            value: value.filter(|value| !value.is_null()),
            step,
            above: Some(self),
        }
    }

    /// A field of what is here.
    pub(crate) fn at<'a>(&'a self, name: &'a str) -> Spot<'a, 'v> {
        self.below(
            Step::Field(name),
            self.value.and_then(|value| value.get(name)),
        )
    }

    /// An entry of the map that is here, there or not.
    pub(crate) fn key<'a>(&'a self, key: &'a str) -> Spot<'a, 'v> {
        self.below(Step::Key(key), self.value.and_then(|value| value.get(key)))
    }

    /// The elements of the list that is here.
    pub(crate) fn items<'a>(&'a self) -> impl Iterator<Item = Spot<'a, 'v>> {
        let list = self
            .value
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let item = |(at, value): (usize, &'v Value)| self.below(Step::Index(at), Some(value));
        list.iter().enumerate().map(item)
    }

    /// The entries of the map that is here, with their keys.
    pub(crate) fn entries<'a>(&'a self) -> impl Iterator<Item = (&'v str, Spot<'a, 'v>)>
    where
        'v: 'a,
    {
        let map = self.value.and_then(Value::as_object);
        let entry = |(key, value): (&'v String, &'v Value)| {
            (key.as_str(), self.below(Step::Key(key), Some(value)))
        };
        map.into_iter().flatten().map(entry)
    }

    /// This place, with what is written at another.
    pub(crate) fn holding(self, value: Option<&'v Value>) -> Spot<'p, 'v> {
        Spot { value, ..self }
    }

    /// What is here.
    pub(crate) fn value(&self) -> Option<&'v Value> {
        self.value
    }

    /// Whether there is something.
    pub(crate) fn is_some(&self) -> bool {
        self.value.is_some()
    }

    /// Whether there is nothing, or nothing in it: no text, no elements.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            None => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Object(map)) => map.is_empty(),
            Some(_) => false,
        }
    }

    /// The text that is here; empty where there is none.
    pub(crate) fn text(&self) -> &'v str {
        self.value.and_then(Value::as_str).unwrap_or_default()
    }

    /// The number that is here.
    pub(crate) fn number(&self) -> Option<i64> {
        self.value.and_then(Value::as_i64)
    }

    /// Whether it says yes.
    pub(crate) fn is_true(&self) -> bool {
        self.value == Some(&Value::Bool(true))
    }

    /// Whether it says no.
    pub(crate) fn is_false(&self) -> bool {
        self.value == Some(&Value::Bool(false))
    }

    /// `spec.containers[0].name`
    pub(crate) fn path(&self) -> String {
        let mut path = self.above.map(Spot::path).unwrap_or_default();
        match self.step {
            Step::Field(name) if path.is_empty() => path.push_str(name),
            Step::Field(name) => {
                path.push('.');
                path.push_str(name);
            }
            Step::Index(at) => path.push_str(&format!("[{at}]")),
            Step::Key(key) => path.push_str(&format!("[{key}]")),
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_have_paths_whether_something_is_there_or_not() {
        let object = json!({ "spec": { "a": [{ "b": null }], "m": { "x/y": 1 } } });
        let object = Object(object.as_object().unwrap().clone());
        let spec = Spot::of(&object, "spec");
        let list = spec.at("a");
        let item = list.items().next().unwrap();
        assert_eq!(item.at("b").path(), "spec.a[0].b");
        assert!(!item.at("b").is_some() && item.at("b").at("c").is_empty());
        let held = item.at("b").holding(spec.at("m").at("x/y").value());
        assert_eq!(
            (held.path().as_str(), held.number()),
            ("spec.a[0].b", Some(1))
        );
        let map = spec.at("m");
        let (key, entry) = map.entries().next().unwrap();
        assert_eq!(
            (key, entry.path().as_str(), entry.number()),
            ("x/y", "spec.m[x/y]", Some(1))
        );
    }
}
