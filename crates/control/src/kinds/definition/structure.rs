//! Which schemas of definitions can be carried out.

use serde_json::Value;

use super::super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::schema;

/// Types a schema may name.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Parts of a schema that would have to be carried out, and are not.
const UNSUPPORTED: [&str; 7] = [
    "$ref",
    "$schema",
    "additionalItems",
    "definitions",
    "dependencies",
    "id",
    "patternProperties",
];
/// Parts that hold schemas by name.
const NAMED: [&str; 1] = ["properties"];
/// Parts that hold lists of schemas.
const JOINED: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// All other parts.
const PLAIN: [&str; 31] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "pattern",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];
const VALIDATIONS: &str = "x-kubernetes-validations";
pub(super) const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Whether a schema can be carried out. `is_whole`: it stands by itself, so it has a type.
pub(super) fn check_schema(mistakes: &mut Mistakes, at: &Spot<'_, '_>, is_whole: bool) {
    let Some(map) = at.value().and_then(Value::as_object) else {
        mistakes.extend([Cause::type_invalid(at.path(), "no object", "object")]);
        return;
    };
    for name in map.keys().map(String::as_str) {
        if UNSUPPORTED.contains(&name) {
            mistakes.forbidden(&at.at(name), "it is not supported");
        } else if name == VALIDATIONS && !is_whole {
            let why = "rules have to be where the type is, not in what is joined to it";
            mistakes.forbidden(&at.at(name), why);
        } else if !(matches!(name, PRESERVE | VALIDATIONS)
            || PLAIN.contains(&name)
            || NAMED.contains(&name)
            || JOINED.contains(&name))
        {
            mistakes.forbidden(&at.at(name), "it is no part of a schema");
        }
    }
    let kind = at.at("type");
    let is_any = at.at(INT_OR_STRING).is_true() || at.at(PRESERVE).is_true();
    if kind.is_some() {
        mistakes.one_of(&kind, &TYPES);
    } else if is_whole && !is_any {
        mistakes.required(&kind, "must not be empty for specified object fields");
    }
    check_embedded(mistakes, at, is_whole);
    let pattern = at.at("pattern");
    if pattern.is_some()
        && let Err(why) = schema::pattern(pattern.text())
    {
        mistakes.invalid(&pattern, &why);
    }
    let unique = at.at("uniqueItems");
    if unique.is_true() {
        let why = "uniqueItems cannot be set to true: x-kubernetes-list-type: set can";
        mistakes.forbidden(&unique, why);
    }
    check_parts(mistakes, at, is_whole);
}

fn check_embedded(mistakes: &mut Mistakes, at: &Spot<'_, '_>, is_whole: bool) {
    let flag = at.at("x-kubernetes-embedded-resource");
    if !flag.is_true() {
        return;
    }
    if !is_whole {
        mistakes.forbidden(&flag, "it has to be where the type is");
    }
    let (kind, fields) = (at.at("type"), at.at("properties"));
    if kind.text() != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        mistakes.invalid(&kind, why);
    } else if fields.is_empty() && !at.at(PRESERVE).is_true() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        mistakes.required(&fields, why);
    }
}

fn check_parts(mistakes: &mut Mistakes, at: &Spot<'_, '_>, is_whole: bool) {
    for (_, schema) in at.at("properties").entries() {
        check_schema(mistakes, &schema, is_whole);
    }
    for name in ["items", "additionalProperties"] {
        let schema = at.at(name);
        if schema.value().is_some_and(|schema| !schema.is_boolean()) {
            check_schema(mistakes, &schema, is_whole);
        }
    }
    let not = at.at("not");
    if not.is_some() {
        check_schema(mistakes, &not, false);
    }
    for name in JOINED {
        for schema in at.at(name).items() {
            check_schema(mistakes, &schema, false);
        }
    }
}
