//! `-o custom-columns=NAME:.path,…`

use serde_json::Value;

use super::rows::Layout;
use crate::error::CliError;
use weft_stdx::jsonpath::Template;

/// Headings and where their cells are.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns(Vec<(String, Template)>);

impl Columns {
    /// Reads `NAME:.path,NAME:.path`.
    pub fn parse(text: &str) -> Result<Columns, CliError> {
        let mut columns = Vec::new();
        for part in text.split(',') {
            let Some((name, path)) = part.split_once(':') else {
                return Err(CliError::new(format!(
                    "unexpected custom-columns spec: {part:?}, expected <header>:<json-path-expr>"
                )));
            };
            columns.push((name.to_owned(), read(path)?));
        }
        Ok(Columns(columns))
    }

    /// Reads a line of headings and one of paths below them.
    pub fn of_file(text: &str) -> Result<Columns, CliError> {
        let mut lines = text.lines();
        let names: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let paths: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        if names.is_empty() || names.len() != paths.len() {
            let (names, paths) = (names.len(), paths.len());
            return Err(CliError::new(format!(
                "number of headers ({names}) and field specifications ({paths}) don't match"
            )));
        }
        let columns = names.into_iter().zip(paths);
        let columns = columns.map(|(name, path)| Ok((name.to_owned(), read(path)?)));
        Ok(Columns(columns.collect::<Result<_, CliError>>()?))
    }

    /// A line for each object, below the headings if they are wanted.
    pub fn render(&self, objects: &[&Value], with_heading: bool) -> Result<String, CliError> {
        let mut lines = Vec::new();
        if with_heading {
            lines.push(self.0.iter().map(|(name, _)| name.clone()).collect());
        }
        for object in objects {
            let mut line = Vec::new();
            for (_, template) in &self.0 {
                let found = template.find(object);
                let found = found.map_err(|error| CliError::because("show a column", &error))?;
                let texts: Vec<String> = found.into_iter().map(shown).collect();
                line.push(match texts.is_empty() {
                    true => "<none>".to_owned(),
                    false => texts.join(","),
                });
            }
            lines.push(line);
        }
        Ok(Layout::default().render(&lines))
    }
}

/// A value as Go's `fmt` shows it: `map[a:1 b:[x y]]`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Array(list) => {
            let all: Vec<String> = list.iter().map(shown).collect();
            format!("[{}]", all.join(" "))
        }
        Value::Object(map) => {
            let mut all: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}:{}", shown(value)))
                .collect();
            all.sort();
            format!("map[{}]", all.join(" "))
        }
        other => other.to_string(),
    }
}

fn read(path: &str) -> Result<Template, CliError> {
    Template::relaxed(path).map_err(|error| CliError::because("read -o custom-columns", &error))
}
