//! Lists of things: as a table, as ids, as JSON, or through a template.
//!
//! Owns the flags for that (`-q`, `--no-trunc`, `--format`, `-o json`).

use serde_json::{Map, Value};

use super::{table, template};
use crate::error::CliError;
use crate::session::Session;

/// How a list is shown.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ListFlags {
    /// Only show ids or names
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Format: table, json, or a Go template of the columns
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print the engine's own objects: json
    #[arg(short, long, value_name = "FORM", value_parser = ["json"])]
    pub output: Option<String>,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in templates and JSON.
    pub key: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// Whether the plain table has it.
    pub shown: bool,
}

/// A column of the plain table.
pub const fn shown(key: &'static str, heading: &'static str) -> Column {
    Column {
        key,
        heading,
        shown: true,
    }
}

/// A column for templates and JSON.
pub const fn hidden(key: &'static str, heading: &'static str) -> Column {
    Column {
        key,
        heading,
        shown: false,
    }
}

/// Prints `rows` (cells in the order of `columns`); `identity` is the column that `-q` shows.
pub fn print(
    session: &Session,
    flags: &ListFlags,
    columns: &[Column],
    identity: &str,
    rows: &[Vec<String>],
) -> Result<(), CliError> {
    let text = text(flags, columns, identity, rows, session.printer.width())?;
    session.printer.data(&text)
}

fn text(
    flags: &ListFlags,
    columns: &[Column],
    identity: &str,
    rows: &[Vec<String>],
    width: Option<usize>,
) -> Result<String, CliError> {
    let format = flags.format.as_deref().unwrap_or("table");
    if flags.quiet && flags.format.is_none() {
        let at = columns.iter().position(|column| column.key == identity);
        let at = at.expect("the identity is a column");
        return Ok(rows.iter().map(|row| format!("{}\n", row[at])).collect());
    }
    if format == "table" {
        let visible: Vec<usize> = (0..columns.len()).filter(|&i| columns[i].shown).collect();
        let heading: Vec<&str> = visible.iter().map(|&i| columns[i].heading).collect();
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| visible.iter().map(|&i| row[i].clone()).collect())
            .collect();
        let width = if flags.no_trunc { None } else { width };
        return Ok(table::layout(&heading, &cells, width));
    }
    let objects: Vec<Value> = rows.iter().map(|row| object(columns, row)).collect();
    if format == "json" {
        return Ok(objects.iter().map(|object| format!("{object}\n")).collect());
    }
    templated(format, columns, &objects)
}

fn object(columns: &[Column], row: &[String]) -> Value {
    let members: Map<String, Value> = columns
        .iter()
        .zip(row)
        .map(|(column, cell)| (column.key.to_owned(), Value::String(cell.clone())))
        .collect();
    Value::Object(members)
}

/// A template for each row; `table ` before it asks for headings and padding.
fn templated(format: &str, columns: &[Column], objects: &[Value]) -> Result<String, CliError> {
    let (source, as_table) = match format.strip_prefix("table ") {
        Some(source) => (source.trim_start(), true),
        None => (format, false),
    };
    let template = template::parse(&source.replace("\\t", "\t").replace("\\n", "\n"))?;
    let lines: Vec<String> = objects
        .iter()
        .map(|object| template.render(object))
        .collect::<Result<_, _>>()?;
    if !as_table {
        return Ok(lines.iter().map(|line| format!("{line}\n")).collect());
    }
    let headings: Vec<String> = columns.iter().map(|c| c.heading.to_owned()).collect();
    let heading = template.render(&object(columns, &headings))?;
    let heading: Vec<&str> = heading.split('\t').collect();
    let cells: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let mut cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
            cells.resize(heading.len(), String::new());
            cells
        })
        .collect();
    Ok(table::layout(&heading, &cells, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        shown("ID", "CONTAINER ID"),
        shown("Names", "NAMES"),
        hidden("State", "STATE"),
    ];

    fn check(flags: ListFlags, expect: &str) {
        let rows = vec![
            vec!["a1".to_owned(), "web".to_owned(), "running".to_owned()],
            vec!["b2".to_owned(), "database".to_owned(), "exited".to_owned()],
        ];
        assert_eq!(text(&flags, COLUMNS, "ID", &rows, None).unwrap(), expect);
    }

    fn format(format: &str) -> ListFlags {
        ListFlags {
            format: Some(format.to_owned()),
            ..ListFlags::default()
        }
    }

    #[test]
    fn forms() {
        check(
            ListFlags::default(),
            "CONTAINER ID   NAMES\na1             web\nb2             database\n",
        );
        let quiet = ListFlags {
            quiet: true,
            ..ListFlags::default()
        };
        check(quiet, "a1\nb2\n");
        check(
            format("{{.Names}}: {{.State}}"),
            "web: running\ndatabase: exited\n",
        );
        check(
            format("table {{.Names}}\\t{{.State}}"),
            "NAMES      STATE\nweb        running\ndatabase   exited\n",
        );
        check(
            format("json"),
            "{\"ID\":\"a1\",\"Names\":\"web\",\"State\":\"running\"}\n{\"ID\":\"b2\",\"Names\":\"database\",\"State\":\"exited\"}\n",
        );
    }
}
