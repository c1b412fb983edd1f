//! Go's `printf`: verbs, flags, widths. Owns what is written where a verb does not fit.

use serde_json::Value;

use super::eval::Val;
use super::print::{self, plain, shortest, signed, sorted};

/// Widest field and longest precision, as in Go.
const WIDTH_MAX: usize = 1_000_000;

#[derive(Debug, Clone, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats `args`, up to `room` bytes.
pub fn printf(format: &str, args: &[Val<'_>], room: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut next = 0;
    let mut is_reordered = false;
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut flags = Flags::default();
        while let Some(flag) = rest.chars().next() {
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        if let Some(width) = count(&mut rest, args, &mut next, &mut out) {
            flags.minus |= width < 0;
            flags.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            let given = count(&mut rest, args, &mut next, &mut out).unwrap_or(0);
            flags.precision = usize::try_from(given).ok();
        }
        if let Some((index, after)) = rest
            .strip_prefix('[')
            .and_then(|inner| inner.split_once(']'))
        {
            rest = after;
            is_reordered = true;
            next = match index.parse::<usize>() {
                Ok(index) if (1..=args.len()).contains(&index) => index - 1,
                _ => usize::MAX - 1,
            };
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        match args.get(next) {
            _ if verb == '%' => out.push('%'),
            None if is_reordered => out.push_str(&format!("%!{verb}(BADINDEX)")),
            None => out.push_str(&format!("%!{verb}(MISSING)")),
            Some(value) => {
                next += 1;
                write(&mut out, verb, value.as_deref(), &flags, room);
            }
        }
        if out.len() > room {
            return Err("it makes more text than a template may".to_owned());
        }
    }
    out.push_str(rest);
    if !is_reordered && next < args.len() {
        let extra: Vec<String> = args[next..]
            .iter()
            .map(|value| named(value.as_deref()))
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

/// A width or a precision: digits, or `*` for the next argument.
fn count(rest: &mut &str, args: &[Val<'_>], next: &mut usize, out: &mut String) -> Option<i64> {
    let most = WIDTH_MAX as i64;
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        let found = args.get(*next).and_then(|value| value.as_deref()?.as_i64());
        *next += 1;
        let found = found.filter(|found| (-most..=most).contains(found));
        if found.is_none() {
            out.push_str("%!(BADWIDTH)");
        }
        return found;
    }
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits.parse().ok().filter(|number| *number <= most)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `string=a`
fn named(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "<nil>".to_owned(),
        Some(value) => {
            let mut text = format!("{}=", type_of(value));
            plain(&mut text, value);
            text
        }
    }
}

/// Ends early beyond `room`, which is for the caller to see.
fn write(out: &mut String, verb: char, value: Option<&Value>, flags: &Flags, room: usize) {
    if out.len() > room {
        return;
    }
    let value = match value {
        None | Some(Value::Null) => {
            return out.push_str(&match verb {
                'v' | 'T' => padded("<nil>".to_owned(), flags),
                verb => format!("%!{verb}(<nil>)"),
            });
        }
        Some(value) => value,
    };
    match (verb, value) {
        ('T', value) => out.push_str(&padded(type_of(value).to_owned(), flags)),
        ('v', value) if flags.sharp => syntax(out, value),
        (_, Value::Array(items)) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write(out, verb, Some(item), flags, room);
            }
            out.push(']');
        }
        (_, Value::Object(members)) => {
            out.push_str("map[");
            for (at, (key, value)) in sorted(members).into_iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write(out, verb, Some(&Value::from(key.as_str())), flags, room);
                out.push(':');
                write(out, verb, Some(value), flags, room);
            }
            out.push(']');
        }
        (_, value) => match simple(verb, value, flags) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&format!("%!{verb}({})", named(Some(value)))),
        },
    }
}

fn simple(verb: char, value: &Value, flags: &Flags) -> Option<String> {
    let text = match value {
        Value::Bool(value) if "tv".contains(verb) => padded(value.to_string(), flags),
        Value::String(text) => padded(string(verb, text, flags)?, flags),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => numeric(floating(verb, float, flags)?, flags),
            None => {
                let whole = number.as_i64().map(i128::from);
                let whole = whole.or(number.as_u64().map(i128::from))?;
                integer(verb, whole, flags)?
            }
        },
        _ => return None,
    };
    Some(text)
}

fn string(verb: char, text: &str, flags: &Flags) -> Option<String> {
    let cut: String = match flags.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text.to_owned(),
    };
    let hex = |upper: bool| {
        let digits = |byte: u8| match upper {
            true => format!("{byte:02X}"),
            false => format!("{byte:02x}"),
        };
        text.bytes().map(digits).collect::<String>()
    };
    Some(match verb {
        's' | 'v' => cut,
        'q' => quoted(&cut, '"'),
        'x' => hex(false),
        'X' => hex(true),
        _ => return None,
    })
}

/// A text as Go source.
fn quoted(text: &str, quote: char) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if !c.is_ascii() && format!("a{c}").escape_debug().count() > 2 => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..0x10000 => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                });
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn sign(is_negative: bool, flags: &Flags) -> &'static str {
    match (is_negative, flags.plus, flags.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn integer(verb: char, value: i128, flags: &Flags) -> Option<String> {
    let size = value.unsigned_abs();
    let char_of = || {
        let code = u32::try_from(value).ok().and_then(char::from_u32);
        code.unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    let (prefix, digits) = match verb {
        'd' | 'v' => ("", size.to_string()),
        'b' => ("0b", format!("{size:b}")),
        'o' => ("0", format!("{size:o}")),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'O' => return Some(padded(format!("0o{size:o}"), flags)),
        'c' => return Some(padded(char_of().to_string(), flags)),
        'q' => return Some(padded(quoted(&char_of().to_string(), '\''), flags)),
        'U' => return Some(padded(format!("U+{size:04X}"), flags)),
        _ => return None,
    };
    let prefix = if flags.sharp { prefix } else { "" };
    let least = flags.precision.unwrap_or(0);
    let digits = format!("{digits:0>least$}");
    let text = format!("{}{prefix}{digits}", sign(value < 0, flags));
    Some(match flags.precision {
        Some(_) => padded(text, flags),
        None => numeric(text, flags),
    })
}

fn floating(verb: char, value: f64, flags: &Flags) -> Option<String> {
    let size = value.abs();
    let scientific = |precision: usize| {
        let text = format!("{size:.precision$e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        (digits.to_owned(), exponent)
    };
    let text = match verb.to_ascii_lowercase() {
        'f' => format!("{size:.*}", flags.precision.unwrap_or(6)),
        'e' => {
            let (digits, exponent) = scientific(flags.precision.unwrap_or(6));
            format!("{digits}e{}", signed(exponent))
        }
        'v' | 'g' => match flags.precision {
            None => shortest(size),
            Some(precision) => {
                let precision = precision.max(1);
                let (digits, exponent) = scientific(precision - 1);
                let bare = |text: String| match text.contains('.') {
                    true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                    false => text,
                };
                let most = i32::try_from(precision).unwrap_or(i32::MAX);
                if exponent < -4 || exponent >= most {
                    format!("{}e{}", bare(digits), signed(exponent))
                } else {
                    let after = usize::try_from(most - 1 - exponent).unwrap_or(0);
                    bare(format!("{size:.after$}"))
                }
            }
        },
        _ => return None,
    };
    let text = match verb {
        'E' | 'G' => text.to_uppercase(),
        'F' | 'e' | 'f' | 'g' | 'v' => text,
        _ => return None,
    };
    Some(format!("{}{text}", sign(value.is_sign_negative(), flags)))
}

fn padded(text: String, flags: &Flags) -> String {
    let width = flags.width;
    match flags.minus {
        true => format!("{text}{}", blanks(&text, width)),
        false => format!("{}{text}", blanks(&text, width)),
    }
}

fn blanks(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.chars().count()))
}

/// With zeros between sign and digits, if they are asked for.
fn numeric(text: String, flags: &Flags) -> String {
    if !flags.zero || flags.minus {
        return padded(text, flags);
    }
    let digits = text.trim_start_matches(['+', '-', ' ']);
    let sign = &text[..text.len() - digits.len()];
    let zeros = "0".repeat(flags.width.saturating_sub(text.chars().count()));
    format!("{sign}{zeros}{digits}")
}

/// `%#v`
fn syntax(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("interface {}(nil)"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Number(number) => out.push_str(&print::number(number)),
        Value::String(text) => out.push_str(&quoted(text, '"')),
        Value::Array(items) => {
            out.push_str("[]interface {}{");
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                syntax(out, item);
            }
            out.push('}');
        }
        Value::Object(members) => {
            out.push_str("map[string]interface {}{");
            for (at, (key, value)) in sorted(members).into_iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&quoted(key, '"'));
                out.push(':');
                syntax(out, value);
            }
            out.push('}');
        }
    }
}
