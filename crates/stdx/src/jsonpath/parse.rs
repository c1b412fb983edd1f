//! Templates, read.

use serde_json::Value;

use super::{Comparison, DEPTH_MAX, Node, Operand, PathError, Slice, Step, wrong};

/// Characters that end a field's name; a backslash before one makes it part of it.
const ENDS: &str = " \t\r\n.,[](){}$@\"'=!<>";

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

pub(super) fn template(text: &str) -> Result<Vec<Node>, PathError> {
    let mut reader = Reader {
        rest: text,
        depth: 0,
    };
    let nodes = reader.nodes(false)?;
    Ok(nodes)
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, text: &str) -> Result<(), PathError> {
        if self.take(text) {
            return Ok(());
        }
        match self.peek() {
            Some(found) => wrong(format!("{text:?} is missing before {found:?}")),
            None => wrong(format!("it ends where {text:?} is missing")),
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Goes one level down for as long as `read` reads.
    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return wrong(format!("it has more than {DEPTH_MAX} levels"));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Text and braces, to the end or to `{end}`.
    fn nodes(&mut self, in_range: bool) -> Result<Vec<Node>, PathError> {
        let mut nodes = Vec::new();
        loop {
            let at = self.rest.find('{').unwrap_or(self.rest.len());
            if at > 0 {
                nodes.push(Node::Text(self.rest[..at].to_owned()));
                self.rest = &self.rest[at..];
            }
            if !self.take("{") {
                break;
            }
            self.blanks();
            if self.take("end}") {
                return match in_range {
                    true => Ok(nodes),
                    false => wrong("{end} without {range}"),
                };
            }
            if self.take("range ") {
                self.blanks();
                let steps = self.path()?;
                self.blanks();
                self.need("}")?;
                let inner = self.deeper(|reader| reader.nodes(true))?;
                nodes.push(Node::Range(steps, inner));
                continue;
            }
            self.braces(&mut nodes)?;
        }
        match in_range {
            true => wrong("{range} without {end}"),
            false => Ok(nodes),
        }
    }

    /// Paths and quoted texts up to the closing brace.
    fn braces(&mut self, nodes: &mut Vec<Node>) -> Result<(), PathError> {
        loop {
            self.blanks();
            match self.peek() {
                Some('}') => {
                    self.next();
                    return Ok(());
                }
                Some('"' | '\'') => nodes.push(Node::Text(self.quoted()?)),
                Some(_) => nodes.push(Node::Path(self.path()?)),
                None => return wrong("a brace is not closed"),
            }
        }
    }

    /// `.a.b[0]`, at least one step or `@`.
    fn path(&mut self) -> Result<Vec<Step>, PathError> {
        let mut steps = Vec::new();
        let before = self.rest.len();
        if self.take("$") {
            steps.push(Step::Root);
        } else {
            self.take("@");
        }
        loop {
            if self.take("..") {
                steps.push(Step::Below);
                if self.peek() != Some('[') {
                    steps.push(self.field()?);
                }
            } else if self.take(".") {
                if self.peek().is_some_and(|next| !ENDS.contains(next)) {
                    steps.push(self.field()?);
                }
            } else if self.take("[") {
                self.deeper(|reader| reader.bracket(&mut steps))?;
            } else {
                break;
            }
        }
        if self.rest.len() == before {
            // A name without a dot before it.
            if self
                .peek()
                .is_some_and(|next| next.is_alphabetic() || next == '_')
            {
                steps.push(self.field()?);
                steps.extend(match self.peek() {
                    Some('.' | '[') => self.path()?,
                    _ => Vec::new(),
                });
                return Ok(steps);
            }
            let found = self
                .peek()
                .map_or_else(String::new, |found| format!(" before {found:?}"));
            return wrong(format!("a path is missing{found}"));
        }
        Ok(steps)
    }

    fn field(&mut self) -> Result<Step, PathError> {
        if self.take("*") {
            return Ok(Step::All);
        }
        let mut name = String::new();
        while let Some(next) = self.peek() {
            if next == '\\' {
                self.next();
                name.extend(self.next());
                continue;
            }
            if ENDS.contains(next) {
                break;
            }
            name.push(next);
            self.next();
        }
        if name.is_empty() {
            return wrong("a field's name is missing");
        }
        Ok(Step::Field(name))
    }

    /// What stands in brackets.
    fn bracket(&mut self, steps: &mut Vec<Step>) -> Result<(), PathError> {
        self.blanks();
        if self.take("?(") {
            steps.push(self.filter()?);
            self.blanks();
            return self.need("]");
        }
        let mut parts = Vec::new();
        loop {
            self.blanks();
            parts.push(self.part()?);
            self.blanks();
            if self.take("]") {
                break;
            }
            self.need(",")?;
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => steps.extend(only),
            last => {
                parts.extend(last);
                steps.push(Step::Union(parts));
            }
        }
        Ok(())
    }

    /// `*`, `'a.b'`, `1`, `1:2`
    fn part(&mut self) -> Result<Vec<Step>, PathError> {
        if self.take("*") {
            return Ok(vec![Step::All]);
        }
        if self.take("'") {
            let Some((inner, rest)) = self.rest.split_once('\'') else {
                return wrong("a quote is not closed");
            };
            self.rest = rest;
            // A path of its own: that is why dots in keys need a backslash here, too.
            let dotted = format!(".{inner}");
            let mut reader = Reader {
                rest: &dotted,
                depth: self.depth,
            };
            let steps = reader.deeper(Reader::path)?;
            return match reader.rest {
                "" => Ok(steps),
                _ => wrong(format!("{inner:?} is no key")),
            };
        }
        let end = self.rest.find([',', ']']).unwrap_or(self.rest.len());
        let text = self.rest[..end].trim();
        let slice = slice(text)?;
        self.rest = &self.rest[end..];
        Ok(vec![Step::Slice(slice)])
    }

    /// What stands in `?( … )`.
    fn filter(&mut self) -> Result<Step, PathError> {
        self.blanks();
        let left = self.path()?;
        self.blanks();
        if self.take(")") {
            return Ok(Step::Filter(left, None));
        }
        let known = [
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let Some((_, comparison)) = known.iter().find(|(text, _)| self.take(text)) else {
            return wrong("a filter compares by ==, !=, <, <=, > or >=");
        };
        self.blanks();
        let right = match self.peek() {
            Some('"' | '\'') => Operand::Value(Value::String(self.quoted()?)),
            Some('.' | '@' | '$') => Operand::Path(self.path()?),
            _ => {
                let end = self.rest.find([')', ' ']).unwrap_or(self.rest.len());
                let text = &self.rest[..end];
                let value: Value = match serde_json::from_str(text) {
                    Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
                    _ => return wrong(format!("{text:?} is nothing to compare with")),
                };
                self.rest = &self.rest[end..];
                Operand::Value(value)
            }
        };
        self.blanks();
        self.need(")")?;
        Ok(Step::Filter(left, Some((*comparison, right))))
    }

    /// A text in quotes, with Go's usual escapes.
    fn quoted(&mut self) -> Result<String, PathError> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return wrong("a quote is not closed"),
                found if found == quote => return Ok(text),
                Some('\\') => text.push(match self.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(other) => other,
                    None => return wrong("a quote is not closed"),
                }),
                Some(other) => text.push(other),
            }
        }
    }
}

fn slice(text: &str) -> Result<Slice, PathError> {
    let no_index = || wrong(format!("[{text}] is no index"));
    let number = |part: &str| match part.trim() {
        "" => Ok(None),
        part => part.parse::<i32>().map(|number| Some(i64::from(number))),
    };
    let parts: Result<Vec<Option<i64>>, _> = text.split(':').map(number).collect();
    let Ok(parts) = parts else {
        return no_index();
    };
    match parts[..] {
        [Some(index)] => Ok(Slice {
            from: Some(index),
            to: None,
            step: 1,
            is_index: true,
        }),
        [from, to] => Ok(Slice {
            from,
            to,
            step: 1,
            is_index: false,
        }),
        [from, to, step] if step.unwrap_or(1) > 0 => Ok(Slice {
            from,
            to,
            step: step.unwrap_or(1),
            is_index: false,
        }),
        _ => no_index(),
    }
}
