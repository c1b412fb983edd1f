//! One pod's worker: looks, decides, does one thing, and says what there is; again and again until
//! nothing is left of the pod.
//!
//! What takes long (a pull, an end with its grace) is broken off when the pod is wanted otherwise
//! meanwhile; a start is not, it is short.

mod change;
mod start;
mod stop;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use weft_api::assignment::{Container, Pod, PodId, Probes, Refusal, Restart, Services};
use weft_api::observed::{Ended, Event, Pod as Observed, State, Subject};
use weft_driver::{Driver, PodSeen, RunState};

use crate::Node;
use crate::decide::{Facts, Last, Step, comes_back, decide};
use crate::disk;
use crate::env;
use crate::led::Led;
use crate::marks::Marks;
use crate::memory::{self, Health, Memory, SECOND};
use crate::observe::{self, Observer};
use crate::probe::{self, Findings, Target};
use crate::report::Reports;
use crate::templates;
use crate::volumes::Files;

/// How often what could not be made is tried again at most, in seconds.
const STUCK_MAX_S: u64 = 60;
/// Of a log that stands for a message, so much is told: upstream's bounds.
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;

pub(crate) struct Worker<D> {
    driver: Arc<D>,
    node: Arc<Node>,
    reports: Arc<Reports>,
    routes: Routes,
    id: PodId,
    wanted: watch::Receiver<Option<Arc<Pod>>>,
    /// Its files may say something else when these change.
    asks_for_services: bool,
    wake: Arc<Notify>,
    files: Files,
    marks: Marks,
    memory: Memory,
    probed: BTreeMap<String, Box<Probed>>,
    /// Who measures what it has on disk, if that is limited.
    measured: Option<disk::Watch>,
    /// As it was wanted last.
    last: Option<Arc<Pod>>,
    /// For whom the volumes were brought to what they are to be.
    prepared: Option<Arc<Pod>>,
    said: Option<Observed>,
}

/// What is known of services.
#[derive(Clone)]
pub(crate) struct Routes {
    /// Where new connections are led to.
    pub led: watch::Receiver<Led>,
    /// All of them, as they are to be.
    pub services: watch::Receiver<Arc<Services>>,
}

/// A run that is probed.
struct Probed {
    id: String,
    findings: Findings,
    task: Option<AbortHandle>,
}

impl Drop for Probed {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Starts that came to nothing, as an earlier agent left them.
fn stillborn(marks: &Marks, seen: &PodSeen) -> BTreeMap<String, Box<memory::Container>> {
    let mut all = BTreeMap::new();
    for (name, one) in marks.all_stillborn() {
        let runs = seen.containers.iter().filter(|run| run.name == name);
        if runs.map(|run| run.attempt).max() < Some(one.attempt) {
            let ended = Ended {
                code: 128,
                reason: "StartError".to_owned(),
                message: one.message.clone(),
                started_at_ns: one.at_ns,
                finished_at_ns: one.at_ns,
                ..Ended::default()
            };
            let why = Refusal {
                reason: "RunContainerError".to_owned(),
                message: one.message,
            };
            let one = memory::Container {
                stillborn: Some((one.attempt, ended)),
                waiting: Some(why),
                ..memory::Container::default()
            };
            all.insert(name, Box::new(one));
        }
    }
    all
}

/// Whether what was done is done, or the pod was wanted otherwise meanwhile.
enum Turn<T> {
    Done(T),
    Otherwise,
}

impl<D: Driver> Worker<D> {
    pub fn new(
        driver: Arc<D>,
        node: Arc<Node>,
        reports: Arc<Reports>,
        routes: Routes,
        id: PodId,
        wanted: watch::Receiver<Option<Arc<Pod>>>,
        wake: Arc<Notify>,
    ) -> Self {
        let files = Files::new(&node.directory, &id.uid);
        let marks = Marks::new(&node.directory, &id.uid);
        let now_ns = (node.clock)();
        let is_wanted = wanted.borrow().is_some();
        let mut containers = stillborn(&marks, &driver.pod(&id.uid));
        for (name, kept) in files.changes() {
            containers.entry(name).or_default().change = memory::Change::read(&kept);
        }
        let memory = Memory {
            started_at_ns: match is_wanted {
                true => marks.began(now_ns),
                false => now_ns,
            },
            failed: marks.failed(),
            containers,
            ..Memory::default()
        };
        Self {
            driver,
            node,
            reports,
            routes,
            id,
            wanted,
            asks_for_services: false,
            wake,
            files,
            marks,
            memory,
            probed: BTreeMap::new(),
            measured: None,
            last: None,
            prepared: None,
            said: None,
        }
    }

    /// Runs until nothing is left of the pod; answers its uid.
    pub async fn run(mut self) -> String {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            if let Some(pod) = &wanted {
                self.last = Some(Arc::clone(pod));
            }
            let pod = self.last.clone().unwrap_or_default();
            if wanted.as_ref().is_some_and(|pod| pod.ending.is_none()) {
                self.memory.ending = None;
            }
            let grace_s = match &wanted {
                Some(pod) => pod.ending,
                // Nobody wants it: as if it had been deleted by somebody in a hurry.
                None => Some(self.last.as_ref().map_or(0, |pod| pod.grace_s.min(30))),
            };
            if let Some(grace_s) = grace_s
                && self
                    .memory
                    .ending
                    .is_none_or(|(before, _)| grace_s < before)
            {
                self.memory.ending = Some((grace_s, (self.node.clock)()));
            }
            let seen = self.driver.pod(&self.id.uid);
            if grace_s.is_none() {
                self.follow(&pod, &seen);
            }
            self.note(&pod, &seen);
            self.say(&pod, &seen).await;
            let step = {
                let facts = Facts {
                    pod: &pod,
                    seen: &seen,
                    memory: &self.memory,
                    now_ns: (self.node.clock)(),
                };
                decide(facts, grace_s.is_some())
            };
            if self.act(&pod, &seen, step).await {
                return self.id.uid;
            }
        }
    }

    /// When what a pod refers to has changed, its files do, and what waited for it is tried at once.
    fn follow(&mut self, pod: &Arc<Pod>, seen: &PodSeen) {
        let before = self.prepared.as_ref();
        let is_same = before.is_some_and(|before| Arc::ptr_eq(before, pod));
        let is_led_elsewhere =
            self.asks_for_services && self.routes.services.has_changed().is_ok_and(|is| is);
        if is_same && !is_led_elsewhere {
            return;
        }
        self.asks_for_services = templates::asks_for_services(pod);
        if self.asks_for_services {
            self.routes.services.mark_unchanged();
        }
        for memory in self.memory.containers.values_mut() {
            let waiting = memory.waiting.as_ref();
            if waiting.is_some_and(|why| why.reason == "CreateContainerConfigError") {
                memory.not_before_ns = 0;
            }
        }
        self.memory.stuck = None;
        self.prepared = Some(Arc::clone(pod));
        if seen.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready) {
            self.prepare(pod, seen);
        }
    }

    /// Takes notes of what has happened to containers, and sees to it that those that run are probed.
    fn note(&mut self, pod: &Pod, seen: &PodSeen) {
        let mut runs: BTreeMap<&str, &str> = BTreeMap::new();
        for one in &seen.containers {
            match &one.state {
                RunState::Running { .. } => {
                    runs.insert(&one.name, &one.id);
                }
                RunState::Ended {
                    started_at_ns,
                    finished_at_ns,
                    ..
                } => {
                    let memory = self.memory.containers.entry(one.name.clone()).or_default();
                    memory.forgive(one.attempt, finished_at_ns - started_at_ns);
                }
                RunState::Made => {}
            }
        }
        self.note_disk(pod, seen);
        self.note_ends(pod, seen);
        self.probed
            .retain(|name, probed| runs.get(&**name) == Some(&&*probed.id));
        let address = self.address(pod, seen);
        let is_ending = self.memory.ending.is_some();
        for one in pod.init.iter().chain(&pod.containers) {
            let Some(id) = runs.get(&*one.name) else {
                continue;
            };
            if !self.probed.contains_key(&one.name) {
                let probed = self.begin_probing(one, id, address);
                self.probed.insert(one.name.clone(), Box::new(probed));
            }
            let probed = &self.probed[&one.name];
            let mut health = probed.findings.now();
            if is_ending {
                health.ready = false;
                health.unwell = None;
            }
            for said in probed.findings.take_said() {
                self.tell(Some(&one.name), true, "Unhealthy", &said);
            }
            self.memory
                .containers
                .entry(one.name.clone())
                .or_default()
                .health = health;
        }
    }

    /// As long as a pod with limits has a sandbox and is to run, what it has on disk is measured.
    fn note_disk(&mut self, pod: &Pod, seen: &PodSeen) {
        let is_over = self.memory.ending.is_some() || self.memory.failed.is_some();
        let is_ready = seen.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready);
        if is_over || !is_ready {
            self.measured = None;
        } else if self.measured.is_none() {
            let (driver, wake) = (Arc::clone(&self.driver), Arc::clone(&self.wake));
            self.measured = disk::watch(pod, driver, &self.files, wake);
        }
        let found = self.measured.as_ref().and_then(disk::Watch::found);
        self.memory.exceeds = found;
    }

    /// Tells of those that ended by themselves, and wait for their next start.
    fn note_ends(&mut self, pod: &Pod, seen: &PodSeen) {
        if self.memory.ending.is_some() || self.memory.failed.is_some() {
            return;
        }
        let now_ns = (self.node.clock)();
        let mut waiting = Vec::new();
        for one in pod.init.iter().chain(&pod.containers) {
            let facts = Facts {
                pod,
                seen,
                memory: &self.memory,
                now_ns,
            };
            let is_init = pod.init.iter().any(|init| init.name == one.name);
            let policy = match one.sidecar {
                true => Restart::Always,
                false if is_init && pod.restart != Restart::Never => Restart::OnFailure,
                false => pod.restart,
            };
            if let Last::Ended { attempt, code, .. } = facts.last(&one.name)
                && comes_back(policy, code)
            {
                waiting.push((one.clone(), attempt + 1));
            }
        }
        for (one, next) in waiting {
            self.tell_backoff(&one, next);
        }
    }

    fn begin_probing(&self, one: &Container, id: &str, ip: Option<IpAddr>) -> Probed {
        let findings = Findings {
            wake: Arc::clone(&self.wake),
            ..Findings::default()
        };
        let is_unprobed = one.probes == Probes::default();
        *findings.health.lock().expect("it is new") = Health {
            id: id.to_owned(),
            started: is_unprobed,
            ready: is_unprobed,
            ..Health::default()
        };
        let task = (!is_unprobed).then(|| {
            let target = Target {
                id: id.to_owned(),
                ip,
            };
            let driver = Arc::clone(&self.driver);
            let watching = probe::watch(driver, one.probes.clone(), target, findings.clone());
            tokio::spawn(watching).abort_handle()
        });
        Probed {
            id: id.to_owned(),
            findings,
            task,
        }
    }

    fn address(&self, pod: &Pod, seen: &PodSeen) -> Option<IpAddr> {
        if pod.sandbox.host_network {
            return Some(self.node.address);
        }
        seen.sandbox
            .as_ref()
            .and_then(|sandbox| sandbox.ip)
            .map(IpAddr::V4)
    }

    /// Says what there is, if that is new.
    async fn say(&mut self, pod: &Pod, seen: &PodSeen) {
        if self.last.is_none() {
            return;
        }
        let by = Observer {
            driver: self.driver.name(),
            host_ip: self.node.address,
            now_ns: (self.node.clock)(),
        };
        let mut now = observe::pod(pod, seen, &self.memory, by);
        self.add_messages(pod, &mut now).await;
        if self.said.as_ref() != Some(&now) {
            self.said = Some(now.clone());
            self.reports.say(now);
        }
    }

    /// Adds what containers have said of their ends themselves.
    async fn add_messages(&self, pod: &Pod, now: &mut Observed) {
        let all = now.init.iter_mut().chain(&mut now.containers);
        for told in all.chain(&mut now.debug) {
            let mut wanted = pod.init.iter().chain(&pod.containers).chain(&pod.debug);
            let Some(wanted) = wanted.find(|one| one.name == told.name) else {
                continue;
            };
            let before = told.restarts.saturating_sub(1);
            let restarts = told.restarts;
            let is_waiting = matches!(told.state, State::Waiting(_));
            if let State::Ended(ended) = &mut told.state {
                self.add_message(wanted, restarts, ended).await;
            }
            if let Some(ended) = &mut told.last {
                let attempt = if is_waiting { restarts } else { before };
                self.add_message(wanted, attempt, ended).await;
            }
        }
    }

    async fn add_message(&self, wanted: &Container, attempt: u32, ended: &mut Ended) {
        let said = self.files.read_message(&wanted.name, attempt);
        let id = ended.container_id.rsplit("//").next().unwrap_or_default();
        if !said.is_empty() {
            ended.message = said;
        } else if wanted.message_from_log && ended.code != 0 && !id.is_empty() {
            ended.message = self.driver.log_tail(id, LOG_BYTES, LOG_LINES).await;
        }
    }

    fn tell(&self, container: Option<&str>, warning: bool, reason: &str, message: &str) {
        // Of whom only the uid is left, nobody is told.
        if self.last.is_none() {
            return;
        }
        let field = container.map(|name| {
            let has = |list: &[Container]| list.iter().any(|one| one.name == name);
            let list = match self.last.as_deref() {
                Some(pod) if has(&pod.init) => "initContainers",
                Some(pod) if has(&pod.debug) => "ephemeralContainers",
                _ => "containers",
            };
            format!("spec.{list}{{{name}}}")
        });
        self.reports.tell(Event {
            about: Subject::Pod(self.id.clone()),
            field: field.unwrap_or_default(),
            warning,
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Does one step; answers whether nothing is left of the pod.
    async fn act(&mut self, pod: &Arc<Pod>, seen: &PodSeen, step: Step<'_>) -> bool {
        if let Step::Wait(until) = step {
            self.wait(until).await;
            return false;
        }
        // Most pods wait most of the time: what the others need is not set aside for them.
        Box::pin(self.carry_out(pod, seen, step)).await
    }

    async fn carry_out(&mut self, pod: &Arc<Pod>, seen: &PodSeen, step: Step<'_>) -> bool {
        match step {
            Step::Wait(_) => {}
            Step::Fail(why) => {
                self.tell(None, true, &why.reason, &why.message);
                self.marks.fail(&why);
                self.memory.failed = Some(why);
            }
            Step::Sandbox => self.make_sandbox(pod).await,
            Step::Start(these) => {
                for (one, attempt) in these {
                    if let Turn::Otherwise = self.start(pod, seen, one, attempt).await {
                        break;
                    }
                }
            }
            Step::Stop(these) => self.stop(pod, seen, &these).await,
            Step::Signal { id, name } => self.signal(id, name).await,
            Step::StopSandbox => {
                let stopped = self.driver.stop_sandbox(&self.id.uid).await;
                self.or_stuck("FailedKillPod", stopped.map_err(|error| error.message));
            }
            Step::Remove => return self.remove(seen).await,
        }
        false
    }

    async fn wait(&mut self, until: Option<i64>) {
        let time = async {
            match until {
                Some(at) => {
                    let left = u64::try_from(at - (self.node.clock)()).unwrap_or(0);
                    tokio::time::sleep(Duration::from_nanos(left)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time => {}
            () = self.wake.notified() => {}
            changed = self.routes.services.changed(), if self.asks_for_services && self.memory.ending.is_none() => {
                // Seen by who looks what has changed.
                match changed {
                    Ok(()) => self.routes.services.mark_changed(),
                    Err(_) => std::future::pending::<()>().await,
                }
            }
            changed = self.wanted.changed() => {
                if changed.is_err() {
                    // The agent ends: what runs runs on.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Does what takes long, until the pod is wanted otherwise.
    async fn unless_otherwise<T>(&mut self, doing: impl Future<Output = T>) -> Turn<T> {
        let doing = std::pin::pin!(doing);
        tokio::select! {
            done = doing => Turn::Done(done),
            changed = self.wanted.changed() => {
                if changed.is_err() {
                    std::future::pending::<()>().await;
                }
                // To be seen again by who decides.
                self.wanted.mark_changed();
                Turn::Otherwise
            }
        }
    }

    /// Does what is to be done to its end, unless the pod is to end before.
    async fn unless_ending<T>(&mut self, doing: impl Future<Output = T>) -> Turn<T> {
        let mut doing = std::pin::pin!(doing);
        let mut has_changed = false;
        let turn = loop {
            tokio::select! {
                done = &mut doing => break Turn::Done(done),
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    has_changed = true;
                }
            }
            let wanted = self.wanted.borrow();
            if wanted.as_ref().is_none_or(|pod| pod.ending.is_some()) {
                break Turn::Otherwise;
            }
        };
        if has_changed {
            // To be seen again by who decides.
            self.wanted.mark_changed();
        }
        turn
    }

    fn or_stuck(&mut self, reason: &str, done: Result<(), String>) -> bool {
        let Err(message) = done else {
            let stuck = self.memory.stuck.as_ref();
            // What is done again before what failed says nothing of that.
            if stuck.is_none_or(|(why, _)| why.reason == reason) {
                self.memory.stuck = None;
                self.memory.stuck_times = 0;
            }
            return true;
        };
        let times = self.memory.stuck_times + 1;
        self.memory.stuck_times = times;
        let wait_s = (1u64 << times.min(10)).min(STUCK_MAX_S);
        let until = (self.node.clock)() + i64::try_from(wait_s).unwrap_or(1) * SECOND;
        self.tell(None, true, reason, &message);
        let why = Refusal {
            reason: reason.to_owned(),
            message,
        };
        self.memory.stuck = Some((why, until));
        false
    }

    async fn make_sandbox(&mut self, pod: &Pod) {
        if !self.prepare(pod, &PodSeen::default()) {
            return;
        }
        let made = self.driver.sandbox(pod).await;
        let made = made
            .map(drop)
            .map_err(|error| format!("Failed to create pod sandbox: {}", error.message));
        self.or_stuck("FailedCreatePodSandBox", made);
    }

    /// Brings the volumes to what they are to be; whether they are.
    fn prepare(&mut self, pod: &Pod, seen: &PodSeen) -> bool {
        let facts = env::Facts {
            pod_ip: self.address(pod, seen),
            host_ip: self.node.address,
            node: &self.node.name,
        };
        let is_ready = seen.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready);
        let services = Arc::clone(&self.routes.services.borrow());
        // Nobody knows of services until they have a range.
        let knows = is_ready && !(self.asks_for_services && services.range.is_empty());
        let prepared = self.files.prepare(pod, &facts, knows.then_some(&*services));
        let written = prepared.and_then(|prepared| {
            self.note_changes(pod, seen, &prepared.changed);
            self.note_broken(pod, seen, prepared.broken);
            self.files.write(pod, &prepared.writes)
        });
        self.or_stuck("FailedMount", written.map_err(|error| error.to_string()))
    }

    /// That it waits for its next start is told once for each.
    fn tell_backoff(&mut self, one: &Container, next: u32) {
        let id = &self.id;
        let pod = format!("{}_{}({})", id.name, id.namespace, id.uid);
        let memory = self.memory.containers.entry(one.name.clone()).or_default();
        let wait_s = memory.backoff_s(next);
        if wait_s == 0 || memory.told_backoff == next {
            return;
        }
        memory.told_backoff = next;
        memory.waiting = Some(Refusal {
            reason: "CrashLoopBackOff".to_owned(),
            message: format!(
                "back-off {wait_s}s restarting failed container={} pod={pod}",
                one.name
            ),
        });
        let message = format!(
            "Back-off restarting failed container {} in pod {pod}",
            one.name
        );
        self.tell(Some(&one.name), true, "BackOff", &message);
    }
}
