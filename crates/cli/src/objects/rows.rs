//! Tables: the server's rows, laid out as Go's tabwriter does it for kubectl.
//!
//! Owns columns that are added here (namespace, labels, event) and the widths a watch keeps.

use serde_json::{Value, json};

use super::form::items;
use crate::error::CliError;
use weft_stdx::jsonpath::Template;

/// Narrowest column with its gap.
const MIN: usize = 6;
/// Gap after a column.
const GAP: usize = 3;

/// What asks a server for tables.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// What is shown beside the server's columns.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// `-o wide`
    pub wide: bool,
    /// `--all-namespaces`
    pub namespace: bool,
    /// `--show-labels`
    pub labels: bool,
    /// `-L`
    pub label_columns: Vec<String>,
    /// Names are preceded by this kind.
    pub kind: Option<String>,
    /// `--output-watch-events`
    pub event: bool,
}

/// Lines of cells, and the widths so far.
#[derive(Debug, Default)]
pub struct Layout {
    widths: Vec<usize>,
}

impl Layout {
    /// Lays out lines that belong together; all but the last cell are padded.
    pub fn render(&mut self, lines: &[Vec<String>]) -> String {
        for line in lines {
            let padded = line.len().saturating_sub(1);
            self.widths.resize(self.widths.len().max(padded), MIN);
            for (width, cell) in self.widths.iter_mut().zip(&line[..padded]) {
                *width = (*width).max(cell.chars().count() + GAP);
            }
        }
        let mut out = String::new();
        for line in lines {
            for (at, cell) in line.iter().enumerate() {
                out.push_str(cell);
                if at + 1 < line.len() {
                    let pad = self.widths[at].saturating_sub(cell.chars().count());
                    out.extend(std::iter::repeat_n(' ', pad));
                }
            }
            out.push('\n');
        }
        out
    }
}

/// The table of objects that nobody asked the server for: name and age.
pub fn plain_table(found: &Value) -> Value {
    let row = |object: &&Value| {
        let meta = &object["metadata"];
        let since = weft_stdx::age::since(meta["creationTimestamp"].as_str().unwrap_or_default());
        json!({
            "cells": [meta["name"], since.unwrap_or_else(|| "<unknown>".to_owned())],
            "object": object,
        })
    };
    let rows: Vec<Value> = items(found).iter().map(row).collect();
    json!({
        "kind": "Table",
        "metadata": found["metadata"],
        "columnDefinitions": [{ "name": "Name", "format": "name" }, { "name": "Age" }],
        "rows": rows,
    })
}

/// Columns of a table that are shown, by their place.
#[derive(Debug, Clone, Default)]
pub struct Heading {
    places: Vec<(usize, String, bool)>,
}

impl Heading {
    /// Reads `columnDefinitions`.
    pub fn of(table: &Value, wide: bool) -> Heading {
        let columns = table["columnDefinitions"].as_array().into_iter().flatten();
        let shown = columns
            .enumerate()
            .filter(|(_, column)| wide || column["priority"].as_i64().unwrap_or(0) == 0);
        let places = shown.map(|(at, column)| {
            let name = column["name"].as_str().unwrap_or_default().to_uppercase();
            (at, name, column["format"] == "name")
        });
        Heading {
            places: places.collect(),
        }
    }

    /// The first line.
    pub fn line(&self, look: &Look) -> Vec<String> {
        let mut line = Vec::new();
        if look.event {
            line.push("EVENT".to_owned());
        }
        if look.namespace {
            line.push("NAMESPACE".to_owned());
        }
        line.extend(self.places.iter().map(|(_, name, _)| name.clone()));
        for label in &look.label_columns {
            let short = label.rsplit('/').next().unwrap_or_default();
            line.push(short.to_uppercase());
        }
        if look.labels {
            line.push("LABELS".to_owned());
        }
        line
    }

    /// The line of a row.
    pub fn row(&self, row: &Value, look: &Look, event: &str) -> Vec<String> {
        let meta = &row["object"]["metadata"];
        let mut line = Vec::new();
        if look.event {
            line.push(event.to_owned());
        }
        if look.namespace {
            line.push(meta["namespace"].as_str().unwrap_or_default().to_owned());
        }
        for (at, _, is_name) in &self.places {
            let cell = cell(&row["cells"][at]);
            match &look.kind {
                Some(kind) if *is_name => line.push(format!("{kind}/{cell}")),
                _ => line.push(cell),
            }
        }
        for label in &look.label_columns {
            line.push(
                meta["labels"][label]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        if look.labels {
            line.push(pairs(&meta["labels"]));
        }
        line
    }
}

/// `a=b,c=d`
pub fn pairs(labels: &Value) -> String {
    match labels.as_object() {
        Some(map) if !map.is_empty() => {
            let mut all: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            all.sort();
            all.join(",")
        }
        _ => "<none>".to_owned(),
    }
}

/// One line, whatever is in it: control characters would move the cursor.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "<none>".to_owned(),
        other => other.to_string(),
    };
    let first = text.split(['\n', '\r']).next().unwrap_or_default();
    let cut = if first.len() < text.len() { "..." } else { "" };
    let safe = first.chars().map(|c| if c.is_control() { ' ' } else { c });
    safe.collect::<String>() + cut
}

/// Puts values into the order of what `path` finds in the objects they hold.
pub fn sort(
    values: &mut [Value],
    path: &str,
    object: impl Fn(&Value) -> &Value,
) -> Result<(), CliError> {
    let tried = || "sort".to_owned();
    let template = Template::relaxed(path).map_err(|error| CliError::because(tried(), &error))?;
    let mut known = false;
    for value in values.iter() {
        let found = template.find(object(value));
        known |= !found
            .map_err(|error| CliError::because(tried(), &error))?
            .is_empty();
    }
    if !known && !values.is_empty() {
        return Err(CliError::new(format!(
            "couldn't find any field with path \"{path}\" in the list of objects"
        )));
    }
    let key = |value: &Value| -> Option<Value> {
        let found = template.find(object(value)).ok()?;
        found.first().map(|found| (*found).clone())
    };
    values.sort_by(|left, right| compare(key(left).as_ref(), key(right).as_ref()));
    Ok(())
}

fn compare(left: Option<&Value>, right: Option<&Value>) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            let (left, right) = (left.as_f64(), right.as_f64());
            left.partial_cmp(&right).unwrap_or(Ordering::Equal)
        }
        (Some(Value::String(left)), Some(Value::String(right))) => by_number(left, right),
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (left, right) => {
            let text = |value: Option<&Value>| value.map(Value::to_string);
            text(left).cmp(&text(right))
        }
    }
}

/// Texts with the numbers in them counted: `a9` before `a10`.
fn by_number(left: &str, right: &str) -> std::cmp::Ordering {
    let parts = |text: &str| -> Vec<(String, u128)> {
        let mut parts: Vec<(String, u128)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let words = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(words);
            let digits = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            let (number, after) = after.split_at(digits);
            parts.push((word.to_owned(), number.parse().unwrap_or(u128::MAX)));
            rest = after;
        }
        parts
    };
    parts(left).cmp(&parts(right)).then_with(|| left.cmp(right))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_laid_out_as_kubectls() {
        let table = json!({
            "columnDefinitions": [
                { "name": "Name", "format": "name" }, { "name": "Data", "priority": 0 },
                { "name": "More", "priority": 1 },
            ],
        });
        let row = json!({
            "cells": ["settings", 1, "a\nb"],
            "object": { "metadata": { "namespace": "n", "labels": { "b": "2", "x/a": "1" } } },
        });
        let plain = Look::default();
        let heading = Heading::of(&table, false);
        let lines = [heading.line(&plain), heading.row(&row, &plain, "")];
        assert_eq!(
            Layout::default().render(&lines),
            "NAME       DATA\nsettings   1\n"
        );
        let all = Look {
            wide: true,
            namespace: true,
            labels: true,
            label_columns: vec!["x/a".to_owned(), "none".to_owned()],
            kind: Some("configmap".to_owned()),
            event: true,
        };
        let heading = Heading::of(&table, true);
        let lines = [heading.line(&all), heading.row(&row, &all, "ADDED")];
        let expected = "\
EVENT   NAMESPACE   NAME                 DATA   MORE   A     NONE   LABELS
ADDED   n           configmap/settings   1      a...   1            b=2,x/a=1
";
        assert_eq!(Layout::default().render(&lines), expected);
    }

    #[test]
    fn sorting_counts_numbers() {
        let mut values = ["a10", "a9", "b"].map(|name| json!({ "n": name })).to_vec();
        values.reverse();
        sort(&mut values, ".n", |value| value).unwrap();
        let names: Vec<&str> = values
            .iter()
            .filter_map(|value| value["n"].as_str())
            .collect();
        assert_eq!(names, ["a9", "a10", "b"]);
        assert!(sort(&mut values, ".nope", |value| value).is_err());
    }
}
