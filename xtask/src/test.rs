//! `cargo xtask test`: every check, in the order that fails soonest, then one line of counts.
//!
//! Owns the list of lanes and their time limits. Never retries a lane: a test that fails
//! sometimes has failed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::count::Tally;
use crate::{fuzz, lane, packages, residue, tidy, vm};

const MINUTE: Duration = Duration::from_secs(60);
/// Shared by all fuzz targets.
const FUZZ_SECONDS: u32 = 30;

/// Runs everything; true when nothing failed. `long` tries races for a minute each and every step
/// of what is sampled otherwise.
pub fn run(root: &Path, long: bool) -> Result<bool> {
    packages::ensure(packages::TEST)?;
    packages::beside(&packages::OLD_KUBECTL)?;
    components()?;
    let before = residue::read()?;
    let mut total = checks(root)?;
    total += tests(root, long)?;
    total += counted(&fuzz::lane(root, FUZZ_SECONDS)?);
    total += vm::run(root)?;
    total += residue(&before)?;
    println!("{total}");
    Ok(total.failed == 0)
}

/// rustfmt and clippy are components of the toolchain, not packages.
fn components() -> Result<()> {
    for component in ["fmt", "clippy"] {
        let found = Command::new("cargo")
            .args([component, "--version"])
            .output();
        if !found.is_ok_and(|output| output.status.success()) {
            bail!("cargo {component} is missing; run: rustup component add rustfmt clippy");
        }
    }
    Ok(())
}

/// What needs no run of weft.
fn checks(root: &Path) -> Result<Tally> {
    let clippy = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let mut total = Tally::default();
    total +=
        Tally::one(lane::run("fmt", cargo(root, &["fmt", "--all", "--check"]), 2 * MINUTE)?.ok);
    total += Tally::one(lane::run("clippy", cargo(root, &clippy), 15 * MINUTE)?.ok);
    total += Tally::one(tidy::command(root)?);
    Ok(total)
}

/// Built first, all of it: then the time of the tests is theirs. What fuzzes and what the virtual
/// machine boots are built from the same parts (`binary::beside_tests`).
fn tests(root: &Path, long: bool) -> Result<Tally> {
    let built = lane::run(
        "build",
        cargo(root, &["test", "--locked", "--workspace", "--no-run"]),
        25 * MINUTE,
    )?;
    let mut total = Tally::one(built.ok);
    if built.ok {
        let args = [
            "test",
            "--locked",
            "--workspace",
            "--no-fail-fast",
            "--",
            "--show-output",
        ];
        let mut command = cargo(root, &args);
        let limit = if long {
            command.env("WEFT_TEST_LONG", "1");
            120 * MINUTE
        } else {
            25 * MINUTE
        };
        total += counted(&lane::run("tests", command, limit)?);
    }
    Ok(total)
}

/// A test program that died without its summary line has failed, too.
fn counted(outcome: &lane::Outcome) -> Tally {
    let mut tally = outcome.tally;
    tally.failed += u64::from(!outcome.ok && tally.failed == 0);
    tally
}

fn residue(before: &residue::Reading) -> Result<Tally> {
    let left = residue::since(before)?;
    println!(
        "==> residue: {}",
        if left.is_empty() { "none" } else { "FAILED" }
    );
    for line in &left {
        println!("{line}");
    }
    Ok(Tally::one(left.is_empty()))
}

fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command
        .args(args)
        .current_dir(root)
        .env("CARGO_TERM_COLOR", "never");
    command
}
