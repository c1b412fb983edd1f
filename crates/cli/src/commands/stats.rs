//! `weft stats`
//!
//! One stream of samples per container; a container that starts later joins, one that ends leaves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use weft_api::docker::{BlkioStats, Event, Stats};
use weft_client::{Client, ClientError, Filters, JsonLines, ListContainers};

use crate::error::CliError;
use crate::render::listing::{Column, ListFlags, hidden, print, shown};
use crate::render::units;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// Time between two pictures: samples come once a second per container.
const REDRAW: Duration = Duration::from_millis(500);

/// The command.
pub const VERB: Entry = verb!("stats", Args, "Show resource usage, as it changes");

/// Flags of `stats`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Show one sample of each and end
    #[arg(long)]
    no_stream: bool,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Format: table, json, or a Go template of the columns
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Containers to show; all running ones when left out
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const COLUMNS: &[Column] = &[
    shown("ID", "CONTAINER ID"),
    shown("Name", "NAME"),
    shown("CPUPerc", "CPU %"),
    shown("MemUsage", "MEM USAGE / LIMIT"),
    shown("MemPerc", "MEM %"),
    shown("NetIO", "NET I/O"),
    shown("BlockIO", "BLOCK I/O"),
    shown("PIDs", "PIDS"),
    hidden("Container", "CONTAINER"),
];

type Sampler<'a> = LocalBoxFuture<'a, (String, Result<Option<Next>, ClientError>)>;
type Next = (Stats, JsonLines<Stats>);

impl Args {
    /// Shows the figures.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let names = if self.containers.is_empty() {
            self.all_names(engine).await?
        } else {
            self.containers.clone()
        };
        let mut samplers: FuturesUnordered<Sampler> = FuturesUnordered::new();
        let mut board: BTreeMap<usize, (String, Option<Stats>)> = BTreeMap::new();
        for name in names {
            board.insert(board.len(), (name.clone(), None));
            samplers.push(first(engine, name, self.no_stream));
        }
        if self.no_stream {
            while let Some((name, sample)) = samplers.next().await {
                put(&mut board, &name, sample?.map(|(stats, _)| stats));
            }
            self.draw(session, &board)?;
            return Ok(0);
        }
        self.watch(session, engine, samplers, board).await
    }

    async fn watch<'a>(
        &self,
        session: &Session,
        engine: &'a Client,
        mut samplers: FuturesUnordered<Sampler<'a>>,
        mut board: BTreeMap<usize, (String, Option<Stats>)>,
    ) -> Outcome {
        let mut starts = match self.containers.is_empty() {
            true => Some(started(engine).await?),
            false => None,
        };
        let mut redraw = tokio::time::interval(REDRAW);
        let mut counter = board.len();
        loop {
            tokio::select! {
                Some((name, sample)) = samplers.next() => match sample {
                    Ok(Some((stats, lines))) => {
                        put(&mut board, &name, Some(stats));
                        samplers.push(next(name, lines));
                    }
                    Ok(None) => board.retain(|_, (row, _)| *row != name),
                    Err(error) if self.containers.is_empty() && error.is_not_found() => {
                        board.retain(|_, (row, _)| *row != name);
                    }
                    Err(error) => return Err(error.into()),
                },
                Some(id) = next_start(&mut starts) => {
                    board.retain(|_, (row, _)| *row != id);
                    board.insert(counter, (id.clone(), None));
                    counter += 1;
                    samplers.push(first(engine, id, false));
                }
                _ = redraw.tick() => {
                    if session.printer.width().is_some() {
                        session.printer.data("\x1b[H\x1b[J")?;
                    }
                    self.draw(session, &board)?;
                }
            }
            if board.is_empty() && !self.containers.is_empty() {
                return Ok(0);
            }
        }
    }

    async fn all_names(&self, engine: &Client) -> Result<Vec<String>, CliError> {
        let list = ListContainers {
            all: self.all,
            ..ListContainers::default()
        };
        let containers = engine.list_containers(&list).await?;
        Ok(containers.into_iter().map(|c| c.id).collect())
    }

    fn draw(
        &self,
        session: &Session,
        board: &BTreeMap<usize, (String, Option<Stats>)>,
    ) -> Result<(), CliError> {
        let rows: Vec<Vec<String>> = board
            .values()
            .map(|(name, stats)| row(name, stats.as_ref(), self.no_trunc))
            .collect();
        let list = ListFlags {
            no_trunc: self.no_trunc,
            format: self.format.clone(),
            ..ListFlags::default()
        };
        print(session, &list, COLUMNS, "ID", &rows)
    }
}

fn first(engine: &Client, name: String, once: bool) -> Sampler<'_> {
    Box::pin(async move {
        let sample = async {
            let mut lines = engine.container_stats(&name, once).await?;
            Ok(lines.next().await?.map(|stats| (stats, lines)))
        };
        let sample = sample.await;
        (name, sample)
    })
}

fn next<'a>(name: String, mut lines: JsonLines<Stats>) -> Sampler<'a> {
    Box::pin(async move {
        let sample = lines.next().await;
        (name, sample.map(|stats| Some((stats?, lines))))
    })
}

async fn started(engine: &Client) -> Result<JsonLines<Event>, ClientError> {
    let mut filters = Filters::default();
    filters.add("type", "container");
    filters.add("event", "start");
    engine.events(None, None, &filters).await
}

async fn next_start(starts: &mut Option<JsonLines<Event>>) -> Option<String> {
    match starts {
        None => std::future::pending().await,
        Some(lines) => match lines.next().await {
            Ok(Some(event)) => Some(event.actor.id),
            _ => {
                *starts = None;
                None
            }
        },
    }
}

fn put(board: &mut BTreeMap<usize, (String, Option<Stats>)>, name: &str, stats: Option<Stats>) {
    if let Some((_, row)) = board.values_mut().find(|(row, _)| row == name) {
        *row = stats;
    }
}

fn row(name: &str, stats: Option<&Stats>, full: bool) -> Vec<String> {
    let Some(stats) = stats else {
        let mut row = vec!["--".to_owned(); COLUMNS.len()];
        row[0] = units::short_id(name).to_owned();
        name.clone_into(&mut row[COLUMNS.len() - 1]);
        return row;
    };
    let memory = &stats.memory_stats;
    let cache = memory.stats.get("inactive_file").copied().unwrap_or(0);
    let used = memory.usage.unwrap_or(0).saturating_sub(cache);
    let limit = memory.limit.unwrap_or(0);
    let (received, sent) = stats.networks.values().fold((0, 0), |(rx, tx), network| {
        (rx + network.rx_bytes, tx + network.tx_bytes)
    });
    let (read, written) = block_io(&stats.blkio_stats);
    vec![
        if full {
            stats.id.clone()
        } else {
            units::short_id(&stats.id).to_owned()
        },
        stats.name.trim_start_matches('/').to_owned(),
        format!("{:.2}%", cpu_percent(stats)),
        format!(
            "{} / {}",
            units::binary_size(used),
            units::binary_size(limit)
        ),
        format!("{:.2}%", percent(used, limit)),
        format!(
            "{} / {}",
            units::size_short(received),
            units::size_short(sent)
        ),
        format!(
            "{} / {}",
            units::size_short(read),
            units::size_short(written)
        ),
        stats.pids_stats.current.unwrap_or(0).to_string(),
        name.to_owned(),
    ]
}

fn block_io(stats: &BlkioStats) -> (u64, u64) {
    let entries = stats.io_service_bytes_recursive.iter().flatten();
    entries.fold((0, 0), |(read, written), entry| {
        match entry.op.to_lowercase().as_str() {
            "read" => (read + entry.value, written),
            "write" => (read, written + entry.value),
            _ => (read, written),
        }
    })
}

#[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    }
}

/// Of one CPU: two busy CPUs are 200 %.
fn cpu_percent(stats: &Stats) -> f64 {
    let (now, before) = (&stats.cpu_stats, &stats.precpu_stats);
    let used = now
        .cpu_usage
        .total_usage
        .saturating_sub(before.cpu_usage.total_usage);
    let system = |cpu: &weft_api::docker::CpuStats| cpu.system_cpu_usage.unwrap_or(0);
    let all = system(now).saturating_sub(system(before));
    percent(used, all) * f64::from(now.online_cpus.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_dockers() {
        let stats: Stats = serde_json::from_value(serde_json::json!({
            "name": "/web", "id": "0123456789abcdef",
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 3_145_728, "limit": 4_194_304, "stats": {"inactive_file": 1_048_576}},
            "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 500}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"major": 8, "minor": 0, "op": "read", "value": 4096},
                {"major": 8, "minor": 0, "op": "Write", "value": 0}]},
            "pids_stats": {"current": 3}
        }))
        .unwrap();
        assert_eq!(
            row("web", Some(&stats), false),
            [
                "0123456789ab",
                "web",
                "40.00%",
                "2MiB / 4MiB",
                "50.00%",
                "1kB / 500B",
                "4.1kB / 0B",
                "3",
                "web"
            ]
        );
    }
}
