//! What an event may be, in whichever group it is written.

use crate::failure::Cause;
use crate::kinds::rules::{Mistakes, Spot};
use crate::names;
use crate::object::Object;

/// Longest action, reason and reporting instance.
const WORD_MAX: usize = 128;
/// Longest message.
const MESSAGE_MAX: usize = 1024;

pub(super) fn validate(event: &Object, _: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    of_any(&mut mistakes, event, "reportingComponent");
    mistakes.into_causes()
}

/// An event with `eventTime` is of the new kind, which says more. `reporter` is what the group
/// calls who reports it.
pub(super) fn of_any(mistakes: &mut Mistakes, event: &Object, reporter: &str) {
    let namespace = event.meta().namespace();
    let about = Spot::of(event, "involvedObject");
    let about = about.at("namespace");
    let is_new = Spot::of(event, "eventTime").is_some();
    let fits = match (about.text(), is_new) {
        ("", true) => matches!(namespace, "default" | "kube-system"),
        ("", false) => namespace == "default",
        (_, true) => true,
        (about, false) => about == namespace,
    };
    if !fits {
        mistakes.invalid(&about, "does not match event.namespace");
    }
    if is_new {
        told_by(mistakes, event, reporter);
    }
}

fn told_by(mistakes: &mut Mistakes, event: &Object, reporter: &str) {
    let who = Spot::of(event, reporter).holding(Spot::of(event, "reportingComponent").value());
    mistakes.must_be(&who, "");
    mistakes.shaped(&who, names::label_key);
    for name in ["reportingInstance", "action", "reason"] {
        let word = Spot::of(event, name);
        mistakes.must_be(&word, "");
        at_most(mistakes, &word, WORD_MAX);
    }
    at_most(mistakes, &Spot::of(event, "message"), MESSAGE_MAX);
}

fn at_most(mistakes: &mut Mistakes, word: &Spot<'_, '_>, most: usize) {
    if word.text().len() > most {
        mistakes.invalid_unseen(word, &format!("can have at most {most} characters"));
    }
}

/// Whether both are the same time, written in two ways, up to what is stored of it.
pub(super) fn is_same_time(one: &Spot<'_, '_>, other: &Spot<'_, '_>) -> bool {
    let micros = |spot: &Spot<'_, '_>| {
        let time = spot.text().parse::<jiff::Timestamp>().ok()?;
        Some(time.as_microsecond())
    };
    micros(one).is_some_and(|time| micros(other) == Some(time))
}
