//! What config maps and secrets have in common: values by key, in bounds, that may be kept from
//! being changed.
//!
//! Never: shows a value.

use super::rules::{Mistakes, Spot};
use crate::object::Object;

/// Most bytes of all values (`MaxSecretSize`).
pub(super) const MOST_BYTES: usize = 1024 * 1024;
/// Longest key.
const LONGEST_KEY: usize = 253;

/// What a key must look like.
pub(super) fn check_key(key: &str) -> Result<(), &'static str> {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || key.len() > LONGEST_KEY {
        Err("must be 1 to 253 bytes")
    } else if key == "." || key.starts_with("..") {
        Err("must not be '.' nor start with '..'")
    } else if !key.chars().all(right) {
        Err(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
             'key.name', or 'KEY_NAME', or 'key-name', regex used for validation is \
             '[-._a-zA-Z0-9]+')",
        )
    } else {
        Ok(())
    }
}

/// What of `fields` has changed in an object that said it would not be.
pub(super) fn changed(
    mistakes: &mut Mistakes,
    object: &Object,
    old: Option<&Object>,
    fields: &[&str],
) {
    let Some(old) = old.filter(|old| Spot::of(old, "immutable").is_true()) else {
        return;
    };
    for field in fields.iter().chain(&["immutable"]) {
        let new = Spot::of(object, field);
        if new.value() != Spot::of(old, field).value() {
            mistakes.forbidden(&new, "field is immutable when `immutable` is set");
        }
    }
}
