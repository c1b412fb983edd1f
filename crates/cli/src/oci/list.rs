//! What is said of containers: state, list, ps.
//!
//! Never: changes one.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_runtime::oci::{Container, Root, Status};

use super::flags::ListFormat;
use super::{Failure, say};

/// Prints what runc prints for `state`.
pub fn state(container: &Container) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&describe(container)?)?;
    say(format_args!("{text}"))
}

fn describe(container: &Container) -> Result<Value, Failure> {
    let record = &container.record;
    let status = container.status()?;
    let created = Timestamp::from_nanosecond(record.created_at_ns.into())?;
    Ok(json!({
        "ociVersion": record.oci_version,
        "id": record.id,
        "pid": if status == Status::Stopped { 0 } else { record.pid },
        "status": status.to_string(),
        "bundle": record.dir,
        "rootfs": record.rootfs,
        "created": created.to_string(),
        "annotations": record.annotations,
        "owner": "root",
    }))
}

/// Prints all containers.
pub fn list(root: &Root, format: ListFormat, quiet: bool) -> Result<(), Failure> {
    let containers = root.list()?;
    if quiet {
        for container in &containers {
            say(format_args!("{}", container.record.id))?;
        }
        return Ok(());
    }
    let mut rows = Vec::new();
    for container in &containers {
        rows.push(describe(container)?);
    }
    if format == ListFormat::Json {
        return say(format_args!("{}", Value::from(rows)));
    }
    let columns = ["id", "pid", "status", "bundle", "created", "owner"];
    let mut table = vec![columns.map(|name| name.to_uppercase())];
    for row in &rows {
        table.push(columns.map(|name| match &row[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    print(&table)
}

fn print<const N: usize>(table: &[[String; N]]) -> Result<(), Failure> {
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    for row in table {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column) + 3;
            write!(line, "{cell:<width$}")?;
        }
        say(format_args!("{}", line.trim_end()))?;
    }
    Ok(())
}

/// Prints the processes of a container.
pub fn ps(container: &Container, format: ListFormat) -> Result<(), Failure> {
    let pids = container.pids()?;
    if format == ListFormat::Json {
        return say(format_args!("{}", Value::from(pids)));
    }
    let mut table = vec![["PID".to_owned(), "CMD".to_owned()]];
    for pid in pids {
        // One that ended meanwhile has no name any more.
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        table.push([pid.to_string(), name.trim_end().to_owned()]);
    }
    print(&table)
}
