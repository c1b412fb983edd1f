//! ConfigMap: configuration that is not secret.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use super::data::{self, MOST_BYTES, check_key};
use super::{count, document};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::object::Object;

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
    if size > MOST_BYTES {
        let why = format!("may not be more than {MOST_BYTES} bytes");
        causes.push(Cause::forbidden("", &why));
    }
    causes.extend(data::changed(object, old, &["data", "binaryData"]));
    causes
}
