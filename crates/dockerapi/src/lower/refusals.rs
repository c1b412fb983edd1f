//! The list of what is wrong with a request, and the members nobody knows.
//!
//! It never stops at the first.

use serde_json::Value;
use weft_api::docker::Rest;

use crate::error::ApiError;

/// Everything that is wrong with one request. Bounded by the body's bound.
#[derive(Debug, Default)]
pub struct Refusals {
    unsupported: Vec<String>,
    invalid: Vec<String>,
}

impl Refusals {
    /// A value that has no meaning.
    pub fn invalid(&mut self, what: impl Into<String>) {
        self.invalid.push(what.into());
    }

    /// A member or value that has a meaning weft does not offer.
    pub fn unsupported(&mut self, what: impl Into<String>) {
        self.unsupported.push(what.into());
    }

    /// As [`Refusals::unsupported`], when `wanted`.
    pub fn unsupported_if(&mut self, wanted: bool, what: &str) {
        if wanted {
            self.unsupported(what);
        }
    }

    /// Refuses every member without a field, unless its value is the default.
    pub fn rest(&mut self, prefix: &str, rest: &Rest) {
        self.rest_but(prefix, rest, |_, _| false);
    }

    /// As [`Refusals::rest`], but for what `harmless` lets through.
    pub fn rest_but(&mut self, prefix: &str, rest: &Rest, harmless: impl Fn(&str, &Value) -> bool) {
        for (name, value) in rest {
            if !is_default(value) && !harmless(name, value) {
                self.unsupported(format!("{prefix}{name}"));
            }
        }
    }

    /// `Ok` when nothing was refused.
    pub fn check(self) -> Result<(), ApiError> {
        let mut parts = Vec::new();
        if !self.unsupported.is_empty() {
            parts.push(format!("not supported: {}", self.unsupported.join(", ")));
        }
        parts.extend(self.invalid);
        if parts.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(parts.join("; ")))
        }
    }
}

/// What Go writes for a field nobody set.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(is_default),
    }
}
