//! `cargo xtask test`: every check, in the order that fails soonest, then one line of counts.
//!
//! Owns the list of lanes and their time limits. Never retries a lane: a test that fails
//! sometimes has failed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::count::Tally;
use crate::{fuzz, lane, packages, residue, tidy};

const MINUTE: Duration = Duration::from_secs(60);
/// Shared by all fuzz targets.
const FUZZ_SECONDS: u32 = 30;

/// Runs everything; true when nothing failed.
pub fn run(root: &Path) -> Result<bool> {
    packages::ensure(packages::TEST)?;
    for component in ["fmt", "clippy"] {
        let found = Command::new("cargo")
            .args([component, "--version"])
            .output();
        if !found.is_ok_and(|output| output.status.success()) {
            bail!("cargo {component} is missing; run: rustup component add rustfmt clippy");
        }
    }
    let before = residue::read()?;
    let mut total = Tally::default();

    for (name, args, limit) in [
        ("fmt", &["fmt", "--all", "--check"][..], 2 * MINUTE),
        (
            "clippy",
            &[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ][..],
            15 * MINUTE,
        ),
    ] {
        total += Tally::one(lane::run(name, cargo(root, args), limit)?.ok);
    }
    total += Tally::one(tidy::command(root)?);

    // The binary first: the tests of the whole run it, those of the crates do not need it.
    let built = lane::run(
        "build",
        cargo(root, &["build", "--locked", "--package", "weft"]),
        15 * MINUTE,
    )?;
    total += Tally::one(built.ok);
    if built.ok {
        let args = [
            "test",
            "--locked",
            "--workspace",
            "--no-fail-fast",
            "--",
            "--show-output",
        ];
        let tests = lane::run("tests", cargo(root, &args), 25 * MINUTE)?;
        total += tests.tally;
        // A test program that died without its summary line has failed, too.
        total += Tally {
            failed: u64::from(!tests.ok && tests.tally.failed == 0),
            ..Tally::default()
        };
    }

    let fuzzed = fuzz::lane(root, FUZZ_SECONDS)?;
    total += fuzzed.tally;
    total += Tally {
        failed: u64::from(!fuzzed.ok && fuzzed.tally.failed == 0),
        ..Tally::default()
    };

    let left = residue::since(&before)?;
    println!(
        "==> residue: {}",
        if left.is_empty() { "none" } else { "FAILED" }
    );
    for line in &left {
        println!("{line}");
    }
    total += Tally::one(left.is_empty());

    println!("{total}");
    Ok(total.failed == 0)
}

fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command
        .args(args)
        .current_dir(root)
        .env("CARGO_TERM_COLOR", "never");
    command
}
