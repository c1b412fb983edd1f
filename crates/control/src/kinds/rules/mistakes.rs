//! The list of what is wrong with an object, and the rules of single values.
//!
//! Bounded: nobody reads more, and who sends a hundred thousand mistakes must not get them back.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::Spot;
use crate::failure::Cause;
use crate::names;

/// Most mistakes told of one object.
const MOST: usize = 64;
/// Most bytes of a value that are shown.
const SHOWN: usize = 200;
/// Longest name of a port.
const PORT_NAME: usize = 15;
/// Not below nothing.
pub(crate) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
const PORT: &str = "must be between 1 and 65535, inclusive";

/// What is wrong with an object.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Cause>);

impl Mistakes {
    /// All of them.
    pub(crate) fn into_causes(self) -> Vec<Cause> {
        self.0
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

    /// What is there cannot be meant.
    pub(crate) fn invalid(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::invalid(at.path(), Shown(at.value()), why));
    }

    /// What is there cannot be meant, without showing it: it may be long, or secret.
    pub(crate) fn invalid_unseen(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::invalid(at.path(), "", why));
    }

    /// Something must be there.
    pub(crate) fn required(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::required(at.path(), why));
    }

    /// Nothing may be there, or no change.
    pub(crate) fn forbidden(&mut self, at: &Spot<'_, '_>, why: &str) {
        self.add(|| Cause::forbidden(at.path(), why));
    }

    /// It is there already.
    pub(crate) fn duplicate(&mut self, at: &Spot<'_, '_>, value: &str) {
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
        let found = found.trim_matches('"');
        self.add(|| Cause::unsupported(at.path(), found, known));
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

    /// A number, if there, in `range`.
    pub(crate) fn within(&mut self, at: &Spot<'_, '_>, range: RangeInclusive<i64>, why: &str) {
        if at.number().is_some_and(|number| !range.contains(&number)) {
            self.invalid(at, why);
        }
    }

    /// A text that `rule` lets through; not asked, if there is none.
    pub(crate) fn name(
        &mut self,
        at: &Spot<'_, '_>,
        rule: impl FnOnce(&str) -> Result<(), &'static str>,
    ) {
        if let (false, Err(why)) = (at.is_empty(), rule(at.text())) {
            self.invalid(at, why);
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

    /// Labels.
    pub(crate) fn labels(&mut self, at: &Spot<'_, '_>) {
        for (key, value) in at.entries() {
            if let Err(why) = names::label_key(key) {
                self.add(|| Cause::invalid(at.path(), key, why));
            }
            if let Err(why) = names::label_value(value.text()) {
                self.add(|| Cause::invalid(at.path(), value.text(), why));
            }
        }
    }

    /// Annotations: their keys are labels', in any case.
    pub(crate) fn annotations(&mut self, at: &Spot<'_, '_>) {
        for (key, _) in at.entries() {
            if let Err(why) = names::label_key(&key.to_ascii_lowercase()) {
                self.add(|| Cause::invalid(at.path(), key, why));
            }
        }
    }

    /// An IP address, if there.
    pub(crate) fn ip(&mut self, at: &Spot<'_, '_>) {
        if !at.is_empty() && at.text().parse::<IpAddr>().is_err() {
            self.invalid(
                at,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            );
        }
    }

    /// The number of a port, if there.
    pub(crate) fn port(&mut self, at: &Spot<'_, '_>) {
        self.within(at, 1..=65535, PORT);
    }

    /// The number or the name of a port.
    pub(crate) fn port_or_name(&mut self, at: &Spot<'_, '_>) {
        match at.value() {
            None => self.required(at, ""),
            Some(Value::String(name)) => {
                if let Err(why) = port_name(name) {
                    self.invalid(at, why);
                }
            }
            Some(_) if at.number().is_some() => self.port(at),
            Some(_) => self.invalid(at, PORT),
        }
    }

    /// What is there is what was there.
    pub(crate) fn same(&mut self, at: &Spot<'_, '_>, old: &Spot<'_, '_>) {
        if at.value() != old.value() {
            self.invalid(at, "field is immutable");
        }
    }
}

/// Why `name` is no port's (IANA service names, RFC 6335, 5.1).
pub(crate) fn port_name(name: &str) -> Result<(), &'static str> {
    let is_right = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > PORT_NAME {
        Err("must be no more than 15 characters")
    } else if name.is_empty() || !name.bytes().all(is_right) {
        Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    } else if !name.bytes().any(|c| c.is_ascii_lowercase()) {
        Err("must contain at least one letter (a-z)")
    } else if name.contains("--") {
        Err("must not contain consecutive hyphens")
    } else if name.starts_with('-') || name.ends_with('-') {
        Err("must not begin or end with a hyphen")
    } else {
        Ok(())
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
        mistakes.one_of(&spec.at("policy"), &["None", "All"]);
        mistakes.must_be_one_of(&spec.at("none"), &["None"]);
        mistakes.name(&spec.at("name"), |_| Err("no"));
        mistakes.ip(&spec.at("ip"));
        mistakes.labels(&spec.at("labels"));
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

    #[test]
    fn ports_have_names() {
        for good in ["http", "a-1", "1a"] {
            assert!(port_name(good).is_ok(), "{good}");
        }
        for bad in ["", "80", "a--b", "-a", "a-", "A", "abcdefghijklmnop"] {
            assert!(port_name(bad).is_err(), "{bad}");
        }
    }
}
