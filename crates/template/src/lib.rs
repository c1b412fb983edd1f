//! Go's templates: docker's `--format`, kubectl's `-o go-template`, the files of pods.
//!
//! Pure: a parsed template and a JSON value make text. What is not understood is refused by name,
//! never ignored. Never: runs for ever or makes text without end, whatever the template and the value
//! are; reads a file, asks anybody, or looks at a clock.

mod eval;
mod files;
mod functions;
#[doc(hidden)]
pub mod fuzz;
mod lex;
mod parse;
mod print;
mod printf;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

pub use files::Data;

/// What one use of a template may do, in bytes that it makes; a step costs some.
const WORK_MAX: u64 = 1 << 29;

/// Whose template it is: functions, and what becomes of a field that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `json`, `join` and so on; what is not there is an error.
    Docker,
    /// `base64decode` and `exists`; what is not there is `<no value>`.
    Kubectl {
        /// Or an error: `--allow-missing-template-keys=false`.
        is_strict: bool,
    },
    /// Consul-template's functions, as Nomad has them; what is not there is an error.
    File,
}

/// What actions stand between.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Delimiters<'a> {
    pub left: &'a str,
    pub right: &'a str,
}

impl Default for Delimiters<'_> {
    fn default() -> Self {
        Delimiters {
            left: "{{",
            right: "}}",
        }
    }
}

/// What a template of a file names: these have to be known before it is rendered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Config map and key; an empty config map is the template's own.
    pub keys: BTreeSet<(String, String)>,
    /// Secret and key; without a key all of it is meant.
    pub secrets: BTreeSet<(String, Option<String>)>,
}

/// What may still be done, by one template or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A byte that is made costs 1, a step 16.
    pub work: u64,
    /// Bytes of text.
    pub out_bytes: usize,
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    source: String,
    dialect: Dialect,
    defined: parse::Defined,
    references: References,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// It is none, or uses what its dialect does not have.
    pub fn parse(source: &str, dialect: Dialect) -> Result<Template, TemplateError> {
        Template::parse_within(source, dialect, Delimiters::default())
    }

    /// The same with other delimiters.
    ///
    /// # Errors
    /// It is none, or uses what its dialect does not have.
    pub fn parse_within(
        source: &str,
        dialect: Dialect,
        within: Delimiters<'_>,
    ) -> Result<Template, TemplateError> {
        let (defined, references) =
            parse::parse(source, dialect, within).map_err(|fault| fault.told("parse", source))?;
        Ok(Template {
            source: source.to_owned(),
            dialect,
            defined,
            references,
        })
    }

    /// What it names.
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Applies the template to `value`.
    ///
    /// # Errors
    /// The template does not fit the value.
    pub fn render(&self, value: &Value) -> Result<String, TemplateError> {
        self.render_bounded(value, WORK_MAX)
    }

    /// The same with another bound.
    ///
    /// # Errors
    /// The template does not fit the value, or does too much.
    pub fn render_bounded(&self, value: &Value, work: u64) -> Result<String, TemplateError> {
        let mut bounds = Bounds {
            work,
            out_bytes: usize::MAX,
        };
        let rendered = eval::render(&self.defined, self.dialect, value, None, &mut bounds);
        rendered.map_err(|fault| fault.told("apply", &self.source))
    }

    /// Renders a file; what it does is taken off `bounds`.
    ///
    /// # Errors
    /// It reaches for what is not there, or does too much.
    pub fn render_file(&self, data: &Data, bounds: &mut Bounds) -> Result<String, TemplateError> {
        let rendered = eval::render(&self.defined, self.dialect, &data.root, Some(data), bounds);
        rendered.map_err(|fault| fault.told("apply", &self.source))
    }
}

/// What is wrong with a template, or with what it is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// `parse` or `apply`.
    pub tried: &'static str,
    /// Both from 1.
    pub line: usize,
    #[allow(missing_docs)]
    pub column: usize,
    /// A sentence.
    pub why: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TemplateError {
            tried,
            line,
            column,
            why,
        } = self;
        write!(f, "{tried} template: {line}:{column}: {why}")
    }
}

impl std::error::Error for TemplateError {}

/// What is wrong, and at which byte.
#[derive(Debug)]
struct Fault {
    at: usize,
    why: String,
}

impl Fault {
    fn told(self, tried: &'static str, source: &str) -> TemplateError {
        let before = source.get(..self.at).unwrap_or(source);
        let column = before.rsplit('\n').next().unwrap_or_default();
        TemplateError {
            tried,
            line: before.matches('\n').count() + 1,
            column: column.chars().count() + 1,
            why: self.why,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    Print(Pipe),
    /// `if pipe … [else …] end`; `with` also makes it the dot.
    If {
        pipe: Pipe,
        is_dot: bool,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `template "name" pipe`
    Template {
        name: String,
        pipe: Option<Pipe>,
        at: usize,
    },
    Break,
    Continue,
}

/// `$name := command | command`
#[derive(Debug, Clone, PartialEq)]
struct Pipe {
    names: Vec<String>,
    /// The names are new ones.
    declares: bool,
    commands: Vec<Command>,
    at: usize,
}

/// A function and its arguments, or one operand.
#[derive(Debug, Clone, PartialEq)]
struct Command {
    words: Vec<Expr>,
}

impl Command {
    fn at(&self) -> usize {
        self.words.first().map_or(0, |word| word.at)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Expr {
    at: usize,
    what: Operand,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Nil,
    Literal(Value),
    Dot,
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    Function(String),
    Pipe(Pipe),
    /// `(pipe).a.b`
    Chain(Box<Expr>, Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Template, TemplateError> {
        Template::parse(source, Dialect::Docker)
    }

    fn check(template: &str, expect: &str) {
        let value = serde_json::json!({
            "Id": "abc", "Name": "/web", "Running": true, "Pid": 7, "Nothing": null,
            "Env": ["A=1", "B=2"],
            "State": {"Status": "running", "ExitCode": 0},
            "Labels": "a=b,c=d",
            "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "Networks": {"bridge": {"IPAddress": "10.0.0.2"}, "net": {"IPAddress": "10.0.1.2"}},
        });
        let outcome = match parse(template) {
            Ok(template) => template.render(&value),
            Err(error) => Err(error),
        };
        let text = outcome.unwrap_or_else(|error| error.to_string());
        assert_eq!(text, expect, "{template}");
    }

    #[test]
    fn paths_and_functions() {
        check("{{.Id}} {{ .State.Status }}", "abc running");
        check("{{.Pid}} {{.Running}} {{.Env}}", "7 true [A=1 B=2]");
        check("{{json .State}}", r#"{"ExitCode":0,"Status":"running"}"#);
        check("{{.State}}", "map[ExitCode:0 Status:running]");
        check("{{.Nothing}}", "<no value>");
        check("{{index .Env 1}}", "B=2");
        check(r#"{{(index (index .Ports "80/tcp") 0).HostPort}}"#, "8080");
        check(
            r#"{{.Env | join ","}} {{join .Env ";"}}"#,
            "apply template: 1:10: function join: its first argument must be a list",
        );
        check(r#"{{join .Env ";"}}"#, "A=1;B=2");
        check(
            "{{len .Env}} {{upper .Id}} {{.Id | upper | lower}}",
            "2 ABC abc",
        );
        check(r#"{{.Label "c"}}"#, "d");
        check("{{println .Id}}", "abc\n");
        check(r#"a{{"{{"}}b"#, "a{{b");
        check("{{- .Id -}}  x", "abcx");
        check("{{/* nothing */}}x", "x");
    }

    #[test]
    fn templates_of_kubectl_are_strict_only_where_that_is_asked_for() {
        let value = serde_json::json!({ "a": { "b": 1 } });
        for (template, lax, strict) in [
            ("{{.a.b}}", "1", "1"),
            (
                "{{.a.c}}",
                "<no value>",
                "apply template: 1:3: map has no entry for key \"c\"",
            ),
            (
                "{{.x.y}}",
                "<no value>",
                "apply template: 1:3: map has no entry for key \"x\"",
            ),
            (
                "{{json .a}}",
                "parse template: 1:3: function \"json\" not defined",
                "parse template: 1:3: function \"json\" not defined",
            ),
        ] {
            for (is_strict, expect) in [(false, lax), (true, strict)] {
                let rendered = Template::parse(template, Dialect::Kubectl { is_strict })
                    .and_then(|template| template.render(&value));
                let text = rendered.unwrap_or_else(|error| error.to_string());
                assert_eq!(text, expect, "{template}");
            }
        }
    }

    #[test]
    fn ranges_and_conditions() {
        check("{{range .Env}}<{{.}}>{{end}}", "<A=1><B=2>");
        check(
            "{{range .Networks}}{{.IPAddress}} {{end}}",
            "10.0.0.2 10.0.1.2 ",
        );
        check(
            "{{range $k, $v := .Networks}}{{$k}}={{$v.IPAddress}} {{$.Id}} {{end}}",
            "bridge=10.0.0.2 abc net=10.0.1.2 abc ",
        );
        check(
            "{{range $i, $e := .Env}}{{if $i}},{{end}}{{$e}}{{end}}",
            "A=1,B=2",
        );
        check("{{range .Nothing}}x{{else}}none{{end}}", "none");
        check("{{if .Running}}up{{else}}down{{end}}", "up");
        check("{{if .State.ExitCode}}bad{{else}}good{{end}}", "good");
        check(
            r#"{{if eq .State.Status "running"}}r{{end}}{{if not .Running}}x{{end}}"#,
            "r",
        );
        check(r#"{{if and .Running (ne .Pid 0)}}alive{{end}}"#, "alive");
        check("{{with .State}}{{.Status}}{{end}}", "running");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        check(
            "{{.Nope}}",
            "apply template: 1:3: no field \"Nope\" in {Env, Id, Labels, Name, Networks, Nothing, Pid, Ports, Running, State}",
        );
        for (template, why) in [
            (
                "{{exists . 1}}",
                "parse template: 1:3: function \"exists\" not defined",
            ),
            (
                "{{template \"x\"}}",
                "apply template: 1:1: template \"x\" not defined",
            ),
            ("a\nb {{.Id", "parse template: 2:3: \"{{\" without \"}}\""),
            ("{{if .Id}}x", "parse template: 1:1: \"if\" without \"end\""),
            ("x{{end}}", "parse template: 1:2: unexpected \"end\""),
            ("{{$x}}", "parse template: 1:3: undefined variable \"$x\""),
            (
                "{{index .Env 7}}",
                "apply template: 1:3: function index: index out of range: 7",
            ),
            (
                "{{.Id.X}}",
                "apply template: 1:3: no field \"X\" in a string",
            ),
            ("{{.Id-x}}", "parse template: 1:6: \"-x\" is no number"),
            ("{{(.Id}}", "parse template: 1:3: \"(\" without \")\""),
            ("{{\"a}}", "parse template: 1:3: a string is not closed"),
            ("{{/* x}}", "parse template: 1:1: a comment is not closed"),
            ("{{break}}", "parse template: 1:1: unexpected \"break\""),
            (
                "{{if true}}{{define \"x\"}}{{end}}{{end}}",
                "parse template: 1:12: \"define\" inside of a block",
            ),
        ] {
            check(template, why);
        }
    }

    #[test]
    fn no_template_runs_for_ever() {
        let value = serde_json::json!({ "many": vec![1; 10_000] });
        let dialect = Dialect::Kubectl { is_strict: false };
        for (template, why) in [
            (
                "{{range .many}}{{range $.many}}{{range $.many}}{{end}}{{end}}{{end}}".to_owned(),
                "more work",
            ),
            (
                "{{define \"r\"}}{{template \"r\" .}}{{end}}{{template \"r\" .}}".to_owned(),
                "more than 64 deep",
            ),
            (
                "{{$x := \"a\"}}{{range .many}}{{$x = printf \"%s%s\" $x $x}}{{end}}".to_owned(),
                "more",
            ),
            ("{{printf \"%999999v\" .many}}".to_owned(), "more text"),
            ("{{range .many}}".repeat(40), "nested deeper"),
            (format!("{{{{{}1", "(".repeat(40)) + "}}", "nested deeper"),
        ] {
            let rendered = Template::parse(&template, dialect)
                .and_then(|template| template.render_bounded(&value, 1 << 22));
            let error = rendered.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
