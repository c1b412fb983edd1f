//! How soon a server with 100,000 objects answers.

use std::path::Path;

use anyhow::Result;

use super::{objects, row};
use crate::figures::Figures;
use crate::server::Server;

const OBJECTS: usize = 100_000;
const ROUNDS: usize = 5;

/// Runs the case.
pub async fn run(weft: &Path, dir: &Path) -> Result<()> {
    let server = Server::start(weft, dir).await?;
    objects::fill(&server, OBJECTS).await?;
    drop(server);
    let mut figures = Figures::default();
    let mut held = 0.0;
    for _ in 0..ROUNDS {
        rustix::fs::sync();
        let server = Server::start(weft, dir).await?;
        figures.push(server.took);
        held = server.rss_mib().0;
    }
    let late = figures.at(&[50, 100]);
    let case = format!("start with {OBJECTS} objects");
    let times = format!("{:.0}, {:.0}", late[0], late[1]);
    row(&case, "until /readyz answers: p50, max ms", &times);
    row(&case, "RSS then, MiB", &format!("{held:.0}"));
    Ok(())
}
