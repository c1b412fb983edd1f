//! Memory: the idle daemon and spawner, and what each running container adds beside its workload.
//! Owns reading /proc; starts nothing but containers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::engines::Engines;
use super::image;

const CONTAINERS: u32 = 100;

/// Runs the phase.
pub fn run(weft: &Path, dir: &Path) -> Result<()> {
    let engines = Engines::weft_only(weft, dir)?;
    engines.load(&image::small(dir)?)?;
    let daemon = engines.weft_pid();
    let warm = engines
        .weft
        .command(&["run", "--rm", "--network", "none", "bench:1", "/true"])
        .output()
        .context("run once")?;
    if !warm.status.success() {
        bail!("weft run failed: {}", String::from_utf8_lossy(&warm.stderr));
    }
    let spawner = children(daemon)
        .into_iter()
        .next()
        .context("the daemon has a spawner")?;
    let idle = [daemon, spawner].map(|pid| kib(pid, "status", "VmRSS:"));
    let before: u64 = [daemon, spawner]
        .iter()
        .map(|pid| kib(*pid, "smaps_rollup", "Pss:"))
        .sum();
    for index in 0..CONTAINERS {
        let name = format!("m{index}");
        let output = engines.weft.start_idle(&name)?;
        if !output.status.success() {
            bail!(
                "weft run failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    let after: u64 = [daemon, spawner]
        .iter()
        .map(|pid| kib(*pid, "smaps_rollup", "Pss:"))
        .sum();
    let monitors: Vec<u32> = children(spawner);
    let held: u64 = monitors
        .iter()
        .map(|pid| kib(*pid, "smaps_rollup", "Pss:"))
        .sum();
    let monitor = held / monitors.len().max(1) as u64;
    let more = after.saturating_sub(before) / u64::from(CONTAINERS);
    table(&[
        ("daemon, idle, RSS", idle[0]),
        ("spawner, idle, RSS", idle[1]),
        ("monitor, PSS, mean", monitor),
        ("daemon and spawner, PSS, more per container", more),
    ]);
    Ok(())
}

fn table(rows: &[(&str, u64)]) {
    println!("### memory, {CONTAINERS} containers\n");
    println!("| | KiB |");
    println!("|---|---|");
    for (name, kib) in rows {
        println!("| {name} | {kib} |");
    }
    println!();
}

fn kib(pid: u32, file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists =
        tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
