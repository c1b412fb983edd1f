//! This machine as a node: engine, driver, agent and the control plane's side of it, wired together.
//!
//! Never: decides; it gives each part what it needs of the others.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weft_agent::Agent;
use weft_api::assignment::{Assignment, Services};
use weft_control::Store;
use weft_control::node::{About, Node};
use weft_control::usage::{Measuring, Meter};
use weft_drivers::Native;
use weft_engine::{Engine, NetworkSpec};

/// The network of pods, as the engine calls it.
const NETWORK: &str = "pods";
/// As many pods as a node takes: there are not many more addresses in a subnet of 512.
const PODS_MAX: u32 = 500;
/// Pause before what could not be said is said again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a node needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name in the cluster.
    pub name: String,
    /// Addresses of its pods.
    pub pod_subnet: String,
}

/// Runs pods on this machine until the set is dropped; they run on then.
pub(crate) async fn start(
    engine: &Engine,
    store: &Store,
    data_dir: &Path,
    config: &Config,
) -> Result<(JoinSet<()>, Arc<dyn Meter>)> {
    let subnet = config.pod_subnet.parse();
    let subnet = subnet.with_context(|| {
        format!(
            "read the subnet of pods {:?}; --pod-subnet names another",
            config.pod_subnet
        )
    })?;
    let network = NetworkSpec {
        name: NETWORK.to_owned(),
        subnet: Some(subnet),
        ..NetworkSpec::default()
    };
    let native = Native::new(engine.clone(), network)
        .await
        .context("make the network of pods; --pod-subnet names other addresses")?;
    let about = about(engine, data_dir, config);
    let address = about.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let agent = Agent::new(
        Arc::new(native),
        weft_agent::Node {
            name: config.name.clone(),
            address,
            directory: data_dir.join("pods"),
            clock: weft_stdx::clock::unix_ns,
        },
    );
    let meter = Arc::new(Measures {
        node: config.name.clone(),
        meter: agent.meter(),
    });
    let node = Node::new(store, about);
    let reports = agent.reports();
    let (assign, assigned) = watch::channel(Arc::new(Assignment::default()));
    let mut tasks = JoinSet::new();
    let (lead, leads) = watch::channel(Arc::new(Services::default()));
    tasks.spawn(agent.run(assigned, leads));
    let telling = node.clone();
    tasks.spawn(async move {
        loop {
            let (pods, events, discarded) = reports.take().await;
            telling.take(pods, events).await;
            for volume in discarded {
                while let Err(error) = telling.discarded(&volume).await {
                    tracing::warn!(%error, volume, "could not say that a volume is gone");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    });
    tasks.spawn(async move { match node.run(&assign, &lead).await {} });
    Ok((tasks, meter))
}

/// What the agent measures, for those who ask the control plane.
#[derive(Debug)]
struct Measures {
    node: String,
    meter: weft_agent::Meter<Native>,
}

impl Meter for Measures {
    fn read(&self) -> Measuring<'_> {
        Box::pin(async move { Ok(vec![(self.node.clone(), self.meter.read().await)]) })
    }
}

fn about(engine: &Engine, data_dir: &Path, config: &Config) -> About {
    let info = engine.info();
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = text("/etc/os-release");
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let disk = rustix::fs::statvfs(data_dir);
    About {
        name: config.name.clone(),
        address: Some(address()),
        hostname: info.hostname,
        cpus: u32::try_from(info.cpus).unwrap_or(1),
        memory_bytes: info.memory_bytes,
        disk_bytes: disk.map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
        pods_max: PODS_MAX,
        machine: info.machine,
        kernel: info.kernel,
        os: name.unwrap_or("Linux").trim_matches('"').to_owned(),
        boot_id: weft_stdx::clock::boot_id().to_owned(),
        machine_id: text("/etc/machine-id").trim().to_owned(),
        runtime: concat!("weft://", env!("CARGO_PKG_VERSION")).to_owned(),
        pod_subnet: config.pod_subnet.clone(),
    }
}

/// The address by which this machine reaches others. Nothing is sent: a route is looked up.
fn address() -> IpAddr {
    let found = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // An address for documentation: by the default route.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    found.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |found| found.ip())
}
