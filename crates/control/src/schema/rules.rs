//! What a definition's schema says of values beyond their type: bounds, patterns, defaults, and
//! how schemas are joined (OpenAPI v3.0, as CustomResourceDefinitions have it).
//!
//! Never: unbounded; patterns are matched in linear time, and of bounded size.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::check::MISTAKES_MAX;
use super::embedded;
use super::formats::is_of_format;
use crate::failure::Cause;

/// Largest compiled pattern, in bytes.
const PATTERN_MAX: usize = 1 << 20;

/// The rules of a schema.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) document: Value,
    /// Whether there are objects within the object.
    pub(super) embeds: bool,
    patterns: HashMap<String, Regex>,
}

/// Compiles a pattern.
///
/// # Errors
/// It is none, or too large.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(PATTERN_MAX).build();
    built.map_err(|error| error.to_string())
}

impl Rules {
    pub(super) fn of(document: &Value) -> Rules {
        let mut patterns = HashMap::new();
        gather(document, &mut patterns);
        let mut document = document.clone();
        // Types that are referred to have no rules.
        if let Some(map) = document.as_object_mut() {
            map.remove("$defs");
        }
        Rules {
            embeds: embedded::are_within(&document),
            document,
            patterns,
        }
    }

    /// Puts defaults where something was left out.
    pub(super) fn fill(&self, object: &mut Map<String, Value>) {
        fill_object(&self.document, object);
    }

    /// Everything that breaks a rule.
    pub(super) fn check(&self, object: &Map<String, Value>) -> Vec<Cause> {
        let mut walk = Walk {
            rules: self,
            path: String::new(),
            causes: Vec::new(),
        };
        walk.object(&self.document, object);
        walk.joined(&self.document, &Value::Object(object.clone()));
        walk.causes
    }
}

fn gather(schema: &Value, patterns: &mut HashMap<String, Regex>) {
    match schema {
        Value::Object(map) => {
            if let Some(text) = map.get("pattern").and_then(Value::as_str)
                && let Ok(regex) = pattern(text)
            {
                patterns.insert(text.to_owned(), regex);
            }
            map.values().for_each(|value| gather(value, patterns));
        }
        Value::Array(list) => list.iter().for_each(|value| gather(value, patterns)),
        _ => {}
    }
}

fn fill_object(schema: &Value, object: &mut Map<String, Value>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if let (None, Some(default)) = (object.get(name), schema.get("default")) {
            object.insert(name.clone(), default.clone());
        }
        if let Some(value) = object.get_mut(name) {
            fill(schema, value);
        }
    }
    if let Some(rest) = schema.get("additionalProperties").filter(|s| s.is_object()) {
        let is_named = |name: &str| properties.is_some_and(|known| known.contains_key(name));
        for (name, value) in object.iter_mut() {
            if !is_named(name) {
                fill(rest, value);
            }
        }
    }
}

fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => fill_object(schema, map),
        Value::Array(list) => {
            if let Some(items) = schema.get("items") {
                list.iter_mut().for_each(|value| fill(items, value));
            }
        }
        _ => {}
    }
}

struct Walk<'a> {
    rules: &'a Rules,
    path: String,
    causes: Vec<Cause>,
}

impl Walk<'_> {
    fn wrong(&mut self, value: &Value, why: &str) {
        if self.causes.len() < MISTAKES_MAX {
            let why = format!("{} in body {why}", self.path);
            let shown = shown(value);
            let message = format!("Invalid value: {shown}: {why}");
            self.causes.push(Cause {
                reason: "FieldValueInvalid",
                field: self.path.clone(),
                message,
            });
        }
    }

    fn below(&mut self, step: &str, visit: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        self.path.push_str(step);
        visit(self);
        self.path.truncate(before);
    }

    fn field(&mut self, name: &str, schema: &Value, value: &Value) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.below(&format!("{dot}{name}"), |walk| walk.value(schema, value));
    }

    fn value(&mut self, schema: &Value, value: &Value) {
        if value.is_null() {
            return;
        }
        if let Some(known) = schema.get("enum").and_then(Value::as_array)
            && !known.contains(value)
        {
            let known: Vec<String> = known.iter().map(Value::to_string).collect();
            let known = known.join(", ");
            self.causes.push(Cause {
                reason: "FieldValueNotSupported",
                field: self.path.clone(),
                message: format!(
                    "Unsupported value: {}: supported values: {known}",
                    shown(value)
                ),
            });
        }
        match value {
            Value::String(text) => self.text(schema, text, value),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or(0.0), value),
            Value::Array(list) => self.list(schema, list, value),
            Value::Object(map) => self.object(schema, map),
            Value::Null | Value::Bool(_) => {}
        }
        self.joined(schema, value);
    }

    fn text(&mut self, schema: &Value, text: &str, value: &Value) {
        let length = text.chars().count() as u64;
        if let Some(least) = bound(schema, "minLength").filter(|least| length < *least) {
            self.wrong(value, &format!("should be at least {least} chars long"));
        }
        if let Some(most) = bound(schema, "maxLength").filter(|most| length > *most) {
            self.wrong(value, &format!("should be at most {most} chars long"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            let regex = self.rules.patterns.get(pattern);
            if regex.is_some_and(|regex| !regex.is_match(text)) {
                self.wrong(value, &format!("should match '{pattern}'"));
            }
        }
        let format = schema.get("format").and_then(Value::as_str);
        if let Some(format) = format.filter(|format| !is_of_format(format, text)) {
            self.wrong(value, &format!("must be of type {format}"));
        }
    }

    fn number(&mut self, schema: &Value, number: f64, value: &Value) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
        if let Some(least) = limit("minimum") {
            match flag("exclusiveMinimum") {
                true if number <= least => {
                    self.wrong(value, &format!("should be greater than {least}"));
                }
                false if number < least => {
                    self.wrong(
                        value,
                        &format!("should be greater than or equal to {least}"),
                    );
                }
                _ => {}
            }
        }
        if let Some(most) = limit("maximum") {
            match flag("exclusiveMaximum") {
                true if number >= most => {
                    self.wrong(value, &format!("should be less than {most}"));
                }
                false if number > most => {
                    self.wrong(value, &format!("should be less than or equal to {most}"));
                }
                _ => {}
            }
        }
        if let Some(of) = limit("multipleOf").filter(|of| *of > 0.0) {
            let times = number / of;
            if (times - times.round()).abs() > f64::EPSILON * times.abs().max(1.0) {
                self.wrong(value, &format!("should be a multiple of {of}"));
            }
        }
    }

    fn list(&mut self, schema: &Value, list: &[Value], value: &Value) {
        let length = list.len() as u64;
        if let Some(least) = bound(schema, "minItems").filter(|least| length < *least) {
            self.wrong(value, &format!("should have at least {least} items"));
        }
        if let Some(most) = bound(schema, "maxItems").filter(|most| length > *most) {
            self.wrong(value, &format!("should have at most {most} items"));
        }
        for (index, duplicate) in duplicates(schema, list) {
            let at = format!("{}[{index}]", self.path);
            self.causes
                .push(Cause::duplicate(at, format_args!("{duplicate}")));
        }
        if let Some(items) = schema.get("items") {
            for (index, value) in list.iter().enumerate() {
                self.below(&format!("[{index}]"), |walk| walk.value(items, value));
            }
        }
    }

    fn object(&mut self, schema: &Value, map: &Map<String, Value>) {
        let length = map.len() as u64;
        let whole = || Value::Object(map.clone());
        if let Some(least) = bound(schema, "minProperties").filter(|least| length < *least) {
            self.wrong(
                &whole(),
                &format!("should have at least {least} properties"),
            );
        }
        if let Some(most) = bound(schema, "maxProperties").filter(|most| length > *most) {
            self.wrong(&whole(), &format!("should have at most {most} properties"));
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let rest = schema
            .get("additionalProperties")
            .filter(|rest| rest.is_object());
        for (name, value) in map {
            let schema = properties.and_then(|known| known.get(name)).or(rest);
            if let Some(schema) = schema {
                self.field(name, schema, value);
            }
        }
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`.
    fn joined(&mut self, schema: &Value, value: &Value) {
        let all = |name: &str| schema.get(name).and_then(Value::as_array);
        if let Some(schemas) = all("allOf")
            && !schemas.iter().all(|schema| self.holds(schema, value))
        {
            self.wrong(value, "must validate all the schemas (allOf)");
        }
        if let Some(schemas) = all("anyOf")
            && !schemas.iter().any(|schema| self.holds(schema, value))
        {
            self.wrong(value, "must validate at least one schema (anyOf)");
        }
        if let Some(schemas) = all("oneOf") {
            let found = schemas.iter().filter(|schema| self.holds(schema, value));
            match found.count() {
                1 => {}
                0 => self.wrong(
                    value,
                    "must validate one and only one schema (oneOf). Found none valid",
                ),
                count => {
                    let why = format!(
                        "must validate one and only one schema (oneOf). Found {count} valid"
                    );
                    self.wrong(value, &why);
                }
            }
        }
        if schema
            .get("not")
            .is_some_and(|schema| self.holds(schema, value))
        {
            self.wrong(value, "must not validate the schema (not)");
        }
    }

    /// Whether a schema holds that is joined with others: it may say only a part.
    fn holds(&self, schema: &Value, value: &Value) -> bool {
        let is_type = match (schema.get("type").and_then(Value::as_str), value) {
            (Some("object"), value) => value.is_object(),
            (Some("array"), value) => value.is_array(),
            (Some("string"), value) => value.is_string(),
            (Some("integer"), value) => value.is_i64() || value.is_u64(),
            (Some("number"), value) => value.is_number(),
            (Some("boolean"), value) => value.is_boolean(),
            _ => true,
        };
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        let has_all =
            |map: &Map<String, Value>| required.clone().all(|name| map.contains_key(name));
        if !is_type || !value.as_object().is_none_or(has_all) {
            return false;
        }
        let mut walk = Walk {
            rules: self.rules,
            path: String::new(),
            causes: Vec::new(),
        };
        walk.value(schema, value);
        walk.parts(schema, value);
        walk.causes.is_empty()
    }

    /// `required` and types of parts, which the shape has checked where it is not joined.
    fn parts(&mut self, schema: &Value, value: &Value) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            if let Some(value) = value.get(name)
                && !self.holds(schema, value)
            {
                self.wrong(value, "does not hold");
            }
        }
    }
}

fn bound(schema: &Value, name: &str) -> Option<u64> {
    schema.get(name).and_then(Value::as_u64)
}

/// How a message shows a value: texts whole, the rest by its kind.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "object".to_owned(),
        Value::Array(_) => "array".to_owned(),
        value => value.to_string(),
    }
}

/// Elements that must not be there twice, and are: with their places.
fn duplicates<'a>(schema: &Value, list: &'a [Value]) -> Vec<(usize, &'a Value)> {
    let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str);
    let keys: Vec<&str> = match kind {
        Some("map") => {
            let keys = schema.get("x-kubernetes-list-map-keys");
            let keys = keys.and_then(Value::as_array).into_iter().flatten();
            keys.filter_map(Value::as_str).collect()
        }
        Some("set") => Vec::new(),
        _ => return Vec::new(),
    };
    let key = |value: &Value| match keys.is_empty() {
        true => value.to_string(),
        false => {
            let keys = keys.iter().map(|key| value.get(key).map(Value::to_string));
            format!("{:?}", keys.collect::<Vec<_>>())
        }
    };
    let mut seen = std::collections::HashSet::new();
    let twice = list
        .iter()
        .enumerate()
        .filter(|(_, value)| !seen.insert(key(value)));
    twice.collect()
}

#[cfg(test)]
mod tests;
