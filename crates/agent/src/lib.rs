//! Makes this node run what it is assigned, and says what it runs.
//!
//! ```text
//!   Assignment ─► Agent ─► one worker per pod: look ─► decide (pure) ─► one step ─► report ─┐
//!                            ▲                                                              │
//!                            └── the driver's changes, probes, timers ◄─────────────────────┘
//! ```
//! A worker that is woken is not told why: it looks at what there is, and does what comes next. So
//! the first time, every other time and after a crash are the same.
//! Never: which pods there are, and on which node.

mod complaints;
mod decide;
mod disk;
mod env;
mod led;
pub mod ledger;
mod marks;
mod memory;
mod meter;
mod observe;
mod probe;
mod report;
mod templates;
mod volumes;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use weft_api::assignment::{Assignment, Pod, PodId, Services};
use weft_driver::Driver;

use led::Led;
use ledger::{Ledger, Order};
pub use meter::Meter;
pub use report::Reports;
use worker::{Routes, Worker};

/// What an agent knows of its node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name in the cluster.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Where the files of pods are.
    pub directory: PathBuf,
    /// What tells the time, in Unix nanoseconds.
    pub clock: fn() -> i64,
}

/// Runs what one node is assigned.
#[derive(Debug)]
pub struct Agent<D> {
    driver: Arc<D>,
    node: Arc<Node>,
    reports: Arc<Reports>,
    led: Arc<watch::Sender<Led>>,
    /// Where services are to lead.
    services: watch::Receiver<Arc<Services>>,
    ledger: Option<Ledger>,
}

/// What a worker listens to.
struct Input {
    /// `None`: nobody wants the pod.
    pod: watch::Sender<Option<Arc<Pod>>>,
    wake: Arc<Notify>,
}

impl<D: Driver> Agent<D> {
    /// One that runs pods with `driver`.
    pub fn new(driver: Arc<D>, node: Node) -> Agent<D> {
        Agent {
            driver,
            node: Arc::new(node),
            reports: Arc::default(),
            led: Arc::new(watch::Sender::default()),
            services: watch::channel(Arc::default()).1,
            ledger: None,
        }
    }

    /// Writes down what it is told, and begins with what was written down before.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Agent<D> {
        self.ledger = Some(ledger);
        self
    }

    /// Where it says what it runs.
    pub fn reports(&self) -> Arc<Reports> {
        Arc::clone(&self.reports)
    }

    /// What says how much its pods use.
    pub fn meter(&self) -> Meter<D> {
        Meter::new(Arc::clone(&self.driver))
    }

    /// Runs what is assigned, until nobody assigns any more. What runs then runs on.
    pub async fn run(
        mut self,
        assignments: watch::Receiver<Arc<Assignment>>,
        routes: watch::Receiver<Arc<Services>>,
    ) {
        let (driver, led) = (Arc::clone(&self.driver), Arc::clone(&self.led));
        let (reports, node) = (self.reports(), Arc::clone(&self.node));
        let (give, orders) = watch::channel(Order::Unknown);
        let (lead, leads) = watch::channel(Arc::new(Services::default()));
        let ledger = self.ledger.take().map(|ledger| (ledger, self.addresses()));
        let keeping = ledger::keep(ledger, assignments, routes, give, lead);
        self.services = leads.clone();
        tokio::join!(
            keeping,
            self.run_pods(orders),
            led::serve(&*driver, leads, &led, &reports, &node.name)
        );
    }

    /// The addresses that pods of this node have now.
    fn addresses(&self) -> BTreeSet<String> {
        let uids = self.driver.pods().into_iter();
        let sandboxes = uids.filter_map(|uid| self.driver.pod(&uid).sandbox);
        let ready = sandboxes.filter(|sandbox| sandbox.ready);
        let own = ready.filter_map(|sandbox| sandbox.ip.map(|ip| ip.to_string()));
        own.chain([self.node.address.to_string()]).collect()
    }

    async fn run_pods(self, mut orders: watch::Receiver<Order>) {
        let mut inputs = BTreeMap::<String, Input>::new();
        let mut workers = JoinSet::new();
        let mut changes = self.driver.changes();
        let mut discards = JoinSet::new();
        let mut discarding = BTreeSet::new();
        loop {
            tokio::select! {
                changed = orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let order = orders.borrow_and_update().clone();
                    self.assign(&order, &mut inputs, &mut workers);
                    let Order::Told(assigned) = order else { continue };
                    for volume in &assigned.discarded {
                        if discarding.insert(volume.clone()) {
                            let driver = Arc::clone(&self.driver);
                            discards.spawn(discard(driver, volume.clone()));
                        }
                    }
                    self.reports.reached(assigned.generation);
                }
                Ok(()) = changes.changed() => {
                    for uid in self.driver.changed() {
                        if let Some(input) = inputs.get(&uid) {
                            input.wake.notify_one();
                        }
                    }
                }
                Some(Ok((volume, is_done))) = discards.join_next() => {
                    discarding.remove(&volume);
                    let is_wanted = match &*orders.borrow() {
                        Order::Told(assigned) => assigned.discarded.contains(&volume),
                        _ => false,
                    };
                    if is_done {
                        self.reports.discarded(&volume);
                    } else if is_wanted {
                        discarding.insert(volume.clone());
                        discards.spawn(discard(Arc::clone(&self.driver), volume));
                    }
                }
                Some(ended) = workers.join_next() => {
                    let uid: String = match ended {
                        Ok(uid) => uid,
                        Err(error) => {
                            tracing::error!(%error, "a pod's worker ended");
                            continue;
                        }
                    };
                    inputs.remove(&uid);
                }
            }
        }
    }

    fn assign(
        &self,
        order: &Order,
        inputs: &mut BTreeMap<String, Input>,
        workers: &mut JoinSet<String>,
    ) {
        let (pods, is_all) = match order {
            Order::Unknown => return,
            Order::Remembered(pods) => (&**pods, false),
            Order::Told(assigned) => (&assigned.pods, true),
        };
        let mut wanted = BTreeSet::new();
        for pod in pods {
            let uid = &pod.id.uid;
            // It becomes a directory.
            if !weft_stdx::name::is_plain(uid) {
                tracing::error!(uid, "a pod's uid is no name");
                continue;
            }
            wanted.insert(uid.clone());
            let same = |now: &Option<Arc<Pod>>| now.as_ref() == Some(pod);
            match inputs.get(uid) {
                Some(input) if same(&input.pod.borrow()) => {}
                Some(input) => drop(input.pod.send_replace(Some(Arc::clone(pod)))),
                None => {
                    let first = Some(Arc::clone(pod));
                    let input = self.employ(pod.id.clone(), first, workers);
                    inputs.insert(uid.clone(), input);
                }
            }
        }
        if is_all {
            self.end_others(&wanted, inputs, workers);
        }
    }

    /// What runs and is not wanted is ended: an earlier agent's pods, too.
    fn end_others(
        &self,
        wanted: &BTreeSet<String>,
        inputs: &mut BTreeMap<String, Input>,
        workers: &mut JoinSet<String>,
    ) {
        let left = volumes::uids(&self.node.directory);
        for uid in self.driver.pods().into_iter().chain(left) {
            if !weft_stdx::name::is_plain(&uid) {
                continue;
            }
            if !wanted.contains(&uid) && !inputs.contains_key(&uid) {
                let id = PodId {
                    uid: uid.clone(),
                    ..PodId::default()
                };
                let input = self.employ(id, None, workers);
                inputs.insert(uid, input);
            }
        }
        for (uid, input) in inputs.iter() {
            if !wanted.contains(uid) && input.pod.borrow().is_some() {
                input.pod.send_replace(None);
            }
        }
    }

    fn employ(&self, id: PodId, pod: Option<Arc<Pod>>, workers: &mut JoinSet<String>) -> Input {
        let (sender, receiver) = watch::channel(pod);
        let wake = Arc::new(Notify::new());
        let worker = Worker::new(
            Arc::clone(&self.driver),
            Arc::clone(&self.node),
            Arc::clone(&self.reports),
            Routes {
                led: self.led.subscribe(),
                services: self.services.clone(),
            },
            id,
            receiver,
            Arc::clone(&wake),
        );
        workers.spawn(worker.run());
        Input { pod: sender, wake }
    }
}

/// Pause before a volume that could not be discarded is tried again.
const DISCARD_AGAIN: Duration = Duration::from_secs(5);

/// Discards a volume; whether it is gone.
async fn discard<D: Driver>(driver: Arc<D>, volume: String) -> (String, bool) {
    match driver.discard(&volume).await {
        Ok(()) => (volume, true),
        Err(error) => {
            tracing::warn!(%error, volume, "the data of a volume could not be discarded yet");
            tokio::time::sleep(DISCARD_AGAIN).await;
            (volume, false)
        }
    }
}
