//! PersistentVolumeClaim: the wish for storage.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::Value;

use super::rules::fill::{below, made, resource_list, set, set_text};
use super::{document, label_selector, spot::Spot, storage, text};
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
    let spec = Spot::of(object, "spec");
    let mut causes = Vec::new();
    let modes = spec.field("accessModes");
    causes.extend(modes.needed("at least 1 access mode is required"));
    causes.extend(storage::access(&modes));
    let wanted = spec.field("resources").field("requests").key("storage");
    let wanted = wanted.renamed("spec.resources[storage]");
    causes.extend(wanted.needed(""));
    causes.extend(storage::size(&wanted));
    causes.extend(label_selector::check(&spec.field("selector")));
    causes.extend(spec.field("storageClassName").shaped(names::dns_subdomain));
    causes.extend(
        spec.field("volumeAttributesClassName")
            .shaped(names::dns_subdomain),
    );
    causes.extend(spec.field("volumeMode").one_of(&storage::MODES));
    for name in ["dataSource", "dataSourceRef"] {
        let source = spec.field(name);
        if source.is_there() {
            causes.extend(source.field("name").needed(""));
            causes.extend(source.field("kind").needed(""));
            let is_core = source.field("apiGroup").is_empty();
            if is_core && source.field("kind").text() != "PersistentVolumeClaim" {
                let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
                causes.push(source.invalid(why));
            }
        }
    }
    let (one, other) = (spec.field("dataSource"), spec.field("dataSourceRef"));
    let is_elsewhere = other.field("namespace").is_there();
    if one.is_there() && !is_elsewhere && one.value() != other.value() {
        causes.push(one.invalid("must match dataSourceRef"));
    } else if one.is_there() && is_elsewhere {
        let why = "may not be specified when dataSourceRef.namespace is specified";
        causes.push(one.invalid(why));
    }
    if let Some(old) = old {
        changes(object, old, &mut causes);
    }
    causes
}

/// A bound claim may grow; one that had no volume or class may get one; all else stays.
fn changes(object: &Object, old: &Object, causes: &mut Vec<Cause>) {
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
    if rest(object) != rest(old) {
        let why = "spec is immutable after creation except resources.requests and \
                   volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", why));
    }
    let path = ["spec", "resources", "requests", "storage"];
    let size = |object: &Object| object.at(&path).and_then(|size| Quantity::of(size).ok());
    let shrinks = size(object)
        .zip(size(old))
        .is_some_and(|(new, before)| new < before);
    if is_bound && shrinks {
        let why = "field can not be less than previous value";
        causes.push(Cause::forbidden(path.join("."), why));
    }
}

fn columns() -> Vec<Column> {
    fn bound<'a>(claim: &'a Object, name: &str) -> Option<Spot<'a>> {
        let volume = claim.text(&["spec", "volumeName"]).unwrap_or_default();
        (!volume.is_empty()).then(|| Spot::of(claim, "status").field(name))
    }
    vec![
        Column::name(),
        Column::text("Status", "Whether it has a volume.", |claim| {
            storage::phase(claim).into()
        }),
        Column::text("Volume", "The volume it has.", |claim| {
            text(claim, &["spec", "volumeName"])
        }),
        Column::text("Capacity", "How much the volume holds.", |claim| {
            let capacity = bound(claim, "capacity");
            let size = capacity.map(|all| storage::shown_size(&all.key("storage")));
            size.unwrap_or_default().into()
        }),
        Column::text("Access Modes", "How the volume can be used.", |claim| {
            let modes = bound(claim, "accessModes");
            modes
                .map(|modes| storage::shown_access(&modes))
                .unwrap_or_default()
                .into()
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
            let class = Spot::of(claim, "spec").field("volumeAttributesClassName");
            storage::or_unset(&class).into()
        }),
        Column::age(),
        Column::text("VolumeMode", "Files or blocks.", |claim| {
            storage::or_unset(&Spot::of(claim, "spec").field("volumeMode")).into()
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
