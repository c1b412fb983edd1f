//! JSONPath templates in kubectl's dialect: `{range .items[*]}{.metadata.name}{"\n"}{end}`.
//!
//! Owns: reading them, finding what they name, printing it. What is not there prints nothing, or is
//! an error where [`Template::strict`] was asked for; an index outside of a list always is one, as
//! with kubectl.
//! Never: more than [`DEPTH_MAX`] levels or [`FOUND_MAX`] results.

mod evaluate;
mod parse;

use serde_json::Value;

/// Levels of brackets, filters and ranges in one another.
const DEPTH_MAX: usize = 32;
/// Values one step may lead to.
const FOUND_MAX: usize = 1 << 20;

/// What is wrong with a template, or with what it was used on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("jsonpath: {0}")]
pub struct PathError(String);

fn wrong<T>(why: impl Into<String>) -> Result<T, PathError> {
    Err(PathError(why.into()))
}

/// A template that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
    is_strict: bool,
}

/// A piece of what a template makes.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Text of the template.
    Text(&'a str),
    /// What one of its paths leads to.
    Found(&'a [&'a Value]),
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// `$`: the whole again.
    Root,
    Field(String),
    /// `[*]`, `.*`
    All,
    /// `..`
    Below,
    /// `[1]`, `[1:2]`, `[::2]`
    Slice(Slice),
    /// `['a','b']`
    Union(Vec<Vec<Step>>),
    /// `[?(@.a == "b")]`
    Filter(Vec<Step>, Option<(Comparison, Operand)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    from: Option<i64>,
    to: Option<i64>,
    step: i64,
    /// One index rather than a range.
    is_index: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Value(Value),
    Path(Vec<Step>),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(text: &str) -> Result<Template, PathError> {
        let nodes = parse::template(text)?;
        Ok(Template {
            nodes,
            is_strict: false,
        })
    }

    /// The same, for which a field that is not there is an error, if `is_strict`.
    pub fn strict(self, is_strict: bool) -> Template {
        Template { is_strict, ..self }
    }

    fn search<'a>(&self, root: &'a Value) -> evaluate::Search<'a> {
        evaluate::Search {
            root,
            is_strict: self.is_strict,
        }
    }

    /// Reads one path: with braces and dot or without them, as `--sort-by` takes it.
    ///
    /// # Errors
    /// It is malformed.
    pub fn relaxed(text: &str) -> Result<Template, PathError> {
        let inner = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let inner = inner.unwrap_or(text);
        if inner.is_empty() || inner.contains(['{', '}']) {
            return wrong(format!("{text:?} is no path like {{.metadata.name}}"));
        }
        let begins = inner.starts_with(['.', '[', '$', '@']);
        let dot = if begins { "" } else { "." };
        Template::parse(&format!("{{{dot}{inner}}}"))
    }

    /// What it prints of `value`.
    ///
    /// # Errors
    /// An index is outside of a list; strictly, a field is nowhere.
    pub fn render(&self, value: &Value) -> Result<String, PathError> {
        let mut out = String::new();
        self.each(value, |piece| match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Found(found) => {
                let texts: Vec<String> = found.iter().map(|value| plain(value)).collect();
                out.push_str(&texts.join(" "));
            }
        })?;
        Ok(out)
    }

    /// Hands what it makes of `value` to `out`, piece by piece.
    ///
    /// # Errors
    /// An index is outside of a list; strictly, a field is nowhere.
    pub fn each(&self, value: &Value, mut out: impl FnMut(Piece<'_>)) -> Result<(), PathError> {
        self.search(value).each(&self.nodes, value, &mut out)
    }

    /// The values that its paths lead to.
    ///
    /// # Errors
    /// An index is outside of a list; strictly, a field is nowhere.
    pub fn find<'a>(&self, value: &'a Value) -> Result<Vec<&'a Value>, PathError> {
        let mut found = Vec::new();
        for node in &self.nodes {
            if let Node::Path(steps) = node {
                found.extend(self.search(value).find(steps, value)?);
            }
        }
        Ok(found)
    }
}

/// A value as Go prints it: texts bare, lists and maps as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Array(_) | Value::Object(_) => escape_html(&value.to_string()),
        other => other.to_string(),
    }
}

/// JSON as Go writes it: fit to stand in HTML.
pub fn escape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "kind": "List",
            "items": [
                { "metadata": { "name": "a", "labels": { "x.y/z": "1" } },
                  "ports": [80, 443, 8080], "conditions": [
                    { "type": "Ready", "status": "True" }, { "type": "Live", "status": "False" } ] },
                { "metadata": { "name": "b" }, "ports": [], "n": 5, "ok": true },
            ],
        })
    }

    #[test]
    fn templates_print_what_kubectls_print() {
        let sample = sample();
        for (template, printed) in [
            ("{.kind}", "List"),
            ("plain {.kind}!", "plain List!"),
            ("{.items[*].metadata.name}", "a b"),
            ("{.items[0].metadata.name}", "a"),
            ("{.items[-1].metadata.name}", "b"),
            ("{.items[0].ports}", "[80,443,8080]"),
            ("{.items[0].ports[0:2]}", "80 443"),
            ("{.items[0].ports[1:]}", "443 8080"),
            ("{.items[0].ports[::2]}", "80 8080"),
            ("{.items[0].ports[0,2]}", "80 8080"),
            ("{.items[0].metadata.labels.x\\.y/z}", "1"),
            ("{.items[0].metadata.labels['x\\.y/z']}", "1"),
            ("{.items[0]['metadata']['name']}", "a"),
            ("{.items[0]['metadata.name','ports']}", "a [80,443,8080]"),
            ("{.items[1].metadata.*}", "b"),
            ("{..name}", "a b"),
            ("{.items[*].nope}", ""),
            ("{.nope.deeper[*]}", ""),
            ("{$.kind}{@.kind}", "ListList"),
            ("{.items[?(@.n==5)].metadata.name}", "b"),
            ("{.items[?(@.n)].metadata.name}", "b"),
            ("{.items[?(@.metadata.name!='a')].metadata.name}", "b"),
            ("{.items[?(@.ok==true)].metadata.name}", "b"),
            ("{.items[0].ports[?(@ > 100)]}", "443 8080"),
            (
                "{.items[0].conditions[?(@.type==\"Ready\")].status}",
                "True",
            ),
            (
                "{range .items[*]}{.metadata.name}{\"\\t\"}{.n}{'\\n'}{end}",
                "a\t\nb\t5\n",
            ),
            (
                "{range .items[*]}{range .ports[*]}<{@}>{end};{end}",
                "<80><443><8080>;;",
            ),
            (".kind", ".kind"),
        ] {
            let read = Template::parse(template).unwrap();
            assert_eq!(read.render(&sample).as_deref(), Ok(printed), "{template}");
        }
    }

    #[test]
    fn what_is_nowhere_is_an_error_if_that_was_asked_for() {
        let sample = sample();
        let strict = |text: &str| {
            let read = Template::parse(text).unwrap().strict(true);
            read.render(&sample).map_err(|error| error.to_string())
        };
        for text in [
            "{.nope}",
            "{.kind.nope}",
            "{range .items[*]}{.n}{end}",
            "{.items[?(@.n==5)].metadata.name}",
        ] {
            assert!(strict(text).unwrap_err().contains("is not found"), "{text}");
        }
        // One that has it is enough, and asking whether it is there is no use of it.
        assert_eq!(strict("{.items[*].n}").as_deref(), Ok("5"));
        assert_eq!(strict("{.items[?(@.n)].metadata.name}").as_deref(), Ok("b"));
        assert_eq!(strict("{.items[?(@.nope)].n}").as_deref(), Ok(""));
        assert_eq!(strict("{.kind}").as_deref(), Ok("List"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for template in [
            "{",
            "{.a",
            "{.a[}",
            "{.a[}]",
            "{.a['b}",
            "{range .a}",
            "{end}",
            "{.a[?(@.b]}",
            "{.a[?(@.b==)]}",
            "{.a[1:2:3:4]}",
            "{.a[x]}",
            "{'a}",
            "{.a[::0]}",
            "{#}",
        ] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        let deep = format!("{{.a{}}}", "[?(@.a".repeat(100));
        assert!(Template::parse(&deep).is_err());
        let outside = Template::parse("{.items[7]}").unwrap();
        assert!(
            outside
                .render(&sample())
                .unwrap_err()
                .to_string()
                .contains("index 7, length 2")
        );
    }

    #[test]
    fn one_path_needs_no_braces() {
        let sample = sample();
        for text in ["kind", ".kind", "{.kind}", "{kind}"] {
            let found = Template::relaxed(text).unwrap();
            assert_eq!(found.find(&sample).unwrap(), [&json!("List")], "{text}");
        }
        assert!(Template::relaxed("{.a}{.b}").is_err());
    }
}
