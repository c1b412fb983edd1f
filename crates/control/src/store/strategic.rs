//! Strategic merge patches of objects whose schemas are known. How they merge is
//! [`weft_stdx::strategic`]'s.

use serde_json::Value;
use weft_stdx::strategic::{self, How, Place};

use crate::failure::Failure;
use crate::schema::{Merge, Node, Schema, Shape};

/// Merges `patch` into `target`, an object of `schema`.
pub(super) fn merge(schema: &Schema, target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let node = schema.top();
    strategic::merge(Some(&At { schema, node }), target, patch)
        .map_err(|error| Failure::bad_request(error.to_string()))
}

/// A place in a schema.
#[derive(Clone, Copy)]
struct At<'a> {
    schema: &'a Schema,
    node: &'a Node,
}

impl Place for At<'_> {
    fn field(&self, name: &str) -> Option<Self> {
        let node = self.schema.field(self.node, name)?;
        Some(At { node, ..*self })
    }

    fn list(&self) -> Option<(Option<Self>, How)> {
        let Shape::List(node, merge) = self.schema.follow(self.node) else {
            return None;
        };
        let how = match merge {
            Merge::Replace | Merge::Applied(_) => How::Replace,
            Merge::Set => How::Set,
            // Patches know the first key only.
            Merge::By(keys) => How::By(vec![(keys[0].name.to_string(), Value::Null)]),
        };
        Some((Some(At { node, ..*self }), how))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(old: Value, patch: Value) -> Value {
        let document = schemars::schema_for!(k8s_openapi::api::core::v1::Pod);
        let schema = Schema::compile(&document.to_value());
        let mut target = old;
        merge(&schema, &mut target, &patch).unwrap();
        target
    }

    #[test]
    fn what_was_not_there_is_taken_as_it_stands() {
        let ports = json!([
            { "containerPort": 53, "protocol": "UDP" },
            { "containerPort": 53, "protocol": "TCP", "name": null },
            { "containerPort": 54, "$patch": "delete" },
        ]);
        let wanted = json!([
            { "containerPort": 53, "protocol": "UDP" },
            { "containerPort": 53, "protocol": "TCP" },
        ]);
        let of =
            |ports: &Value| json!({ "spec": { "containers": [{ "name": "a", "ports": ports }] } });
        for old in [
            json!({ "spec": { "containers": [{ "name": "a" }] } }),
            json!({ "spec": { "containers": [] } }),
            json!({}),
        ] {
            assert_eq!(patched(old, of(&ports)), of(&wanted));
        }
        let keys = json!({ "spec": { "$setElementOrder/containers": [], "$retainKeys": ["containers"], "containers": [] } });
        assert_eq!(
            patched(json!({}), keys),
            json!({ "spec": { "containers": [] } })
        );
    }

    #[test]
    fn containers_are_merged_by_their_names() {
        let old = json!({ "spec": { "containers": [
            { "name": "a", "image": "x", "env": [{ "name": "E", "value": "1" }] },
            { "name": "b", "image": "y" },
        ], "tolerations": [{ "key": "k" }] } });
        let patch = json!({ "spec": {
            "$setElementOrder/containers": [{ "name": "c" }, { "name": "a" }],
            "containers": [
                { "name": "a", "image": "z", "env": [{ "name": "F", "value": "2" }] },
                { "name": "b", "$patch": "delete" },
                { "name": "c", "image": "w" },
            ],
            "tolerations": [{ "key": "l" }],
        } });
        let expected = json!({ "spec": { "containers": [
            { "name": "c", "image": "w" },
            { "name": "a", "image": "z", "env": [
                { "name": "E", "value": "1" }, { "name": "F", "value": "2" },
            ] },
        ], "tolerations": [{ "key": "l" }] } });
        assert_eq!(patched(old, patch), expected);
    }

    #[test]
    fn sets_maps_and_directives() {
        let old = json!({ "metadata": {
            "finalizers": ["a", "b"], "labels": { "x": "1", "y": "2" },
        } });
        let patch = json!({ "metadata": {
            "finalizers": ["c", "a"],
            "$deleteFromPrimitiveList/finalizers": ["b"],
            "labels": { "$retainKeys": ["x"], "x": "3" },
        } });
        let expected = json!({ "metadata": { "finalizers": ["a", "c"], "labels": { "x": "3" } } });
        assert_eq!(patched(old.clone(), patch), expected);
        let replace = json!({ "metadata": { "labels": { "$patch": "replace", "z": "9" } } });
        assert_eq!(
            patched(old.clone(), replace)["metadata"]["labels"],
            json!({ "z": "9" })
        );
        let delete = json!({ "metadata": { "labels": { "$patch": "delete" } } });
        assert!(
            patched(old.clone(), delete)["metadata"]
                .get("labels")
                .is_none()
        );
        let null = json!({ "metadata": { "finalizers": null } });
        assert!(patched(old, null)["metadata"].get("finalizers").is_none());
    }

    #[test]
    fn what_cannot_be_merged_is_refused() {
        let schema = schemars::schema_for!(k8s_openapi::api::core::v1::Pod);
        let schema = Schema::compile(&schema.to_value());
        for patch in [
            json!({ "metadata": { "$patch": "nope" } }),
            json!({ "spec": { "containers": [{ "image": "x" }] } }),
        ] {
            let mut target = json!({ "spec": { "containers": [{ "name": "a" }] } });
            assert!(merge(&schema, &mut target, &patch).is_err(), "{patch}");
        }
    }
}
