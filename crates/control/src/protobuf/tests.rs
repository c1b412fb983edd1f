//! Messages as kubectl writes them, byte by byte.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::Kinds;

/// A field that holds a message or text.
fn holds(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(inner.len()).unwrap()];
    bytes.extend_from_slice(inner);
    bytes
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn enveloped(kind: &str, version: &str, raw: &[u8]) -> Vec<u8> {
    let kind = [holds(1, version.as_bytes()), holds(2, kind.as_bytes())].concat();
    [
        MAGIC.to_vec(),
        holds(1, &kind),
        holds(2, raw),
        holds(4, b""),
    ]
    .concat()
}

fn schema<T: schemars::JsonSchema>() -> Schema {
    Schema::compile(&schemars::schema_for!(T).to_value())
}

#[test]
fn an_object_is_what_json_would_have_said() {
    // As kubectl writes it: with empty fields where Go has no pointer.
    let created = holds(8, &[number(1, 0), number(2, 0)].concat());
    let label = holds(11, &[holds(1, b"app"), holds(2, b"web")].concat());
    let meta = [
        holds(1, b"settings"),
        holds(2, b""),
        number(7, 0),
        created,
        label,
        holds(14, b"a/b"),
        holds(14, b"a/c"),
    ];
    let data = holds(2, &[holds(1, b"empty"), holds(2, b"")].concat());
    let binary = holds(3, &[holds(1, b"b"), holds(2, b"\xff\0")].concat());
    let raw = [holds(1, &meta.concat()), data, binary, number(4, 0)].concat();
    let schema = schema::<k8s_openapi::api::core::v1::ConfigMap>();
    let read = decode(&schema, &enveloped("ConfigMap", "v1", &raw)).unwrap();
    assert_eq!(
        read,
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "settings",
                "labels": { "app": "web" },
                "finalizers": ["a/b", "a/c"],
            },
            "data": { "empty": "" },
            "binaryData": { "b": "/wA=" },
            // A pointer in Go: it was set.
            "immutable": false,
        })
    );
}

#[test]
fn inline_messages_quantities_ports_and_times_are_read() {
    let limit = [holds(1, b"cpu"), holds(2, &holds(1, b"500m"))].concat();
    let get = holds(2, &[number(1, 1), holds(3, b"http")].concat());
    let probe = [holds(1, &holds(2, &get)), number(4, 9)].concat();
    let container = [
        holds(1, b"a"),
        holds(8, &holds(1, &limit)),
        holds(10, &probe),
    ]
    .concat();
    let volume = [holds(1, b"v"), holds(2, &holds(2, b""))].concat();
    let spec = [holds(1, &volume), holds(2, &container), number(4, 0)].concat();
    let created = holds(8, &number(1, 60));
    let raw = [holds(1, &created), holds(2, &spec)].concat();
    let schema = schema::<k8s_openapi::api::core::v1::Pod>();
    let read = decode(&schema, &enveloped("Pod", "v1", &raw)).unwrap();
    assert_eq!(
        read["metadata"],
        json!({ "creationTimestamp": "1970-01-01T00:01:00Z" })
    );
    assert_eq!(
        read["spec"],
        json!({
            "volumes": [{ "name": "v", "emptyDir": {} }],
            "containers": [{
                "name": "a",
                "resources": { "limits": { "cpu": "500m" } },
                "livenessProbe": { "httpGet": { "port": "http" }, "periodSeconds": 9 },
            }],
            "terminationGracePeriodSeconds": 0,
        })
    );
}

#[test]
fn what_is_broken_is_refused() {
    let schema = schema::<k8s_openapi::api::core::v1::ConfigMap>();
    for (bytes, why) in [
        (b"{}".to_vec(), "does not begin with"),
        (
            enveloped("ConfigMap", "v1", b"\x0a\x05a"),
            "is broken 3 bytes",
        ),
        (
            enveloped("ConfigMap", "v1", &number(1, 7)),
            "metadata: a number",
        ),
        (
            enveloped("ConfigMap", "v1", &holds(1, &holds(1, b"\xff"))),
            "metadata: name: it is not UTF-8",
        ),
    ] {
        let found = decode(&schema, &bytes).unwrap_err();
        assert!(found.contains(why), "{found}");
    }
}

#[test]
fn every_built_in_kind_of_kubernetes_has_its_numbers() {
    for kind in Kinds::built_in().iter() {
        // Nobody sends these as protobuf: kubectl reads them as they come.
        let is_read_only = kind.is_measured;
        if is_read_only || matches!(&*kind.group, "nanocloud.io" | "apiextensions.k8s.io") {
            continue;
        }
        let name = kind.schema().name();
        let message = numbers::of(name).unwrap_or_else(|| panic!("{name}"));
        assert!(message.knows("metadata"), "{name}");
    }
}

/// Fields of the types of all built-in kinds, as their schemas have them.
fn fields() -> BTreeMap<String, BTreeSet<String>> {
    let mut types = BTreeMap::new();
    for kind in Kinds::built_in().iter() {
        let document = kind.document();
        let own = (kind.schema().name(), &document);
        let parts = document.get("$defs").and_then(Value::as_object);
        let parts = parts.into_iter().flatten();
        for (name, schema) in parts.map(|(name, part)| (&**name, part)).chain([own]) {
            let fields = schema.get("properties").and_then(Value::as_object);
            let fields = fields.into_iter().flatten().map(|(name, _)| name.clone());
            types.insert(name.to_owned(), fields.collect());
        }
    }
    types
}

#[test]
fn the_numbers_are_of_the_fields_there_are() {
    let types = fields();
    let compared = types.iter().filter(|(name, fields)| {
        let Some(message) = numbers::of(name) else {
            return false;
        };
        let is_typed = |field: &&String| !matches!(&***field, "kind" | "apiVersion");
        let typed: BTreeSet<&str> = fields.iter().filter(is_typed).map(|name| &**name).collect();
        let known: BTreeSet<&str> = message.names().collect();
        // Types that are told apart by them have numbers for them, too.
        let known: BTreeSet<&str> = &known - &BTreeSet::from(["kind", "apiVersion"]);
        assert_eq!(known, typed, "{name}");
        true
    });
    assert!(compared.count() > 200);
}
