//! `weft demo`: engine and cluster on a machine without a network, as a transcript.
//!
//! Uses the same commands a person would type, against an engine in directories of its own; the
//! image is made of this very binary, which serves a small page when it finds itself in it.

mod cluster;
mod image;
mod stage;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use stage::Stage;

/// Show what weft does: start an engine, run containers, then a cluster of one, clean up. Needs root.
#[derive(Debug, Parser)]
#[command(name = "weft demo")]
struct Args {
    /// Leave the web server running, and print its address
    #[arg(long)]
    keep: bool,
}

/// Name of the image, and of the container that serves.
const IMAGE: &str = "weft-demo:latest";
const NAME: &str = "web";

pub fn main(args: Vec<OsString>) -> ExitCode {
    // Within the image: be the web server.
    if args.first().is_some_and(|a| a == "serve") {
        return web::serve();
    }
    let parsed = Args::try_parse_from(std::iter::once(OsString::from("weft demo")).chain(args));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    match run(args.keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(keep: bool) -> Result<()> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "the demo makes namespaces, mounts and networks: run it as root (sudo)"
    );
    let stage = Stage::new()?;
    stage.say("An image made of this binary: one file, one page, no network needed.");
    let tarball = image::tarball(stage.dir())?;
    let changes = [
        "--change",
        "ENTRYPOINT [\"/weft\",\"demo\",\"serve\"]",
        "--change",
        "EXPOSE 80/tcp",
    ];
    stage.weft(&[&["import"], &changes[..], &[tarball.as_str(), IMAGE]].concat())?;
    stage.weft(&["images"])?;

    stage.say("Containers: one that says something, one that serves on a published port.");
    stage.weft(&[
        "run",
        "--rm",
        "--entrypoint",
        "/weft",
        IMAGE,
        "version",
        "--client",
    ])?;
    stage.weft(&[
        "run",
        "-d",
        "--init",
        "--name",
        NAME,
        "-p",
        "127.0.0.1::80",
        IMAGE,
    ])?;
    let address = stage.weft(&["port", NAME, "80/tcp"])?;
    let address = address
        .lines()
        .next()
        .context("the port is not published")?
        .trim()
        .to_owned();
    stage.fetch(&address)?;
    stage.weft(&["ps"])?;
    stage.weft(&["logs", NAME])?;
    stage.weft(&["stats", "--no-stream", NAME])?;
    stage.weft(&["exec", NAME, "/weft", "version", "--client"])?;

    stage.say("The engine may die: its containers don't notice.");
    stage.kill_engine()?;
    stage.fetch(&address)?;
    stage.weft(&["ps"])?;
    stage.weft(&["logs", "--tail", "1", NAME])?;

    if keep {
        stage.keep(&address);
        return Ok(());
    }
    stage.say("Enough of it.");
    stage.weft(&["stop", NAME])?;
    stage.weft(&["rm", NAME])?;
    cluster::play(&stage)?;
    stage.finish()
}
