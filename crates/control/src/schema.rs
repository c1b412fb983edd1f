//! Structural schemas: what an object of a kind may hold.
//!
//! Owns: finding every mistake of an object at once, each by its path; unknown fields apart, for
//! they may be meant to be ignored.
//! Never: what makes sense; that is the kind's.

mod cel;
mod check;
mod compile;
pub(crate) mod embedded;
mod formats;
mod lists;
mod rules;
mod validations;

pub use cel::attempt;
pub use check::{Findings, check, odd, prune, strict};
pub(crate) use check::{MISTAKES_MAX, Mend, mend};
pub use compile::Schema;
pub use lists::patch_strategy;
pub(crate) use rules::pattern;
pub(crate) use validations::mistakes as rule_mistakes;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    /// An object with these fields.
    Object {
        fields: BTreeMap<Box<str>, Arc<Node>>,
        required: Vec<Box<str>>,
        /// What fields of other names are.
        rest: Rest,
        /// Whether it has one owner, as a whole.
        is_atomic: bool,
    },
    /// A list of these, and how patches treat it.
    List(Arc<Node>, Merge),
    /// Text.
    Text,
    /// A time (RFC 3339).
    Time,
    /// Text, base64.
    Bytes,
    /// A whole number of so many bits.
    Integer(u8),
    /// A number.
    Number,
    /// true or false.
    Bool,
    /// A number or a text, as ports and quantities are.
    IntOrString,
    /// Anything.
    Any,
    /// Another definition: types may hold themselves.
    Named(Box<str>),
}

/// What becomes of a list that is patched or applied to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Merge {
    /// The new one takes its place.
    Replace,
    /// It is a set of values.
    Set,
    /// Its objects are told apart by these fields, at least one. Strategic merge patches know
    /// the first only.
    By(Arc<[Key]>),
    /// The same for owners of fields and applications; a patch replaces it.
    Applied(Arc<[Key]>),
}

/// A field by which a list's objects are told apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: Box<str>,
    /// What it is where it is left out.
    pub(crate) default: Option<Value>,
}

/// Fields an object's schema does not name.
#[derive(Debug)]
pub(crate) enum Rest {
    /// There are none.
    Unknown,
    /// They are all of one kind: a map.
    Of(Arc<Node>),
    /// Anything goes.
    Any,
}

/// A place in a schema.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) shape: Shape,
    /// Whether an empty value says what none does, and is not kept.
    pub(crate) is_silent: bool,
}
