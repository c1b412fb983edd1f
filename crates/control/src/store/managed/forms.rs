//! Owners who wrote in another form of the kind: what they own, and what they lose, is told in
//! the words of their form.
//!
//! Never: reached where all wrote in one form, as for nearly all kinds.

use std::borrow::Cow;

use serde_json::Value;

use super::{Entry, owned};
use crate::fields::{self, Set};
use crate::kind::Kind;
use crate::object::Object;

/// What became of an object.
pub(super) struct Changed<'a> {
    kind: &'a Kind,
    /// The kind's, as entries have it.
    version: &'a str,
    objects: (&'a Object, &'a Object),
    pub(super) sets: Sets,
}

/// Fields with another value, and fields that are gone.
#[derive(Clone)]
pub(super) struct Sets {
    pub(super) changed: Set,
    pub(super) removed: Set,
}

impl Sets {
    fn between(kind: &Kind, old: &Object, new: &Object) -> Sets {
        let found = fields::difference(kind.schema(), &old.0, &new.0);
        Sets {
            changed: owned(found.changed),
            removed: owned(found.removed),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

impl<'a> Changed<'a> {
    /// From `old` to `new`, both of `kind`; `version` is that kind's.
    pub(super) fn between(
        kind: &'a Kind,
        version: &'a str,
        old: &'a Object,
        new: &'a Object,
    ) -> Changed<'a> {
        Changed {
            kind,
            version,
            objects: (old, new),
            sets: Sets::between(kind, old, new),
        }
    }

    /// The same for an owner who wrote in `version`.
    pub(super) fn told(&self, version: &str) -> Cow<'_, Sets> {
        let (old, new) = self.objects;
        let other = (version != self.version).then(|| self.kind.form_called(version));
        match other.flatten() {
            None => Cow::Borrowed(&self.sets),
            Some(other) => Cow::Owned(Sets::between(
                other,
                &self.kind.part_in(other, old),
                &self.kind.part_in(other, new),
            )),
        }
    }
}

/// What `entry` owns of `object`, in the words of the object's `kind`, whose version is `version`.
pub(super) fn translated<'a>(
    kind: &Kind,
    version: &str,
    entry: &'a Entry,
    object: &Object,
) -> Cow<'a, Set> {
    let other = (entry.api_version != version).then(|| kind.form_called(&entry.api_version));
    let Some(other) = other.flatten() else {
        return Cow::Borrowed(&entry.set);
    };
    let there = kind.part_in(other, object);
    let mut not_owned = fields::of(other.schema(), &there.0);
    not_owned.subtract(&entry.set);
    let mut part = Value::Object(there.0);
    fields::remove(other.schema(), &mut part, &not_owned, &Set::default());
    let Value::Object(part) = part else {
        return Cow::Owned(Set::default());
    };
    let part = other.part_in(kind, &Object(part));
    Cow::Owned(owned(fields::of(kind.schema(), &part.0)))
}
