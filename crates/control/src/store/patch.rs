//! Patches: what an object becomes by them.

use serde_json::{Map, Value};

use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::schema::Schema;

use super::meta::{DEEPEST, depth};
use super::strategic;

/// Most operations of a JSON patch.
const OPERATIONS_MAX: usize = 10_000;
/// Most bytes that a JSON patch copies and moves within an object: a copy may take along what the
/// one before has made (CVE-2019-11253 is its kin).
const CARRIED_MAX: usize = 3 << 20;

/// How an object is to be changed.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
    /// Kubernetes' own: lists whose elements have names are merged, too.
    Strategic(Value),
}

impl Patch {
    /// Reads a JSON patch.
    ///
    /// # Errors
    /// It is none, or too long.
    pub fn json(value: Value) -> Result<Patch, Failure> {
        let patch: json_patch::Patch = serde_json::from_value(value).map_err(|error| {
            Failure::bad_request(format!("the patch is no JSON patch: {error}"))
        })?;
        let length = patch.0.len();
        if length > OPERATIONS_MAX {
            let message = format!(
                "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {length}"
            );
            return Err(Failure::new(Reason::RequestEntityTooLarge, message));
        }
        Ok(Patch::Json(patch))
    }

    /// What `old` becomes.
    ///
    /// # Errors
    /// It does not fit `old`.
    pub fn apply(&self, schema: &Schema, old: &Object) -> Result<Object, Failure> {
        let mut value = Value::Object(old.0.clone());
        match self {
            Patch::Merge(patch) => merge(&mut value, patch),
            Patch::Strategic(patch) => strategic::merge(schema, &mut value, patch)?,
            Patch::Json(patch) => operate(&mut value, patch)?,
        }
        match value {
            Value::Object(map) => Ok(Object(map)),
            _ => Err(Failure::bad_request("the patch leaves no object")),
        }
    }
}

/// RFC 6902, one operation after the other, so that none grows beyond bounds.
fn operate(value: &mut Value, patch: &json_patch::Patch) -> Result<(), Failure> {
    use json_patch::PatchOperation as Operation;
    let mut carried = 0;
    for (index, operation) in patch.0.iter().enumerate() {
        let below = match operation {
            Operation::Add(add) => depth(&add.value),
            Operation::Replace(replace) => depth(&replace.value),
            Operation::Copy(json_patch::CopyOperation { from, .. })
            | Operation::Move(json_patch::MoveOperation { from, .. }) => {
                let found = value.pointer(from.as_str());
                carried += found.map_or(0, weight);
                found.map_or(0, depth)
            }
            Operation::Remove(_) | Operation::Test(_) => 0,
        };
        if carried > CARRIED_MAX {
            let message = format!(
                "The allowed maximum of bytes that a JSON patch copies and moves is {CARRIED_MAX}"
            );
            return Err(Failure::new(Reason::RequestEntityTooLarge, message));
        }
        if operation.path().count() + below > DEEPEST {
            let message = format!("The patch nests the object more than {DEEPEST} levels deep");
            return Err(Failure::new(Reason::RequestEntityTooLarge, message));
        }
        let done = json_patch::patch(value, std::slice::from_ref(operation));
        done.map_err(|mut error| {
            error.operation = index;
            let message =
                format!("the server rejected our request due to an error in our request: {error}");
            Failure::new(Reason::Invalid, message)
        })?;
    }
    Ok(())
}

/// About as many bytes as `value` has.
fn weight(value: &Value) -> usize {
    const EACH: usize = 8;
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(weight).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| name.len() + weight(value))
            .sum(),
        _ => 0,
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Map::new().into();
    }
    let Some(map) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_is_what_the_rfc_says() {
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (
                json!({"a":"foo"}),
                json!({"a":{"b":{"c":null}}}),
                json!({"a":{"b":{}}}),
            ),
        ] {
            let mut found = target;
            merge(&mut found, &patch);
            assert_eq!(found, expected, "{patch}");
        }
    }

    #[test]
    fn a_json_patch_fits_or_changes_nothing() {
        let old = Object(json!({"a":{"b":[1]}}).as_object().unwrap().clone());
        let patch = Patch::json(json!([{"op":"add","path":"/a/b/-","value":2}])).unwrap();
        let schema = Schema::compile(&json!(true));
        assert_eq!(
            patch.apply(&schema, &old).unwrap().0["a"],
            json!({"b":[1,2]})
        );
        let wrong = Patch::json(json!([{"op":"test","path":"/a","value":2}])).unwrap();
        assert_eq!(
            wrong.apply(&schema, &old).unwrap_err().reason,
            Reason::Invalid
        );
        assert!(Patch::json(json!({"op":"add"})).is_err());
    }

    #[test]
    fn a_json_patch_does_not_grow_beyond_bounds() {
        let old = Object(json!({"a":{"b":"x"}}).as_object().unwrap().clone());
        let schema = Schema::compile(&json!(true));
        let doubling = (0..200).map(|n| json!({"op":"copy","from":"/a","path":format!("/a/{n}")}));
        let moving = (0..200).flat_map(|_| {
            [
                json!({"op":"move","from":"/a","path":"/c"}),
                json!({"op":"add","path":"/a","value":{}}),
                json!({"op":"move","from":"/c","path":"/a/c"}),
            ]
        });
        let adding = (1..200).map(|n| json!({"op":"add","path":"/a".repeat(n),"value":{}}));
        let wide = json!({"op":"add","path":"/a/w","value":"x".repeat(1 << 20)});
        let wide = std::iter::once(wide)
            .chain((0..4).map(|n| json!({"op":"copy","from":"/a/w","path":format!("/w{n}")})));
        for patch in [
            doubling.collect::<Value>(),
            moving.collect(),
            adding.collect(),
            wide.collect(),
        ] {
            let refused = Patch::json(patch).unwrap().apply(&schema, &old);
            assert_eq!(refused.unwrap_err().reason, Reason::RequestEntityTooLarge);
        }
        let few = json!([
            {"op":"copy","from":"/a","path":"/c"},
            {"op":"move","from":"/c/b","path":"/a/d"},
            {"op":"test","path":"/nothing","value":1},
        ]);
        let refused = Patch::json(few).unwrap().apply(&schema, &old).unwrap_err();
        assert!(refused.message.contains("'/2'"), "{}", refused.message);
    }
}
