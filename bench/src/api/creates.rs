//! ConfigMaps made by 64 clients, each over a connection of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::Method;

use super::objects::{CONFIG_MAPS, config_map};
use super::row;
use crate::client::Client;
use crate::figures::Figures;
use crate::process;
use crate::server::Server;

const CLIENTS: usize = 64;
/// Thrown away.
const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(10);

/// Runs the case.
pub async fn run(weft: &Path, dir: &Path) -> Result<()> {
    let server = Server::start(weft, dir).await?;
    let clients = server.access.connections(CLIENTS).await?;
    load(&clients, WARM_UP, "warm").await?;
    let processes = [server.id(), std::process::id()];
    let before = processes.map(process::cpu);
    let mut figures = load(&clients, TIME, "made").await?;
    let each = |index: usize| {
        let spent: Duration = process::cpu(processes[index]) - before[index];
        spent.as_secs_f64() * 1e6 / figures.count().max(1) as f64
    };
    let [own, ours] = [each(0), each(1)];
    let case = format!("ConfigMap creates, {CLIENTS} clients");
    row(&case, "a second", &format!("{:.0}", figures.rate()));
    let spent = format!("{own:.0} (load: {ours:.0})");
    row(&case, "processor, us each", &spent);
    let late = figures.at(&[50, 99]);
    row(
        &case,
        "p50, p99 ms",
        &format!("{:.2}, {:.2}", late[0], late[1]),
    );
    Ok(())
}

async fn load(clients: &[Client], time: Duration, prefix: &'static str) -> Result<Figures> {
    let began = Instant::now();
    let tasks = clients
        .iter()
        .cloned()
        .enumerate()
        .map(|(task, mut client)| {
            tokio::spawn(async move {
                let mut figures = Figures::default();
                while began.elapsed() < time {
                    let name = format!("{prefix}-{task}-{}", figures.count());
                    let body = config_map(&name, "0");
                    let asked = Instant::now();
                    client.send(Method::POST, CONFIG_MAPS, body).await?;
                    figures.record(asked);
                }
                anyhow::Ok(figures)
            })
        });
    let tasks: Vec<_> = tasks.collect();
    let mut parts = Vec::new();
    for task in tasks {
        parts.push(task.await??);
    }
    Ok(Figures::beside(parts, began.elapsed()))
}
