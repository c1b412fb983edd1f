//! The list of what is wrong with an object, and the rules of single values.
//!
//! Bounded: nobody reads more, and who sends a hundred thousand mistakes must not get them back.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::Spot;
use crate::failure::Cause;
use crate::names;

/// Most mistakes told of one object.
const MOST: usize = 64;
/// Most bytes of a value that are shown.
const SHOWN: usize = 200;
/// Not below nothing.
pub(crate) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
/// Above nothing.
pub(crate) const POSITIVE: &str = "must be greater than zero";

/// What is wrong with an object.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Cause>);

impl Mistakes {
    /// All of them.
    pub(crate) fn into_causes(self) -> Vec<Cause> {
        self.0
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no more will be taken: what comes need not be looked at.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    fn add(&mut self, cause: impl FnOnce() -> Cause) {
        if !self.is_full() {
            self.0.push(cause());
        }
    }

    /// What others found.
    pub(crate) fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        let room = MOST - self.0.len();
        self.0.extend(causes.into_iter().take(room));
    }

    /// What is there cannot be meant.
    pub(crate) fn invalid(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::invalid(at.path(), Shown(at.value()), why));
    }

    /// What is there cannot be meant, shown as `value`: its key, or a part of it.
    pub(crate) fn invalid_as(&mut self, at: &Spot<'_, '_>, value: &str, why: &str) {
        self.add(|| Cause::invalid(at.path(), value, why));
    }

    /// What is there cannot be meant, without showing it: it may be long, or secret.
    pub(crate) fn invalid_unseen(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.invalid_as(at, "", why);
    }

    /// Something must be there.
    pub(crate) fn required(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::required(at.path(), why));
    }

    /// Nothing may be there, or no change.
    pub(crate) fn forbidden(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::forbidden(at.path(), why));
    }

    /// What is there is there already.
    pub(crate) fn duplicate(&mut self, at: &Spot<'_, '_>) {
        self.add(|| Cause::duplicate(at.path(), Shown(at.value())));
    }

    /// It is there already, shown as `value`.
    pub(crate) fn duplicate_of(&mut self, at: &Spot<'_, '_>, value: &str) {
        self.add(|| Cause::duplicate(at.path(), value));
    }

    /// What it names is nowhere.
    pub(crate) fn not_found(&mut self, at: &Spot<'_, '_>) {
        self.add(|| Cause {
            reason: "FieldValueNotFound",
            field: at.path(),
            message: format!("Not found: {:?}", at.text()),
        });
    }

    /// It is none of those there are.
    pub(crate) fn unsupported(&mut self, at: &Spot<'_, '_>, known: &[&str]) {
        let found = format!("{:?}", Shown(at.value()));
        self.unsupported_as(at, found.trim_matches('"'), known);
    }

    /// It is none of those there are, shown as `value`.
    pub(crate) fn unsupported_as(&mut self, at: &Spot<'_, '_>, value: &str, known: &[&str]) {
        self.add(|| Cause::unsupported(at.path(), value, known));
    }

    /// One of `known`, if it is there.
    pub(crate) fn one_of(&mut self, at: &Spot<'_, '_>, known: &[&str]) {
        if at.is_some() && !known.contains(&at.text()) {
            self.unsupported(at, known);
        }
    }

    /// One of `known`, and there.
    pub(crate) fn must_be_one_of(&mut self, at: &Spot<'_, '_>, known: &[&str]) {
        if at.is_empty() {
            self.required(at, "");
        } else {
            self.one_of(at, known);
        }
    }

    /// Something is there.
    pub(crate) fn must_be(&mut self, at: &Spot<'_, '_>, why: &str) {
        if at.is_empty() {
            self.required(at, why);
        }
    }

    /// A number, if there, from 0.
    pub(crate) fn not_negative(&mut self, at: &Spot<'_, '_>) {
        self.within(at, 0..=i64::MAX, NOT_NEGATIVE);
    }

    /// A number, if there, from 1.
    pub(crate) fn positive(&mut self, at: &Spot<'_, '_>) {
        self.within(at, 1..=i64::MAX, POSITIVE);
    }

    /// A number, if there, in `range`.
    pub(crate) fn within(&mut self, at: &Spot<'_, '_>, range: RangeInclusive<i64>, why: &str) {
        if at.number().is_some_and(|number| !range.contains(&number)) {
            self.invalid(at, why);
        }
    }

    /// A text, empty where there is none, that `rule` lets through.
    pub(crate) fn shaped(
        &mut self,
        at: &Spot<'_, '_>,
        rule: impl FnOnce(&str) -> Result<(), &'static str>,
    ) {
        if let Err(why) = rule(at.text()) {
            self.invalid(at, why);
        }
    }

    /// A text that `rule` lets through; not asked, if there is none.
    pub(crate) fn name(
        &mut self,
        at: &Spot<'_, '_>,
        rule: impl FnOnce(&str) -> Result<(), &'static str>,
    ) {
        if !at.is_empty() {
            self.shaped(at, rule);
        }
    }

    /// A text that is there, and that `rule` lets through.
    pub(crate) fn must_be_name(
        &mut self,
        at: &Spot<'_, '_>,
        rule: impl FnOnce(&str) -> Result<(), &'static str>,
    ) {
        self.must_be(at, "");
        self.name(at, rule);
    }

    /// A list of no more than `most` elements, or a map.
    pub(crate) fn at_most(&mut self, at: &Spot<'_, '_>, most: usize) {
        let found = at.items().count() + at.entries().count();
        if found > most {
            self.add(|| Cause::too_many(at.path(), found, most));
        }
    }

    /// There are more than `most` bytes.
    pub(crate) fn too_long(&mut self, at: &Spot<'_, '_>, most: usize) {
        self.add(|| Cause {
            reason: "FieldValueTooLong",
            field: at.path(),
            message: format!("Too long: may not be more than {most} bytes"),
        });
    }

    /// A text of no more than `most` bytes.
    pub(crate) fn no_longer(&mut self, at: &Spot<'_, '_>, most: usize) {
        if at.text().len() > most {
            self.invalid(at, &format!("may not be more than {most} bytes"));
        }
    }

    /// Labels.
    pub(crate) fn labels(&mut self, at: &Spot<'_, '_>) {
        for (key, value) in at.entries() {
            if let Err(why) = names::label_key(key) {
                self.invalid_as(at, key, why);
            }
            if let Err(why) = names::label_value(value.text()) {
                self.invalid_as(at, value.text(), why);
            }
        }
    }

    /// Annotations: their keys are labels', in any case.
    pub(crate) fn annotations(&mut self, at: &Spot<'_, '_>) {
        for (key, _) in at.entries() {
            if let Err(why) = names::label_key(&key.to_ascii_lowercase()) {
                self.invalid_as(at, key, why);
            }
        }
    }

    /// What is there is what was there. A text that is gone is shown as empty, all else as null.
    pub(crate) fn same(&mut self, at: &Spot<'_, '_>, old: &Spot<'_, '_>) {
        if at.value() != old.value() {
            let is_text = old.value().is_some_and(Value::is_string);
            let shown = at.value().or((!is_text).then_some(&Value::Null));
            self.add(|| Cause::invalid(at.path(), Shown(shown), "field is immutable"));
        }
    }
}

/// A value as messages show it: cut, where it is long.
struct Shown<'a>(Option<&'a Value>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            None => "\"\"".to_owned(),
            Some(Value::String(text)) => format!("{text:?}"),
            Some(other) => other.to_string(),
        };
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::net;
    use super::*;
    use crate::object::Object;

    #[test]
    fn single_values_are_told_with_path_and_value() {
        let object = json!({ "spec": {
            "n": -1, "port": 70000, "named": "Http", "policy": "Some", "name": "A", "ip": "1.2.3",
            "labels": { "-": "ok", "ok": "-" }, "long": "x".repeat(1000),
        } });
        let object = Object(object.as_object().unwrap().clone());
        let spec = Spot::of(&object, "spec");
        let mut mistakes = Mistakes::default();
        mistakes.not_negative(&spec.at("n"));
        mistakes.port(&spec.at("port"));
        mistakes.port_or_name(&spec.at("named"));
        mistakes.port_or_name(&spec.at("none"));
        mistakes.must_be_port_or_name(&spec.at("none"));
        mistakes.one_of(&spec.at("policy"), &["None", "All"]);
        mistakes.must_be_one_of(&spec.at("none"), &["None"]);
        mistakes.name(&spec.at("name"), |_| Err("no"));
        mistakes.name(&spec.at("ip"), net::ip);
        mistakes.labels(&spec.at("labels"));
        mistakes.positive(&spec.at("n"));
        mistakes.at_most(&spec.at("labels"), 1);
        mistakes.at_most(&spec.at("labels"), 2);
        mistakes.no_longer(&spec.at("named"), 3);
        mistakes.no_longer(&spec.at("named"), 4);
        mistakes.shaped(&spec.at("none"), |_| Err("no"));
        mistakes.same(&spec.at("none"), &spec.at("n"));
        mistakes.same(&spec.at("none"), &spec.at("name"));
        mistakes.same(&spec.at("name"), &spec.at("name"));
        let told: Vec<String> = mistakes.0.iter().map(Cause::to_string).collect();
        let begins = [
            "spec.n: Invalid value: -1: must be greater than or equal to 0",
            "spec.port: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.named: Invalid value: \"Http\": must contain only",
            "spec.none: Required value",
            "spec.policy: Unsupported value: \"Some\": supported values: \"None\", \"All\"",
            "spec.none: Required value",
            "spec.name: Invalid value: \"A\": no",
            "spec.ip: Invalid value: \"1.2.3\": must be a valid IP address",
            "spec.labels: Invalid value: \"-\": name part must consist of",
            "spec.labels: Invalid value: \"-\": a valid label must be",
            "spec.n: Invalid value: -1: must be greater than zero",
            "spec.labels: Too many: 2: must have at most 1 items",
            "spec.named: Invalid value: \"Http\": may not be more than 3 bytes",
            "spec.none: Invalid value: \"\": no",
            "spec.none: Invalid value: null: field is immutable",
            "spec.none: Invalid value: \"\": field is immutable",
        ];
        assert_eq!(told.len(), begins.len(), "{told:#?}");
        for (told, begin) in told.iter().zip(begins) {
            assert!(told.starts_with(begin), "{told}");
        }
        for _ in 0..1000 {
            mistakes.invalid(&spec.at("long"), "is long");
        }
        assert_eq!(mistakes.0.len(), MOST);
        assert!(mistakes.0[MOST - 1].message.len() < 300);
    }
}
