//! This machine as a node: engine, driver, agent and the control plane's side of it, wired together.
//!
//! Never: decides; it gives each part what it needs of the others.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use weft_agent::ledger::{Ledger, Seal};
use weft_agent::{Agent, Reports};
use weft_api::assignment::{Assignment, Services};
use weft_control::Store;
use weft_control::node::{About, Node, Tokens};
use weft_control::store::SERVICE_RANGE;
use weft_control::usage::{Measuring, Meter};
use weft_drivers::Native;
use weft_engine::{Engine, NetworkSpec, Subnet};
use weft_identity::sealed::{Keys, Place};

/// The network of pods, as the engine calls it.
pub(crate) const NETWORK: &str = "pods";
/// Where the agent keeps its ledger, and the key to it.
const DIRECTORY: &str = "agent";
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

/// What runs pods on this machine. It needs no control plane for what it was told before.
#[derive(Debug)]
pub(crate) struct Running {
    about: About,
    reports: Arc<Reports>,
    assign: watch::Sender<Arc<Assignment>>,
    lead: watch::Sender<Arc<Services>>,
    tasks: JoinSet<()>,
    meter: Arc<dyn Meter>,
    /// There are pods that it was told of before.
    pub remembers: bool,
}

/// What `--pod-subnet` says.
fn subnet_of_pods(text: &str) -> Result<Subnet> {
    let what = || format!("read the subnet of pods {text:?}; --pod-subnet names another");
    let subnet: Subnet = text.parse().with_context(what)?;
    let services: Subnet = SERVICE_RANGE.parse().context("read that of services")?;
    if subnet.overlaps(services) {
        bail!(
            "the subnet of pods {subnet} has addresses of services ({services}): what is sent to one would \
             reach the other; --pod-subnet names another"
        );
    }
    Ok(subnet)
}

/// Runs pods on this machine, those of the ledger at once. When the answer is dropped they run on.
pub(crate) async fn start(engine: &Engine, data_dir: &Path, config: &Config) -> Result<Running> {
    let subnet = subnet_of_pods(&config.pod_subnet)?;
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
    let mut agent = Agent::new(
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
    let mut remembers = false;
    let (directory, name) = (data_dir.join(DIRECTORY), config.name.clone());
    match tokio::task::spawn_blocking(move || ledger(&directory, &name)).await? {
        Ok(ledger) => {
            remembers = ledger.has_pods();
            agent = agent.with_ledger(ledger);
        }
        Err(error) => tracing::error!(
            error = format!("{error:#}"),
            "there is no ledger: after a restart pods wait for the control plane"
        ),
    }
    let reports = agent.reports();
    let (assign, assigned) = watch::channel(Arc::new(Assignment::default()));
    let (lead, leads) = watch::channel(Arc::new(Services::default()));
    let mut tasks = JoinSet::new();
    tasks.spawn(agent.run(assigned, leads));
    Ok(Running {
        about,
        reports,
        assign,
        lead,
        tasks,
        meter,
        remembers,
    })
}

impl Running {
    /// Takes orders from a control plane, and tells it what becomes of them; ends when that breaks.
    pub(crate) async fn serve(mut self, store: &Store, tokens: Arc<dyn Tokens>) -> Result<()> {
        let node = Node::new(store, self.about).with_tokens(tokens);
        let (telling, reports) = (node.clone(), self.reports);
        self.tasks.spawn(async move {
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
        let (assign, lead) = (self.assign, self.lead);
        self.tasks
            .spawn(async move { match node.run(&assign, &lead).await {} });
        if let Some(ended) = self.tasks.join_next().await {
            ended.context("run pods on this machine")?;
        }
        anyhow::bail!("what runs pods on this machine has ended")
    }

    /// What says how much of the machine is used.
    pub(crate) fn meter(&self) -> Arc<dyn Meter> {
        Arc::clone(&self.meter)
    }
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

/// The ledger of this machine's agent, with the key that it is sealed with.
fn ledger(directory: &Path, node: &str) -> Result<Ledger> {
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let keys = Keys::open_or_create(&directory.join("node.key"));
    let keys = keys.context("open the key that the ledger is sealed with")?;
    Ok(Ledger::new(
        directory.join("ledger"),
        node,
        Box::new(Sealer(keys)),
    ))
}

/// Seals with the node's own key.
struct Sealer(Keys);

fn place(name: &str) -> Place<'_> {
    Place {
        namespace: "ledger",
        name,
    }
}

impl Seal for Sealer {
    fn seal(&self, name: &str, text: &[u8]) -> Vec<u8> {
        self.0.seal(place(name), text)
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let opened = self.0.unseal(place(name), sealed);
        opened
            .map(|text| text.to_vec())
            .map_err(|why| why.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_addresses_of_their_own() {
        let said = |text: &str| match subnet_of_pods(text) {
            Ok(subnet) => subnet.to_string(),
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(said("10.42.0.0/23"), "10.42.0.0/23");
        for both in ["10.96.4.0/24", "10.96.0.0/16", "10.0.0.0/8"] {
            let said = said(both);
            assert!(
                said.starts_with(&format!(
                    "the subnet of pods {both} has addresses of services"
                )),
                "{said}"
            );
        }
        assert!(said("tomorrow").contains("--pod-subnet names another"));
    }
}
