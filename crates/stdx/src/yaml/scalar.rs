//! One value on one or more lines: plain, in quotes, or as a block.

use serde_json::Value;

/// Where lines are folded.
const WIDTH: usize = 80;

/// Writes a value that starts at `column`; lines after the first have `indent`.
pub(super) fn write(value: &Value, column: usize, indent: usize, out: &mut String) {
    match value {
        Value::String(text) => string(text, column, indent, out),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&go_float(float)),
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

/// A float as Go's `%g` writes it.
fn go_float(float: f64) -> String {
    let exponent = if float == 0.0 {
        0.0
    } else {
        float.abs().log10().floor()
    };
    if (-4.0..21.0).contains(&exponent) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((number, power)) => match power.strip_prefix('-') {
            Some(power) => format!("{number}e-{power:0>2}"),
            None => format!("{number}e+{power:0>2}"),
        },
        None => text,
    }
}

/// A key: never folded, never a block.
pub(super) fn key(text: &str, out: &mut String) {
    let is_simple = !text.contains('\n') && text.len() <= 128;
    match style(text, true) {
        Style::Plain if is_simple => out.push_str(text),
        Style::Single if is_simple => single(text, None, 0, out),
        _ => double(text, None, 0, out),
    }
}

fn string(text: &str, column: usize, indent: usize, out: &mut String) {
    // At the top of a document nothing is folded to column 0, where it could be a marker.
    let fold = Some(column);
    match style(text, false) {
        Style::Plain => plain(text, fold, indent, out),
        Style::Single => single(text, fold, indent, out),
        Style::Double => double(text, fold, indent, out),
        Style::Block => literal(text, indent.max(2), out),
    }
}

enum Style {
    Plain,
    Single,
    Double,
    Block,
}

fn style(text: &str, is_key: bool) -> Style {
    let has_odd = text.chars().any(|c| c != '\n' && !is_printable(c));
    if text.contains('\n') && !is_key {
        let space_before_break = text.contains(" \n");
        let is_block = !has_odd && !space_before_break && !text.ends_with(' ');
        return if is_block {
            Style::Block
        } else {
            Style::Double
        };
    }
    if has_odd || text.contains('\n') || is_other_type(text) {
        return Style::Double;
    }
    if is_plain(text) {
        return Style::Plain;
    }
    Style::Single
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Whether a reader takes no indicator in it for one.
fn is_plain(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return false;
    }
    let chars: Vec<char> = text.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let blank_follows = chars.get(at + 1).is_none_or(|next| *next == ' ');
        if at == 0 {
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`' => return false,
                '?' | ':' | '-' if blank_follows => return false,
                _ => {}
            }
        } else {
            match c {
                ':' if blank_follows => return false,
                '#' if chars[at - 1] == ' ' => return false,
                _ => {}
            }
        }
    }
    true
}

/// Whether a reader (of YAML 1.1 as well) takes it for something else than a text.
fn is_other_type(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", ".nan", ".inf",
        "-.inf", "+.inf",
    ];
    // However it is cased: readers differ in which of them they know.
    if WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return true;
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    numeric && (is_number(text) || is_time(text) || is_base_60(text))
}

fn is_number(text: &str) -> bool {
    let bare = text.replace('_', "");
    let digits = bare.strip_prefix(['+', '-']).unwrap_or(&bare);
    let radix = |prefix: &str, radix: u32| {
        let rest = digits.strip_prefix(prefix);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    if radix("0x", 16) || radix("0X", 16) || radix("0b", 2) || radix("0o", 8) || radix("0O", 8) {
        return true;
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let power = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && all_digits(exponent)
    });
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    power && !(whole.is_empty() && part.is_empty()) && all_digits(whole) && all_digits(part)
}

/// `2001-02-03`, with a time of day perhaps.
fn is_time(text: &str) -> bool {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut parts = text.splitn(3, '-');
    let (_, month, rest) = (parts.next(), parts.next(), parts.next());
    let short =
        |text: &str| matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = rest.filter(|_| year == 4 && month.is_some_and(short)) else {
        return false;
    };
    let day = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = rest.as_bytes().get(day);
    matches!(day, 1 | 2) && after.is_none_or(|b| b"Tt ".contains(b))
}

/// `1:30`, which readers of YAML 1.1 take for 90.
fn is_base_60(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = digits.split(':');
    let first = parts.next().unwrap_or_default();
    let is_whole =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut count = 0;
    let rest = parts.all(|part| {
        count += 1;
        let whole = part.split('.').next().unwrap_or_default();
        is_whole(whole) && whole.len() <= 2
    });
    is_whole(first) && rest && count > 0
}

/// Writes characters, and breaks lines at single spaces once they are full.
struct Folding<'a> {
    column: Option<usize>,
    indent: usize,
    out: &'a mut String,
}

impl Folding<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        if let Some(column) = &mut self.column {
            *column += text.chars().count();
        }
    }

    fn is_full(&self) -> bool {
        self.column.is_some_and(|column| column > WIDTH)
    }

    fn break_line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent));
        self.column = Some(self.indent);
    }
}

fn folded(text: &str, fold: Option<usize>, indent: usize, out: &mut String, quote: bool) {
    let chars: Vec<char> = text.chars().collect();
    let mut line = Folding {
        column: fold,
        indent,
        out,
    };
    let mut was_space = false;
    for (at, c) in chars.iter().enumerate() {
        let is_inner = at > 0 && at + 1 < chars.len();
        let space_follows = chars.get(at + 1) == Some(&' ');
        if *c == ' ' && !was_space && is_inner && !space_follows && line.is_full() {
            line.break_line();
        } else if *c == '\'' && quote {
            line.push("''");
        } else {
            line.push(c.encode_utf8(&mut [0; 4]));
        }
        was_space = *c == ' ';
    }
}

fn plain(text: &str, fold: Option<usize>, indent: usize, out: &mut String) {
    folded(text, fold, indent, out, false);
}

fn single(text: &str, fold: Option<usize>, indent: usize, out: &mut String) {
    out.push('\'');
    folded(text, fold.map(|column| column + 1), indent, out, true);
    out.push('\'');
}

fn double(text: &str, fold: Option<usize>, indent: usize, out: &mut String) {
    let chars: Vec<char> = text.chars().collect();
    out.push('"');
    let mut line = Folding {
        column: fold.map(|column| column + 1),
        indent,
        out,
    };
    let mut was_space = false;
    for (at, c) in chars.iter().enumerate() {
        let is_inner = at > 0 && at + 1 < chars.len();
        if *c == ' ' && !was_space && is_inner && line.is_full() {
            line.break_line();
            if chars.get(at + 1) == Some(&' ') {
                line.push("\\");
            }
            was_space = true;
            continue;
        }
        line.push(&escaped(*c));
        was_space = *c == ' ';
    }
    out.push('"');
}

fn escaped(c: char) -> String {
    let short = match c {
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c if is_printable(c) => return c.to_string(),
        c => {
            return match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    short.to_owned()
}

fn literal(text: &str, indent: usize, out: &mut String) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let body = match text.strip_suffix('\n') {
        None => {
            out.push('-');
            text
        }
        Some(body) => {
            if body.is_empty() || body.ends_with('\n') {
                out.push('+');
            }
            body
        }
    };
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
}
