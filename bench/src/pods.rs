//! Pods on a real `weft server`: how soon they run, and what many of them cost while nothing happens.
//!
//! Owns that none is left: deployments and pods are deleted before the server ends.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::client::Client;
use crate::figures::Figures;
use crate::process;
use crate::server::Server;

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
/// One after another.
const ONES: usize = 30;
const SOME: usize = 50;
const ROUNDS: usize = 5;
const MANY: usize = 300;
/// When idle ones are looked at, and how long after what was before: history is kept for five minutes.
const QUIET: [(&str, Duration); 2] = [
    ("half a minute later", Duration::from_secs(30)),
    ("when history is forgotten", Duration::from_secs(400)),
];
const IDLE: Duration = Duration::from_secs(60);
/// How long pods may take to come or go.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the phase with an image in an archive, `bench:1`, which has busybox.
pub async fn run(weft: &Path, image: &Path, dir: &Path) -> Result<()> {
    let server = Server::start(weft, dir).await?;
    server.load(weft, image)?;
    let mut client = server.client().await?;
    let done = measure(&server, &mut client).await;
    let gone = clear(&mut client).await.context("delete what is left");
    done?;
    let took = gone?.as_secs_f64();
    println!("| the same, deleted | s | | {took:.2} |\n");
    Ok(())
}

async fn measure(server: &Server, client: &mut Client) -> Result<()> {
    println!("### Pods on one machine, image present\n");
    println!("| | | goal | |");
    println!("|---|---|---|---|");
    let mut ones = ones(client).await?;
    let [median, last] = ones.at(&[50, 100])[..] else {
        bail!("two percentiles");
    };
    row("one pod, POST to Running", "ms, p50", 150.0, median);
    row("", "ms, max", 150.0, last);
    let (mut up, mut down) = (Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        up.push(deploy(client, SOME).await?);
        down.push(clear(client).await?);
    }
    let what = format!("a deployment of {SOME}, POST to all ready");
    row(&what, "s, p50", 3.0, up.at(&[50])[0] / 1000.0);
    println!(
        "| the same, deleted | s, p50 | | {:.2} |",
        down.at(&[50])[0] / 1000.0
    );
    let took = deploy(client, MANY).await?.as_secs_f64();
    println!("| a deployment of {MANY} | s | | {took:.2} |");
    for (when, wait) in QUIET {
        tokio::time::sleep(wait).await;
        idle(server, when).await;
    }
    Ok(())
}

fn row(what: &str, unit: &str, goal: f64, found: f64) {
    println!("| {what} | {unit} | {goal} | {found:.2} |");
}

async fn idle(server: &Server, when: &str) {
    let children = process::children(server.id());
    let spent = || {
        let children = children.iter().map(|id| process::cpu(*id));
        children.sum::<Duration>() + server.cpu()
    };
    let before = spent();
    tokio::time::sleep(IDLE).await;
    let spent = (spent() - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let (own, others) = server.rss_mib();
    let what = format!("{MANY} pods idle, {when}: server, agent, engine");
    row(&what, "MiB RSS", 60.0, own + others);
    println!("| of it the spawner | MiB RSS | | {others:.1} |");
    row("", "% of a processor", 1.0, spent);
}

async fn ones(client: &mut Client) -> Result<Figures> {
    let mut figures = Figures::default();
    for index in 0..ONES {
        let name = format!("one-{index}");
        let path = format!("{PODS}?watch=true&fieldSelector=metadata.name={name}");
        let mut watch = Watch::begin(client, &path).await?;
        let pod = json!({ "metadata": { "name": name }, "spec": spec() });
        let asked = Instant::now();
        client
            .send(Method::POST, PODS, pod.to_string().into())
            .await?;
        watch
            .until(|pod| pod["status"]["phase"] == "Running")
            .await?;
        figures.record(asked);
    }
    clear(client).await?;
    Ok(figures)
}

/// How long it took until all were ready.
async fn deploy(client: &mut Client, replicas: usize) -> Result<Duration> {
    let labels = json!({ "app": "bench" });
    let deployment = json!({
        "metadata": { "name": "bench" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec() },
        },
    });
    let path = format!("{DEPLOYMENTS}?watch=true&fieldSelector=metadata.name=bench");
    let mut watch = Watch::begin(client, &path).await?;
    let asked = Instant::now();
    client
        .send(Method::POST, DEPLOYMENTS, deployment.to_string().into())
        .await?;
    watch
        .until(|one| one["status"]["readyReplicas"] == replicas)
        .await?;
    Ok(asked.elapsed())
}

fn spec() -> Value {
    json!({
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "main",
            "image": "bench:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/busybox", "sleep", "1000000"],
        }],
    })
}

/// Deletes all, and answers how long it took until none was left.
async fn clear(client: &mut Client) -> Result<Duration> {
    let began = Instant::now();
    for path in [DEPLOYMENTS, PODS] {
        client.send(Method::DELETE, path, Bytes::new()).await?;
    }
    while began.elapsed() < PATIENCE {
        let mut is_empty = true;
        // Without sets nobody makes pods any more.
        for path in [SETS, PODS] {
            let list: Value = serde_json::from_slice(&client.get(path).await?)?;
            is_empty &= list["items"].as_array().is_none_or(Vec::is_empty);
        }
        if is_empty {
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("pods are left after {} s", PATIENCE.as_secs());
}

/// The lines of a watch.
struct Watch {
    body: Incoming,
    read: BytesMut,
}

impl Watch {
    async fn begin(client: &mut Client, path: &str) -> Result<Watch> {
        let answer = client.begin(Method::GET, path, Bytes::new()).await?;
        if !answer.status().is_success() {
            bail!("watch {path}: {}", answer.status());
        }
        Ok(Watch {
            body: answer.into_body(),
            read: BytesMut::new(),
        })
    }

    async fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let look = async {
            loop {
                while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                    let line = self.read.split_to(end + 1);
                    let event: Value = serde_json::from_slice(&line)?;
                    if is_so(&event["object"]) {
                        return Ok(());
                    }
                }
                let frame = self.body.frame().await.context("the watch ended")??;
                if let Ok(data) = frame.into_data() {
                    self.read.extend_from_slice(&data);
                }
            }
        };
        let looked = tokio::time::timeout(PATIENCE, look).await;
        looked.context("it did not come to that in time")?
    }
}
