//! Formats of texts in definitions' schemas (`format`), those upstream holds.
//!
//! Never: refuses one it does not know; more than linear time.

mod web;

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

use super::pattern;

/// Formats that are patterns; hyphens of identifiers may be left out.
const PATTERNS: [(&str, &str); 10] = [
    ("bsonobjectid", "^[0-9A-Fa-f]{24}$"),
    (
        "uuid",
        "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$",
    ),
    (
        "uuid3",
        "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$",
    ),
    (
        "uuid4",
        "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$",
    ),
    (
        "uuid5",
        "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$",
    ),
    ("hexcolor", "^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"),
    (
        "rgbcolor",
        r"^rgb\(\s*([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])(\s*,\s*([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])){2}\s*\)$",
    ),
    ("ssn", "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$"),
    // As Go writes durations, and as people do.
    (
        "duration",
        r"^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|\x{b5}s|\x{3bc}s|ms|s|m|h))+)$",
    ),
    (SPOKEN, r"^\s*([0-9]+\s*[A-Za-z\x{b5}]+\s*)+$"),
];
const SPOKEN: &str = "spoken duration";

/// Units of time, and what longer words for them begin with.
const SHORT_UNITS: [&str; 13] = [
    "ns", "us", "\u{b5}s", "ms", "s", "m", "h", "hr", "d", "w", "wk", "min", "sec",
];
const LONG_UNITS: [&str; 8] = [
    "nano", "micro", "milli", "sec", "min", "hour", "day", "week",
];

static COMPILED: LazyLock<HashMap<&str, Regex>> = LazyLock::new(|| {
    let compiled = PATTERNS.iter().filter_map(|(name, text)| {
        let regex = pattern(text).ok()?;
        Some((*name, regex))
    });
    compiled.collect()
});

/// Whether `text` is of a format. Formats that are not known say nothing; hyphens in their names
/// neither.
pub(super) fn is_of_format(format: &str, text: &str) -> bool {
    let format = format.replace('-', "");
    match &*format {
        "byte" => STANDARD.decode(text).is_ok(),
        "cidr" => is_network(text),
        "creditcard" => is_card(text),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "duration" => is_match("duration", text) || is_spoken_duration(text),
        "email" => web::is_mailbox(text),
        "hostname" => web::is_hostname(text),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "isbn" => is_book_10(text) || is_book_13(text),
        "isbn10" => is_book_10(text),
        "isbn13" => is_book_13(text),
        "mac" => is_hardware_address(text),
        "uri" => web::is_uri(text),
        known => is_match(known, text),
    }
}

fn is_match(name: &str, text: &str) -> bool {
    COMPILED.get(name).is_none_or(|regex| regex.is_match(text))
}

/// `2 days`, `1 hour 30 min`: one unit has to be known.
fn is_spoken_duration(text: &str) -> bool {
    let is_unit = |word: &str| {
        let word = word.to_lowercase();
        SHORT_UNITS.contains(&&*word) || LONG_UNITS.iter().any(|unit| word.starts_with(unit))
    };
    let mut words = text.split(|c: char| c.is_ascii_digit() || c.is_whitespace());
    is_match(SPOKEN, text) && words.any(is_unit)
}

fn is_network(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let longest = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    prefix.bytes().all(|byte| byte.is_ascii_digit())
        && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest)
}

/// Of 6, 8 or 20 bytes: `a:b:…`, `a-b-…`, or in pairs of them `ab.cd.…`.
fn is_hardware_address(text: &str) -> bool {
    [(':', 2), ('-', 2), ('.', 4)]
        .into_iter()
        .any(|(between, digits)| {
            let parts: Vec<&str> = text.split(between).collect();
            let is_right = |part: &&str| {
                part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            matches!(parts.len() * digits / 2, 6 | 8 | 20) && parts.iter().all(is_right)
        })
}

/// The digits of a number that is written in groups.
fn ungrouped(text: &str) -> String {
    let is_between = |c: char| c == '-' || c.is_whitespace();
    text.chars().filter(|c| !is_between(*c)).collect()
}

fn is_book_10(text: &str) -> bool {
    let text = ungrouped(text);
    let digit = |(at, c): (usize, char)| match c {
        'X' if at == 9 => Some(10),
        c => c.to_digit(10),
    };
    let digits: Option<Vec<u32>> = text.chars().enumerate().map(digit).collect();
    digits.is_some_and(|digits| {
        let weighted = digits.iter().zip(1..).map(|(digit, place)| digit * place);
        digits.len() == 10 && weighted.sum::<u32>() % 11 == 0
    })
}

fn is_book_13(text: &str) -> bool {
    let digits: Option<Vec<u32>> = ungrouped(text).chars().map(|c| c.to_digit(10)).collect();
    digits.is_some_and(|digits| {
        let weights = [1, 3].into_iter().cycle();
        let weighted = digits.iter().zip(weights).map(|(digit, by)| digit * by);
        digits.len() == 13 && weighted.sum::<u32>() % 10 == 0
    })
}

/// What stands between the digits is no matter.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let each = digits.iter().rev().enumerate();
    let weighted = each.map(|(at, digit)| match at % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    (13..=16).contains(&digits.len()) && weighted.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests;
