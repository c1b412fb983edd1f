//! Durable writes of 256 bytes: weft's keyspace in this process, etcd over gRPC on loopback, from
//! the same tasks, in turn.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use weft_keyspace::{Change, Commit, Keyspace, Options};

use crate::etcd::{self, Etcd};
use crate::figures::Figures;
use crate::grpc::Channel;
use crate::syncs::Syncs;

const VALUE: &[u8] = &[b'x'; 256];
/// Each task writes these in turn.
const KEYS: usize = 1000;
const TASKS: [usize; 3] = [1, 64, 256];
/// Rounds of each; one more is run before and thrown away.
const ROUNDS: usize = 6;
const ROUND: Duration = Duration::from_secs(2);
/// Seconds of the round that is traced.
const TRACED_S: u64 = 3;

/// Runs the phase.
pub async fn run(dir: &Path) -> Result<()> {
    println!("### keyspace, durable writes of 256 bytes\n");
    println!(
        "The same tasks write to both. weft's keyspace is in their process and has no network hop; \
         etcd is reached over gRPC on loopback. Syncs are counted in rounds of their own, by \
         strace.\n"
    );
    println!(
        "| tasks | | writes/s | p50 ms | p99 ms | writes/s against etcd | p99 against etcd | \
         syncs/s | writes a sync |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for tasks in TASKS {
        let mut figures = race(dir, tasks).await?;
        let synced = [
            traced_weft(dir, tasks)?,
            traced_etcd(dir, tasks).await.context("trace etcd")?,
        ];
        let rates = figures.each_ref().map(Figures::rate);
        let times = figures.each_mut().map(|one| one.at(&[50, 99]));
        for (index, name) in ["weft", "etcd"].into_iter().enumerate() {
            let (rate, time, (syncs, writes)) = (rates[index], &times[index], synced[index]);
            println!(
                "| {tasks} | {name} | {rate:.0} | {:.2} | {:.2} | {:.2}x | {:.2}x | {:.0} | {:.1} |",
                time[0],
                time[1],
                rate / rates[1],
                time[1] / times[1][1],
                syncs as f64 / TRACED_S as f64,
                writes as f64 / syncs.max(1) as f64,
            );
        }
    }
    println!();
    Ok(())
}

/// weft and etcd in turn, each with data of its own.
async fn race(dir: &Path, tasks: usize) -> Result<[Figures; 2]> {
    let keyspace = open(&dir.join(format!("weft-{tasks}")))?;
    let etcd = Etcd::start(&dir.join(format!("etcd-{tasks}")), &[]).await?;
    let own = [
        vec![Target::Weft(keyspace); tasks],
        channels(&etcd, tasks).await?,
    ];
    let mut figures = [Figures::default(), Figures::default()];
    for round in 0..=ROUNDS {
        for turn in 0..2 {
            let index = (round + turn) % 2;
            // What the one before left to be written is not this one's to wait for.
            rustix::fs::sync();
            let made = load(own[index].clone(), ROUND).await?;
            if round > 0 {
                figures[index].add(made);
            }
        }
    }
    Ok(figures)
}

/// Where a task writes to.
#[derive(Clone, Debug)]
enum Target {
    Weft(Arc<dyn Keyspace>),
    Etcd(Channel),
}

impl Target {
    async fn write(&mut self, key: String) -> Result<()> {
        match self {
            Target::Weft(keyspace) => {
                let changes = vec![Change::Put {
                    key: key.into(),
                    value: VALUE.into(),
                    lease: None,
                }];
                let guards = Vec::new();
                keyspace.commit(Commit { guards, changes }).await?;
                Ok(())
            }
            Target::Etcd(channel) => etcd::put(channel, key.as_bytes(), VALUE).await,
        }
    }
}

fn open(dir: &Path) -> Result<Arc<dyn Keyspace>> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let path = dir.join("keyspace.redb");
    let opened = tokio::task::block_in_place(|| weft_keyspace::embedded(&path, Options::default()));
    Ok(Arc::new(opened?))
}

async fn channels(etcd: &Etcd, tasks: usize) -> Result<Vec<Target>> {
    let channels = etcd.channels(tasks).await?;
    Ok(channels.into_iter().map(Target::Etcd).collect())
}

/// Each task writes one after the other, until the time is over.
async fn load(targets: Vec<Target>, time: Duration) -> Result<Figures> {
    let began = Instant::now();
    let tasks = targets.into_iter().enumerate().map(|(task, mut target)| {
        tokio::spawn(async move {
            let mut figures = Figures::default();
            while began.elapsed() < time {
                let key = format!("/bench/{task}/{}", figures.count() % KEYS);
                let asked = Instant::now();
                target.write(key).await?;
                figures.record(asked);
            }
            anyhow::Ok(figures)
        })
    });
    // They have begun when the first is waited for.
    let tasks: Vec<_> = tasks.collect();
    let mut parts = Vec::new();
    for task in tasks {
        parts.push(task.await??);
    }
    Ok(Figures::beside(parts, began.elapsed()))
}

/// The other end of [`traced_weft`]: writes, and says how often.
pub async fn writes(dir: &Path, tasks: usize, seconds: u64) -> Result<()> {
    let targets = vec![Target::Weft(open(dir)?); tasks];
    let figures = load(targets, Duration::from_secs(seconds)).await?;
    println!("{}", figures.count());
    Ok(())
}

/// How many syncs there were, for how many writes. The few of its opening are among them.
fn traced_weft(dir: &Path, tasks: usize) -> Result<(usize, usize)> {
    let syncs = Syncs::new(&dir.join(format!("weft-{tasks}.strace")));
    let wrapper = syncs.wrapper();
    let own = std::env::current_exe().context("find this program")?;
    let mut command = Command::new(&wrapper[0]);
    command.args(&wrapper[1..]).arg(own).arg("writes");
    command.arg(dir.join(format!("weft-{tasks}-traced")));
    command.args([tasks.to_string(), TRACED_S.to_string()]);
    let output = command.output().context("start strace")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}, {said}", output.status);
    }
    let writes = String::from_utf8_lossy(&output.stdout).trim().parse();
    Ok((syncs.count(), writes.context("read the number of writes")?))
}

async fn traced_etcd(dir: &Path, tasks: usize) -> Result<(usize, usize)> {
    let syncs = Syncs::new(&dir.join(format!("etcd-{tasks}.strace")));
    let data = dir.join(format!("etcd-{tasks}-traced"));
    let etcd = Etcd::start(&data, &syncs.wrapper()).await?;
    let targets = channels(&etcd, tasks).await?;
    let before = syncs.count();
    let figures = load(targets, Duration::from_secs(TRACED_S)).await?;
    Ok((syncs.count() - before, figures.count()))
}
