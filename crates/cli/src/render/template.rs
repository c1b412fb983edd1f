//! The part of Go's templates that `--format` is used for: paths, `range`, `if`, a few functions.
//!
//! Pure: a parsed template and a JSON value make text. What is not understood is refused by name,
//! never ignored.

mod eval;
mod parse;

pub use parse::parse;

use serde_json::Value;

use crate::error::CliError;

/// A parsed template.
#[derive(Debug)]
pub struct Template(Vec<Node>);

impl Template {
    /// Applies the template to `value`.
    pub fn render(&self, value: &Value) -> Result<String, CliError> {
        eval::render(&self.0, value).map_err(|why| CliError::new(format!("apply template: {why}")))
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    Print(Expr),
    /// `range [$key, $value :=] list … [else …] end`
    Range {
        key: Option<String>,
        value: Option<String>,
        list: Expr,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `if condition … [else …] end`; `with` also makes the condition the dot.
    If {
        condition: Expr,
        is_dot: bool,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum Expr {
    Literal(Value),
    /// `.A.B`, `$x.A`, `$`: fields of a variable; the dot is the variable without a name.
    Field(String, Vec<String>),
    /// `(expression).A`
    Below(Box<Expr>, Vec<String>),
    /// `function argument…`
    Call(String, Vec<Expr>),
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let text = outcome.unwrap_or_else(|error| error.message().to_owned());
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
            "apply template: function join: its first argument must be a list",
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
            "apply template: no field \"Nope\" in {Env, Id, Labels, Name, Networks, Nothing, Pid, Ports, Running, State}",
        );
        check(
            "{{printf \"%d\" 1}}",
            "parse template: function \"printf\" is not supported",
        );
        check(
            "{{template \"x\"}}",
            "parse template: \"template\" is not supported",
        );
        check("{{.Id", "parse template: \"{{\" without \"}}\"");
        check("{{if .Id}}x", "parse template: \"if\" without \"end\"");
        check("x{{end}}", "parse template: unexpected \"end\"");
        check("{{$x}}", "apply template: undefined variable \"$x\"");
        check(
            "{{index .Env 7}}",
            "apply template: function index: no element 7",
        );
        check("{{.Id.X}}", "apply template: no field \"X\" in a string");
    }
}
