//! ConfigMap: configuration that is not secret.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use super::{count, document};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::object::Object;

/// Most bytes of all its values (`MaxSecretSize`).
const MOST: usize = 1024 * 1024;
/// Longest key.
const LONGEST_KEY: usize = 253;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["cm"]),
        document: document::<ConfigMap>(),
        validate,
        columns: vec![
            Column::name(),
            Column::text("Data", "How many keys it has.", |object| {
                (count(object, &["data"]) + count(object, &["binaryData"])).into()
            }),
            Column::age(),
        ],
        is_carried_out: true,
        ..Kind::core("ConfigMap", "configmaps", "configmap")
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut seen = BTreeSet::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        let map = object.at(&[field]).and_then(Value::as_object);
        for (key, value) in map.into_iter().flatten() {
            let path = format!("{field}[{key}]");
            if let Err(why) = check_key(key) {
                causes.push(Cause::invalid(&path, key, why));
            }
            if !seen.insert(key) {
                causes.push(Cause::invalid(
                    &path,
                    key,
                    "duplicate of key present in data",
                ));
            }
            size += value.as_str().map_or(0, str::len);
        }
    }
    if size > MOST {
        let why = format!("may not be more than {MOST} bytes");
        causes.push(Cause::forbidden("", &why));
    }
    let was_immutable = old.is_some_and(|old| old.at(&["immutable"]) == Some(&Value::Bool(true)));
    if let (true, Some(old)) = (was_immutable, old) {
        for field in ["data", "binaryData", "immutable"] {
            if object.at(&[field]) != old.at(&[field]) {
                let why = "field is immutable when `immutable` is set";
                causes.push(Cause::forbidden(field, why));
            }
        }
    }
    causes
}

pub(super) fn check_key(key: &str) -> Result<(), &'static str> {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || key.len() > LONGEST_KEY {
        Err("must be 1 to 253 bytes")
    } else if key == "." || key.starts_with("..") {
        Err("must not be '.' nor start with '..'")
    } else if !key.chars().all(right) {
        Err(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
             'key.name', or 'KEY_NAME', or 'key-name', regex used for validation is \
             '[-._a-zA-Z0-9]+')",
        )
    } else {
        Ok(())
    }
}
