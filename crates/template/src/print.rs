//! Values as Go prints them.

use serde_json::{Number, Value};

use super::eval::Val;

/// What it is, for people.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// `%v`
pub fn plain(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => out.push_str(&number(value)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                plain(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push_str("map[");
            for (at, (key, value)) in sorted(members).into_iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                plain(out, value);
            }
            out.push(']');
        }
    }
}

/// Members by key.
pub fn sorted(members: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut all: Vec<_> = members.iter().collect();
    all.sort_by_key(|(key, _)| *key);
    all
}

pub fn number(value: &Number) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(float) => shortest(float),
        None => value.to_string(),
    }
}

/// `%g` with as many digits as are needed.
pub fn shortest(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse().unwrap_or(0) {
        -4..6 => format!("{float}"),
        exponent => format!("{digits}e{}", signed(exponent)),
    }
}

/// An exponent as Go writes it: `+06`.
pub fn signed(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.abs())
}

fn one(out: &mut String, value: &Val<'_>) {
    match value.as_deref() {
        None => out.push_str("<nil>"),
        Some(value) => plain(out, value),
    }
}

/// Side by side; with a space between two where neither is a text.
pub fn sprint(values: &[Val<'_>]) -> String {
    let mut out = String::new();
    let is_text = |value: &Val<'_>| value.as_deref().is_some_and(Value::is_string);
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !is_text(value) && !is_text(&values[at - 1]) {
            out.push(' ');
        }
        one(&mut out, value);
    }
    out
}

/// With a space between two.
pub fn spaced(values: &[Val<'_>]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        one(&mut out, value);
    }
    out
}
