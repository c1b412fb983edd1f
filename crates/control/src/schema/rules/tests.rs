//! Rules of a definition's schema, by what breaks them.

use serde_json::json;

use super::*;

fn rules() -> Rules {
    Rules::of(&json!({
        "properties": {
            "spec": {
                "properties": {
                    "name": { "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 4 },
                    "count": { "minimum": 1, "maximum": 9, "multipleOf": 2, "default": 2 },
                    "share": { "maximum": 1, "exclusiveMaximum": true },
                    "size": { "enum": ["S", "L"], "default": "S" },
                    "hosts": {
                        "minItems": 1, "maxItems": 2, "x-kubernetes-list-type": "set",
                        "items": { "format": "ipv4" },
                    },
                    "parts": {
                        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                        "items": { "properties": { "kind": { "default": "plain" } } },
                    },
                    "ways": { "maxProperties": 1, "additionalProperties": { "minimum": 0 } },
                    "one": { "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] },
                    "any": { "anyOf": [{ "type": "string" }, { "minimum": 5 }] },
                    "not": { "not": { "properties": { "a": { "enum": [1] } }, "required": ["a"] } },
                },
            },
        },
    }))
}

fn told(spec: Value) -> Vec<String> {
    let object = json!({ "spec": spec });
    let causes = rules().check(object.as_object().unwrap());
    causes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_breaks_a_rule_is_told_by_its_path() {
    for (spec, why) in [
        (
            json!({ "name": "A" }),
            &["at least 2 chars", "should match '^[a-z]+$'"][..],
        ),
        (
            json!({ "name": "abcde" }),
            &["spec.name in body should be at most 4 chars long"],
        ),
        (
            json!({ "count": 11 }),
            &["less than or equal to 9", "multiple of 2"],
        ),
        (
            json!({ "count": 0 }),
            &["Invalid value: 0: spec.count in body should be greater than or equal to 1"],
        ),
        (json!({ "share": 1 }), &["should be less than 1"]),
        (
            json!({ "size": "M" }),
            &["Unsupported value: \"M\": supported values: \"S\", \"L\""],
        ),
        (json!({ "hosts": [] }), &["at least 1 items"]),
        (
            json!({ "hosts": ["10.0.0.1", "x", "10.0.0.1"] }),
            &[
                "at most 2 items",
                "spec.hosts[2]: Duplicate value",
                "spec.hosts[1] in body must be of type ipv4",
            ],
        ),
        (
            json!({ "parts": [{ "id": 1 }, { "id": 2 }, { "id": 1 }] }),
            &["spec.parts[2]: Duplicate"],
        ),
        (
            json!({ "ways": { "a": 1, "b": -1 } }),
            &["at most 1 prop", "spec.ways.b in body"],
        ),
        (json!({ "one": {} }), &["Found none valid"]),
        (json!({ "one": { "a": 1, "b": 1 } }), &["Found 2 valid"]),
        (json!({ "any": 4 }), &["(anyOf)"]),
        (json!({ "not": { "a": 1 } }), &["(not)"]),
    ] {
        let found = told(spec.clone());
        assert_eq!(found.len(), why.len(), "{spec}: {found:?}");
        for (found, why) in found.iter().zip(why) {
            assert!(found.contains(why), "{spec}: {found}");
        }
    }
}

#[test]
fn what_is_right_passes() {
    let right = json!({
        "name": "abc", "count": 4, "share": 0.5, "size": "L", "hosts": ["10.0.0.1"],
        "parts": [{ "id": 1 }], "ways": { "a": 1 }, "one": { "a": 1 }, "any": "x",
        "not": { "a": 2 },
    });
    assert_eq!(told(right), [""; 0]);
}

#[test]
fn defaults_fill_what_was_left_out() {
    let object = json!({ "spec": { "count": 4, "parts": [{ "id": 1 }, { "kind": "own" }] } });
    let mut object = object.as_object().unwrap().clone();
    rules().fill(&mut object);
    assert_eq!(
        object["spec"],
        json!({
            "count": 4, "size": "S",
            "parts": [{ "id": 1, "kind": "plain" }, { "kind": "own" }],
        })
    );
    let mut empty = Map::new();
    rules().fill(&mut empty);
    assert!(empty.is_empty(), "defaults do not make what holds them");
}

#[test]
fn duplicates_are_told_as_json() {
    let parts = json!({ "parts": [{ "id": 1 }, { "id": 1 }] });
    assert_eq!(told(parts), [r#"spec.parts[1]: Duplicate value: {"id":1}"#]);
}
