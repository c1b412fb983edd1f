//! An agent on a fake driver, which can be killed and started again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weft_agent::ledger::{Ledger, Seal};
use weft_agent::{Agent, Node};
use weft_api::assignment::{Action, Assignment, Container, Pod, PodId, Probe, Services};
use weft_api::observed;
use weft_driver::fake::{self, Fake, World};
use weft_driver::{Driver, RunState};

pub const IMAGE: &str = "busybox";
const SECOND: i64 = 1_000_000_000;

/// What was said, as whoever takes the reports knows it.
#[derive(Debug, Default)]
pub struct Said {
    pub pods: BTreeMap<String, observed::Pod>,
    pub events: Vec<String>,
}

pub struct Stage {
    pub world: World,
    pub driver: Fake,
    pub said: Arc<Mutex<Said>>,
    dir: TempDir,
    began_ns: i64,
    generation: u64,
    epoch: u32,
    assign: watch::Sender<Arc<Assignment>>,
    lead: watch::Sender<Arc<Services>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Hides nothing: what is tried is when it is written and read.
struct Open;

impl Seal for Open {
    fn seal(&self, _: &str, text: &[u8]) -> Vec<u8> {
        text.to_vec()
    }

    fn open(&self, _: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        Ok(sealed.to_vec())
    }
}

impl Stage {
    pub fn new() -> Stage {
        let world = World::new(IMAGE);
        // Two of anything are never at the very same time.
        world.set_step(Duration::from_millis(1));
        let mut stage = Stage {
            driver: world.driver(),
            world,
            said: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
            began_ns: fake::now_ns(),
            generation: 0,
            epoch: 0,
            assign: watch::channel(Arc::default()).0,
            lead: watch::channel(Arc::default()).0,
            tasks: Vec::new(),
        };
        stage.begin();
        stage
    }

    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Starts an agent that nobody has told anything yet.
    pub fn begin(&mut self) {
        let node = Node {
            name: "one".to_owned(),
            address: "10.0.0.1".parse().unwrap(),
            directory: self.dir.path().join("pods"),
            clock: fake::now_ns,
        };
        let ledger = Ledger::new(self.dir.path().join("ledger"), "one", Box::new(Open));
        let agent = Agent::new(Arc::new(self.world.driver()), node).with_ledger(ledger);
        let (reports, said) = (agent.reports(), Arc::clone(&self.said));
        self.assign = watch::channel(Arc::default()).0;
        self.lead = watch::channel(Arc::default()).0;
        self.generation = 0;
        self.epoch += 1;
        let running = agent.run(self.assign.subscribe(), self.lead.subscribe());
        self.tasks.push(tokio::spawn(running));
        self.tasks.push(tokio::spawn(async move {
            loop {
                let (pods, events, _) = reports.take().await;
                let mut said = said.lock().unwrap();
                said.pods
                    .extend(pods.into_iter().map(|pod| (pod.id.uid.clone(), pod)));
                let events = events.into_iter();
                said.events
                    .extend(events.map(|event| format!("{}: {}", event.reason, event.message)));
            }
        }));
    }

    /// The agent is killed, wherever it is.
    pub async fn kill(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        // What it has begun goes with it.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// Killed, and started again; nobody has told it anything yet.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.begin();
    }

    pub fn assign(&mut self, pods: &[Pod]) {
        self.generation += 1;
        self.assign.send_replace(Arc::new(Assignment {
            epoch: self.epoch.to_string(),
            generation: self.generation,
            pods: pods.iter().cloned().map(Arc::new).collect(),
            ..Assignment::default()
        }));
    }

    pub fn lead(&self, services: Services) {
        self.lead.send_replace(Arc::new(services));
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        let mut clock = tokio::time::interval(time);
        clock.tick().await;
        clock.tick().await;
    }

    pub async fn pass_s(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }

    /// Lets time pass until it is so: a day at most.
    pub async fn until(&self, what: &str, mut is_so: impl FnMut(&Stage) -> bool) {
        let mut clock = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..864_000 {
            if is_so(self) {
                return;
            }
            clock.tick().await;
        }
        panic!(
            "not within a day: {what}\n{:#?}\n{:#?}",
            self.said.lock().unwrap(),
            self.world.calls()
        );
    }

    /// When calls were made that begin so, in seconds since the beginning.
    pub fn times(&self, prefix: &str) -> Vec<i64> {
        let calls = self.world.calls().into_iter();
        let calls = calls.filter(|call| call.what.starts_with(prefix));
        calls
            .map(|call| (call.at_ns - self.began_ns + SECOND / 2) / SECOND)
            .collect()
    }

    pub fn now_s(&self) -> i64 {
        (fake::now_ns() - self.began_ns + SECOND / 2) / SECOND
    }

    pub fn running(&self, uid: &str, name: &str) -> usize {
        let seen = self.driver.pod(uid).containers;
        let running = seen
            .iter()
            .filter(|one| one.name == name && matches!(one.state, RunState::Running { .. }));
        running.count()
    }

    pub fn pod_said(&self, uid: &str) -> Option<observed::Pod> {
        self.said.lock().unwrap().pods.get(uid).cloned()
    }

    pub fn is_gone(&self, uid: &str) -> bool {
        self.pod_said(uid).is_some_and(|pod| pod.gone) && self.is_nothing_left(uid)
    }

    pub fn is_nothing_left(&self, uid: &str) -> bool {
        let has_files = self.dir.path().join("pods").join(uid).exists();
        !has_files && !self.driver.pods().iter().any(|one| one == uid)
    }

    pub fn is_told(&self, what: &str) -> bool {
        let said = self.said.lock().unwrap();
        said.events.iter().any(|event| event.contains(what))
    }
}

/// A pod of containers, each with the key of its script.
pub fn pod(uid: &str, containers: &[(&str, &str)]) -> Pod {
    Pod {
        id: PodId {
            namespace: "default".to_owned(),
            name: format!("pod-{uid}"),
            uid: uid.to_owned(),
        },
        grace_s: 30,
        containers: containers.iter().map(|(n, s)| container(n, s)).collect(),
        ..Pod::default()
    }
}

pub fn container(name: &str, script: &str) -> Container {
    Container {
        name: name.to_owned(),
        image: IMAGE.to_owned(),
        command: Some(vec![script.to_owned()]),
        message_path: "/dev/termination-log".to_owned(),
        hash: format!("hash of {name}"),
        ..Container::default()
    }
}

pub fn sidecar(name: &str, script: &str) -> Container {
    Container {
        sidecar: true,
        ..container(name, script)
    }
}

pub fn exec(command: &str) -> Action {
    Action::Exec(vec![command.to_owned()])
}

pub fn probe(command: &str) -> Probe {
    Probe {
        action: exec(command),
        initial_delay_s: 0,
        period_s: 10,
        timeout_s: 2,
        successes: 1,
        failures: 3,
        grace_s: None,
    }
}

pub fn ending(pod: &Pod, seconds: u64) -> Pod {
    Pod {
        ending: Some(seconds),
        ..pod.clone()
    }
}
