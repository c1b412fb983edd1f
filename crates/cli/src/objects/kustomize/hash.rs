//! The hash in the names of generated objects: another content is another object.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use weft_stdx::jsonpath::escape_html;

use super::id::Resource;

/// Letters of a hash.
const LENGTH: usize = 10;

/// Puts hashes behind the names of those that get one.
pub fn add(resources: &mut [Resource]) {
    for one in resources.iter_mut().filter(|one| one.is_hashed) {
        let name = one.id().name;
        let hash = of(&one.value);
        one.rename(format!("{name}-{hash}"));
    }
}

/// The hash of what an object holds, as kubectl has it: the name is hashed as well, and no data are
/// empty data.
pub fn with_name(value: &Value) -> String {
    let data = match &value["data"] {
        Value::Null => json!({}),
        data => data.clone(),
    };
    hashed(value, &value["metadata"]["name"], &data)
}

/// The hash of what an object holds.
fn of(value: &Value) -> String {
    // Kustomize means to hash the name, and never has.
    hashed(value, &"".into(), &or_empty(&value["data"]))
}

fn or_empty(value: &Value) -> Value {
    match value {
        Value::Null => "".into(),
        value => value.clone(),
    }
}

fn hashed(value: &Value, name: &Value, data: &Value) -> String {
    let kind = &value["kind"];
    let mut hashed = json!({ "kind": kind, "name": name, "data": data });
    let extra = match kind == "Secret" {
        true => "stringData",
        false => "binaryData",
    };
    if kind == "Secret" {
        hashed["type"] = or_empty(&value["type"]);
    }
    if value[extra].is_object() {
        hashed[extra] = value[extra].clone();
    }
    let digest = Sha256::digest(escape_html(&hashed.to_string()));
    let letters = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    letters.take(LENGTH).map(letter).collect()
}

/// Hexadecimal, without what could make a word.
fn letter(digit: u8) -> char {
    match digit {
        0 => 'g',
        1 => 'h',
        3 => 'k',
        10 => 'm',
        14 => 't',
        other => char::from_digit(other.into(), 16).unwrap_or('g'),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_kustomizes() {
        let map =
            |data: Value| json!({ "kind": "ConfigMap", "metadata": { "name": "a" }, "data": data });
        for (value, hash) in [
            (
                json!({ "kind": "ConfigMap", "metadata": { "name": "a" } }),
                "6ct58987ht",
            ),
            (map(json!({ "x": "1" })), "hmg6f82fh6"),
        ] {
            assert_eq!(of(&value), hash, "{value}");
        }
        assert_ne!(
            of(&map(json!({ "x": "<" }))),
            of(&map(json!({ "x": "\\u003c" })))
        );
    }

    #[test]
    fn hashes_with_names_are_kubectls() {
        let object = |kind: &str, rest: Value| {
            let mut object = json!({ "kind": kind, "metadata": { "name": "x" } });
            for (field, value) in rest.as_object().unwrap() {
                object[field] = value.clone();
            }
            object
        };
        let (map, secret) = ("ConfigMap", "Secret");
        for (kind, rest, hash) in [
            (map, json!({}), "62ctbmbfd2"),
            (map, json!({ "data": { "a": "<b>" } }), "c5f96f85kc"),
            (
                map,
                json!({ "binaryData": { "bin": "/wAB" } }),
                "t6mc2d7d8h",
            ),
            (secret, json!({}), "b8485c8589"),
            (secret, json!({ "data": { "a": "Yg==" } }), "k694gm4m9h"),
            (
                secret,
                json!({ "type": "foo", "data": { "a": "Yg==" } }),
                "cgkmm9287h",
            ),
        ] {
            assert_eq!(with_name(&object(kind, rest)), hash, "{kind} {hash}");
        }
    }
}
