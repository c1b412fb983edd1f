//! OpenAPI v2: what kubectl before 1.24 checks, explains and patches by, and what later ones fall
//! back to for kinds that have no patch.
//!
//! Never: in JSON; no client asks for it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use weft_control::schema::patch_strategy;
use weft_control::{Kind, Kinds};

use super::wire::{Message, Number, ONLY, document, info, path, schema};
use super::{WRITE_PARAMETERS, all_path, component, part_path, parts};
use crate::pages::Page;

/// As it is answered, and as it is asked for: an `@` has no place in a media type, and Go's clients
/// do not read one that has it.
pub(super) const MEDIA: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];
const GVK: &str = "x-kubernetes-group-version-kind";

/// What is at `/openapi/v2`: there is one form.
pub(super) fn page(kinds: &Kinds) -> Page {
    let mut paths = Message::default();
    let mut found = BTreeMap::new();
    let sent = kinds.served().flat_map(|kind| parts(kind));
    let sent: Vec<Kind> = sent.map(|(_, sent)| sent).collect();
    for kind in kinds.served().map(|kind| &**kind).chain(&sent) {
        let mut own = kind.document();
        if let Some(Value::Object(named)) = own.as_object_mut().and_then(|own| own.remove("$defs"))
        {
            for (name, definition) in named {
                found
                    .entry(name)
                    .or_insert_with_key(|name| schema_of(&definition, name));
            }
        }
        let type_name = own["title"].as_str().unwrap_or_default().to_owned();
        if let Some(required) = own["required"].as_array_mut() {
            // Clients check by this before they send, and questions have no metadata.
            required.retain(|name| name != "metadata");
        }
        let own = schema_of(&own, &type_name);
        let own = own.extension(schema::EXTENSION, GVK, &json!([gvk(kind)]));
        found.insert(component(kind), own);
        if !kind.is_question && !kind.is_measured {
            let name = format!("{}/{{name}}", all_path(kind));
            paths = paths.named(path::ITEM, &name, &item(path::PATCH, kind));
        }
        for (part, sent) in parts(kind) {
            paths = paths.named(path::ITEM, &part_path(kind, part), &item(path::POST, &sent));
        }
    }
    let definitions = found.iter().fold(Message::default(), |all, (name, one)| {
        all.named(ONLY, name, one)
    });
    let about = Message::default()
        .text(info::TITLE, "weft")
        .text(info::VERSION, env!("CARGO_PKG_VERSION"));
    let whole = Message::default()
        .text(document::SWAGGER, "2.0")
        .message(document::INFO, &about)
        .message(document::PATHS, &paths)
        .message(document::DEFINITIONS, &definitions);
    Page::new(MEDIA[0], whole.into_bytes())
}

fn gvk(kind: &Kind) -> Value {
    json!({ "group": kind.group, "version": kind.version, "kind": kind.kind })
}

/// What is written at a path, and how: an object's patch is where clients look for what writes know.
fn item(method: Number, kind: &Kind) -> Message {
    let mut write = Message::default();
    for name in WRITE_PARAMETERS {
        let query = Message::default()
            .text(path::QUERY_IN, "query")
            .text(path::QUERY_NAME, name)
            .text(path::QUERY_TYPE, "string");
        let parameter = Message::default().message(path::QUERY, &query);
        let parameter = Message::default().message(path::NOT_BODY, &parameter);
        let parameter = Message::default().message(path::PARAMETER, &parameter);
        write = write.message(path::PARAMETERS, &parameter);
    }
    write = write.extension(path::EXTENSION, GVK, &gvk(kind));
    Message::default().message(method, &write)
}

/// A schema in the definition `owner`, as far as v2 can say it: what has several forms is anything.
fn schema_of(value: &Value, owner: &str) -> Message {
    let mut made = Message::default();
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if let Some(about) = text("description") {
        made = made.text(schema::DESCRIPTION, about);
    }
    if let Some(reference) = text("$ref") {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return made.text(schema::REFERENCE, &format!("#/definitions/{name}"));
    }
    if value.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return typed(made, "string").text(schema::FORMAT, "int-or-string");
    }
    let says = |name: &str| value.get(name) == Some(&Value::Bool(true));
    // Clients that check by this refuse null, and fields that are not named, wherever there is a
    // type or a name: kubectl does so for lists, whatever its version.
    if says("nullable") {
        return made;
    }
    if says("x-kubernetes-preserve-unknown-fields") {
        return match text("type") {
            Some(own) => typed(made, own),
            None => made,
        };
    }
    if let Some(format) = text("format") {
        made = made.text(schema::FORMAT, format);
    }
    match text("type") {
        Some("object") => object(typed(made, "object"), value, owner),
        Some("array") => {
            let any = Value::Bool(true);
            let item = schema_of(value.get("items").unwrap_or(&any), owner);
            let items = Message::default().message(ONLY, &item);
            typed(made, "array").message(schema::ITEMS, &items)
        }
        Some(leaf) => typed(made, leaf),
        None => made,
    }
}

fn typed(made: Message, name: &str) -> Message {
    let item = Message::default().text(ONLY, name);
    made.message(schema::TYPE, &item)
}

fn object(mut made: Message, value: &Value, owner: &str) -> Message {
    let required = value.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        made = made.text(schema::REQUIRED, name);
    }
    if let Some(named) = value.get("properties").and_then(Value::as_object) {
        return made.message(schema::PROPERTIES, &properties(named, owner));
    }
    match value.get("additionalProperties") {
        Some(rest @ Value::Object(_)) => {
            // AdditionalPropertiesItem.schema
            let rest = Message::default().message(ONLY, &schema_of(rest, owner));
            made.message(schema::ADDITIONAL, &rest)
        }
        _ => made,
    }
}

fn properties(named: &Map<String, Value>, owner: &str) -> Message {
    let mut all = Message::default();
    for (name, field) in named {
        let mut one = schema_of(field, owner);
        let (strategy, key) = patch_strategy(owner, name);
        for (extension, value) in [
            ("x-kubernetes-patch-strategy", strategy),
            ("x-kubernetes-patch-merge-key", key.as_deref()),
        ] {
            if let Some(value) = value {
                one = one.extension(schema::EXTENSION, extension, &value.into());
            }
        }
        all = all.named(ONLY, name, &one);
    }
    all
}
