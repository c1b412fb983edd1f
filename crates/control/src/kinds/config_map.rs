//! ConfigMap: configuration that is not secret.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;

use super::data::{self, MOST_BYTES, check_key};
use super::rules::{Mistakes, Spot};
use super::{count, document};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::object::Object;
use crate::templates;

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
    let meta = Spot::of(object, "metadata");
    for (name, why) in templates::marks(object).err().into_iter().flatten() {
        mistakes.invalid(&meta.at("annotations").key(&name), &why);
    }
    data::changed(&mut mistakes, object, old, &["data", "binaryData"]);
    mistakes.into_causes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::refuses;

    #[test]
    fn annotations_of_templates_mean_something() {
        let base = json!({ "metadata": { "name": "m" } });
        let with = |notes: serde_json::Value| json!({ "metadata": { "annotations": notes } });
        let on = |name: &str, value: &str| {
            let name = format!("nanocloud.io/template{name}");
            with(json!({ "nanocloud.io/template": "true", name: value }))
        };
        let at = "metadata.annotations[nanocloud.io/template";
        let bad = |name: &str, rest: &str| format!("{at}{name}]: Invalid value: {rest}");
        let not_both = bad("", "\"yes\": must be \"true\" or \"false\"");
        let mode = bad(
            "-change-mode",
            "\"reload\": must be \"noop\", \"signal\" or",
        );
        let signal = bad("-change-signal", "\"SIGNO\": must be the name of a signal");
        let alone = bad(
            "-splay",
            "\"1s\": means nothing without nanocloud.io/template:",
        );
        refuses(
            &kind(),
            &base,
            &[
                (on("-change-mode", "noop"), &[]),
                (on("-splay", "1m30s"), &[]),
                (on("-left-delimiter", "[["), &[]),
                (with(json!({ "nanocloud.io/template": "false" })), &[]),
                (with(json!({ "nanocloud.io/templates": "x" })), &[]),
                (
                    with(json!({ "nanocloud.io/template": "yes" })),
                    &[&not_both],
                ),
                (on("-change-mode", "reload"), &[&mode]),
                (
                    on("-change-signal", "SIGNO"),
                    &[
                        &signal,
                        &bad("-change-signal", "\"SIGNO\": means nothing without"),
                    ],
                ),
                (
                    on("-splay", "soon"),
                    &[&bad("-splay", "\"soon\": must be a duration")],
                ),
                (
                    on("-left-delimiter", "a"),
                    &[&bad("-left-delimiter", "\"a\": must be 2")],
                ),
                (
                    on("-left-delimiter", "}}"),
                    &[&bad("-right-delimiter", "\"\": must differ")],
                ),
                (
                    on("-splai", "1s"),
                    &[&bad("-splai", "\"1s\": is not known")],
                ),
                (
                    with(json!({ "nanocloud.io/template-splay": "1s" })),
                    &[&alone],
                ),
            ],
        );
    }
}
