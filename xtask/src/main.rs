//! The repository's automation: `cargo xtask test|tidy|fuzz|bench|vm`.
//!
//! Owns the order in which checks run and how their results are counted. Never holds a rule that
//! exists nowhere else: each rule is a function in `tidy` with its own test.

mod bench;
mod binary;
mod count;
mod fuzz;
mod lane;
mod packages;
mod residue;
mod test;
mod tidy;
mod vm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test   install what the tests need, then fmt, clippy, tidy and every test lane; with --long
         every race for a minute, every step of a launch
  tidy   the rules of the house, without building weft
  fuzz   damaged input for every parser: [--seconds N] [TARGET…] | --replay TARGET FILE
  vm     limits, reboot and power cut on a Debian kernel in a virtual machine
  bench  weft and its peers in turn, as ratios: [engines] [runtimes] [pull] [memory] [crowd]
         [keyspace] [api] [pods]
";

fn main() -> ExitCode {
    if std::process::id() == 1 {
        vm::inside::main();
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test"] => test::run(&root(), false),
        ["test", "--long"] => test::run(&root(), true),
        ["tidy"] => tidy::command(&root()),
        ["bench", rest @ ..] => bench::command(&root(), rest),
        ["vm"] => vm::command(&root()),
        ["fuzz", rest @ ..] => fuzz::command(&root(), rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace root: the parent of this crate, where cargo says it is now. Two checkouts may
/// share a build directory, and then what was compiled in may name the other one.
fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR");
    let own = own.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
