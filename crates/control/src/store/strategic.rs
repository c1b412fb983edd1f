//! Strategic merge patches (Kubernetes, "Update API Objects in Place Using kubectl patch").
//!
//! A merge patch that knows which lists are sets, and which have elements with names. Directives:
//! `$patch` (`replace`, `delete`, `merge`), `$retainKeys`, `$deleteFromPrimitiveList/FIELD`,
//! `$setElementOrder/FIELD`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::schema::{Merge, Node, Schema, Shape};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const REMOVE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Merges `patch` into `target`, an object of `schema`.
pub(super) fn merge(schema: &Schema, target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let walk = Walk { schema };
    walk.value(Some(schema.top()), target, patch)
}

struct Walk<'a> {
    schema: &'a Schema,
}

impl<'a> Walk<'a> {
    fn value(
        &self,
        node: Option<&'a Node>,
        target: &mut Value,
        patch: &Value,
    ) -> Result<(), Failure> {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return Ok(());
        };
        match patch.get(PATCH).and_then(Value::as_str) {
            None | Some("merge") => {}
            Some("replace") => {
                let mut map = patch.clone();
                map.remove(PATCH);
                *target = map.into();
                return Ok(());
            }
            Some("delete") => {
                *target = Value::Null;
                return Ok(());
            }
            Some(other) => return Err(unknown(other)),
        }
        if !target.is_object() {
            *target = Map::new().into();
        }
        match target.as_object_mut() {
            Some(map) => self.object(node, map, patch),
            None => Ok(()),
        }
    }

    fn object(
        &self,
        node: Option<&'a Node>,
        target: &mut Map<String, Value>,
        patch: &Map<String, Value>,
    ) -> Result<(), Failure> {
        if let Some(retained) = patch.get(RETAIN).and_then(Value::as_array) {
            let retained: HashSet<_> = retained.iter().filter_map(Value::as_str).collect();
            target.retain(|name, _| retained.contains(name.as_str()));
        }
        for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
            if value.is_null() {
                target.remove(name);
                continue;
            }
            if !target.contains_key(name) {
                if let Some(value) = fresh(value)? {
                    target.insert(name.clone(), value);
                }
                continue;
            }
            let below = node.and_then(|node| self.schema.field(node, name));
            let list = below.map(|below| self.schema.follow(below));
            let slot = target.entry(name.clone()).or_insert(Value::Null);
            match (list, value) {
                (Some(Shape::List(item, merge)), Value::Array(patch))
                    if !matches!(merge, Merge::Replace | Merge::Applied(_)) =>
                {
                    let mut old = match slot.take() {
                        Value::Array(old) => old,
                        _ => Vec::new(),
                    };
                    self.list(item, merge, &mut old, patch)?;
                    *slot = old.into();
                }
                _ => self.value(below, slot, value)?,
            }
            if slot.is_null() {
                target.remove(name);
            }
        }
        for (name, value) in patch {
            let Value::Array(values) = value else {
                continue;
            };
            if let Some(name) = name.strip_prefix(REMOVE) {
                if let Some(Value::Array(list)) = target.get_mut(name) {
                    let gone: HashSet<&Value> = values.iter().collect();
                    list.retain(|one| !gone.contains(one));
                }
            } else if let Some(name) = name.strip_prefix(ORDER) {
                let below = node.and_then(|node| self.schema.field(node, name));
                let shape = below.map(|below| self.schema.follow(below));
                if let (Some(Value::Array(list)), Some(Shape::List(_, merge))) =
                    (target.get_mut(name), shape)
                {
                    order(list, values, merge);
                }
            }
        }
        Ok(())
    }

    fn list(
        &self,
        item: &'a Node,
        merge: &Merge,
        old: &mut Vec<Value>,
        patch: &[Value],
    ) -> Result<(), Failure> {
        let Merge::By(keys) = merge else {
            let mut known: HashSet<Value> = old.iter().cloned().collect();
            let new = patch.iter().filter(|value| known.insert((*value).clone()));
            old.extend(new.cloned());
            return Ok(());
        };
        let key = &*keys[0].name;
        let directive = |value: &Value| value.get(PATCH).and_then(Value::as_str).map(str::to_owned);
        // An element that says only this means the list as a whole.
        if patch
            .iter()
            .any(|value| directive(value).as_deref() == Some("replace"))
        {
            let is_directive = |value: &&Value| directive(value).is_none();
            *old = patch.iter().filter(is_directive).cloned().collect();
            return Ok(());
        }
        // What is deleted leaves a gap until all is done, so that places stay.
        let mut slots: Vec<Option<Value>> = old.drain(..).map(Some).collect();
        let mut places: HashMap<Value, usize> = HashMap::new();
        for (at, one) in slots.iter().flatten().enumerate() {
            if let Some(name) = one.get(key) {
                places.entry(name.clone()).or_insert(at);
            }
        }
        for value in patch {
            let Some(name) = value.get(key) else {
                let message = format!("map: {value} does not contain declared merge key: {key}");
                return Err(Failure::bad_request(message));
            };
            let slot = places.get(name).and_then(|at| slots.get_mut(*at));
            match (directive(value).as_deref(), slot) {
                (Some("delete"), Some(slot)) => {
                    *slot = None;
                    places.remove(name);
                }
                (Some("delete"), None) => {}
                (_, Some(slot)) => {
                    self.value(Some(item), slot.get_or_insert(Value::Null), value)?;
                }
                (_, None) => {
                    places.insert(name.clone(), slots.len());
                    slots.push(fresh(value)?);
                }
            }
        }
        old.extend(slots.into_iter().flatten());
        Ok(())
    }
}

/// What a patch says of what is not there: that is taken as it stands, with elements of the same
/// name in a list, without nulls and directives.
fn fresh(value: &Value) -> Result<Option<Value>, Failure> {
    Ok(match value {
        Value::Null => None,
        Value::Object(map) => {
            match map.get(PATCH).and_then(Value::as_str) {
                None | Some("merge" | "replace") => {}
                Some("delete") => return Ok(None),
                Some(other) => return Err(unknown(other)),
            }
            let mut new = Map::new();
            for (name, value) in map.iter().filter(|(name, _)| !name.starts_with('$')) {
                if let Some(value) = fresh(value)? {
                    new.insert(name.clone(), value);
                }
            }
            Some(new.into())
        }
        Value::Array(list) => {
            let is_directive = |value: &Value| {
                value.get(PATCH).is_some_and(|how| how == "replace")
                    && value.as_object().is_some_and(|map| map.len() == 1)
            };
            let mut new = Vec::new();
            for value in list.iter().filter(|value| !is_directive(value)) {
                new.extend(fresh(value)?);
            }
            Some(new.into())
        }
        other => Some(other.clone()),
    })
}

/// Those that `wanted` names come in its order, at the places they have; others stay.
fn order(list: &mut [Value], wanted: &[Value], merge: &Merge) {
    fn name<'v>(value: &'v Value, merge: &Merge) -> Option<&'v Value> {
        match merge {
            Merge::By(keys) => value.get(&*keys[0].name),
            Merge::Set | Merge::Replace | Merge::Applied(_) => Some(value),
        }
    }
    let mut ranks: HashMap<&Value, usize> = HashMap::new();
    for (rank, one) in wanted.iter().enumerate() {
        if let Some(name) = name(one, merge) {
            ranks.entry(name).or_insert(rank);
        }
    }
    let rank = |value: &Value| ranks.get(name(value, merge)?).copied();
    let places: Vec<usize> = (0..list.len())
        .filter(|at| rank(&list[*at]).is_some())
        .collect();
    let mut named: Vec<Value> = places.iter().map(|at| list[*at].clone()).collect();
    named.sort_by_key(|value| rank(value));
    for (at, value) in places.into_iter().zip(named) {
        list[at] = value;
    }
}

fn unknown(directive: &str) -> Failure {
    Failure::bad_request(format!(
        "unknown patch directive {directive:?}: replace, merge and delete are"
    ))
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
