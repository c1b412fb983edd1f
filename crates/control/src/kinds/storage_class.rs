//! StorageClass: how volumes are made.

use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use super::rules::fill::set_text;
use super::rules::{Mistakes, Spot};
use super::{document, text};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

/// Says which class claims without one get.
const IS_DEFAULT: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];
const PARAMETERS_MAX: usize = 512;
const PARAMETERS_BYTES: usize = 256 * 1024;

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["sc"]),
        is_namespaced: false,
        document: document::<StorageClass>(),
        default,
        validate,
        columns: columns(),
        ..Kind::of(
            "storage.k8s.io",
            "v1",
            "StorageClass",
            "storageclasses",
            "storageclass",
        )
    }
}

fn default(object: &mut Object) {
    set_text(&mut object.0, "reclaimPolicy", "Delete");
    set_text(&mut object.0, "volumeBindingMode", "Immediate");
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    let provisioner = Spot::of(object, "provisioner");
    mistakes.must_be_name(&provisioner, lower_key);
    let parameters = Spot::of(object, "parameters");
    mistakes.at_most(&parameters, PARAMETERS_MAX);
    if parameters.entries().any(|(key, _)| key.is_empty()) {
        mistakes.invalid(&parameters, "field can not be empty.");
    }
    let size: usize = parameters
        .entries()
        .map(|(key, value)| key.len() + value.text().len())
        .sum();
    if size > PARAMETERS_BYTES {
        let why = format!("may not be more than {PARAMETERS_BYTES} bytes");
        mistakes.forbidden(&parameters, &why);
    }
    mistakes.one_of(&Spot::of(object, "reclaimPolicy"), &["Delete", "Retain"]);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    mistakes.one_of(&Spot::of(object, "volumeBindingMode"), &modes);
    for topology in Spot::of(object, "allowedTopologies").items() {
        for term in topology.at("matchLabelExpressions").items() {
            mistakes.shaped(&term.at("key"), names::label_key);
            mistakes.must_be(&term.at("values"), "");
        }
    }
    if let Some(old) = old {
        for name in ["parameters", "provisioner", "reclaimPolicy"] {
            let new = Spot::of(object, name);
            if new.value() != Spot::of(old, name).value() {
                mistakes.forbidden(&new, &format!("updates to {name} are forbidden."));
            }
        }
        let mode = Spot::of(object, "volumeBindingMode");
        mistakes.same(&mode, &Spot::of(old, "volumeBindingMode"));
    }
    mistakes.into_causes()
}

/// A qualified name, whatever its case.
fn lower_key(name: &str) -> Result<(), &'static str> {
    names::label_key(&name.to_lowercase())
}

fn columns() -> Vec<Column> {
    let mut name = Column::name();
    name.cell = crate::kind::Cell::Made(|class| {
        let mut notes = class.meta().map("annotations");
        let is_default = notes.any(|(key, value)| IS_DEFAULT.contains(&key) && value == "true");
        let name = class.meta().name();
        if is_default {
            format!("{name} (default)").into()
        } else {
            name.into()
        }
    });
    vec![
        name,
        Column::text("Provisioner", "Who makes them.", |class| {
            text(class, &["provisioner"])
        }),
        Column::text("ReclaimPolicy", "What becomes of them.", |class| {
            text(class, &["reclaimPolicy"])
        }),
        Column::text("VolumeBindingMode", "When a claim gets one.", |class| {
            text(class, &["volumeBindingMode"])
        }),
        Column::text("AllowVolumeExpansion", "Whether they can grow.", |class| {
            (class.at(&["allowVolumeExpansion"]) == Some(&Value::Bool(true))).into()
        }),
        Column::age(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    fn base() -> Value {
        json!({ "metadata": { "name": "fast" }, "provisioner": "example.com/Disk", "parameters": { "a": "b" } })
    }

    #[test]
    fn it_is_filled_in_and_checked() {
        let found = defaulted(&kind(), base());
        assert_eq!(found["reclaimPolicy"], "Delete");
        assert_eq!(found["volumeBindingMode"], "Immediate");
        let many: serde_json::Map<String, Value> =
            (0..513).map(|i| (i.to_string(), "x".into())).collect();
        refuses(
            &kind(),
            &base(),
            &[
                (
                    json!({ "provisioner": "" }),
                    &["provisioner: Required value"],
                ),
                (
                    json!({ "provisioner": "a b" }),
                    &["provisioner: Invalid value: \"a b\""],
                ),
                (
                    json!({ "parameters": { "": "x" } }),
                    &["parameters: Invalid value"],
                ),
                (
                    json!({ "parameters": many }),
                    &["parameters: Too many: 514: must have at most 512"],
                ),
                (
                    json!({ "parameters": { "a": "x".repeat(256 * 1024) } }),
                    &["parameters: Forbidden"],
                ),
                (
                    json!({ "reclaimPolicy": "Recycle", "volumeBindingMode": "Never" }),
                    &[
                        "reclaimPolicy: Unsupported",
                        "volumeBindingMode: Unsupported",
                    ],
                ),
                (
                    json!({ "allowedTopologies": [{ "matchLabelExpressions": [{ "key": "-", "values": [] }] }] }),
                    &[
                        "allowedTopologies[0].matchLabelExpressions[0].key: Invalid",
                        "allowedTopologies[0].matchLabelExpressions[0].values: Required",
                    ],
                ),
            ],
        );
        refuses_change(
            &kind(),
            &base(),
            &[
                (json!({ "allowVolumeExpansion": true }), &[]),
                (
                    json!({ "parameters": { "a": "c" }, "provisioner": "x", "reclaimPolicy": "Retain" }),
                    &[
                        "parameters: Forbidden: updates to parameters are forbidden.",
                        "provisioner: Forbidden",
                        "reclaimPolicy: Forbidden",
                    ],
                ),
                (
                    json!({ "volumeBindingMode": "WaitForFirstConsumer" }),
                    &[
                        "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
                    ],
                ),
            ],
        );
    }

    #[test]
    fn columns_are_kubectls() {
        let mut class = defaulted(&kind(), base());
        let rest = [
            ("PROVISIONER", "example.com/Disk"),
            ("RECLAIMPOLICY", "Delete"),
            ("VOLUMEBINDINGMODE", "Immediate"),
            ("ALLOWVOLUMEEXPANSION", "false"),
        ];
        shows(
            &kind(),
            class.clone(),
            &[&[("NAME", "fast")], &rest[..]].concat(),
        );
        class["metadata"]["annotations"] = json!({ IS_DEFAULT[0]: "true" });
        shows(
            &kind(),
            class,
            &[&[("NAME", "fast (default)")], &rest[..]].concat(),
        );
    }
}
