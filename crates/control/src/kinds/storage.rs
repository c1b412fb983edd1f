//! What volumes and claims share: access modes, sizes, how they are shown.

use super::spot::Spot;
use crate::failure::Cause;
use crate::object::Object;
use crate::quantity::Quantity;

/// Ways to use a volume, with what kubectl calls them.
const ACCESS: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];
const ALONE: &str = "ReadWriteOncePod";
pub(super) const MODES: [&str; 2] = ["Block", "Filesystem"];

/// What is wrong with a list of access modes that is there.
pub(super) fn access(spot: &Spot<'_>) -> Vec<Cause> {
    let modes = spot.items();
    let mut known = ACCESS.map(|(mode, _)| mode);
    known.sort_unstable();
    let mut causes: Vec<Cause> = modes
        .iter()
        .filter_map(|mode| mode.one_of(&known))
        .collect();
    if modes.len() > 1 && modes.iter().any(|mode| mode.text() == ALONE) {
        causes.push(spot.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    causes
}

/// A size has to be a quantity of something.
pub(super) fn size(spot: &Spot<'_>) -> Option<Cause> {
    match Quantity::of(spot.value()?) {
        Err(why) => Some(spot.invalid(why)),
        Ok(size) if size <= Quantity::ZERO => Some(spot.invalid("must be greater than zero")),
        Ok(_) => None,
    }
}

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

/// `RWO,ROX`
pub(super) fn shown_access(spot: &Spot<'_>) -> String {
    let modes = spot.items();
    let short = ACCESS.iter().filter_map(|(long, short)| {
        modes
            .iter()
            .any(|mode| mode.text() == *long)
            .then_some(*short)
    });
    short.collect::<Vec<_>>().join(",")
}

/// A quantity as it was written.
pub(super) fn shown_size(spot: &Spot<'_>) -> String {
    match spot.value() {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Its phase, or that it is going.
pub(super) fn phase(object: &Object) -> String {
    if object.meta().is_deleting() {
        return "Terminating".to_owned();
    }
    object
        .text(&["status", "phase"])
        .unwrap_or_default()
        .to_owned()
}

/// `<unset>` where nothing is said.
pub(super) fn or_unset(spot: &Spot<'_>) -> String {
    match spot.text() {
        "" => "<unset>".to_owned(),
        text => text.to_owned(),
    }
}
