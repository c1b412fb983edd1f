//! The hash in the names of generated objects: another content is another object.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

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

/// The hash of what an object holds.
fn of(value: &Value) -> String {
    let or_empty = |value: &Value| match value {
        Value::Null => "".into(),
        value => value.clone(),
    };
    let kind = value["kind"].as_str().unwrap_or_default();
    let mut hashed = Map::new();
    let (kept, extra): (&[&str], &str) = match kind {
        "Secret" => (&["type", "data"], "stringData"),
        _ => (&["data"], "binaryData"),
    };
    hashed.insert("kind".to_owned(), kind.into());
    // Kustomize means to hash the name, and never has.
    hashed.insert("name".to_owned(), "".into());
    for field in kept {
        hashed.insert((*field).to_owned(), or_empty(&value[*field]));
    }
    if value[extra].is_object() {
        hashed.insert(extra.to_owned(), value[extra].clone());
    }
    let digest = Sha256::digest(as_go(&json!(hashed)));
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

/// JSON as Go writes it: fit to stand in HTML.
fn as_go(value: &Value) -> String {
    let mut out = String::new();
    for letter in value.to_string().chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
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
}
