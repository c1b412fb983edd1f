//! What templates are called by.

use serde_json::Value;

/// The same letters for the same template, and no words; others after each collision.
pub(super) fn of(template: &Value, collisions: u32) -> String {
    // FNV-1a, of 32 bits.
    let mut hash: u32 = 0x811c_9dc5;
    let text = sorted(template);
    let salt = collisions.to_le_bytes();
    let salt: &[u8] = if collisions > 0 { &salt } else { &[] };
    for byte in text.as_bytes().iter().chain(salt) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digits = hash.to_string();
    digits
        .bytes()
        .map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()]))
        .collect()
}

/// The JSON of a value with the fields in the order of their names.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            let fields = fields.into_iter();
            let fields: Vec<String> = fields
                .map(|(name, value)| format!("{name:?}:{}", sorted(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(sorted).collect();
            format!("[{}]", list.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_templates_name_does_not_hang_on_the_order_of_fields() {
        let one = json!({ "a": 1, "b": { "x": [1, { "p": 1, "q": 2 }], "y": "z" } });
        let other = json!({ "b": { "y": "z", "x": [1, { "q": 2, "p": 1 }] }, "a": 1 });
        assert_eq!(of(&one, 0), of(&other, 0));
        assert_ne!(of(&one, 0), of(&one, 1));
        assert_ne!(of(&one, 0), of(&json!({ "a": 2 }), 0));
    }
}
