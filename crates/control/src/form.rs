//! Further forms of a built-in kind: another group or version its objects are served in. (Versions
//! of kinds that users define differ by schema only: `store/defined.rs`.)
//!
//! Owns: how an object of one form becomes one of another. Never: a form of its own in the
//! keyspace; there is one that is stored, and all others are made of it.
//!
//! ```text
//!   written as events.k8s.io/v1 ─► its schema, defaults, rules ─► v1 ─► stored
//!   stored ─► v1 ─► read as events.k8s.io/v1
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use crate::kind::Kind;
use crate::object::Object;
use crate::schema;
use crate::store::Defined;

/// How the objects of a form are stored: as those of another kind.
#[derive(Clone, Debug)]
pub struct Form {
    /// What is stored.
    pub stored: Arc<Kind>,
    /// An object of the form becomes one that is stored.
    pub write: fn(&mut Object),
    /// What is stored becomes an object of the form.
    pub read: fn(&mut Object),
}

impl Kind {
    /// The kind its objects are stored as.
    pub fn stored(&self) -> &Kind {
        self.form.as_ref().map_or(self, |form| &form.stored)
    }

    /// Whether objects of it are kept, and not those of another kind shown as its.
    pub fn is_kept(&self) -> bool {
        let is_stored = |defined: &Defined| defined.stored_version() == self.version;
        let is_made = self.is_question || self.is_measured;
        !is_made && self.form.is_none() && self.defined.as_ref().is_none_or(is_stored)
    }

    /// The form of it, or itself, that objects call so.
    pub(crate) fn form_called(&self, api_version: &str) -> Option<&Kind> {
        let stored = self.stored();
        let forms = (stored.forms)().iter().map(|form| &**form);
        let mut all = std::iter::once(stored).chain(forms);
        all.find(|kind| kind.api_version() == api_version)
    }

    /// An object as it is stored: with what is filled in there, without what is not known there.
    pub fn as_stored<'a>(&self, object: &'a Object) -> Cow<'a, Object> {
        let Some(form) = &self.form else {
            return Cow::Borrowed(object);
        };
        let mut object = named(&form.stored, object);
        (form.write)(&mut object);
        form.stored.complete(&mut object);
        // Mistakes are told by the form's rules.
        schema::check(form.stored.schema(), &mut object.0);
        Cow::Owned(object)
    }

    /// An object that is stored, as this form has it.
    pub(crate) fn of_stored<'a>(&self, object: &'a Object) -> Cow<'a, Object> {
        let Some(form) = &self.form else {
            return Cow::Borrowed(object);
        };
        let mut object = named(self, object);
        (form.read)(&mut object);
        Cow::Owned(object)
    }

    /// A part of an object as another form has it: nothing is filled in.
    pub(crate) fn part_in(&self, other: &Kind, part: &Object) -> Object {
        let mut part = part.clone();
        if let Some(form) = &self.form {
            (form.write)(&mut part);
        }
        other.of_stored(&part).into_owned()
    }
}

/// The object, said to be of this kind.
fn named(kind: &Kind, object: &Object) -> Object {
    let mut object = object.clone();
    object
        .0
        .insert("apiVersion".to_owned(), kind.api_version().into());
    object.0.insert("kind".to_owned(), (&*kind.kind).into());
    object
}

/// A field gets another name.
pub(crate) fn rename(object: &mut Object, from: &str, to: &str) {
    if let Some(value) = object.0.remove(from) {
        object.0.insert(to.to_owned(), value);
    }
}
