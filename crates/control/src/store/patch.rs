//! Patches: what an object becomes by them.

use serde_json::{Map, Value};

use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::schema::Schema;

use super::strategic;

/// Most operations of a JSON patch.
const OPERATIONS_MAX: usize = 10_000;

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
            Patch::Json(patch) => json_patch::patch(&mut value, patch).map_err(|error| {
                let message = format!(
                    "the server rejected our request due to an error in our request: {error}"
                );
                Failure::new(Reason::Invalid, message)
            })?,
        }
        match value {
            Value::Object(map) => Ok(Object(map)),
            _ => Err(Failure::bad_request("the patch leaves no object")),
        }
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
}
