//! Five hundred containers at once on this machine. Owns counting them; asserts nothing.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::engines::Engines;
use super::image;

const CROWD: usize = 500;

/// Runs the phase.
pub fn run(weft: &Path, dir: &Path) -> Result<()> {
    let engines = Engines::weft_only(weft, dir)?;
    engines.load(&image::small(dir)?)?;
    let began = Instant::now();
    let mut started = 0;
    for index in 0..CROWD {
        let name = format!("c{index}");
        let output = engines.weft.start_idle(&name)?;
        if !output.status.success() {
            println!(
                "container {index}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
            break;
        }
        started += 1;
    }
    let took = began.elapsed().as_secs_f64();
    let asked = Instant::now();
    let listing = engines
        .weft
        .command(&["ps", "--quiet"])
        .output()
        .context("list the containers")?;
    let listed = asked.elapsed().as_secs_f64() * 1000.0;
    let running = String::from_utf8_lossy(&listing.stdout).lines().count();
    println!("### {CROWD} containers at once\n");
    println!("| started | running | containers per second | `weft ps` ms |");
    println!("|---|---|---|---|");
    println!(
        "| {started} | {running} | {:.1} | {listed:.1} |\n",
        f64::from(started) / took
    );
    Ok(())
}
