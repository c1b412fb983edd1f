//! From text to tokens: what stands between delimiters (`{{` and `}}`), and what does not.

use serde_json::Value;

use super::{Delimiters, Fault};

/// A piece of the source.
pub enum Piece {
    Text(String),
    /// What an action says, and where its end is.
    Action(Vec<Token>, usize),
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its first byte.
    pub at: usize,
    /// Whether there is space before it: `.a.b` is one operand, `.a .b` are two.
    pub is_apart: bool,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Word(String),
    Dot,
    /// `.name`
    Field(String),
    /// `$name`, `$`
    Variable(String),
    Literal(Value),
    /// `( ) | , := =`
    Symbol(&'static str),
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
const SYMBOLS: [&str; 6] = [":=", "(", ")", "|", ",", "="];

fn fault<T>(at: usize, why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        at,
        why: why.into(),
    })
}

/// Splits a template.
pub fn split(source: &str, within: Delimiters<'_>) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let (mut at, mut is_trimmed) = (0, false);
    while let Some(found) = source[at..].find(within.left) {
        let start = at + found;
        let mut text = &source[at..start];
        if is_trimmed {
            text = text.trim_start_matches(SPACE);
        }
        at = start + within.left.len();
        let rest = &source[at..];
        if rest.starts_with('-') && rest[1..].starts_with(SPACE) {
            text = text.trim_end_matches(SPACE);
            at += 2;
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let inner = source[at..].trim_start_matches(SPACE);
        if let Some(comment) = inner.strip_prefix("/*") {
            let begin = source.len() - comment.len();
            let Some(length) = comment.find("*/") else {
                return fault(start, "a comment is not closed");
            };
            let end = begin + length + 2;
            let Some((end, trims)) = closing(source, end, within.right) else {
                return fault(end, "a comment ends before the action does");
            };
            (at, is_trimmed) = (end, trims);
        } else {
            let (tokens, end, trims) = action(source, start, at, within)?;
            pieces.push(Piece::Action(tokens, start));
            (at, is_trimmed) = (end, trims);
        }
    }
    let mut text = &source[at..];
    if is_trimmed {
        text = text.trim_start_matches(SPACE);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(pieces)
}

/// The end of an action, if it ends at `at`, and whether what follows is trimmed.
fn closing(source: &str, at: usize, right: &str) -> Option<(usize, bool)> {
    let rest = &source[at..];
    let bare = rest.trim_start_matches(SPACE);
    let end = source.len() - bare.len();
    if bare.starts_with(right) {
        return Some((end + right.len(), false));
    }
    let trims = bare.len() < rest.len() && bare.starts_with('-') && bare[1..].starts_with(right);
    trims.then_some((end + 1 + right.len(), true))
}

/// The tokens of the action that begins at `start`, where it ends, and whether that trims.
fn action(
    source: &str,
    start: usize,
    from: usize,
    within: Delimiters<'_>,
) -> Result<(Vec<Token>, usize, bool), Fault> {
    let mut tokens = Vec::new();
    let mut at = from;
    loop {
        if let Some((end, trims)) = closing(source, at, within.right) {
            return Ok((tokens, end, trims));
        }
        let rest = source[at..].trim_start_matches(SPACE);
        let is_apart = rest.len() < source.len() - at || at == from;
        at = source.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            return fault(
                start,
                format!("{:?} without {:?}", within.left, within.right),
            );
        };
        let (what, length) = token(rest, first).map_err(|why| Fault { at, why })?;
        tokens.push(Token { at, is_apart, what });
        at += length;
    }
}

fn token(rest: &str, first: char) -> Result<(What, usize), String> {
    let name_length = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        end.unwrap_or(text.len())
    };
    let second = rest[first.len_utf8()..].chars().next();
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    Ok(match first {
        '"' | '`' | '\'' => quoted(rest, first)?,
        '.' if !is_digit(second) => match name_length(&rest[1..]) {
            0 => (What::Dot, 1),
            length => (What::Field(rest[1..=length].to_owned()), 1 + length),
        },
        '$' => {
            let length = 1 + name_length(&rest[1..]);
            (What::Variable(rest[..length].to_owned()), length)
        }
        '0'..='9' | '.' | '+' | '-' => number(rest)?,
        c if c.is_alphabetic() || c == '_' => {
            let word = &rest[..name_length(rest)];
            let what = match word {
                "true" => What::Literal(true.into()),
                "false" => What::Literal(false.into()),
                _ => What::Word(word.to_owned()),
            };
            (what, word.len())
        }
        _ => match SYMBOLS.into_iter().find(|known| rest.starts_with(known)) {
            Some(symbol) => (What::Symbol(symbol), symbol.len()),
            None => return Err(format!("unexpected {first:?}")),
        },
    })
}

fn number(rest: &str) -> Result<(What, usize), String> {
    let mut end = 1;
    for c in rest[1..].chars() {
        let is_sign =
            matches!(c, '+' | '-') && rest[..end].ends_with(['e', 'E']) && !rest.starts_with("0x");
        if !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_') && !is_sign {
            break;
        }
        end += 1;
    }
    let text = rest[..end].replace('_', "");
    let bad = || format!("{:?} is no number", &rest[..end]);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = digits.to_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, base)| lower.strip_prefix(prefix).map(|rest| (rest, base)));
    let value: Value = match based {
        Some((digits, base)) => i64::from_str_radix(&format!("{sign}{digits}"), base)
            .map_err(|_| bad())?
            .into(),
        None if lower.contains(['.', 'e']) => {
            let float: f64 = format!("{sign}{lower}").parse().map_err(|_| bad())?;
            serde_json::Number::from_f64(float).ok_or_else(bad)?.into()
        }
        None => format!("{sign}{lower}")
            .parse::<i64>()
            .map_err(|_| bad())?
            .into(),
    };
    Ok((What::Literal(value), end))
}

/// A text in quotes, or the number of a character in single ones.
fn quoted(rest: &str, quote: char) -> Result<(What, usize), String> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let end = at + 1;
                if quote != '\'' {
                    return Ok((What::Literal(out.into()), end));
                }
                let mut all = out.chars();
                return match (all.next(), all.next()) {
                    (Some(only), None) => Ok((What::Literal(u32::from(only).into()), end)),
                    _ => Err("single quotes hold one character".to_owned()),
                };
            }
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => {
                let hex = |digits: usize, chars: &mut dyn Iterator<Item = (usize, char)>| {
                    let text: String = chars.take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&text, 16).ok();
                    code.filter(|_| text.len() == digits)
                        .and_then(char::from_u32)
                };
                let escaped = match chars.next().map(|(_, c)| c) {
                    Some(first @ '0'..='3') => {
                        let rest: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                        let code = u32::from_str_radix(&format!("{first}{rest}"), 8).ok();
                        code.and_then(char::from_u32).filter(char::is_ascii)
                    }
                    Some('n') => Some('\n'),
                    Some('t') => Some('\t'),
                    Some('r') => Some('\r'),
                    Some('a') => Some('\x07'),
                    Some('b') => Some('\x08'),
                    Some('f') => Some('\x0c'),
                    Some('v') => Some('\x0b'),
                    Some('x') => hex(2, &mut chars).filter(char::is_ascii),
                    Some('u') => hex(4, &mut chars),
                    Some('U') => hex(8, &mut chars),
                    Some(c) if c == '\\' || c == quote => Some(c),
                    _ => None,
                };
                out.push(escaped.ok_or("an escape is not understood")?);
            }
            c => out.push(c),
        }
    }
    Err("a string is not closed".to_owned())
}
