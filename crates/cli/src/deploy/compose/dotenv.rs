//! Files of variables: `.env` and what `env_file` names. `A=b`, `export A='b'`, `A="b\n"  # why`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::interpolate;
use super::read::Sink;

/// The variables in their order; no value: it is taken from the environment.
pub(super) fn read(
    place: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    sink: &RefCell<Sink>,
) -> Vec<(String, Option<String>)> {
    let mut all: Vec<(String, Option<String>)> = Vec::new();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let line = rest.lines().next().unwrap_or_default();
        let after = rest.split_once('\n').map_or("", |(_, after)| after);
        let trimmed = line.trim_start();
        let trimmed = trimmed.strip_prefix("export ").unwrap_or(trimmed).trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let Some((name, value)) = trimmed.split_once('=') else {
            let name = trimmed.trim();
            match is_name(name) {
                true => all.push((name.to_owned(), None)),
                false => sink.borrow_mut().wrong(place, &format!("line {number} is no NAME=VALUE")),
            }
            rest = after;
            continue;
        };
        let name = name.trim();
        if !is_name(name) {
            let why = format!("line {number} is no NAME=VALUE");
            sink.borrow_mut().wrong(place, &why);
            rest = after;
            continue;
        }
        let value = value.trim_start();
        let (value, left) = match value.chars().next() {
            // What is quoted may have several lines.
            Some(quote @ ('"' | '\'')) => {
                let from = rest.len() - (line.len() - offset(line, value));
                let _ = from;
                let begin = offset(rest, value) + 1;
                match quoted(&rest[begin..], quote) {
                    Some((value, length)) => {
                        let passed = &rest[..begin + length];
                        number += passed.matches('\n').count();
                        let left = &rest[begin + length..];
                        (value, left.split_once('\n').map_or("", |(_, left)| left))
                    }
                    None => {
                        let why = format!("line {number}: a quote has no end");
                        sink.borrow_mut().wrong(place, &why);
                        return all;
                    }
                }
            }
            _ => {
                let end = value.find(" #").unwrap_or(value.len());
                (value[..end].trim_end().to_owned(), after)
            }
        };
        let is_literal = trimmed.split_once('=').is_some_and(|(_, v)| v.trim_start().starts_with('\''));
        let value = match is_literal {
            true => value,
            false => {
                let look = |name: &str| known.get(name).cloned().or_else(|| env(name));
                match interpolate::all(Value::String(value), &look, sink) {
                    Value::String(text) => text,
                    _ => String::new(),
                }
            }
        };
        known.insert(name.to_owned(), value.clone());
        all.push((name.to_owned(), Some(value)));
        rest = left;
    }
    all
}

/// Where `part`, which is a part of `whole`, begins in it.
fn offset(whole: &str, part: &str) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains(['\'', '"'])
}

/// What stands before the closing quote, and how long that is with the quote.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            letter if letter == quote => return Some((out, at + 1)),
            '\\' if quote == '"' => match letters.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                // Not a variable.
                '$' => out.push_str("$$"),
                other @ ('"' | '\\') => out.push(other),
                other => out.extend(['\\', other]),
            },
            letter => out.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_variables() {
        let sink = RefCell::new(Sink::default());
        let text = "# c\n\nA=1 # one\n export B = '$A #'\nC=\"a\\n$A\\$A\nb\" # more\nD=\nE\nF=x#y\nG=${A}2";
        let found = read(".env", text, &|_| None, &sink);
        let found: Vec<(&str, Option<&str>)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        let expected = [
            ("A", Some("1")),
            ("B", Some("$A #")),
            ("C", Some("a\n1$A\nb")),
            ("D", Some("")),
            ("E", None),
            ("F", Some("x#y")),
            ("G", Some("12")),
        ];
        assert_eq!(found, expected);
        assert!(sink.borrow().mistakes.is_empty());
        let _ = read(".env", "a b=1\nx y\nA='", &|_| None, &sink);
        assert_eq!(sink.borrow().mistakes.len(), 3);
    }
}
