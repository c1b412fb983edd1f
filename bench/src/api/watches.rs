//! Watches: how soon a change has reached all of a thousand, and what ten thousand cost that see
//! nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::objects::{self, CONFIG_MAPS, config_map};
use super::row;
use crate::client::Client;
use crate::figures::Figures;
use crate::server::Server;

const WATCHERS: usize = 1000;
/// On how many connections they are.
const CONNECTIONS: [usize; 2] = [100, 1000];
const CHANGES: usize = 200;
/// Thrown away.
const WARM_UP: usize = 20;
/// How long one change may be on its way.
const PATIENCE: Duration = Duration::from_secs(30);

const IDLE: usize = 10_000;
const IDLE_CONNECTIONS: usize = 100;

/// One change to a thousand watchers.
pub async fn changes(weft: &Path, dir: &Path) -> Result<()> {
    for connections in CONNECTIONS {
        let server = Server::start(weft, &dir.with_extension(connections.to_string())).await?;
        let clients = server.access.connections(connections).await?;
        let mut writer = server.client().await?;
        let path = format!("{CONFIG_MAPS}/changed");
        let body = config_map("changed", "0");
        writer.send(Method::POST, CONFIG_MAPS, body).await?;
        let mut alone = Figures::default();
        for change in 0..CHANGES {
            let body = config_map("changed", &format!("alone {change}"));
            let asked = Instant::now();
            writer.send(Method::PUT, &path, body).await?;
            alone.record(asked);
        }
        let after = version(&mut writer).await?;
        let tally = Arc::new(Tally::default());
        let mut watchers = JoinSet::new();
        for index in 0..WATCHERS {
            let mut client = clients[index % connections].clone();
            let body = watch(&mut client, &after).await?;
            watchers.spawn(see(body, Arc::clone(&tally)));
        }
        let (mut answered, mut seen) = (Figures::default(), Figures::default());
        for change in 1..=WARM_UP + CHANGES {
            let body = config_map("changed", &change.to_string());
            let asked = Instant::now();
            writer.send(Method::PUT, &path, body).await?;
            let replied = asked.elapsed();
            let last = tally.wait(change * WATCHERS);
            let last = tokio::time::timeout(PATIENCE, last).await;
            last.context("a change did not reach all watchers")?;
            if change > WARM_UP {
                seen.record(asked);
                answered.push(replied);
            }
        }
        let case = format!("one change, {WATCHERS} watchers on {connections} connections");
        let times = |figures: &mut Figures| {
            let late = figures.at(&[50, 99, 100]);
            format!("{:.2}, {:.2}, {:.2}", late[0], late[1], late[2])
        };
        let what = "from request until the last has it: p50, p99, max ms";
        row(&case, what, &times(&mut seen));
        row(&case, "until the writer is answered", &times(&mut answered));
        row(&case, "the same without watchers", &times(&mut alone));
    }
    Ok(())
}

/// What has been seen by all watchers together.
#[derive(Debug, Default)]
struct Tally {
    seen: AtomicUsize,
    more: Notify,
}

impl Tally {
    async fn wait(&self, count: usize) {
        loop {
            let more = self.more.notified();
            if self.seen.load(Ordering::Acquire) >= count {
                return;
            }
            more.await;
        }
    }
}

/// Counts the lines of a watch; each is an event.
async fn see(mut body: Incoming, tally: Arc<Tally>) -> Result<()> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let lines = data.iter().filter(|byte| **byte == b'\n').count();
        let before = tally.seen.fetch_add(lines, Ordering::AcqRel);
        if before / WATCHERS != (before + lines) / WATCHERS {
            tally.more.notify_waiters();
        }
    }
    bail!("a watch ended")
}

async fn watch(client: &mut Client, after: &str) -> Result<Incoming> {
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion={after}");
    let answer = client.begin(Method::GET, &path, Bytes::new()).await?;
    if !answer.status().is_success() {
        bail!("watch: {}", answer.status());
    }
    Ok(answer.into_body())
}

/// The newest version there is.
async fn version(client: &mut Client) -> Result<String> {
    let list = client.get(&format!("{CONFIG_MAPS}?limit=1")).await?;
    let list: serde_json::Value = serde_json::from_slice(&list)?;
    let version = list.pointer("/metadata/resourceVersion");
    let version = version.and_then(serde_json::Value::as_str);
    Ok(version.context("a list has no version")?.to_owned())
}

/// Ten thousand watches that see nothing.
pub async fn idle(weft: &Path, dir: &Path) -> Result<()> {
    let server = Server::start(weft, dir).await?;
    objects::fill(&server, 100).await?;
    let clients = server.access.connections(IDLE_CONNECTIONS).await?;
    let after = version(&mut server.client().await?).await?;
    let before = server.rss_mib().0;
    let mut held = Vec::with_capacity(IDLE);
    for index in 0..IDLE {
        let mut client = clients[index % IDLE_CONNECTIONS].clone();
        held.push(watch(&mut client, &after).await?);
    }
    let grown = server.rss_mib().0 - before;
    let case = format!("{IDLE} idle watches on {IDLE_CONNECTIONS} connections");
    row(&case, "RSS grows by MiB", &format!("{grown:.1}"));
    let each = grown * 1024.0 / IDLE as f64;
    row(&case, "KiB each", &format!("{each:.1}"));
    Ok(())
}
