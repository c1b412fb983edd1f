//! A list of ten thousand pods, against the same bytes read from etcd and decoded, as a server
//! has to that keeps them there.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::Value;

use super::objects::{self, PODS};
use super::row;
use crate::client::Client;
use crate::etcd::{self, Etcd};
use crate::figures::Figures;
use crate::grpc::Channel;
use crate::server::Server;

const COUNT: usize = 10_000;
const ROUNDS: usize = 20;
/// Thrown away.
const WARM_UP: usize = 2;
const WRITERS: usize = 64;
/// How long the scheduler may have to say of all pods that there is no node.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the case.
pub async fn run(weft: &Path, dir: &Path) -> Result<()> {
    let server = Server::start(weft, dir).await?;
    objects::fill_with(&server, PODS, COUNT, objects::pod).await?;
    let mut client = server.client().await?;
    let listed = settled(&mut client).await?;
    let items = split(&listed)?;
    let etcd = Etcd::start(&dir.join("etcd"), &[]).await?;
    let mut channel = copy(&etcd, &items).await?;

    let mut figures = [(); 3].map(|()| Figures::default());
    for round in 0..ROUNDS + WARM_UP {
        for turn in 0..2 {
            let asked = Instant::now();
            if (round + turn) % 2 == 0 {
                let found = client.get(PODS).await?;
                if found.len() != listed.len() {
                    bail!("a list has {} bytes, {} before", found.len(), listed.len());
                }
                if round >= WARM_UP {
                    figures[0].record(asked);
                }
            } else {
                let values = etcd::range(&mut channel, b"/pods/", b"/pods0").await?;
                let read = asked.elapsed();
                let decoded: Result<Vec<Value>, _> = values
                    .iter()
                    .map(|value| serde_json::from_slice(value))
                    .collect();
                if decoded?.len() != COUNT {
                    bail!("etcd has {} pods of {COUNT}", values.len());
                }
                if round >= WARM_UP {
                    figures[1].record(asked);
                    figures[2].push(read);
                }
            }
        }
    }
    let late = figures.each_mut().map(|one| one.at(&[50, 99]));
    let case = format!("list of {COUNT} pods, {} KB", listed.len() / 1000);
    for (name, late) in [
        "weft, over TLS: p50, p99 ms",
        "etcd, read and decoded: p50, p99 ms",
        "etcd, read only: p50, p99 ms",
    ]
    .iter()
    .zip(&late)
    {
        row(&case, name, &format!("{:.1}, {:.1}", late[0], late[1]));
    }
    let ratio = late[1][0] / late[0][0];
    row(&case, "etcd against weft", &format!("{ratio:.1}x"));
    Ok(())
}

/// The list, once nobody has more to say of its pods.
async fn settled(client: &mut Client) -> Result<Bytes> {
    let began = Instant::now();
    let mut listed = client.get(PODS).await?;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let again = client.get(PODS).await?;
        if again.len() == listed.len() {
            return Ok(again);
        }
        if began.elapsed() > PATIENCE {
            bail!(
                "pods are still being changed after {} s",
                PATIENCE.as_secs()
            );
        }
        listed = again;
    }
}

/// The items of a list, each as it was sent.
fn split(list: &Bytes) -> Result<Vec<Bytes>> {
    let list: Value = serde_json::from_slice(list).context("read a list")?;
    let items = list.get("items").and_then(Value::as_array);
    let items = items.context("a list has no items")?;
    Ok(items.iter().map(|item| item.to_string().into()).collect())
}

/// Puts them into etcd.
async fn copy(etcd: &Etcd, items: &[Bytes]) -> Result<Channel> {
    let channels = etcd.channels(WRITERS).await?;
    let one = async |first: usize, mut channel: Channel| {
        for (index, item) in items.iter().enumerate().skip(first).step_by(WRITERS) {
            let key = format!("/pods/default/object-{index:06}");
            etcd::put(&mut channel, key.as_bytes(), item).await?;
        }
        anyhow::Ok(channel)
    };
    let copying = channels.into_iter().enumerate();
    let channels = try_join_all(copying.map(|(first, channel)| one(first, channel))).await?;
    channels.into_iter().next().context("there is a connection")
}
