//! An object as it is read and written: JSON with metadata.
//!
//! Never: typed; a kind's own code reads what it needs.

use serde_json::{Map, Value};

/// A JSON object of any kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(pub Map<String, Value>);

impl Object {
    /// The metadata; empty where there is none.
    pub fn meta(&self) -> Meta<'_> {
        Meta(self.0.get("metadata").and_then(Value::as_object))
    }

    /// The metadata, made if there is none.
    pub fn meta_mut(&mut self) -> &mut Map<String, Value> {
        let meta = self
            .0
            .entry("metadata")
            .or_insert_with(|| Map::new().into());
        if !meta.is_object() {
            *meta = Map::new().into();
        }
        meta.as_object_mut().expect("it is one")
    }

    /// What is at `path`: names of fields, from the outermost on.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.0.get(*first)?, |value, name| value.get(name))
    }

    /// The text at `path`.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }

    /// A condition of its status, if it has it.
    pub fn condition(&self, name: &str) -> Option<&Value> {
        let all = self.at(&["status", "conditions"])?.as_array()?;
        all.iter().find(|one| one["type"] == name)
    }

    /// Whether a condition of its status is true.
    pub fn has_condition(&self, name: &str) -> bool {
        self.condition(name)
            .is_some_and(|one| one["status"] == "True")
    }

    /// Sets a metadata field, or removes it.
    pub fn set_meta(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.meta_mut().insert(name.to_owned(), value),
            None => self.meta_mut().remove(name),
        };
    }
}

/// An object's metadata.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a>(Option<&'a Map<String, Value>>);

impl<'a> Meta<'a> {
    /// A text field; empty where it is absent.
    pub fn text(self, name: &str) -> &'a str {
        let value = self.0.and_then(|meta| meta.get(name));
        value.and_then(Value::as_str).unwrap_or_default()
    }

    /// Its name.
    pub fn name(self) -> &'a str {
        self.text("name")
    }

    /// Its namespace; empty for what is in none.
    pub fn namespace(self) -> &'a str {
        self.text("namespace")
    }

    /// A map of texts, as labels and annotations are.
    pub fn map(self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let map = self.0.and_then(|meta| meta.get(name)?.as_object());
        map.into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// A label's value.
    pub fn label(self, name: &str) -> Option<&'a str> {
        self.0?.get("labels")?.get(name)?.as_str()
    }

    /// An annotation's value.
    pub fn annotation(self, name: &str) -> Option<&'a str> {
        self.0?.get("annotations")?.get(name)?.as_str()
    }

    /// What has to be done before it is gone.
    pub fn finalizers(self) -> impl Iterator<Item = &'a str> {
        let list = self.0.and_then(|meta| meta.get("finalizers")?.as_array());
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether it is being deleted.
    pub fn is_deleting(self) -> bool {
        !self.text("deletionTimestamp").is_empty()
    }
}
