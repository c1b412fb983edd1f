//! `cargo xtask fuzz`: builds and runs the fuzzing program of `fuzz/`.
//! Owns its default time; the targets and the mutation are there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lane::{self, Outcome};

/// What a run without `--seconds` takes.
const SECONDS_DEFAULT: &str = "60";

/// Runs it with the arguments given, on the terminal; true when nothing failed.
pub fn command(root: &Path, args: &[&str]) -> Result<bool> {
    let mut command = program(root);
    let timed = args.iter().any(|arg| arg.starts_with("--"));
    if !timed {
        command.args(["--seconds", SECONDS_DEFAULT]);
    }
    let status = command.args(args).status().context("start cargo run")?;
    Ok(status.success())
}

/// A short run as one lane of the tests.
pub fn lane(root: &Path, seconds: u32) -> Result<Outcome> {
    let mut command = program(root);
    command.args(["--seconds", &seconds.to_string()]);
    lane::run("fuzz", command, Duration::from_secs(600))
}

fn program(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    let args = ["run", "--quiet", "--locked", "--package", "weft-fuzz", "--"];
    command.args(args).current_dir(root);
    command
}
