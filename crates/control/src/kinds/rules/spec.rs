//! The part of an object that says what is wanted: it must be there, and is looked at when it changes.
//!
//! What stayed as it was has been looked at when it came; rules that are stricter since must not stand in the way of a
//! status, a label or a finalizer.

use super::{Mistakes, Spot};
use crate::object::Object;

impl Mistakes {
    /// Has `rules` look at `object`'s `spec`, if it is not what `old` had; `rules` get that too.
    pub(crate) fn spec(
        &mut self,
        object: &Object,
        old: Option<&Object>,
        rules: impl FnOnce(&mut Mistakes, &Spot<'_, '_>, Option<&Spot<'_, '_>>),
    ) {
        let spec = Spot::of(object, "spec");
        let old = old.map(|old| Spot::of(old, "spec"));
        if !spec.is_some() {
            self.required(&spec, "");
        } else if old.is_none_or(|old| old.value() != spec.value()) {
            rules(self, &spec, old.as_ref());
        }
    }
}
