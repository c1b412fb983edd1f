//! `weft explain`: what the fields of a kind are, from the server's OpenAPI v3.

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::discovery::Resource;

use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "explain",
    Args,
    "Tell what the fields of a kind are: weft explain TYPE.FIELD"
);

/// Where lines of descriptions are broken.
const WIDTH: usize = 80;
/// Schemas that refer to themselves are followed so far.
const DEPTH_MAX: usize = 16;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kind, and a path of fields in it
    #[arg(value_name = "TYPE[.FIELD...]")]
    word: String,
    /// All fields below it, without their descriptions
    #[arg(long)]
    recursive: bool,
    /// This version of the kind: apps/v1
    #[arg(long, value_name = "GROUP/VERSION")]
    api_version: Option<String>,
    /// plaintext: the one form there is
    #[arg(short = 'o', long = "output", value_name = "FORM", default_value = "plaintext", value_parser = ["plaintext"])]
    _output: String,
    #[command(flatten)]
    connect: Connect,
}

/// A document, to look up references in.
struct Book(Value);

impl Args {
    /// Explains a field.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let mut words = self.word.split('.');
        let first = words.next().unwrap_or_default();
        let kind = api.kind(first).await?.clone();
        let kind = match &self.api_version {
            Some(version) => {
                let found = api.kinds().await?.of_object(version, &kind.kind).cloned();
                found.ok_or_else(|| {
                    CliError::new(format!(
                        "couldn't find resource for \"{version}, Kind={}\"",
                        kind.kind
                    ))
                })?
            }
            None => kind,
        };
        // `deployments.apps.spec`: the group belongs to the kind.
        let fields: Vec<&str> = words.collect();
        let group = kind.group.split('.').count();
        let has_group = !kind.group.is_empty()
            && fields
                .get(..group)
                .is_some_and(|start| start.join(".") == kind.group);
        let fields = if has_group {
            &fields[group..]
        } else {
            &fields[..]
        };
        let book = book(&api, &kind).await?;
        let text = self.text(&book, &kind, fields)?;
        api.printer.data(&text)?;
        Ok(0)
    }

    /// What is told of a field of `kind`.
    fn text(&self, book: &Book, kind: &Resource, fields: &[&str]) -> Result<String, CliError> {
        let mut text = String::new();
        if !kind.group.is_empty() {
            text.push_str(&format!("GROUP:      {}\n", kind.group));
        }
        text.push_str(&format!(
            "KIND:       {}\nVERSION:    {}\n\n",
            kind.kind, kind.version
        ));
        let schema = book
            .of_kind(kind)
            .ok_or_else(|| CliError::new(format!("the server has no schema of {}", kind.kind)))?;
        let mut here = schema;
        for (at, field) in fields.iter().enumerate() {
            here = book
                .properties(here)
                .and_then(|all| all.get(*field))
                .ok_or_else(|| {
                    CliError::new(format!(
                        "field \"{field}\" does not exist in {}",
                        match at {
                            0 => kind.kind.clone(),
                            _ => fields[..at].join("."),
                        }
                    ))
                })?;
        }
        if let Some(last) = fields.last() {
            text.push_str(&format!("FIELD: {last} <{}>\n", book.type_of(here)));
            text.push_str(&book.choices(here, 0));
            text.push_str("\n\n");
        }
        text.push_str("DESCRIPTION:\n");
        let about = book.about(here).join("\n");
        text.push_str(&wrapped(
            if about.is_empty() { "<empty>" } else { &about },
            4,
        ));
        text.push_str("    \n");
        if book.properties(here).is_some() {
            text.push_str("FIELDS:\n");
            book.fields(here, 2, self.recursive, 0, &mut text);
        }
        text.push('\n');
        Ok(text)
    }
}

/// The document with a kind's schema.
async fn book(api: &Api, kind: &Resource) -> Result<Book, CliError> {
    let index = api
        .ask(&Request::get("read the schemas", &["openapi", "v3"]))
        .await?
        .json()?;
    let path = match kind.group.as_str() {
        "" => format!("api/{}", kind.version),
        group => format!("apis/{group}/{}", kind.version),
    };
    let url = index["paths"][&path]["serverRelativeURL"].as_str();
    let url = url.ok_or_else(|| {
        CliError::new(format!(
            "the server has no schemas of {}",
            kind.api_version()
        ))
    })?;
    let mut request = Request::get("read the schemas", &[]);
    request.target = url.to_owned();
    Ok(Book(api.ask(&request).await?.json()?))
}

impl Book {
    fn of_kind(&self, kind: &Resource) -> Option<&Value> {
        let schemas = self.0["components"]["schemas"].as_object()?;
        schemas.values().find(|schema| {
            let kinds = schema["x-kubernetes-group-version-kind"]
                .as_array()
                .into_iter()
                .flatten();
            let mut kinds =
                kinds.filter(|one| one["kind"] == *kind.kind && one["version"] == *kind.version);
            kinds.any(|one| one["group"].as_str().unwrap_or_default() == kind.group)
        })
    }

    /// What a reference leads to.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..DEPTH_MAX {
            let all = schema["allOf"].as_array().filter(|all| all.len() == 1);
            let reference = schema["$ref"]
                .as_str()
                .or_else(|| all.and_then(|all| all[0]["$ref"].as_str()));
            let Some(name) = reference.and_then(|text| text.rsplit('/').next()) else {
                break;
            };
            schema = &self.0["components"]["schemas"][name];
        }
        schema
    }

    /// What it is a list or a map of.
    fn inner<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = self.resolved(schema);
        for _ in 0..DEPTH_MAX {
            let next = match (schema.get("items"), schema.get("additionalProperties")) {
                (Some(items), _) => items,
                (None, Some(values)) if values.is_object() => values,
                _ => break,
            };
            schema = self.resolved(next);
        }
        schema
    }

    fn properties<'a>(&'a self, schema: &'a Value) -> Option<&'a serde_json::Map<String, Value>> {
        self.inner(schema)["properties"]
            .as_object()
            .filter(|all| !all.is_empty())
    }

    fn type_of(&self, schema: &Value) -> String {
        let resolved = self.resolved(schema);
        if let Some(items) = resolved.get("items") {
            return format!("[]{}", self.type_of(items));
        }
        if let Some(values) = resolved
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            return format!("map[string]{}", self.type_of(values));
        }
        let name = |schema: &Value| {
            let all = schema["allOf"].as_array().filter(|all| all.len() == 1);
            let text = schema["$ref"]
                .as_str()
                .or_else(|| all.and_then(|all| all[0]["$ref"].as_str()))?;
            text.rsplit(['/', '.']).next().map(str::to_owned)
        };
        match resolved["type"].as_str() {
            Some("object") | None => name(schema).unwrap_or_else(|| "Object".to_owned()),
            Some(text) => text.to_owned(),
        }
    }

    /// Its own description, then that of what it refers to.
    fn about<'a>(&'a self, schema: &'a Value) -> Vec<&'a str> {
        let text = |schema: &'a Value| schema["description"].as_str().unwrap_or_default();
        let own = text(schema);
        let (there, inner) = (text(self.resolved(schema)), text(self.inner(schema)));
        let mut parts = vec![own];
        for text in [there, inner] {
            if !text.is_empty() && !parts.contains(&text) {
                parts.push(text);
            }
        }
        parts.retain(|text| !text.is_empty());
        parts
    }

    fn choices(&self, schema: &Value, indent: usize) -> String {
        let known = self.resolved(schema)["enum"].as_array();
        let Some(known) = known.filter(|known| !known.is_empty()) else {
            return String::new();
        };
        let texts: Vec<String> = known
            .iter()
            .map(|one| match one.as_str() {
                Some("") => "\"\"".to_owned(),
                Some(text) => text.to_owned(),
                None => one.to_string(),
            })
            .collect();
        format!("{:indent$}enum: {}\n", "", texts.join(", "))
    }

    fn fields(
        &self,
        schema: &Value,
        indent: usize,
        recursive: bool,
        depth: usize,
        out: &mut String,
    ) {
        let required = self.inner(schema)["required"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for (name, field) in self.properties(schema).into_iter().flatten() {
            let needed = required.iter().any(|one| one == name);
            let needed = if needed { " -required-" } else { "" };
            out.push_str(&format!(
                "{:indent$}{name}\t<{}>{needed}\n",
                "",
                self.type_of(field)
            ));
            out.push_str(&self.choices(field, indent));
            if !recursive {
                let about = self
                    .about(field)
                    .first()
                    .copied()
                    .unwrap_or("<no description>");
                out.push_str(&wrapped(about, indent + 2));
                out.push('\n');
            } else if depth < DEPTH_MAX {
                self.fields(field, indent + 2, true, depth + 1, out);
            }
        }
    }
}

/// Lines of a text, indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH
            {
                out.push_str(&format!("{:indent$}{line}\n", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        match line.is_empty() {
            true => out.push('\n'),
            false => out.push_str(&format!("{:indent$}{line}\n", "")),
        }
    }
    out
}
