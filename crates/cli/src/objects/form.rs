//! `-o`: the forms in which objects are shown.
//!
//! Owns the names of the forms and how whole objects look in them. Tables are in `rows`.

use serde_json::{Map, Value, json};

use super::columns::Columns;
use crate::error::{CliError, EXIT_FAILED};
use crate::printer::Printer;
use crate::render::template::{self, Dialect};
use weft_stdx::jsonpath::{PathError, Piece, Template, escape_html};
use weft_stdx::yaml;

/// What `-o` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// The server's table; with all its columns.
    Table {
        wide: bool,
    },
    /// `configmap/x`
    Name,
    Json,
    Yaml,
    JsonPath(Template),
    /// What each path leads to, as a list.
    JsonPathLists(Template),
    Columns(Columns),
    Template(template::Template),
}

/// Flags beside `-o` of what shows objects.
#[derive(Debug, Clone, clap::Args)]
pub struct Templates {
    /// Go template, JSONPath, or a file with it, for -o that has none (alone: -o go-template)
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// A field that a template names and an object lacks is shown as <no value> or not at all, else a failure
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    allow_missing_template_keys: bool,
    /// Who manages which field, too, in JSON and YAML
    #[arg(long)]
    show_managed_fields: bool,
}

impl Default for Templates {
    fn default() -> Templates {
        Templates {
            template: None,
            allow_missing_template_keys: true,
            show_managed_fields: false,
        }
    }
}

impl Form {
    /// Reads the value of `-o`.
    pub fn parse(text: Option<&str>) -> Result<Form, CliError> {
        Form::of(text, &Templates::default())
    }

    /// Reads the value of `-o`, with what stands beside it.
    pub fn of(text: Option<&str>, beside: &Templates) -> Result<Form, CliError> {
        let text = text.filter(|text| !text.is_empty());
        let Some(text) = text.or(beside.template.as_ref().map(|_| "go-template")) else {
            return Ok(Form::Table { wide: false });
        };
        let (name, rest) = text
            .split_once('=')
            .map_or((text, None), |(name, rest)| (name, Some(rest)));
        match (name, rest) {
            ("wide", None) => return Ok(Form::Table { wide: true }),
            ("name", None) => return Ok(Form::Name),
            ("json", None) => return Ok(Form::Json),
            ("yaml", None) => return Ok(Form::Yaml),
            ("custom-columns", Some(rest)) => return Columns::parse(rest).map(Form::Columns),
            ("custom-columns-file", Some(path)) => {
                return Columns::of_file(&file(path)?).map(Form::Columns);
            }
            _ => {}
        }
        let needs = || CliError::new(format!("-o {name} needs what to show: -o {name}=…"));
        let given = || rest.or(beside.template.as_deref()).ok_or_else(needs);
        match name {
            "jsonpath" => beside.path(given()?).map(Form::JsonPath),
            "jsonpath-as-json" => beside.path(given()?).map(Form::JsonPathLists),
            "jsonpath-file" => beside.path(&file(given()?)?).map(Form::JsonPath),
            "go-template" | "template" => beside.go(given()?),
            "go-template-file" | "templatefile" => beside.go(&file(given()?)?),
            "custom-columns" | "custom-columns-file" => Err(needs()),
            _ => Err(CliError::new(format!("unable to match a printer suitable for the output format {text:?}"))
                .hint("weft has json, yaml, name, wide, jsonpath=, jsonpath-as-json=, jsonpath-file=, go-template=, go-template-file=, custom-columns= and custom-columns-file=")),
        }
    }

    /// Whether the server makes what is shown.
    pub fn is_table(&self) -> bool {
        matches!(self, Form::Table { .. })
    }

    /// One object, or a list that is shown as one.
    pub fn whole(&self, value: &Value) -> Result<String, CliError> {
        Ok(match self {
            Form::Json => json_text(value),
            Form::Yaml => yaml::document(value),
            Form::JsonPath(template) => template.render(value).map_err(not_shown)?,
            Form::JsonPathLists(template) => {
                let mut out = String::new();
                let lists = template.each(value, |piece| {
                    out.push_str(&json_text(&match piece {
                        Piece::Text(text) => json!([text]),
                        Piece::Found(found) => json!(found),
                    }));
                });
                lists.map_err(not_shown)?;
                out
            }
            Form::Columns(columns) => columns.render(&items(value), true)?,
            Form::Template(template) => template.render(value)?,
            Form::Name | Form::Table { .. } => {
                let names: Vec<String> =
                    items(value).iter().map(|item| label(item) + "\n").collect();
                names.concat()
            }
        })
    }

    /// What became of an object: in this form, or `configmap/x created`.
    pub fn outcome(&self, printer: Printer, object: &Value, word: &str) -> Result<(), CliError> {
        match self {
            Form::Table { .. } => printer.line(&format!("{} {word}", label(object))),
            form => printer.data(&form.whole(object)?),
        }
    }
}

fn not_shown(error: PathError) -> CliError {
    CliError::because("show the answer", &error)
}

impl Templates {
    fn go(&self, text: &str) -> Result<Form, CliError> {
        let dialect = Dialect::Kubectl {
            is_strict: !self.allow_missing_template_keys,
        };
        // 1 as with kubectl; docker's `--format` has its own code.
        template::Template::parse(text, dialect)
            .map(Form::Template)
            .map_err(|error| error.exit(EXIT_FAILED))
    }

    fn path(&self, text: &str) -> Result<Template, CliError> {
        let read = Template::parse(text).map_err(|error| CliError::because("read -o", &error))?;
        Ok(read.strict(!self.allow_missing_template_keys))
    }

    /// `object` as it is to be shown.
    pub fn shown(&self, object: Value) -> Value {
        match self.show_managed_fields {
            true => object,
            false => without_managers(object),
        }
    }
}

fn file(path: &str) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| CliError::because(format!("read {path}"), &error))
}

/// The objects of a list, or the one.
pub fn items(value: &Value) -> Vec<&Value> {
    match value["items"].as_array() {
        Some(items)
            if value["kind"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("List")) =>
        {
            items.iter().collect()
        }
        _ => vec![value],
    }
}

/// `configmap/x`, `deployment.apps/x`
pub fn label(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match object["apiVersion"]
        .as_str()
        .and_then(|text| text.split_once('/'))
    {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

/// Several objects as one.
pub fn list(objects: Vec<Value>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "metadata": { "resourceVersion": "" },
        "items": objects,
    })
}

/// An object without who manages its fields, which only few want to see.
pub fn without_managers(mut object: Value) -> Value {
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    object
}

/// JSON with four spaces and sorted keys, as kubectl prints it.
pub fn json_text(value: &Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    let written = serde::Serialize::serialize(&sorted(value), &mut serializer);
    written.expect("JSON is written to memory");
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    escape_html(&text) + "\n"
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let entries = keys.into_iter().map(|key| (key.clone(), sorted(&map[key])));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_kubectls_and_others_are_refused_by_name() {
        let object = json!({ "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": { "name": "a" }, "note": "<b>" });
        for (text, shown) in [
            ("name", "deployment.apps/a\n"),
            ("jsonpath={.metadata.name}", "a"),
            ("go-template={{.metadata.name}} {{.nope}}", "a <no value>"),
            (
                "jsonpath-as-json={.metadata.name} ",
                "[\n    \"a\"\n]\n[\n    \" \"\n]\n",
            ),
            ("jsonpath-as-json={.nope}", "[]\n"),
            (
                "custom-columns=N:.metadata.name,X:.nope",
                "N     X\na     <none>\n",
            ),
        ] {
            assert_eq!(
                Form::parse(Some(text)).unwrap().whole(&object).unwrap(),
                shown
            );
        }
        let json = Form::Json.whole(&json!({ "b": "<b>", "a": [] })).unwrap();
        assert_eq!(
            json,
            "{\n    \"a\": [],\n    \"b\": \"\\u003cb\\u003e\"\n}\n"
        );
        for text in [
            "go-template={{.}",
            "go-template",
            "xml",
            "jsonpath",
            "jsonpath={.a",
            "custom-columns=",
            "name=x",
        ] {
            assert!(Form::parse(Some(text)).is_err(), "{text}");
        }
        assert_eq!(Form::parse(None).unwrap(), Form::Table { wide: false });
    }
}
