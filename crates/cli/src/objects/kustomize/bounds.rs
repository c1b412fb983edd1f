//! How large an object may grow while it is patched: a copy may take along what the one before has
//! made (CVE-2019-11253 is its kin).

use serde_json::Value;

/// Maps and lists in one another.
const DEPTH_MAX: usize = 200;
/// What a value weighs besides its text.
const VALUE: usize = 16;
/// Bytes of texts, with what values weigh: more than a server takes.
const WEIGHT_MAX: usize = 8 << 20;

/// Whether `value` stays within bounds. Needs no stack, however deep it is.
pub fn check(value: &Value) -> Result<(), String> {
    let mut weight = 0;
    let mut left = vec![(value, 0)];
    while let Some((value, depth)) = left.pop() {
        weight += VALUE;
        match value {
            Value::String(text) => weight += text.len(),
            Value::Array(list) => left.extend(list.iter().map(|one| (one, depth + 1))),
            Value::Object(map) => {
                weight += map.keys().map(String::len).sum::<usize>();
                left.extend(map.values().map(|one| (one, depth + 1)));
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(format!(
                "the object would be more than {DEPTH_MAX} levels deep"
            ));
        }
        if weight > WEIGHT_MAX {
            return Err(format!(
                "the object would have more than {WEIGHT_MAX} bytes"
            ));
        }
    }
    Ok(())
}
