//! Variables in values (Compose specification, "Interpolation"): `$A`, `${A:-b}`, `${A?why}`, `$$`.
//!
//! Never: in keys.

use std::cell::RefCell;

use serde_json::Value;

use super::read::Sink;

/// Defaults in defaults, at most.
const DEPTH_MAX: usize = 16;
/// Most bytes of a text that is filled in: variables may be made of themselves.
const BYTES_MAX: usize = 1 << 20;

type Look<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills in all texts of a document.
pub(super) fn all(value: Value, look: Look<'_>, sink: &RefCell<Sink>) -> Value {
    below(value, "", look, sink)
}

fn below(value: Value, path: &str, look: Look<'_>, sink: &RefCell<Sink>) -> Value {
    match value {
        Value::String(text) if text.contains('$') => {
            let mut filling = Filling { path, look, sink };
            Value::String(filling.text(&text, 0))
        }
        Value::Array(list) => {
            let list = list.into_iter().enumerate();
            let list = list.map(|(at, one)| below(one, &format!("{path}[{at}]"), look, sink));
            Value::Array(list.collect())
        }
        Value::Object(map) => {
            let map = map.into_iter().map(|(key, one)| {
                let path = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                (key, below(one, &path, look, sink))
            });
            Value::Object(map.collect())
        }
        other => other,
    }
}

struct Filling<'a> {
    path: &'a str,
    look: Look<'a>,
    sink: &'a RefCell<Sink>,
}

impl Filling<'_> {
    fn wrong(&self, why: &str) {
        self.sink.borrow_mut().wrong(self.path, why);
    }

    fn text(&mut self, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            if out.len() > BYTES_MAX {
                self.wrong(&format!(
                    "it has more than {BYTES_MAX} bytes when it is filled in"
                ));
                return String::new();
            }
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(braced) = after.strip_prefix('{') {
                let Some(end) = closing(braced) else {
                    self.wrong("${ has no end; a dollar sign is $$");
                    return out;
                };
                out.push_str(&self.braced(&braced[..end], depth));
                rest = &braced[end + 1..];
            } else {
                let length = name_length(after);
                if length == 0 {
                    self.wrong("$ is followed by no name; a dollar sign is $$");
                    return out;
                }
                out.push_str(&self.value(&after[..length]));
                rest = &after[length..];
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&mut self, name: &str) -> String {
        (self.look)(name).unwrap_or_else(|| {
            let what = format!("the variable {name} is not set, and counts as empty");
            self.sink.borrow_mut().note("", &what);
            String::new()
        })
    }

    /// What stands between the braces.
    fn braced(&mut self, text: &str, depth: usize) -> String {
        let length = name_length(text);
        let (name, rest) = text.split_at(length);
        if length == 0 || depth > DEPTH_MAX {
            self.wrong(&format!("${{{text}}} names no variable"));
            return String::new();
        }
        if rest.is_empty() {
            return self.value(name);
        }
        let (counts_empty, rest) = match rest.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let set = (self.look)(name).filter(|value| !counts_empty || !value.is_empty());
        let mut letters = rest.chars();
        let (kind, word) = (letters.next(), letters.as_str());
        match (kind, set) {
            (Some('-' | '?'), Some(value)) => value,
            (Some('+'), None) => String::new(),
            (Some('-'), None) | (Some('+'), Some(_)) => self.text(word, depth + 1),
            (Some('?'), None) => {
                let why = self.text(word, depth + 1);
                let why = if why.is_empty() {
                    "it has to be set"
                } else {
                    &why
                };
                self.wrong(&format!("the variable {name}: {why}"));
                String::new()
            }
            _ => {
                self.wrong(&format!("${{{text}}} is no way to name a variable"));
                String::new()
            }
        }
    }
}

fn name_length(text: &str) -> usize {
    let is_name = |(at, letter): (usize, char)| {
        letter == '_' || letter.is_ascii_alphabetic() || (at > 0 && letter.is_ascii_digit())
    };
    let end = text.char_indices().find(|one| !is_name(*one));
    end.map_or(text.len(), |(at, _)| at)
}

/// Where the brace ends that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if before == '$' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        before = letter;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let look = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let fill = |text: &str| {
            let sink = RefCell::new(Sink::default());
            let filled = all(Value::String(text.to_owned()), &look, &sink);
            let sink = sink.into_inner();
            match sink.mistakes.first() {
                None => Ok(filled.as_str().unwrap().to_owned()),
                Some(why) => Err(why.clone()),
            }
        };
        for (text, expected) in [
            ("x", "x"),
            ("$A-${A}$$A", "a-a$A"),
            ("${NO}", ""),
            ("${NO:-b}${NO-b}${EMPTY:-b}${EMPTY-b}", "bbb"),
            ("${A:+b}${A+b}${NO:+b}${EMPTY:+b}${EMPTY+b}", "bbb"),
            ("${NO:-${NO:-x}-$A}", "x-a"),
            ("${NO:-a}b}", "ab}"),
            ("${A:?why}${EMPTY?why}", "a"),
        ] {
            assert_eq!(fill(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, why) in [
            ("${NO:?needed}", "the variable NO: needed"),
            ("${EMPTY:?}", "the variable EMPTY: it has to be set"),
            ("${A", "${ has no end; a dollar sign is $$"),
            ("$", "$ is followed by no name; a dollar sign is $$"),
            ("${}", "${} names no variable"),
            ("${A!b}", "${A!b} is no way to name a variable"),
        ] {
            assert_eq!(fill(text), Err(why.to_owned()), "{text}");
        }
    }
}
