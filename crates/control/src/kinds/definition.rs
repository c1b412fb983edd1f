//! CustomResourceDefinition: a kind that somebody defines (`apiextensions.k8s.io/v1`).
//!
//! Owns: which definitions can be carried out. What a kind becomes of one is in `custom.rs`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

use super::spot::Spot;
use crate::failure::Cause;
use crate::kind::{Column, Document, Generation, Kind, texts};
use crate::names;
use crate::object::Object;
use crate::schema;

pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";

/// Types a schema may name.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Parts of a schema that would have to be carried out, and are not.
const UNSUPPORTED: [&str; 8] = [
    "$ref",
    "$schema",
    "additionalItems",
    "definitions",
    "dependencies",
    "id",
    "patternProperties",
    "x-kubernetes-embedded-resource",
];
/// Parts that hold schemas by name.
const NAMED: [&str; 1] = ["properties"];
/// Parts that hold lists of schemas.
const JOINED: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// All other parts.
const PLAIN: [&str; 30] = [
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
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
];
const VALIDATIONS: &str = "x-kubernetes-validations";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["crd", "crds"]),
        categories: texts(&["api-extensions"]),
        is_namespaced: false,
        document: Document::Of(document),
        default,
        validate,
        columns: vec![
            Column::name(),
            Column::text("Created At", "When it was made.", |object| {
                object.meta().text("creationTimestamp").into()
            }),
        ],
        has_status: true,
        is_carried_out: true,
        is_seen_first: true,
        generation: Generation::Content,
        ..Kind::of(
            GROUP,
            "v1",
            "CustomResourceDefinition",
            PLURAL,
            "customresourcedefinition",
        )
    }
}

fn document() -> Value {
    let mut document = schemars::schema_for!(CustomResourceDefinition).to_value();
    let definitions = document.get_mut("$defs").and_then(Value::as_object_mut);
    for (name, definition) in definitions.into_iter().flatten() {
        // Its type says object; it holds any value.
        if name.ends_with(".v1.JSON") {
            *definition = json!({ PRESERVE: true });
        }
    }
    document
}

fn default(object: &mut Object) {
    let Some(spec) = object.0.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    spec.entry("conversion")
        .or_insert_with(|| json!({ "strategy": "None" }));
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or("");
        let (singular, list) = (kind.to_lowercase(), format!("{kind}List"));
        for (name, value) in [("singular", singular), ("listKind", list)] {
            names.entry(name).or_insert_with(|| value.into());
        }
    }
    object.0.entry("status").or_insert_with(|| {
        json!({
            "acceptedNames": { "kind": "", "plural": "" },
            "conditions": [],
            "storedVersions": [],
        })
    });
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let (group, scope) = (spec.field("group"), spec.field("scope"));
    let mut causes = Vec::new();
    causes.extend(group.needed_shaped(names::dns_subdomain));
    if group.text().ends_with("k8s.io") || !group.text().contains('.') {
        causes.push(group.invalid("should be a domain with at least one dot, and none of k8s.io"));
    }
    causes.extend(scope.needed_of(&["Cluster", "Namespaced"]));
    let named = spec.field("names");
    for name in ["plural", "singular"] {
        causes.extend(named.field(name).needed_shaped(names::dns_1035));
    }
    for name in ["kind", "listKind"] {
        let spot = named.field(name);
        let lower = spot.text().to_lowercase();
        match names::dns_1035(&lower) {
            _ if spot.is_empty() => causes.push(spot.required("")),
            Err(why) => causes.push(spot.invalid(why)),
            Ok(()) => {}
        }
    }
    for short in named.field("shortNames").items() {
        causes.extend(short.shaped(names::dns_1035));
    }
    let expected = format!("{}.{}", named.field("plural").text(), group.text());
    if object.meta().name() != expected {
        let why = format!("must be spec.names.plural+\".\"+spec.group: {expected}");
        causes.push(Cause::invalid("metadata.name", object.meta().name(), &why));
    }
    let strategy = spec.field("conversion").field("strategy");
    if strategy.text() != "None" {
        causes.push(strategy.unsupported(&["None"]));
    }
    if let Some(old) = old {
        let before = Spot::of(old, "spec");
        causes.extend(group.unchanged(&before.field("group")));
        causes.extend(scope.unchanged(&before.field("scope")));
        for name in ["plural", "kind"] {
            causes.extend(
                named
                    .field(name)
                    .unchanged(&before.field("names").field(name)),
            );
        }
    }
    check_versions(&spec.field("versions"), &mut causes);
    causes
}

/// There is one version that is served, and it is the one that is stored.
fn check_versions(versions: &Spot<'_>, causes: &mut Vec<Cause>) {
    causes.extend(versions.needed(""));
    let mut used = 0;
    for version in versions.items() {
        causes.extend(version.field("name").needed_shaped(names::dns_1035));
        let (served, storage) = (version.field("served"), version.field("storage"));
        if served.is_true() != storage.is_true() {
            let why = "the version that is stored is the one that is served: others are not \
                       converted";
            causes.push(served.invalid(why));
        }
        used += usize::from(storage.is_true());
        let schema = version.field("schema").field("openAPIV3Schema");
        match schema.value() {
            Some(value) => {
                check_schema(value, schema.path(), true, causes);
                causes.extend(schema::rule_mistakes(value, schema.path()));
            }
            None => causes.push(schema.required("schemas are required")),
        }
        let root = schema.field("type");
        if root.text() != "object" {
            causes.push(root.invalid("must be object at the root"));
        }
        for field in version.field("selectableFields").items() {
            causes.push(field.forbidden("selecting by own fields is not supported"));
        }
        check_paths(&version, causes);
    }
    if used != 1 {
        causes.push(versions.invalid("must have exactly one version marked as storage version"));
    }
}

fn check_paths(version: &Spot<'_>, causes: &mut Vec<Cause>) {
    for column in version.field("additionalPrinterColumns").items() {
        causes.extend(column.field("name").needed(""));
        let known = ["boolean", "date", "integer", "number", "string"];
        causes.extend(column.field("type").needed_of(&known));
        let path = column.field("jsonPath");
        if let Err(why) = crate::custom::path(path.text()) {
            causes.push(path.invalid(&why));
        }
    }
    let scale = version.field("subresources").field("scale");
    for (name, below, is_needed) in [
        ("specReplicasPath", ".spec.", true),
        ("statusReplicasPath", ".status.", true),
        ("labelSelectorPath", ".", false),
    ] {
        let path = scale.field(name);
        let is_there = scale.is_there() && (is_needed || path.is_there());
        let is_simple = crate::custom::simple(path.text()).is_some();
        if is_there && !(is_simple && path.text().starts_with(below)) {
            let why = format!("should be a path of fields below {below}");
            causes.push(path.invalid(&why));
        }
    }
}

/// Whether a schema can be carried out. `is_whole`: it stands by itself, so it has a type.
fn check_schema(schema: &Value, path: &str, is_whole: bool, causes: &mut Vec<Cause>) {
    let Some(map) = schema.as_object() else {
        causes.push(Cause::type_invalid(path, "no object", "object"));
        return;
    };
    for name in map.keys().map(String::as_str) {
        let at = format!("{path}.{name}");
        if UNSUPPORTED.contains(&name) {
            causes.push(Cause::forbidden(at, "it is not supported"));
        } else if name == VALIDATIONS && !is_whole {
            let why = "rules have to be where the type is, not in what is joined to it";
            causes.push(Cause::forbidden(at, why));
        } else if !(matches!(name, PRESERVE | VALIDATIONS)
            || PLAIN.contains(&name)
            || NAMED.contains(&name)
            || JOINED.contains(&name))
        {
            causes.push(Cause::forbidden(at, "it is no part of a schema"));
        }
    }
    let flag = |name: &str| map.get(name) == Some(&Value::Bool(true));
    match map.get("type").and_then(Value::as_str) {
        Some(kind) if TYPES.contains(&kind) => {}
        Some(kind) => causes.push(Cause::unsupported(format!("{path}.type"), kind, &TYPES)),
        None if !is_whole || flag(INT_OR_STRING) || flag(PRESERVE) => {}
        None => {
            let why = "must not be empty for specified object fields";
            causes.push(Cause::required(format!("{path}.type"), why));
        }
    }
    if let Some(text) = map.get("pattern").and_then(Value::as_str)
        && let Err(why) = schema::pattern(text)
    {
        causes.push(Cause::invalid(format!("{path}.pattern"), text, &why));
    }
    if flag("uniqueItems") {
        let why = "uniqueItems cannot be set to true: x-kubernetes-list-type: set can";
        causes.push(Cause::forbidden(format!("{path}.uniqueItems"), why));
    }
    check_parts(map, path, is_whole, causes);
}

fn check_parts(map: &Map<String, Value>, path: &str, is_whole: bool, causes: &mut Vec<Cause>) {
    for (name, schema) in map
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        check_schema(
            schema,
            &format!("{path}.properties[{name}]"),
            is_whole,
            causes,
        );
    }
    for name in ["items", "additionalProperties"] {
        if let Some(schema) = map.get(name).filter(|schema| !schema.is_boolean()) {
            check_schema(schema, &format!("{path}.{name}"), is_whole, causes);
        }
    }
    if let Some(schema) = map.get("not") {
        check_schema(schema, &format!("{path}.not"), false, causes);
    }
    for name in JOINED {
        let list = map
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for (index, schema) in list.enumerate() {
            check_schema(schema, &format!("{path}.{name}[{index}]"), false, causes);
        }
    }
}

#[cfg(test)]
mod tests;
