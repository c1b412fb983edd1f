//! Strategic merge patches (Kubernetes, "Update API Objects in Place Using kubectl patch").
//!
//! A merge patch that knows which lists are sets, and which have elements with names. Directives:
//! `$patch` (`replace`, `delete`, `merge`), `$retainKeys`, `$deleteFromPrimitiveList/FIELD`,
//! `$setElementOrder/FIELD`.
//!
//! Owns: how values merge, and which lists of Kubernetes' own types do ([`lists`]).
//! Never: knows a whole type; who merges says what is where.

pub mod lists;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const REMOVE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// A place in a type.
pub trait Place: Sized {
    /// Whether what a patch brings comes before what is there.
    const IS_FIRST: bool = false;

    /// What the field `name` is; nothing where that is not said.
    fn field(&self, name: &str) -> Option<Self>;

    /// What the elements are and how they merge, if it is a list.
    fn list(&self) -> Option<(Option<Self>, How)>;
}

/// How a list merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The new one takes its place.
    Replace,
    /// It is a set of values.
    Set,
    /// Its objects are told apart by these fields, of which each has the first; what the others
    /// are where they are left out.
    By(Vec<(String, Value)>),
}

/// Why a patch does not merge.
#[derive(Debug, thiserror::Error)]
pub enum StrategicError {
    /// It asks for what is not known.
    #[error("unknown patch directive {0:?}: replace, merge and delete are")]
    Directive(String),
    /// Which element is meant is not said.
    #[error("map: {element} does not contain declared merge key: {key}")]
    Key {
        /// The element.
        element: Value,
        /// What it has not.
        key: String,
    },
}

/// Merges `patch` into `target`, which is at `place`.
///
/// # Errors
/// It is no strategic merge patch.
pub fn merge<P: Place>(
    place: Option<&P>,
    target: &mut Value,
    patch: &Value,
) -> Result<(), StrategicError> {
    Walk(std::marker::PhantomData).value(place, target, patch)
}

struct Walk<P>(std::marker::PhantomData<P>);

impl<P: Place> Walk<P> {
    fn value(
        &self,
        node: Option<&P>,
        target: &mut Value,
        patch: &Value,
    ) -> Result<(), StrategicError> {
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
        node: Option<&P>,
        target: &mut Map<String, Value>,
        patch: &Map<String, Value>,
    ) -> Result<(), StrategicError> {
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
            let below = node.and_then(|node| node.field(name));
            let list = below.as_ref().and_then(Place::list);
            let slot = target.entry(name.clone()).or_insert(Value::Null);
            match (list, value) {
                (Some((item, how)), Value::Array(patch)) if how != How::Replace => {
                    let mut old = match slot.take() {
                        Value::Array(old) => old,
                        _ => Vec::new(),
                    };
                    self.list(item.as_ref(), &how, &mut old, patch)?;
                    *slot = old.into();
                }
                _ => self.value(below.as_ref(), slot, value)?,
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
                let below = node.and_then(|node| node.field(name));
                if let (Some(Value::Array(list)), Some((_, how))) =
                    (target.get_mut(name), below.as_ref().and_then(Place::list))
                {
                    order(list, values, &how);
                }
            }
        }
        Ok(())
    }

    fn list(
        &self,
        item: Option<&P>,
        how: &How,
        old: &mut Vec<Value>,
        patch: &[Value],
    ) -> Result<(), StrategicError> {
        let How::By(keys) = how else {
            let mut known: HashSet<Value> = old.iter().cloned().collect();
            let new = patch.iter().filter(|value| known.insert((*value).clone()));
            let new: Vec<Value> = new.cloned().collect();
            let at = if P::IS_FIRST { 0 } else { old.len() };
            old.splice(at..at, new);
            return Ok(());
        };
        let key = &*keys[0].0;
        let name = |value: &Value| -> Option<Vec<Value>> {
            value.get(key)?;
            let of = |(key, default): &(String, Value)| value.get(key).unwrap_or(default).clone();
            Some(keys.iter().map(of).collect())
        };
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
        let mut places: HashMap<Vec<Value>, usize> = HashMap::new();
        for (at, one) in slots.iter().flatten().enumerate() {
            if let Some(name) = name(one) {
                places.entry(name).or_insert(at);
            }
        }
        let mut named = Vec::new();
        for value in patch {
            let Some(name) = name(value) else {
                return Err(StrategicError::Key {
                    element: value.clone(),
                    key: key.to_owned(),
                });
            };
            let slot = places.get(&name).copied();
            // With one key, all that the patch names come first, in its order.
            named.extend(slot.filter(|_| keys.len() == 1));
            match (directive(value).as_deref(), slot) {
                (Some("delete"), Some(at)) => {
                    slots[at] = None;
                    places.remove(&name);
                }
                (Some("delete"), None) => {}
                (_, Some(at)) => {
                    self.value(item, slots[at].get_or_insert(Value::Null), value)?;
                }
                (_, None) => {
                    named.push(slots.len());
                    places.insert(name, slots.len());
                    slots.push(fresh(value)?);
                }
            }
        }
        if P::IS_FIRST {
            old.extend(named.into_iter().filter_map(|at| slots[at].take()));
        }
        old.extend(slots.into_iter().flatten());
        Ok(())
    }
}

/// What a patch says of what is not there: that is taken as it stands, with elements of the same
/// name in a list, without nulls and directives.
fn fresh(value: &Value) -> Result<Option<Value>, StrategicError> {
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
fn order(list: &mut [Value], wanted: &[Value], how: &How) {
    fn name<'v>(value: &'v Value, how: &How) -> Option<&'v Value> {
        match how {
            How::By(keys) => value.get(&keys[0].0),
            How::Set | How::Replace => Some(value),
        }
    }
    let mut ranks: HashMap<&Value, usize> = HashMap::new();
    for (rank, one) in wanted.iter().enumerate() {
        if let Some(name) = name(one, how) {
            ranks.entry(name).or_insert(rank);
        }
    }
    let rank = |value: &Value| ranks.get(name(value, how)?).copied();
    let places: Vec<usize> = (0..list.len())
        .filter(|at| rank(&list[*at]).is_some())
        .collect();
    let mut named: Vec<Value> = places.iter().map(|at| list[*at].clone()).collect();
    named.sort_by_key(|value| rank(value));
    for (at, value) in places.into_iter().zip(named) {
        list[at] = value;
    }
}

fn unknown(directive: &str) -> StrategicError {
    StrategicError::Directive(directive.to_owned())
}
