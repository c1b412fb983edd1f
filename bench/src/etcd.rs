//! etcd-server as a child: on loopback, its data where weft's are.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;

use crate::grpc::{self, Channel};
use crate::process::{LOOK, Process};

/// How long it may take until it answers.
const START_MAX: Duration = Duration::from_secs(30);
/// Tasks that share a connection.
const SHARED: usize = 16;

const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";

/// A running etcd.
#[derive(Debug)]
pub struct Etcd {
    address: String,
    _process: Process,
}

impl Etcd {
    /// Starts it with its data below `dir`; `wrapper` and its arguments run it.
    pub async fn start(dir: &Path, wrapper: &[String]) -> Result<Etcd> {
        let [address, peers] = [free_address()?, free_address()?];
        let words: Vec<&str> = wrapper.iter().map(String::as_str).chain(["etcd"]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--data-dir").arg(dir);
        let url = |address: &str| format!("http://{address}");
        for (flag, value) in [
            ("--name", "bench".to_owned()),
            ("--listen-client-urls", url(&address)),
            ("--advertise-client-urls", url(&address)),
            ("--listen-peer-urls", url(&peers)),
            ("--initial-advertise-peer-urls", url(&peers)),
            ("--initial-cluster", format!("bench={}", url(&peers))),
            // Its default of 2 GiB would do, too; nobody is to meet it.
            ("--quota-backend-bytes", (8_u64 << 30).to_string()),
            ("--log-level", "error".to_owned()),
        ] {
            command.args([flag, &value]);
        }
        let log = dir.with_extension("log");
        let mut process = Process::start(&mut command, &log, !wrapper.is_empty())?;
        let began = Instant::now();
        let mut last = None;
        while began.elapsed() < START_MAX {
            process
                .still_runs()
                .with_context(|| format!("etcd: {}", tail(&log)))?;
            match answers(&address).await {
                Ok(()) => {
                    let _process = process;
                    return Ok(Etcd { address, _process });
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("etcd does not answer: {last:?}; {}", tail(&log))
    }

    /// A connection for each of so many tasks; some share one, as clients of etcd do.
    pub async fn channels(&self, tasks: usize) -> Result<Vec<Channel>> {
        let mut own = Vec::new();
        for _ in 0..tasks.div_ceil(SHARED) {
            own.push(Channel::connect(&self.address).await?);
        }
        Ok(own.iter().cycle().take(tasks).cloned().collect())
    }
}

/// Puts a key.
pub async fn put(channel: &mut Channel, key: &[u8], value: &[u8]) -> Result<()> {
    let mut message = Vec::with_capacity(key.len() + value.len() + 16);
    grpc::put(&mut message, 1, key);
    grpc::put(&mut message, 2, value);
    channel.call(PUT, &message).await.map(drop)
}

/// The values of all keys from `from` until before `to`, in one answer.
pub async fn range(channel: &mut Channel, from: &[u8], to: &[u8]) -> Result<Vec<Bytes>> {
    let mut message = Vec::new();
    grpc::put(&mut message, 1, from);
    grpc::put(&mut message, 2, to);
    let answer = channel.call(RANGE, &message).await?;
    let mut values = Vec::new();
    for (_, pair) in grpc::fields(answer)?.into_iter().filter(|(n, _)| *n == 2) {
        let value = grpc::fields(pair)?.into_iter().find(|(n, _)| *n == 5);
        values.extend(value.map(|(_, value)| value));
    }
    Ok(values)
}

async fn answers(address: &str) -> Result<()> {
    let mut channel = Channel::connect(address).await?;
    put(&mut channel, b"ready", b"").await
}

/// An address on loopback that nobody listens at now.
pub fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr()?.to_string())
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
