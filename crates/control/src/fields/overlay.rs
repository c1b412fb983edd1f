//! A configuration laid over an object, and fields taken out of one.

use serde_json::{Map, Value};

use super::{Set, Step, item};
use crate::schema::{Key, Merge, Node, Schema, Shape};

/// Lays `config` over `live`: what `config` names has its value then; the rest stays.
pub(crate) fn overlay(schema: &Schema, live: &mut Value, config: &Value) {
    lay(schema, Some(schema.top()), live, config);
}

fn lay(schema: &Schema, node: Option<&Node>, live: &mut Value, config: &Value) {
    let shape = node.map(|node| schema.follow(node));
    match (shape, config) {
        (
            Some(Shape::Object {
                is_atomic: true, ..
            }),
            _,
        ) => *live = config.clone(),
        (_, Value::Object(config)) => {
            if !live.is_object() {
                *live = Map::new().into();
            }
            let Some(live) = live.as_object_mut() else {
                return;
            };
            for (name, value) in config {
                let node = node.and_then(|node| schema.field(node, name));
                let slot = live.entry(name.clone()).or_insert(Value::Null);
                lay(schema, node, slot, value);
            }
        }
        (Some(Shape::List(node, Merge::By(keys) | Merge::Applied(keys))), Value::Array(config)) => {
            let live = as_list(live);
            for element in config {
                let key = item(keys, element);
                let at = live.iter().position(|one| item(keys, one) == key);
                match at.filter(|_| key.is_some()) {
                    Some(at) => lay(schema, Some(node), &mut live[at], element),
                    None => live.push(element.clone()),
                }
            }
        }
        (Some(Shape::List(_, Merge::Set)), Value::Array(config)) => {
            let live = as_list(live);
            for value in config {
                if !live.contains(value) {
                    live.push(value.clone());
                }
            }
        }
        _ => *live = config.clone(),
    }
}

fn as_list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("it was made one"),
    }
}

/// Takes the fields in `set` out of `object`, but for those somebody else owns, or owns
/// something below.
pub(crate) fn remove(schema: &Schema, object: &mut Value, set: &Set, others: &Set) {
    take(schema, Some(schema.top()), object, set, Some(others), &[]);
}

/// Whether the value itself is to go. `kept` are fields that its element is told apart by.
fn take(
    schema: &Schema,
    node: Option<&Node>,
    value: &mut Value,
    set: &Set,
    others: Option<&Set>,
    kept: &[Key],
) -> bool {
    let is_owned = others.is_some_and(|others| !others.is_empty());
    if set.here && !is_owned {
        return true;
    }
    let shape = node.map(|node| schema.follow(node));
    let below = |step: &Step| others.and_then(|others| others.below.get(step));
    match (shape, value) {
        (_, Value::Object(map)) => {
            let before = map.len();
            for (step, set) in &set.below {
                let Step::Field(name) = step else { continue };
                if kept.iter().any(|key| *key.name == **name) {
                    continue;
                }
                let node = node.and_then(|node| schema.field(node, name));
                let Some(value) = map.get_mut(name) else {
                    continue;
                };
                if take(schema, node, value, set, below(step), &[]) {
                    map.remove(name);
                }
            }
            // A map nobody has anything in is gone with its last field.
            map.is_empty() && before > 0 && !is_owned
        }
        (Some(Shape::List(node, Merge::By(keys) | Merge::Applied(keys))), Value::Array(list)) => {
            let before = list.len();
            list.retain_mut(|element| {
                let Some(step) = item(keys, element) else {
                    return true;
                };
                match set.below.get(&step) {
                    Some(set) => !take(schema, Some(node), element, set, below(&step), keys),
                    None => true,
                }
            });
            list.is_empty() && before > 0 && !is_owned
        }
        (Some(Shape::List(_, Merge::Set)), Value::Array(list)) => {
            let before = list.len();
            list.retain(|value| {
                let step = Step::Value(value.to_string());
                !set.below.contains_key(&step) || below(&step).is_some()
            });
            list.is_empty() && before > 0 && !is_owned
        }
        _ => false,
    }
}
