//! A document taken apart key by key: what is wrong or not honoured is told by its path.
//!
//! Owns: that a key nobody asked for is a mistake, but for those that begin with `x-`.

use std::cell::RefCell;

use serde_json::Value;

/// What is told of a file.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) mistakes: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Most of either: a file may be made to be wrong in every byte.
const TOLD_MAX: usize = 64;

impl Sink {
    pub(super) fn wrong(&mut self, path: &str, why: &str) {
        tell(&mut self.mistakes, path, why);
    }

    pub(super) fn note(&mut self, path: &str, what: &str) {
        tell(&mut self.notes, path, what);
    }
}

fn tell(list: &mut Vec<String>, path: &str, what: &str) {
    let told = match path {
        "" => what.to_owned(),
        path => format!("{path}: {what}"),
    };
    if list.len() < TOLD_MAX && !list.contains(&told) {
        list.push(told);
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Spot<'a> {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) sink: &'a RefCell<Sink>,
}

/// An object and where it stands.
pub(super) struct Map<'a> {
    pub(super) path: String,
    map: serde_json::Map<String, Value>,
    pub(super) sink: &'a RefCell<Sink>,
}

fn below(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

impl<'a> Spot<'a> {
    pub(super) fn wrong(&self, why: &str) {
        self.sink.borrow_mut().wrong(&self.path, why);
    }

    pub(super) fn note(&self, what: &str) {
        self.sink.borrow_mut().note(&self.path, what);
    }

    fn or_wrong<T>(&self, found: Option<T>, wanted: &str) -> Option<T> {
        if found.is_none() {
            self.wrong(&format!("it is no {wanted}"));
        }
        found
    }

    /// A text, or what can be written as one.
    pub(super) fn text(&self) -> Option<String> {
        self.or_wrong(plain(&self.value), "text")
    }

    pub(super) fn bool(&self) -> Option<bool> {
        let found = match &self.value {
            Value::Bool(is) => Some(*is),
            // What was filled in is a text.
            Value::String(text) => match text.as_str() {
                "true" | "yes" | "on" | "y" | "1" => Some(true),
                "false" | "no" | "off" | "n" | "0" | "" => Some(false),
                _ => None,
            },
            _ => None,
        };
        self.or_wrong(found, "true or false")
    }

    pub(super) fn integer(&self) -> Option<i64> {
        let found = match &self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        self.or_wrong(found, "whole number")
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Vec<Spot<'a>> {
        let Value::Array(list) = &self.value else {
            self.wrong("it is no list");
            return Vec::new();
        };
        let spots = list.iter().enumerate().map(|(index, value)| Spot {
            path: format!("{}[{index}]", self.path),
            value: value.clone(),
            sink: self.sink,
        });
        spots.collect()
    }

    /// The texts of a list, or a single one.
    pub(super) fn texts(&self) -> Vec<String> {
        match &self.value {
            Value::Array(_) => self.list().iter().filter_map(Spot::text).collect(),
            _ => self.text().into_iter().collect(),
        }
    }

    pub(super) fn map(self) -> Option<Map<'a>> {
        Map::of(self.value, &self.path, self.sink)
    }

    /// `k=v` or `k: v`, as lists and maps of pairs are written; no value: nothing is said of it.
    pub(super) fn pairs(&self) -> Vec<(String, Option<String>)> {
        match &self.value {
            Value::Object(map) => {
                let mut pairs = Vec::new();
                for (key, value) in map {
                    let value = match value {
                        Value::Null => None,
                        value => {
                            let path = below(&self.path, key);
                            let spot = Spot {
                                path,
                                value: value.clone(),
                                sink: self.sink,
                            };
                            match spot.text() {
                                None => continue,
                                text => text,
                            }
                        }
                    };
                    pairs.push((key.clone(), value));
                }
                pairs
            }
            Value::Array(_) => {
                let texts = self.texts().into_iter();
                let pairs = texts.map(|text| match text.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                });
                pairs.collect()
            }
            _ => {
                self.wrong("it is neither a list nor a map");
                Vec::new()
            }
        }
    }
}

impl<'a> Map<'a> {
    pub(super) fn of(value: Value, path: &str, sink: &'a RefCell<Sink>) -> Option<Map<'a>> {
        match value {
            Value::Object(map) => Some(Map {
                path: path.to_owned(),
                map,
                sink,
            }),
            _ => {
                sink.borrow_mut().wrong(path, "it is no map");
                None
            }
        }
    }

    /// The path of a key.
    pub(super) fn at(&self, key: &str) -> String {
        below(&self.path, key)
    }

    pub(super) fn wrong(&self, key: &str, why: &str) {
        self.sink.borrow_mut().wrong(&self.at(key), why);
    }

    pub(super) fn note(&self, key: &str, what: &str) {
        self.sink.borrow_mut().note(&self.at(key), what);
    }

    /// A key that is there; null counts as absent.
    pub(super) fn take(&mut self, key: &str) -> Option<Spot<'a>> {
        let value = self.map.remove(key).filter(|value| !value.is_null())?;
        Some(Spot {
            path: self.at(key),
            value,
            sink: self.sink,
        })
    }

    /// All that is left but extensions, by key; null stays null.
    pub(super) fn each(self) -> Vec<(String, Spot<'a>)> {
        let path = self.path;
        let sink = self.sink;
        let left = self
            .map
            .into_iter()
            .filter(|(key, _)| !key.starts_with("x-"));
        left.map(|(key, value)| {
            let path = below(&path, &key);
            (key, Spot { path, value, sink })
        })
        .collect()
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key)?.text()
    }

    pub(super) fn bool(&mut self, key: &str) -> bool {
        let spot = self.take(key);
        spot.and_then(|spot| spot.bool()).unwrap_or(false)
    }

    pub(super) fn integer(&mut self, key: &str) -> Option<i64> {
        self.take(key)?.integer()
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        self.take(key).map(|spot| spot.texts()).unwrap_or_default()
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<Spot<'a>> {
        self.take(key).map(|spot| spot.list()).unwrap_or_default()
    }

    pub(super) fn pairs(&mut self, key: &str) -> Vec<(String, Option<String>)> {
        self.take(key).map(|spot| spot.pairs()).unwrap_or_default()
    }

    pub(super) fn map(&mut self, key: &str) -> Option<Map<'a>> {
        self.take(key)?.map()
    }

    /// A key that would mean something else here: a mistake where it says anything.
    pub(super) fn no(&mut self, key: &str, why: &str) {
        if let Some(spot) = self.take(key).filter(|spot| says_something(&spot.value)) {
            spot.wrong(why);
        }
    }

    /// A key that is left out, and told.
    pub(super) fn without(&mut self, key: &str, what: &str) {
        if let Some(spot) = self.take(key).filter(|spot| says_something(&spot.value)) {
            spot.note(what);
        }
    }

    /// What is left is not known.
    pub(super) fn end(self) {
        for (_, spot) in self.each() {
            spot.wrong("unknown key");
        }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}
