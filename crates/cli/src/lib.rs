//! The command line: docker's names and flags over the engine's Docker API, kubectl's over a server's
//! Kubernetes API.
//!
//! Owns: flags, settings, rendering, the terminal, starting the engine when none runs.
//! Never: runs containers itself, nor talks to engine and server other than over their APIs (`weft oci`,
//! the runtime's own command line, apart).

mod commands;
mod deploy;
mod error;
mod flags;
#[doc(hidden)]
pub mod fuzz;
mod objects;
pub mod oci;
mod printer;
mod registry_auth;
mod render;
mod session;
pub mod settings;
mod terminal;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

pub use error::CliError;
use printer::Printer;

/// Runs the command line; `args` are the words after the program's name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let printer = Printer;
    let args = objects::order::behind_the_verb(commands::ENTRIES, args);
    match tree::run(commands::entries(&args), &args, printer) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.code())
        }
    }
}
