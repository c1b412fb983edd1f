//! What quotas show and check of amounts.

use super::spot::Spot;
use crate::failure::Cause;
use crate::quantity::Quantity;

/// A quantity that may be none.
pub(super) fn share(spot: &Spot<'_>) -> Option<Cause> {
    match Quantity::of(spot.value()?) {
        Err(why) => Some(spot.invalid(why)),
        Ok(size) if size < Quantity::ZERO => {
            Some(spot.invalid("must be greater than or equal to 0"))
        }
        Ok(_) => None,
    }
}

/// A quantity as it was written.
pub(super) fn shown_size(spot: &Spot<'_>) -> String {
    match spot.value() {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
