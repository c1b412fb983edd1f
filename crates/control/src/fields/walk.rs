//! What fields an object has, and which differ between two.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Set, Step, item};
use crate::schema::{Key, Merge, Node, Schema, Shape};

/// What became of an object's fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difference {
    /// New, or of another value.
    pub(crate) changed: Set,
    /// No longer there.
    pub(crate) removed: Set,
}

/// How a value is told apart in parts.
enum Parts<'a> {
    /// It is owned as a whole.
    Whole,
    /// By the names of its fields.
    Fields(&'a Map<String, Value>),
    /// By keys.
    Items(&'a Node, &'a [Key], &'a [Value]),
    /// By values.
    Values(&'a [Value]),
}

fn parts<'a>(schema: &'a Schema, node: Option<&'a Node>, value: &'a Value) -> Parts<'a> {
    let shape = node.map(|node| schema.follow(node));
    match (shape, value) {
        (
            Some(Shape::Object {
                is_atomic: true, ..
            }),
            _,
        ) => Parts::Whole,
        (_, Value::Object(map)) => Parts::Fields(map),
        (Some(Shape::List(item, Merge::By(keys) | Merge::Applied(keys))), Value::Array(list)) => {
            Parts::Items(item, keys, list)
        }
        (Some(Shape::List(_, Merge::Set)), Value::Array(list)) => Parts::Values(list),
        _ => Parts::Whole,
    }
}

/// An element's value as a step.
fn value_step(value: &Value) -> Step {
    Step::Value(value.to_string())
}

/// A field of an object, as the schema knows it.
fn field<'a>(schema: &'a Schema, node: Option<&'a Node>, name: &str) -> Option<&'a Node> {
    schema.field(node?, name)
}

/// The fields a configuration names: its leaves, and the elements of its lists.
pub(crate) fn of(schema: &Schema, object: &Map<String, Value>) -> Set {
    let mut set = Set::default();
    for (name, value) in object {
        let mut below = Set::default();
        leaves(schema, schema.field(schema.top(), name), value, &mut below);
        set.put(Step::Field(name.clone()), below);
    }
    set
}

fn leaves(schema: &Schema, node: Option<&Node>, value: &Value, set: &mut Set) {
    match parts(schema, node, value) {
        Parts::Fields(map) if !map.is_empty() => {
            for (name, value) in map {
                let mut below = Set::default();
                leaves(schema, field(schema, node, name), value, &mut below);
                set.put(Step::Field(name.clone()), below);
            }
        }
        Parts::Items(node, keys, list) if !list.is_empty() => {
            for element in list {
                let Some(step) = item(keys, element) else {
                    set.here = true;
                    continue;
                };
                let mut below = Set::default();
                leaves(schema, Some(node), element, &mut below);
                below.here = true;
                set.put(step, below);
            }
        }
        Parts::Values(list) if !list.is_empty() => {
            for value in list {
                set.put(value_step(value), Set::itself());
            }
        }
        _ => set.here = true,
    }
}

/// All fields of a value that came or went as a whole.
fn everything(schema: &Schema, node: Option<&Node>, value: &Value, depth: usize, set: &mut Set) {
    leaves(schema, node, value, set);
    mark(set, depth);
}

/// Also what holds other fields came or went, but for the top: every object has a spec.
fn mark(set: &mut Set, depth: usize) {
    set.here |= depth > 1;
    for below in set.below.values_mut() {
        mark(below, depth + 1);
    }
}

/// What has to be done to `old` to make it `new`.
pub(crate) fn difference(
    schema: &Schema,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Difference {
    let mut difference = Difference::default();
    let more = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(more) {
        let both = [old.get(name), new.get(name)];
        let node = schema.field(schema.top(), name);
        let name = Step::Field(name.clone());
        step(schema, node, 0, name, both, &mut difference);
    }
    difference
}

fn compare(
    schema: &Schema,
    node: Option<&Node>,
    depth: usize,
    both: [Option<&Value>; 2],
    into: &mut Difference,
) {
    let (old, new) = match both {
        [None, None] => return,
        [None, Some(new)] => {
            return everything(schema, node, new, depth, &mut into.changed);
        }
        [Some(old), None] => {
            return everything(schema, node, old, depth, &mut into.removed);
        }
        [Some(old), Some(new)] if old == new => return,
        [Some(old), Some(new)] => (old, new),
    };
    match (parts(schema, node, old), parts(schema, node, new)) {
        (Parts::Fields(old), Parts::Fields(new)) => {
            let more = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(more) {
                let both = [old.get(name), new.get(name)];
                let node = field(schema, node, name);
                step(schema, node, depth, Step::Field(name.clone()), both, into);
            }
        }
        (Parts::Items(node, keys, old), Parts::Items(_, _, new)) => {
            let (old, new) = (by_step(keys, old), by_step(keys, new));
            let (Some(old), Some(new)) = (old, new) else {
                // Elements that cannot be told apart: the list is one thing.
                into.changed.here = true;
                return;
            };
            let more = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(more) {
                let both = [old.get(key).copied(), new.get(key).copied()];
                step(schema, Some(node), depth, key.clone(), both, into);
            }
        }
        (Parts::Values(old), Parts::Values(new)) => {
            for value in new.iter().filter(|value| !old.contains(value)) {
                into.changed.put(value_step(value), Set::itself());
            }
            for value in old.iter().filter(|value| !new.contains(value)) {
                into.removed.put(value_step(value), Set::itself());
            }
        }
        _ => into.changed.here = true,
    }
}

fn step(
    schema: &Schema,
    node: Option<&Node>,
    depth: usize,
    step: Step,
    both: [Option<&Value>; 2],
    into: &mut Difference,
) {
    let mut below = Difference::default();
    compare(schema, node, depth + 1, both, &mut below);
    into.changed.put(step.clone(), below.changed);
    into.removed.put(step, below.removed);
}

/// Nothing: two elements have the same keys, or one has none.
fn by_step<'a>(keys: &[Key], list: &'a [Value]) -> Option<BTreeMap<Step, &'a Value>> {
    let mut found = BTreeMap::new();
    for element in list {
        if found.insert(item(keys, element)?, element).is_some() {
            return None;
        }
    }
    Some(found)
}
