//! `cargo xtask fuzz`: builds and runs the fuzzing program of `fuzz/`.
//! Owns its default time; the targets and the mutation are there.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binary;
use crate::lane::{self, Outcome};

/// What a run without `--seconds` takes.
const SECONDS_DEFAULT: &str = "60";

/// Runs it with the arguments given, on the terminal; true when nothing failed.
pub fn command(root: &Path, args: &[&str]) -> Result<bool> {
    let mut command = Command::new("cargo");
    let run = ["run", "--quiet", "--locked", "--package", "weft-fuzz", "--"];
    command.args(run).current_dir(root);
    let timed = args.iter().any(|arg| arg.starts_with("--"));
    if !timed {
        command.args(["--seconds", SECONDS_DEFAULT]);
    }
    let status = command.args(args).status().context("start cargo run")?;
    Ok(status.success())
}

/// A short run as one lane of the tests.
pub fn lane(root: &Path, seconds: u32) -> Result<Outcome> {
    let mut command = Command::new(binary::beside_tests(root, "weft-fuzz")?);
    command.args(["--seconds", &seconds.to_string()]);
    command.current_dir(root);
    lane::run("fuzz", command, Duration::from_secs(600))
}
