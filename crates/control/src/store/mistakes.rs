//! Everything that is wrong with an object, told at once.
//!
//! ```text
//!   types, and what is missing ─► metadata and the kind's rules ─► a definition's expressions
//!                                  of what has the right type        if nothing else is wrong
//! ```

use super::change::continue_from;
use super::create::{begin, generate_name};
use super::write::place_in;
use super::{Store, WriteOptions, meta};
use crate::failure::{Cause, Failure};
use crate::kind::Kind;
use crate::object::Object;
use crate::schema::{self, Mend};

/// All that is wrong, by path; unknown fields are taken out.
pub(super) fn of(kind: &Kind, object: &mut Object, old: Option<&Object>) -> Vec<Cause> {
    let mut causes = schema::check(kind.schema(), &mut object.0).mistakes;
    if let Some(old) = old.filter(|_| kind.is_custom() && !causes.is_empty()) {
        // A definition that has become narrower does not hold what it finds wrong for ever.
        let known = schema::check(kind.schema(), &mut old.clone().0).mistakes;
        causes.retain(|cause| !known.contains(cause));
    }
    let is_mistyped = causes.iter().any(Cause::is_wrong_type);
    let more = match is_mistyped {
        false => by_rules(kind, object, old),
        true => in_spite(kind, object, old),
    };
    add(&mut causes, more);
    causes.truncate(schema::MISTAKES_MAX);
    if causes.is_empty() {
        causes = kind.schema().broken(&object.0, old.map(|old| &old.0));
    }
    causes
}

fn by_rules(kind: &Kind, object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut causes = meta::mistakes(kind, object, old);
    causes.extend(meta::embedded(kind, object));
    causes.extend((kind.validate)(object, old));
    causes
}

/// What is wrong with an object of which parts have the wrong type, whatever they were meant to
/// be: with them left out, and with a guess at them.
fn in_spite(kind: &Kind, object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mended = |how| {
        let mut mended = object.clone();
        schema::mend(kind.schema(), &mut mended.0, how);
        kind.complete(&mut mended);
        by_rules(kind, &mended, old)
    };
    let guessed = mended(Mend::Guess);
    let mut causes = mended(Mend::LeaveOut);
    causes.retain(|cause| guessed.contains(cause));
    causes
}

/// Adds what is not of a place of which something was said already, nor below one.
fn add(causes: &mut Vec<Cause>, more: Vec<Cause>) {
    let known: Vec<String> = causes.iter().map(|cause| cause.field.clone()).collect();
    let is_known = |field: &str| {
        known.iter().any(|known| {
            let rest = field.strip_prefix(known.as_str());
            rest.is_some_and(|rest| matches!(rest.bytes().next(), None | Some(b'.' | b'[')))
        })
    };
    causes.extend(more.into_iter().filter(|cause| !is_known(&cause.field)));
}

impl Store {
    /// All that is wrong with an object that was sent to be made, or to be put in the place of the
    /// one called `name`, where some of it is of the wrong type.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub async fn mistakes(
        &self,
        kind: &Kind,
        (namespace, name): (&str, &str),
        mut object: Object,
        options: &WriteOptions,
    ) -> Result<Vec<Cause>, Failure> {
        let old = match name {
            "" => None,
            name => self.find(kind, namespace, name).await?,
        };
        let old = old.map(|item| super::object(&item)).transpose()?;
        // Parts that the server says may be wrong, too.
        let mut causes = schema::prune(kind.schema(), &mut object.0).mistakes;
        causes.retain(Cause::is_wrong_type);
        place_in(kind, namespace, &mut object)?;
        match &old {
            Some(old) => continue_from(kind, old, &mut object, options)?,
            None => {
                if object.meta().name().is_empty() {
                    generate_name(&mut object);
                }
                begin(kind, &mut object);
            }
        }
        add(&mut causes, of(kind, &mut object, old.as_ref()));
        causes.truncate(schema::MISTAKES_MAX);
        Ok(causes)
    }
}

#[cfg(test)]
mod tests;
