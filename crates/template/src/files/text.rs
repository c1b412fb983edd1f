//! Functions from values to text, and from text to values. Pure; none makes more than it has room for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::Regex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use weft_stdx::jsonpath::escape_html;
use weft_stdx::yaml;

use super::super::eval::Val;
use super::super::functions::{text, wrong};
use super::super::print;

const TOO_MUCH: &str = "it makes more than a template may";

/// With the text they are about last, as a pipe hands it on.
pub fn call(name: &str, args: &[Val<'_>], room: usize) -> Result<Value, String> {
    match args {
        [one] => of_one(name, one, room),
        [first, last] => of_two(name, first, last, room),
        [from, to, whole] if name == "replaceAll" => {
            let (from, to, whole) = (text(from)?, text(to)?, text(whole)?);
            let found = match from {
                "" => whole.chars().count() + 1,
                from => whole.matches(from).count(),
            };
            fits(whole.len(), found, to.len(), room)?;
            Ok(whole.replace(from, to).into())
        }
        _ => wrong(format!("it does not take {} arguments", args.len())),
    }
}

fn fits(base: usize, times: usize, each: usize, room: usize) -> Result<(), String> {
    match times.saturating_mul(each).saturating_add(base) > room {
        true => wrong(TOO_MUCH),
        false => Ok(()),
    }
}

fn of_one(name: &str, one: &Val<'_>, room: usize) -> Result<Value, String> {
    let value = one.as_deref().unwrap_or(&Value::Null);
    let pretty = || serde_json::to_string_pretty(value).unwrap_or_default();
    match name {
        "toJSON" => return Ok(escape_html(&value.to_string()).into()),
        "toUnescapedJSON" => return Ok(value.to_string().into()),
        "toJSONPretty" | "toUnescapedJSONPretty" | "toYAML" => {
            // Indents grow with depth.
            if indented(value, 0) > room {
                return wrong(TOO_MUCH);
            }
            return Ok(match name {
                "toYAML" => yaml::document(value).trim_end().into(),
                "toJSONPretty" => escape_html(&pretty()).into(),
                _ => pretty().into(),
            });
        }
        "toLower" | "toUpper" | "toTitle" => {
            let shown = print::sprint(std::slice::from_ref(one));
            return Ok(match name {
                "toLower" => shown.to_lowercase(),
                "toUpper" => shown.to_uppercase(),
                _ => title(&shown),
            }
            .into());
        }
        _ => {}
    }
    let whole = text(one)?;
    let number = |what: &str| wrong(format!("its argument is no {what}"));
    Ok(match name {
        "trimSpace" => whole.trim().into(),
        "base64Encode" => STANDARD.encode(whole).into(),
        "base64URLEncode" => URL_SAFE.encode(whole).into(),
        "base64Decode" => bytes(STANDARD.decode(whole).ok())?,
        "base64URLDecode" => bytes(URL_SAFE.decode(whole).ok())?,
        "sha256Hex" => weft_stdx::id::hex(&Sha256::digest(whole)).into(),
        "parseBool" => match whole {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true.into(),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false.into(),
            _ => return number("truth value"),
        },
        "parseInt" => match whole.parse::<i64>() {
            Ok(parsed) => parsed.into(),
            Err(_) => return number("whole number"),
        },
        "parseUint" => match whole.parse::<u64>() {
            Ok(parsed) => parsed.into(),
            Err(_) => return number("whole number without a sign"),
        },
        "parseFloat" => {
            let parsed = whole.parse::<f64>().ok();
            match parsed.and_then(serde_json::Number::from_f64) {
                Some(parsed) => parsed.into(),
                None => return number("number"),
            }
        }
        // A value takes more than its text: `[0,0,0]`.
        "parseJSON" if whole.len().saturating_mul(16) > room => return wrong(TOO_MUCH),
        "parseJSON" => match serde_json::from_str(whole) {
            Ok(parsed) => parsed,
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                return wrong(format!(
                    "its argument is no JSON: line {line} column {column}"
                ));
            }
        },
        _ => return wrong("it does not take 1 arguments"),
    })
}

fn bytes(decoded: Option<Vec<u8>>) -> Result<Value, String> {
    match decoded.map(String::from_utf8) {
        Some(Ok(text)) => Ok(text.into()),
        Some(Err(_)) => wrong("what is decoded is no text"),
        None => wrong("its argument is no base64"),
    }
}

/// At least what it takes to write a value with indents.
fn indented(value: &Value, depth: usize) -> usize {
    let line = 4 * depth + 4;
    match value {
        Value::Array(items) => items.iter().fold(line, |sum, item| {
            sum.saturating_add(line)
                .saturating_add(indented(item, depth + 1))
        }),
        Value::Object(members) => members.iter().fold(line, |sum, (key, item)| {
            let own = line + 2 * key.len();
            sum.saturating_add(own)
                .saturating_add(indented(item, depth + 1))
        }),
        Value::String(text) => 2 * text.len() + line * (1 + text.matches('\n').count()),
        _ => line,
    }
}

fn title(whole: &str) -> String {
    let mut out = String::with_capacity(whole.len());
    let mut is_inside = false;
    for c in whole.chars() {
        match is_inside {
            true => out.push(c),
            false => out.extend(c.to_uppercase()),
        }
        is_inside = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    out
}

fn of_two(name: &str, first: &Val<'_>, last: &Val<'_>, room: usize) -> Result<Value, String> {
    match name {
        "contains" => return Ok(has(last, first)?.into()),
        "in" => return Ok(has(first, last)?.into()),
        "join" => {
            let Some(Value::Array(items)) = last.as_deref() else {
                return wrong("its last argument must be a list");
            };
            let separator = text(first)?;
            fits(0, items.len(), separator.len(), room)?;
            let items: Vec<String> = items.iter().map(shown).collect();
            return Ok(items.join(separator).into());
        }
        "indent" => {
            let spaces = first.as_deref().and_then(Value::as_u64);
            let Some(spaces) = spaces.and_then(|spaces| usize::try_from(spaces).ok()) else {
                return wrong("its first argument must be a number of spaces");
            };
            let whole = text(last)?;
            let lines = whole.matches('\n').count() + 1;
            fits(whole.len(), lines, spaces, room)?;
            let space = " ".repeat(spaces);
            let lines: Vec<String> = whole.split('\n').map(|line| indent(&space, line)).collect();
            return Ok(lines.join("\n").into());
        }
        _ => {}
    }
    let (what, whole) = (text(first)?, text(last)?);
    Ok(match name {
        "split" => match (whole, what) {
            ("", _) => Value::Array(Vec::new()),
            (whole, _) if whole.len().saturating_mul(64) > room => return wrong(TOO_MUCH),
            (whole, "") => whole.chars().map(|c| c.to_string()).collect(),
            (whole, what) => whole.split(what).collect(),
        },
        "trim" => whole.trim_matches(|c| what.contains(c)).into(),
        "trimPrefix" => whole.strip_prefix(what).unwrap_or(whole).into(),
        "trimSuffix" => whole.strip_suffix(what).unwrap_or(whole).into(),
        _ => return wrong("it does not take 2 arguments"),
    })
}

fn indent(space: &str, line: &str) -> String {
    match line {
        "" => String::new(),
        line => format!("{space}{line}"),
    }
}

fn shown(value: &Value) -> String {
    let mut out = String::new();
    print::plain(&mut out, value);
    out
}

/// Whether a list has an element, or a text a part.
fn has(whole: &Val<'_>, part: &Val<'_>) -> Result<bool, String> {
    match (whole.as_deref(), part.as_deref()) {
        (Some(Value::Array(items)), Some(part)) => Ok(items.contains(part)),
        (Some(Value::String(whole)), Some(Value::String(part))) => Ok(whole.contains(&**part)),
        _ => wrong("it looks for an element in a list, or for a text in a text"),
    }
}

/// `regexMatch`, `regexReplaceAll`, behind their pattern.
pub fn by_pattern(
    pattern: &Regex,
    name: &str,
    args: &[Val<'_>],
    room: usize,
) -> Result<Value, String> {
    match (name, args) {
        ("regexMatch", [whole]) => Ok(pattern.is_match(text(whole)?).into()),
        ("regexReplaceAll", [to, whole]) => {
            let (to, whole) = (text(to)?, text(whole)?);
            let mut out = String::new();
            let mut from = 0;
            for found in pattern.captures_iter(whole) {
                let Some(all) = found.get(0) else { continue };
                out.push_str(&whole[from..all.start()]);
                // A group may be named again and again.
                fits(
                    out.len(),
                    to.matches('$').count(),
                    whole.len(),
                    room.saturating_mul(4),
                )?;
                found.expand(to, &mut out);
                from = all.end();
                if out.len() > room {
                    return wrong(TOO_MUCH);
                }
            }
            out.push_str(&whole[from..]);
            Ok(out.into())
        }
        _ => wrong("it does not take so many arguments"),
    }
}
