//! PersistentVolumeClaim: the wish for storage.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::Value;

use super::rules::amounts::shown;
use super::rules::fill::{below, made, resource_list, set, set_text};
use super::rules::volumes::{MODES, access_text, or_unset, phase};
use super::rules::{Mistakes, Spot};
use super::{document, text};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;

/// Where its class was before it had a field.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["pvc"]),
        document: document::<PersistentVolumeClaim>(),
        default,
        validate,
        columns: columns(),
        has_status: true,
        is_carried_out: true,
        ..Kind::core(
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            "persistentvolumeclaim",
        )
    }
}

fn default(object: &mut Object) {
    if let Some(status) = made(&mut object.0, "status") {
        set_text(status, "phase", "Pending");
    }
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set_text(spec, "volumeMode", "Filesystem");
    if let Some(resources) = below(spec, "resources") {
        resource_list(resources, "requests");
        resource_list(resources, "limits");
    }
    // Both name one source; one in another namespace has no place in the older field.
    let is_elsewhere = spec
        .get("dataSourceRef")
        .is_some_and(|source| source.get("namespace").is_some());
    for (from, to) in [
        ("dataSource", "dataSourceRef"),
        ("dataSourceRef", "dataSource"),
    ] {
        let source = spec.get(from).filter(|source| source.is_object()).cloned();
        if let (Some(source), false) = (source, is_elsewhere && to == "dataSource") {
            set(spec, to, source);
        }
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    mistakes.spec(object, old, |mistakes, spec, _| {
        self::spec(mistakes, spec);
        if let Some(old) = old {
            changes(mistakes, object, old);
        }
    });
    mistakes.into_causes()
}

/// What is asked for, by a claim or by what makes claims.
pub(super) fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let modes = spec.at("accessModes");
    mistakes.must_be(&modes, "at least 1 access mode is required");
    mistakes.access_modes(&modes);
    let resources = spec.at("resources");
    let wanted = resources.at("requests").at("storage").value();
    let wanted = resources.key("storage").holding(wanted);
    mistakes.must_be(&wanted, "");
    mistakes.size(&wanted);
    mistakes.label_selector(&spec.at("selector"));
    mistakes.name(&spec.at("storageClassName"), names::dns_subdomain);
    mistakes.name(&spec.at("volumeAttributesClassName"), names::dns_subdomain);
    mistakes.one_of(&spec.at("volumeMode"), &MODES);
    for name in ["dataSource", "dataSourceRef"] {
        let source = spec.at(name);
        if source.is_some() {
            mistakes.must_be(&source.at("name"), "");
            mistakes.must_be(&source.at("kind"), "");
            let is_core = source.at("apiGroup").is_empty();
            if is_core && source.at("kind").text() != "PersistentVolumeClaim" {
                let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
                mistakes.invalid(&source, why);
            }
        }
    }
    let (one, other) = (spec.at("dataSource"), spec.at("dataSourceRef"));
    let is_elsewhere = other.at("namespace").is_some();
    if one.is_some() && other.is_some() && !is_elsewhere && one.value() != other.value() {
        mistakes.invalid(&one, "must match dataSourceRef");
    } else if one.is_some() && is_elsewhere {
        let why = "may not be specified when dataSourceRef.namespace is specified";
        mistakes.invalid(&one, why);
    }
}

/// A bound claim may grow; one that had no volume or class may get one; all else stays.
fn changes(mistakes: &mut Mistakes, object: &Object, old: &Object) {
    let is_bound = old.text(&["status", "phase"]) == Some("Bound");
    let rest = |object: &Object| {
        let mut spec = object.0.get("spec").cloned().unwrap_or_default();
        let had = |name: &str| {
            old.text(&["spec", name])
                .is_some_and(|text| !text.is_empty())
        };
        if let Value::Object(spec) = &mut spec {
            if is_bound {
                spec.remove("volumeAttributesClassName");
                if let Some(wanted) = below(spec, "resources").and_then(|r| below(r, "requests")) {
                    wanted.remove("storage");
                }
            }
            if !had("volumeName") {
                spec.remove("volumeName");
            }
            if old.at(&["spec", "storageClassName"]).is_none() {
                spec.remove("storageClassName");
            }
        }
        spec
    };
    let spec = Spot::of(object, "spec");
    if rest(object) != rest(old) {
        let why = "spec is immutable after creation except resources.requests and \
                   volumeAttributesClassName for bound claims";
        mistakes.forbidden(&spec, why);
    }
    let path = ["spec", "resources", "requests", "storage"];
    let size = |object: &Object| object.at(&path).and_then(|size| Quantity::of(size).ok());
    let shrinks = size(object)
        .zip(size(old))
        .is_some_and(|(new, before)| new < before);
    if is_bound && shrinks {
        let why = "field can not be less than previous value";
        let requests = spec.at("resources");
        mistakes.forbidden(&requests.at("requests").at("storage"), why);
    }
}

fn columns() -> Vec<Column> {
    /// What the status says of the volume, once there is one.
    fn bound<'a>(claim: &'a Object, path: &[&str]) -> Option<&'a Value> {
        let volume = claim.text(&["spec", "volumeName"]).unwrap_or_default();
        claim.at(path).filter(|_| !volume.is_empty())
    }
    vec![
        Column::name(),
        Column::text("Status", "Whether it has a volume.", |claim| {
            phase(claim).into()
        }),
        Column::text("Volume", "The volume it has.", |claim| {
            text(claim, &["spec", "volumeName"])
        }),
        Column::text("Capacity", "How much the volume holds.", |claim| {
            shown(bound(claim, &["status", "capacity", "storage"])).into()
        }),
        Column::text("Access Modes", "How the volume can be used.", |claim| {
            access_text(bound(claim, &["status", "accessModes"])).into()
        }),
        Column::text("StorageClass", "Its class.", |claim| {
            let old = claim
                .meta()
                .map("annotations")
                .find(|(key, _)| *key == CLASS);
            old.map_or_else(
                || text(claim, &["spec", "storageClassName"]),
                |(_, class)| class.into(),
            )
        }),
        Column::text("VolumeAttributesClass", "How it is tuned.", |claim| {
            or_unset(claim, &["spec", "volumeAttributesClassName"]).into()
        }),
        Column::age(),
        Column::text("VolumeMode", "Files or blocks.", |claim| {
            or_unset(claim, &["spec", "volumeMode"]).into()
        })
        .wide(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{defaulted, refuses, refuses_change, shows};

    fn base() -> Value {
        json!({
            "metadata": { "name": "data" },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1024Mi" } },
            },
        })
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let source = json!({ "kind": "PersistentVolumeClaim", "name": "b" });
        let mut given = base();
        given["spec"]["dataSource"] = source.clone();
        let wanted = json!({
            "metadata": { "name": "data" },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
                "volumeMode": "Filesystem",
                "dataSource": source,
                "dataSourceRef": source,
            },
            "status": { "phase": "Pending" },
        });
        assert_eq!(defaulted(&kind(), given), wanted);
        let mut given = base();
        given["spec"]["dataSourceRef"] = json!({ "kind": "X", "name": "b", "namespace": "c" });
        assert!(
            defaulted(&kind(), given)["spec"]
                .get("dataSource")
                .is_none()
        );
    }

    #[test]
    fn mistakes_are_told() {
        let spec = |spec: Value| json!({ "spec": spec });
        refuses(
            &kind(),
            &base(),
            &[
                (
                    spec(json!({ "accessModes": null })),
                    &["spec.accessModes: Required value: at least 1 access mode is required"],
                ),
                (
                    spec(json!({ "accessModes": ["Often"] })),
                    &["spec.accessModes[0]: Unsupported value: \"Often\""],
                ),
                (
                    spec(json!({ "resources": null })),
                    &["spec.resources[storage]: Required value"],
                ),
                (
                    spec(json!({ "resources": { "requests": { "storage": "-1" } } })),
                    &["spec.resources[storage]: Invalid value: \"-1\": must be greater than zero"],
                ),
                (
                    spec(
                        json!({ "selector": { "matchExpressions": [{ "key": "a", "operator": "X" }] } }),
                    ),
                    &["spec.selector.matchExpressions[0].operator: Invalid value"],
                ),
                (
                    spec(
                        json!({ "storageClassName": "A", "volumeAttributesClassName": "B", "volumeMode": "C" }),
                    ),
                    &[
                        "spec.storageClassName: Invalid",
                        "spec.volumeAttributesClassName: Invalid",
                        "spec.volumeMode: Unsupported",
                    ],
                ),
                (
                    spec(json!({ "dataSource": { "kind": "", "name": "" } })),
                    &[
                        "spec.dataSource.name: Required",
                        "spec.dataSource.kind: Required",
                        "spec.dataSource: Invalid",
                        "spec.dataSourceRef.name: Required",
                        "spec.dataSourceRef.kind: Required",
                        "spec.dataSourceRef: Invalid",
                    ],
                ),
                (
                    spec(
                        json!({ "dataSource": { "kind": "X", "name": "a", "apiGroup": "g" }, "dataSourceRef": { "kind": "X", "name": "b", "apiGroup": "g" } }),
                    ),
                    &[
                        "spec.dataSource: Invalid value: {\"apiGroup\":\"g\",\"kind\":\"X\",\"name\":\"a\"}: must match dataSourceRef",
                    ],
                ),
                (
                    spec(
                        json!({ "dataSource": { "kind": "X", "name": "a", "apiGroup": "g" }, "dataSourceRef": { "kind": "X", "name": "a", "apiGroup": "g", "namespace": "n" } }),
                    ),
                    &["spec.dataSource: Invalid value"],
                ),
            ],
        );
    }

    #[test]
    fn only_a_bound_one_grows() {
        let size =
            |size: &str| json!({ "spec": { "resources": { "requests": { "storage": size } } } });
        let fixed = "spec: Forbidden: spec is immutable after creation except resources.requests";
        refuses_change(
            &kind(),
            &base(),
            &[
                (size("2Gi"), &[fixed]),
                (
                    json!({ "spec": { "accessModes": ["ReadWriteMany"] } }),
                    &[fixed],
                ),
                (
                    json!({ "spec": { "volumeName": "v", "storageClassName": "c" } }),
                    &[],
                ),
            ],
        );
        let mut bound = base();
        bound["spec"]["volumeName"] = "v".into();
        bound["status"] = json!({ "phase": "Bound" });
        refuses_change(
            &kind(),
            &bound,
            &[
                (size("2Gi"), &[]),
                (size("1024Mi"), &[]),
                (
                    size("1G"),
                    &[
                        "spec.resources.requests.storage: Forbidden: field can not be less than previous value",
                    ],
                ),
                (json!({ "spec": { "volumeName": "w" } }), &[fixed]),
                (
                    json!({ "spec": { "volumeAttributesClassName": "gold" } }),
                    &[],
                ),
            ],
        );
    }

    #[test]
    fn columns_are_kubectls() {
        let mut claim = defaulted(&kind(), base());
        let rest = [
            ("STORAGECLASS", ""),
            ("VOLUMEATTRIBUTESCLASS", "<unset>"),
            ("VOLUMEMODE", "Filesystem"),
        ];
        let free = [
            ("NAME", "data"),
            ("STATUS", "Pending"),
            ("VOLUME", ""),
            ("CAPACITY", ""),
            ("ACCESS MODES", ""),
        ];
        shows(&kind(), claim.clone(), &[&free[..], &rest].concat());
        claim["spec"]["volumeName"] = "v".into();
        claim["status"] = json!({ "phase": "Bound", "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOncePod"] });
        let bound = [
            ("NAME", "data"),
            ("STATUS", "Bound"),
            ("VOLUME", "v"),
            ("CAPACITY", "1Gi"),
            ("ACCESS MODES", "RWOP"),
        ];
        shows(&kind(), claim.clone(), &[&bound[..], &rest].concat());
        claim["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let gone = [
            ("NAME", "data"),
            ("STATUS", "Terminating"),
            ("VOLUME", "v"),
            ("CAPACITY", "1Gi"),
            ("ACCESS MODES", "RWOP"),
        ];
        shows(&kind(), claim, &[&gone[..], &rest].concat());
    }
}
