//! Rules for amounts: quantities, and numbers that may be shares of another.

use serde_json::Value;

use super::{
    Mistakes, Spot,
    mistakes::{NOT_NEGATIVE, POSITIVE},
};
use crate::quantity::Quantity;

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' \
                       (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

impl Mistakes {
    /// A quantity, if it is there and one.
    pub(crate) fn quantity(&mut self, at: &Spot<'_, '_>) -> Option<Quantity> {
        match Quantity::of(at.value()?) {
            Ok(quantity) => Some(quantity),
            Err(why) => {
                self.invalid(at, why);
                None
            }
        }
    }

    /// A quantity that is not below nothing.
    pub(crate) fn amount(&mut self, at: &Spot<'_, '_>) -> Option<Quantity> {
        let quantity = self.quantity(at)?;
        if quantity.is_negative() {
            self.invalid(at, NOT_NEGATIVE);
            return None;
        }
        Some(quantity)
    }

    /// A quantity of something.
    pub(crate) fn size(&mut self, at: &Spot<'_, '_>) {
        if self.quantity(at).is_some_and(|size| size <= Quantity::ZERO) {
            self.invalid(at, POSITIVE);
        }
    }

    /// A number, or a percentage: `25%`. The answer is the number of either, if it is one.
    pub(crate) fn share(&mut self, at: &Spot<'_, '_>) -> Option<Share> {
        match at.value()? {
            Value::String(text) => match percent(text) {
                Some(percent) => return Some(Share::Percent(percent)),
                None => self.invalid(at, PERCENT),
            },
            value => match value.as_i64() {
                Some(number) if number >= 0 => return Some(Share::Number(number)),
                Some(_) => self.invalid(at, NOT_NEGATIVE),
                None => self.invalid(at, "must be an integer or a percentage (e.g '5%')"),
            },
        }
        None
    }

    /// A share that is not more than all.
    pub(crate) fn share_of_all(&mut self, at: &Spot<'_, '_>) -> Option<Share> {
        let share = self.share(at);
        if matches!(share, Some(Share::Percent(percent)) if percent > 100) {
            self.invalid(at, "must not be greater than 100%");
        }
        share
    }
}

/// A number, or so many hundredths of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Number(i64),
    Percent(u64),
}

impl Share {
    /// What a value says, if it is a share.
    pub(crate) fn of(value: &Value) -> Option<Share> {
        match value {
            Value::String(text) => percent(text).map(Share::Percent),
            value => value.as_i64().map(Share::Number),
        }
    }

    /// Whether it is none of anything.
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Share::Number(0) | Share::Percent(0))
    }
}

/// A quantity, a number or a percentage as it was written; empty where there is none.
pub(crate) fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn percent(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('%')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    // A number too long to be read is more than all.
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_digits_and_a_sign() {
        for (text, found) in [
            ("25%", Some(25)),
            ("0%", Some(0)),
            ("%", None),
            ("-1%", None),
            ("+1%", None),
            ("5", None),
            ("99999999999999999999999%", Some(u64::MAX)),
        ] {
            assert_eq!(percent(text), found, "{text}");
        }
    }
}
