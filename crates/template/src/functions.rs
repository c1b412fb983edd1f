//! Go's functions, docker's and kubectl's; those of files are in `files`. Owns what each takes and what it complains of.
//!
//! A complaint begins with `!`: whoever called says of which function it is.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use serde_json::Value;

use super::eval::{Run, Val};
use super::{Dialect, Fault, print};

type Args<'a> = Vec<Val<'a>>;

pub fn wrong<T>(why: impl std::fmt::Display) -> Result<T, String> {
    Err(format!("!{why}"))
}

/// Whether Go takes it for true.
pub fn truth(value: &Val<'_>) -> bool {
    match value.as_deref() {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
    }
}

/// Calls a function.
pub fn call<'a>(
    run: &mut Run<'a>,
    name: &str,
    args: Args<'a>,
    dot: &Val<'a>,
    at: usize,
) -> Result<Val<'a>, Fault> {
    // Texts are read, lists are not copied.
    let texts = args.iter().filter_map(|arg| arg.as_deref()?.as_str());
    run.charge(texts.map(|text| text.len() as u64).sum(), at)?;
    let room = run.room();
    let made = match super::files::FUNCTIONS.contains(&name) && run.dialect == Dialect::File {
        true => super::files::call(run, name, &args, at)?,
        false => value(name, args, dot, run.dialect, room).map_err(|why| Fault { at, why })?,
    };
    let value = made;
    // What was made, not what is looked at.
    if let Some(Cow::Owned(made)) = &value {
        run.charge(weight(made), at)?;
    }
    Ok(value)
}

/// What a value takes beside its text.
const VALUE: u64 = 32;

/// What it costs to make it, or to make it once more.
pub fn weight(value: &Value) -> u64 {
    VALUE
        + match value {
            Value::String(text) => text.len() as u64,
            Value::Array(items) => items.iter().map(weight).sum::<u64>() + 1,
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| key.len() as u64 + weight(value))
                .sum(),
            _ => 1,
        }
}

fn value<'a>(
    name: &str,
    mut args: Args<'a>,
    dot: &Val<'a>,
    dialect: Dialect,
    room: usize,
) -> Result<Val<'a>, String> {
    let count = args.len();
    let takes = |least: usize, most: usize| match count {
        count if count < least || count > most => {
            wrong(format!("it does not take {count} arguments"))
        }
        _ => Ok(()),
    };
    let made = |value: Value| Ok(Some(Cow::Owned(value)));
    match name {
        "print" => made(print::sprint(&args).into()),
        "println" => made((print::spaced(&args) + "\n").into()),
        "html" | "js" | "urlquery" => {
            for arg in &mut args {
                if is_nil(arg) {
                    *arg = Some(Cow::Owned("<no value>".into()));
                }
            }
            made(escaped(name, &print::sprint(&args)).into())
        }
        "printf" => match args.first().and_then(Option::as_deref) {
            Some(Value::String(format)) => {
                let text = super::printf::printf(format, &args[1..], room);
                made(text.or_else(wrong)?.into())
            }
            _ => wrong("its first argument must be a string"),
        },
        "and" | "or" => {
            takes(1, usize::MAX)?;
            Ok(args.remove(0))
        }
        "not" => {
            takes(1, 1)?;
            made((!truth(&args[0])).into())
        }
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => {
            takes(2, if name == "eq" { usize::MAX } else { 2 })?;
            made(compared(name, &args)?.into())
        }
        "len" => {
            takes(1, 1)?;
            made(length(&args[0], dialect)?.into())
        }
        "index" => {
            takes(1, usize::MAX)?;
            let keys = args.split_off(1);
            keys.into_iter().try_fold(args.remove(0), index)
        }
        "slice" => {
            takes(1, 4)?;
            made(slice(&args)?)
        }
        "exists" => {
            takes(1, usize::MAX)?;
            made(exists(&args).into())
        }
        "base64decode" => {
            takes(1, 1)?;
            let decoded = base64::engine::general_purpose::STANDARD.decode(text(&args[0])?);
            match decoded {
                Ok(bytes) => made(String::from_utf8_lossy(&bytes).into()),
                Err(error) => wrong(format!("base64 decode failed: {error}")),
            }
        }
        "call" => wrong("there is no function to call"),
        _ => dockers(name, &args, dot).and_then(made),
    }
}

/// Whether keys and indexes lead to something.
fn exists(args: &[Val<'_>]) -> bool {
    let mut at = args[0].as_deref();
    for key in &args[1..] {
        at = match (at, key.as_deref()) {
            (Some(Value::Object(members)), Some(Value::String(key))) => members.get(key),
            (Some(Value::Array(items)), Some(Value::Number(number))) => number
                .as_u64()
                .and_then(|number| items.get(usize::try_from(number).ok()?)),
            _ => None,
        };
    }
    at.is_some_and(|at| !at.is_null())
}

fn dockers(name: &str, args: &[Val<'_>], dot: &Val<'_>) -> Result<Value, String> {
    let shown = |value: &Val<'_>| print::sprint(std::slice::from_ref(value));
    Ok(match (name, args) {
        ("json", [value]) => {
            let value = value.as_deref().unwrap_or(&Value::Null);
            value.to_string().into()
        }
        ("upper", [value]) => shown(value).to_uppercase().into(),
        ("lower", [value]) => shown(value).to_lowercase().into(),
        ("split", [whole, separator]) => {
            let (whole, separator) = (text(whole)?, text(separator)?);
            match separator {
                "" => whole.chars().map(|c| c.to_string()).collect(),
                separator => whole.split(separator).collect(),
            }
        }
        ("join", [list, separator]) => match list.as_deref() {
            Some(Value::Array(items)) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| shown(&Some(Cow::Borrowed(item))))
                    .collect();
                items.join(text(separator)?).into()
            }
            _ => return wrong("its first argument must be a list"),
        },
        (".Label", [key]) => {
            // Out of the row's `a=b,c=d`.
            let key = text(key)?;
            let labels = dot.as_deref().and_then(|row| row.get("Labels")?.as_str());
            let found = labels.into_iter().flat_map(|labels| labels.split(','));
            let mut found = found.filter_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            found.next().unwrap_or_default().into()
        }
        _ => return wrong(format!("it does not take {} arguments", args.len())),
    })
}

pub fn text<'v>(value: &'v Val<'_>) -> Result<&'v str, String> {
    match value.as_deref() {
        Some(Value::String(text)) => Ok(text),
        _ => wrong("its argument must be a string"),
    }
}

fn escaped(how: &str, text: &str) -> String {
    let mut out = String::new();
    match how {
        "html" => text.chars().for_each(|c| match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }),
        "js" => text.chars().for_each(|c| match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' | '\0'..' ' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            // Unprintable, as the standard library knows it.
            c if !c.is_ascii() && format!("a{c}").escape_debug().count() > 2 => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }),
        "urlquery" => text.bytes().for_each(|byte| match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }),
        _ => out.push_str(text),
    }
    out
}

const MISMATCH: &str = "incompatible types for comparison";
const ODD: &str = "invalid type for comparison";

fn is_nil(value: &Val<'_>) -> bool {
    value.as_deref().is_none_or(Value::is_null)
}

fn compared(name: &str, args: &[Val<'_>]) -> Result<bool, String> {
    let (first, others) = (&args[0], &args[1..]);
    if let "eq" | "ne" = name {
        for other in others {
            if equal(first, other)? {
                return Ok(name == "eq");
            }
        }
        return Ok(name == "ne");
    }
    let [Some(a), Some(b)] = [first.as_deref(), others[0].as_deref()] else {
        return wrong(ODD);
    };
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (None, None) => a.as_f64().partial_cmp(&b.as_f64()),
            _ => return wrong(MISMATCH),
        },
        (
            Value::String(_) | Value::Number(_) | Value::Bool(_),
            Value::String(_) | Value::Number(_),
        ) => {
            return wrong(MISMATCH);
        }
        _ => return wrong(ODD),
    };
    Ok(match name {
        "lt" => order == Some(Ordering::Less),
        "le" => order.is_some_and(Ordering::is_le),
        "gt" => order == Some(Ordering::Greater),
        _ => order.is_some_and(Ordering::is_ge),
    })
}

/// A number that Go would hold as an integer.
pub fn whole(number: &serde_json::Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or(number.as_u64().map(i128::from))
}

fn equal(a: &Val<'_>, b: &Val<'_>) -> Result<bool, String> {
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) && is_nil(b));
    }
    let [Some(a), Some(b)] = [a.as_deref(), b.as_deref()] else {
        return Ok(false);
    };
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if whole(x).is_some() == whole(y).is_some() => {
            Ok(a == b)
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => Ok(a == b),
        (Value::Array(_) | Value::Object(_), Value::Array(_) | Value::Object(_)) => wrong(format!(
            "non-comparable types {} and {}",
            print::kind(a),
            print::kind(b)
        )),
        _ => wrong(MISMATCH),
    }
}

fn length(value: &Val<'_>, dialect: Dialect) -> Result<usize, String> {
    match value.as_deref() {
        Some(Value::Array(items)) => Ok(items.len()),
        Some(Value::Object(members)) => Ok(members.len()),
        Some(Value::String(text)) => Ok(text.len()),
        // Docker's lists that are nil are of a type, and have a length.
        None | Some(Value::Null) if dialect == Dialect::Docker => Ok(0),
        _ => wrong("its argument must be a list, a map or a string"),
    }
}

fn index<'a>(value: Val<'a>, key: Val<'a>) -> Result<Val<'a>, String> {
    let position = |length: usize| match key.as_deref() {
        Some(Value::Number(number)) if whole(number).is_some() => {
            let found = number.as_u64().and_then(|at| usize::try_from(at).ok());
            found
                .filter(|at| *at < length)
                .map_or_else(|| wrong(format!("index out of range: {number}")), Ok)
        }
        _ => wrong("cannot index a list by what is no whole number"),
    };
    match value {
        None => wrong("index of untyped nil"),
        Some(Cow::Borrowed(Value::Array(items))) => {
            Ok(Some(Cow::Borrowed(&items[position(items.len())?])))
        }
        Some(Cow::Owned(Value::Array(mut items))) => {
            Ok(Some(Cow::Owned(items.swap_remove(position(items.len())?))))
        }
        Some(Cow::Borrowed(Value::String(text))) => {
            let at = position(text.len())?;
            Ok(Some(Cow::Owned(text.as_bytes()[at].into())))
        }
        // A key that a map lacks is the empty value.
        Some(Cow::Borrowed(Value::Object(members))) => match key.as_deref() {
            Some(Value::String(key)) => Ok(members.get(key).map(Cow::Borrowed)),
            _ => wrong("cannot index a map by what is no string"),
        },
        Some(Cow::Owned(Value::Object(mut members))) => match key.as_deref() {
            Some(Value::String(key)) => Ok(members.remove(key).map(Cow::Owned)),
            _ => wrong("cannot index a map by what is no string"),
        },
        Some(other) => wrong(format!("cannot index {}", print::kind(&other))),
    }
}

fn slice(args: &[Val<'_>]) -> Result<Value, String> {
    let (length, is_text) = match args[0].as_deref() {
        Some(Value::String(text)) => (text.len(), true),
        Some(Value::Array(items)) => (items.len(), false),
        None | Some(Value::Null) => return wrong("slice of untyped nil"),
        Some(other) => return wrong(format!("cannot slice {}", print::kind(other))),
    };
    if is_text && args.len() > 3 {
        return wrong("cannot 3-index slice a string");
    }
    let mut bounds = [0, length, length];
    for (bound, given) in bounds.iter_mut().zip(&args[1..]) {
        let number = given.as_deref().and_then(Value::as_u64);
        let number = number.and_then(|number| usize::try_from(number).ok());
        *bound = match number.filter(|number| *number <= length) {
            Some(number) => number,
            None => return wrong("index out of range"),
        };
    }
    let [from, to, most] = bounds;
    if from > to || to > most {
        return wrong(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match args[0].as_deref() {
        Some(Value::String(text)) => String::from_utf8_lossy(&text.as_bytes()[from..to]).into(),
        Some(Value::Array(items)) => items[from..to].to_vec().into(),
        _ => Value::Null,
    })
}
