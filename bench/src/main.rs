//! The load of `cargo xtask bench keyspace|api|pods`: durable writes beside etcd's, and requests to a
//! real `weft server`; placements and pods, which have no peer here. A program of its own, so that xtask
//! stays quick to build.
//!
//! Owns the load and the tables. Never: asserts anything, nor is part of the tests' time.

mod api;
mod client;
mod etcd;
mod figures;
mod grpc;
mod keyspace;
mod planner;
mod pods;
mod process;
mod server;
mod syncs;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["keyspace", dir] => keyspace::run(Path::new(dir)).await,
        ["writes", dir, tasks, seconds] => {
            keyspace::writes(Path::new(dir), tasks.parse()?, seconds.parse()?).await
        }
        ["api", weft, dir, ref cases @ ..] => {
            api::run(Path::new(weft), Path::new(dir), cases).await
        }
        ["pods", weft, image, dir] => {
            pods::run(Path::new(weft), Path::new(image), Path::new(dir)).await
        }
        ["planner"] => {
            planner::run();
            Ok(())
        }
        _ => bail!(
            "usage: weft-bench keyspace DIR | writes DIR TASKS SECONDS | api WEFT DIR [CASE...] | \
             planner | pods WEFT IMAGE DIR"
        ),
    }
}
