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
        let line = match next(rest) {
            Ok(line) => line,
            Err(why) => {
                let why = format!("line {number}: {why}");
                sink.borrow_mut().wrong(place, &why);
                let after = rest.split_once('\n').map_or("", |(_, after)| after);
                rest = after;
                continue;
            }
        };
        number += rest[..rest.len() - line.after.len()]
            .trim_end()
            .matches('\n')
            .count();
        rest = line.after;
        let Some(name) = line.name else { continue };
        let value = line.value.map(|(value, is_literal)| {
            let look = |name: &str| known.get(name).cloned().or_else(|| env(name));
            match is_literal {
                true => value,
                false => match interpolate::all(Value::String(value), &look, sink) {
                    Value::String(text) => text,
                    _ => String::new(),
                },
            }
        });
        if let Some(value) = &value {
            known.insert(name.clone(), value.clone());
        }
        all.push((name, value));
    }
    all
}

/// What a line says; one with a quoted value may be several.
#[derive(Default)]
struct Line<'a> {
    name: Option<String>,
    /// And whether nothing is filled into it.
    value: Option<(String, bool)>,
    after: &'a str,
}

fn next(rest: &str) -> Result<Line<'_>, &'static str> {
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line).trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Line {
            after,
            ..Line::default()
        });
    }
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim_start())),
        None => (line, None),
    };
    if !is_name(name) {
        return Err("it is no NAME=VALUE");
    }
    let named = Line {
        name: Some(name.to_owned()),
        value: None,
        after,
    };
    let Some(value) = value else { return Ok(named) };
    let Some(quote @ ('"' | '\'')) = value.chars().next() else {
        let end = value.find(" #").unwrap_or(value.len());
        let value = value[..end].trim_end().to_owned();
        return Ok(Line {
            value: Some((value, false)),
            ..named
        });
    };
    let begin = offset(rest, value) + 1;
    let (value, length) = quoted(&rest[begin..], quote).ok_or("a quote has no end")?;
    let left = &rest[begin + length..];
    Ok(Line {
        value: Some((value, quote == '\'')),
        after: left.split_once('\n').map_or("", |(_, after)| after),
        ..named
    })
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
