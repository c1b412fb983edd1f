//! `weft`: chooses the mode, before any thread exists.
//!
//! The spawner and `oci` fork, so they must have one thread; the engine has many and never forks.

mod demo;
mod engine;
mod kubeconfig;
mod system;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let _program = args.next();
    let args: Vec<OsString> = args.collect();
    let at = first_word(&args);
    let mode = args.get(at).and_then(|a| a.to_str()).unwrap_or_default();
    let rest = || [&args[..at], &args[at + 1..]].concat();
    match mode {
        "spawner" if at == 0 => weft_runtime::spawner::main(rest().into_iter()),
        "oci" if at == 0 => weft_cli::oci::main(rest()),
        "engine" => engine::main(rest()),
        "server" => engine::server(rest()),
        "kubeconfig" => kubeconfig::main(rest()),
        "system" if system::is_ours(args.get(at + 1)) => system::main(rest(), at),
        "demo" => demo::main(rest()),
        _ => weft_cli::main(args),
    }
}

/// Where the first word is that is no global option, nor the value of one.
fn first_word(args: &[OsString]) -> usize {
    const WITH_VALUE: [&str; 5] = ["--config", "--data-dir", "--run-dir", "--host", "-H"];
    let mut at = 0;
    while let Some(arg) = args.get(at).and_then(|a| a.to_str()) {
        if WITH_VALUE.contains(&arg) {
            at += 2;
        } else if WITH_VALUE
            .iter()
            .any(|name| arg.strip_prefix(name).is_some_and(|v| v.starts_with('=')))
        {
            at += 1;
        } else {
            break;
        }
    }
    at.min(args.len())
}
