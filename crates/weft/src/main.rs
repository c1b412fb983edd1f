//! `weft`: chooses the mode, before any thread exists.
//!
//! The spawner and `oci` fork, so they must have one thread; the engine has many and never forks.

mod demo;
mod engine;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let _program = args.next();
    let args: Vec<OsString> = args.collect();
    let mode = args.first().and_then(|a| a.to_str()).unwrap_or_default();
    let rest = || args[1..].to_vec();
    match mode {
        "spawner" => weft_runtime::spawner::main(rest().into_iter()),
        "oci" => weft_cli::oci::main(rest()),
        "engine" => engine::main(rest()),
        "demo" => demo::main(rest()),
        _ => weft_cli::main(args),
    }
}
