//! Requests to a real `weft server`, over HTTPS with a certificate. This program shares the
//! processors with it.
//!
//! Owns the order of the cases: what is measured in an idle server comes first.

mod creates;
mod lists;
mod objects;
mod starts;
mod watches;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::server::Server;

/// How long an idle server is looked at.
const IDLE: Duration = Duration::from_secs(60);
/// Objects in it.
const IDLE_OBJECTS: usize = 100;

/// All cases, in their order.
const CASES: [&str; 6] = ["idle", "creates", "changes", "watches", "lists", "starts"];

/// Runs the phase, or some of its cases.
pub async fn run(weft: &Path, dir: &Path, cases: &[&str]) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("### weft server, HTTPS with client certificates, HTTP/2\n");
    println!("Server and load share {cores} processors.\n");
    println!("| | | |");
    println!("|---|---|---|");
    let cases = if cases.is_empty() { &CASES } else { cases };
    for case in cases {
        let dir = dir.join(case);
        match *case {
            "idle" => idle(weft, &dir).await?,
            "creates" => creates::run(weft, &dir).await?,
            "changes" => watches::changes(weft, &dir).await?,
            "watches" => watches::idle(weft, &dir).await?,
            "lists" => lists::run(weft, &dir).await?,
            "starts" => starts::run(weft, &dir).await?,
            other => bail!("there is no case {other}: {}", CASES.join(", ")),
        }
    }
    println!();
    Ok(())
}

fn row(case: &str, what: &str, figure: &str) {
    println!("| {case} | {what} | {figure} |");
}

async fn idle(weft: &Path, dir: &Path) -> Result<()> {
    let server = Server::start(weft, dir).await?;
    objects::fill(&server, IDLE_OBJECTS).await?;
    // What the requests have left is done with.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = server.cpu();
    tokio::time::sleep(IDLE).await;
    let spent = (server.cpu() - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let (own, spawner) = server.rss_mib();
    let case = format!("idle, {IDLE_OBJECTS} objects");
    row(
        &case,
        "RSS MiB (spawner)",
        &format!("{own:.1} ({spawner:.1})"),
    );
    row(&case, "of a processor, 60 s", &format!("{spent:.3} %"));
    Ok(())
}
