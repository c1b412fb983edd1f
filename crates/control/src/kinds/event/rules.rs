//! What an event may be, in whichever group it is written.

use crate::failure::Cause;
use crate::kinds::spot::Spot;
use crate::names;
use crate::object::Object;

/// Longest action, reason and reporting instance.
const WORD_MAX: usize = 128;
/// Longest message.
const MESSAGE_MAX: usize = 1024;

pub(super) fn validate(event: &Object, _: Option<&Object>) -> Vec<Cause> {
    of_any(event, "reportingComponent")
}

/// An event with `eventTime` is of the new kind, which says more. `reporter` is what the group
/// calls who reports it.
pub(super) fn of_any(event: &Object, reporter: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let namespace = event.meta().namespace();
    let about = Spot::of(event, "involvedObject").field("namespace");
    let is_new = Spot::of(event, "eventTime").is_there();
    let fits = match (about.text(), is_new) {
        ("", true) => matches!(namespace, "default" | "kube-system"),
        ("", false) => namespace == "default",
        (_, true) => true,
        (about, false) => about == namespace,
    };
    if !fits {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid(about.path(), about.text(), why));
    }
    if is_new {
        told_by(event, reporter, &mut causes);
    }
    causes
}

fn told_by(event: &Object, reporter: &str, causes: &mut Vec<Cause>) {
    let who = Spot::of(event, "reportingComponent").renamed(reporter);
    causes.extend(who.needed(""));
    if let Err(why) = names::label_key(who.text()) {
        causes.push(Cause::invalid(who.path(), who.text(), why));
    }
    for name in ["reportingInstance", "action", "reason"] {
        let word = Spot::of(event, name);
        causes.extend(word.needed(""));
        causes.extend(at_most(&word, WORD_MAX));
    }
    causes.extend(at_most(&Spot::of(event, "message"), MESSAGE_MAX));
}

fn at_most(word: &Spot<'_>, most: usize) -> Option<Cause> {
    let why = format!("can have at most {most} characters");
    (word.text().len() > most).then(|| Cause::invalid(word.path(), "", &why))
}

/// Whether both are the same time, written in two ways, up to what is stored of it.
pub(super) fn is_same_time(one: &Spot<'_>, other: &Spot<'_>) -> bool {
    let micros = |spot: &Spot<'_>| {
        let time = spot.text().parse::<jiff::Timestamp>().ok()?;
        Some(time.as_microsecond())
    };
    micros(one).is_some_and(|time| micros(other) == Some(time))
}
