//! ConfigMap: configuration that is not secret.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;

use super::data::{self, MOST_BYTES, check_key};
use super::rules::{Mistakes, Spot};
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
    let mut mistakes = Mistakes::default();
    let mut seen = BTreeSet::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in Spot::of(object, field).entries() {
            if let Err(why) = check_key(key) {
                mistakes.invalid_as(&value, key, why);
            }
            if !seen.insert(key) {
                mistakes.invalid_as(&value, key, "duplicate of key present in data");
            }
            size += value.text().len();
        }
    }
    if size > MOST_BYTES {
        mistakes.too_long(&Spot::of(object, ""), MOST_BYTES);
    }
    data::changed(&mut mistakes, object, old, &["data", "binaryData"]);
    mistakes.into_causes()
}
