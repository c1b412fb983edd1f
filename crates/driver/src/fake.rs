//! A driver that runs nothing: pods in memory, behaving as a script says, in tokio's time.
//!
//! It is for tests: with the clock paused an hour takes no time. A [`World`] is the machine; a
//! [`Fake`] is a driver on it, and may be dropped and made again, as a process dies and is started
//! again. Between any two steps of a call it gives way, so a call may be cut short anywhere.
//! Never: a process, a file, the machine's clock.

mod routes;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weft_api::assignment::{Pod, Pull, RegistryCredentials, Services};

use routes::Routes;
pub use script::{Outcome, Script};

use crate::{
    ContainerSeen, Driver, Failure, ImageError, PodSeen, RunState, SandboxSeen, Source, Start,
    Unserved, UsageSeen,
};

/// What is killed ends with this code.
const KILLED: i32 = 137;
/// When the first clock began, in Unix nanoseconds.
const BEGINNING_NS: i64 = 1_700_000_000_000_000_000;
/// Of what a command says, so much is answered.
const SAID_MAX: usize = 10 << 10;

/// Tokio's time as Unix nanoseconds: it stands still, and leaps, where that does.
pub fn now_ns() -> i64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    let first = *FIRST.get_or_init(|| now);
    let ns = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    match now.checked_duration_since(first) {
        Some(after) => BEGINNING_NS + ns(after),
        None => BEGINNING_NS - ns(first.duration_since(now)),
    }
}

/// A machine that does not exist.
#[derive(Debug, Clone, Default)]
pub struct World {
    inner: Arc<Mutex<Inner>>,
    told: Arc<watch::Sender<()>>,
}

/// A driver on a [`World`].
#[derive(Debug, Clone)]
pub struct Fake {
    world: World,
}

#[derive(Debug, Default)]
struct Inner {
    /// By container name, or by the last word of a command.
    scripts: BTreeMap<String, Script>,
    images: BTreeSet<String>,
    /// Images that can be pulled: how often it fails before, and how long it takes.
    registry: BTreeMap<String, (u32, Duration)>,
    /// So many sandboxes fail before one does not.
    failing_sandboxes: u32,
    /// How long each step of a call takes.
    step: Duration,
    pods: BTreeMap<String, Home>,
    volumes: BTreeSet<String>,
    changed: BTreeSet<String>,
    routes: Routes,
    made: u32,
    calls: Vec<Call>,
    wrongs: Vec<String>,
}

/// What is there of a pod.
#[derive(Debug, Default)]
struct Home {
    sandbox: Option<SandboxSeen>,
    containers: Vec<Run>,
    /// Names and attempts that have run.
    ran: BTreeSet<(String, u32)>,
}

#[derive(Debug)]
struct Run {
    seen: ContainerSeen,
    script: Script,
    said: String,
    volumes: BTreeSet<String>,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When, in [`now_ns`].
    pub at_ns: i64,
    /// What: `start u1/web#0`, `stop web#0 30`.
    pub what: String,
}

impl World {
    /// One with an image.
    pub fn new(image: &str) -> World {
        let world = World::default();
        world.lock().images.insert(image.to_owned());
        world
    }

    /// A driver on it.
    pub fn driver(&self) -> Fake {
        Fake {
            world: self.clone(),
        }
    }

    /// How containers behave that are called `key`, or whose command's last word is `key`.
    pub fn script(&self, key: &str, script: Script) {
        self.lock().scripts.insert(key.to_owned(), script);
    }

    /// An image can be pulled, after so many failures, in so long.
    pub fn publish(&self, image: &str, failures: u32, takes: Duration) {
        let mut inner = self.lock();
        inner.registry.insert(image.to_owned(), (failures, takes));
    }

    /// So many sandboxes fail before one does not.
    pub fn fail_sandboxes(&self, times: u32) {
        self.lock().failing_sandboxes = times;
    }

    /// How long each step of a call takes.
    pub fn set_step(&self, step: Duration) {
        self.lock().step = step;
    }

    /// The running container `name` of a pod ends; whether there was one.
    pub fn end(&self, uid: &str, name: &str, code: i32) -> bool {
        let mut inner = self.lock();
        let home = inner.pods.get(uid);
        let mut runs = home.into_iter().flat_map(|home| &home.containers);
        let id = runs.find(|run| run.seen.name == name && is_running(&run.seen));
        let id = id.map(|run| run.seen.id.clone());
        let has = id.is_some_and(|id| inner.end(&id, code));
        drop(inner);
        self.told.send_replace(());
        has
    }

    /// The machine starts again: nothing runs, and nothing shared is there.
    pub fn reboot(&self) {
        let mut inner = self.lock();
        let ids: Vec<String> = inner.runs().map(|run| run.seen.id.clone()).collect();
        for id in ids {
            inner.end(&id, KILLED);
        }
        for home in inner.pods.values_mut() {
            if let Some(sandbox) = &mut home.sandbox {
                sandbox.ready = false;
                sandbox.ip = None;
            }
        }
        drop(inner);
        self.told.send_replace(());
    }

    /// The calls so far that change something.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The calls so far that begin with `prefix`.
    pub fn count(&self, prefix: &str) -> usize {
        let inner = self.lock();
        let calls = inner.calls.iter();
        calls.filter(|call| call.what.starts_with(prefix)).count()
    }

    /// How often the container `name` of a pod that is there has run.
    pub fn runs(&self, uid: &str, name: &str) -> usize {
        let inner = self.lock();
        let ran = inner.pods.get(uid).into_iter().flat_map(|home| &home.ran);
        ran.filter(|(one, _)| one == name).count()
    }

    /// What nobody may do, and somebody did: two of one name at once, one attempt twice.
    pub fn wrongs(&self) -> Vec<String> {
        self.lock().wrongs.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_running(seen: &ContainerSeen) -> bool {
    matches!(seen.state, RunState::Running { .. })
}

fn refuse(message: impl Into<String>) -> Failure {
    Failure {
        message: message.into(),
        is_config: false,
    }
}

impl Inner {
    fn call(&mut self, what: String) {
        let at_ns = now_ns();
        self.calls.push(Call { at_ns, what });
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.pods.values().flat_map(|home| &home.containers)
    }

    fn run_mut(&mut self, id: &str) -> Option<(&String, &mut Run)> {
        self.pods.iter_mut().find_map(|(uid, home)| {
            let run = home.containers.iter_mut().find(|run| run.seen.id == id);
            run.map(|run| (uid, run))
        })
    }

    /// Ends a running container; whether it was one.
    fn end(&mut self, id: &str, code: i32) -> bool {
        let Some((uid, run)) = self.run_mut(id) else {
            return false;
        };
        let RunState::Running { started_at_ns, .. } = run.seen.state else {
            return false;
        };
        run.seen.state = RunState::Ended {
            started_at_ns,
            finished_at_ns: now_ns(),
            code,
            oom_killed: false,
            error: String::new(),
        };
        let uid = uid.clone();
        self.changed.insert(uid);
        true
    }

    fn script_of(&self, start: &Start<'_>) -> Script {
        let words = start.container.command.iter().flatten();
        let key = words.chain(start.container.args.iter().flatten()).last();
        let named = self.scripts.get(&start.container.name);
        let found = named.or_else(|| key.and_then(|key| self.scripts.get(key)));
        found.cloned().unwrap_or_default()
    }

    fn home_of(&mut self, uid: &str) -> Option<&mut Home> {
        self.pods.get_mut(uid)
    }

    /// Makes a container that does not run yet.
    fn make(&mut self, start: &Start<'_>, script: Script) -> Result<String, Failure> {
        self.made += 1;
        let id = format!("{:064x}", self.made);
        let (uid, name) = (&start.pod.id.uid, &start.container.name);
        let volumes = start.mounts.iter().filter_map(|one| match &one.source {
            Source::Volume(name) => Some(name.clone()),
            _ => None,
        });
        let volumes: BTreeSet<String> = volumes.collect();
        let home = self.pods.entry(uid.clone()).or_default();
        if !home.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready) {
            return Err(refuse("the sandbox is not there"));
        }
        let of_name = |run: &&Run| run.seen.name == *name;
        if home
            .containers
            .iter()
            .filter(of_name)
            .any(|run| is_running(&run.seen))
        {
            self.wrongs.push(format!("{uid}/{name} runs twice at once"));
        }
        // One of this attempt is left of a start that was cut short.
        home.containers.retain(|run| {
            run.seen.name != *name || run.seen.attempt != start.attempt || is_running(&run.seen)
        });
        home.containers.push(Run {
            seen: ContainerSeen {
                id: id.clone(),
                name: name.clone(),
                attempt: start.attempt,
                image: start.container.image.clone(),
                image_id: start.image_id.to_owned(),
                hash: start.container.hash.clone(),
                created_at_ns: now_ns(),
                state: RunState::Made,
            },
            script,
            said: String::new(),
            volumes: volumes.clone(),
        });
        self.volumes.extend(volumes);
        Ok(id)
    }

    /// Lets a container run that was made; when it ends by itself.
    fn go(&mut self, uid: &str, id: &str) -> Option<(Duration, i32)> {
        let pid = i32::try_from(self.made).unwrap_or(i32::MAX);
        let home = self.pods.get_mut(uid)?;
        let run = home.containers.iter_mut().find(|run| run.seen.id == id)?;
        run.seen.state = RunState::Running {
            started_at_ns: now_ns(),
            pid,
        };
        run.said.clone_from(&run.script.says);
        let ends = run.script.ends;
        let attempt = (run.seen.name.clone(), run.seen.attempt);
        let told = format!("{uid}/{}#{} ran twice", attempt.0, attempt.1);
        if !home.ran.insert(attempt) {
            self.wrongs.push(told);
        }
        self.changed.insert(uid.to_owned());
        ends
    }
}

impl Fake {
    /// The machine it is on.
    pub fn world(&self) -> &World {
        &self.world
    }

    async fn step(&self) {
        let step = self.world.lock().step;
        match step.is_zero() {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(step).await,
        }
    }

    fn tell(&self) {
        self.world.told.send_replace(());
    }

    fn end(&self, id: &str, code: i32) {
        self.world.lock().end(id, code);
        self.tell();
    }

    /// Whether a start is one of those that fail.
    fn fails(&self, start: &Start<'_>, script: &Script) -> Option<Failure> {
        let mut inner = self.world.lock();
        let known = inner.scripts.get_mut(&start.container.name)?;
        if known.failing_starts == 0 {
            return None;
        }
        if known.failing_starts < u32::MAX {
            known.failing_starts -= 1;
        }
        Some(Failure {
            message: "it can't be started".to_owned(),
            is_config: script.is_config,
        })
    }
}

impl Driver for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn image(
        &self,
        image: &str,
        pull: Pull,
        _credentials: &[RegistryCredentials],
    ) -> Result<(String, bool), ImageError> {
        self.step().await;
        let id = format!("sha256:{image}");
        let is_here = self.world.lock().images.contains(image);
        match (is_here, pull) {
            (true, Pull::IfNotPresent | Pull::Never) => return Ok((id, false)),
            (false, Pull::Never) => return Err(ImageError::NeverPulled(image.to_owned())),
            _ => {}
        }
        if image.is_empty() || image.contains(|c: char| c.is_uppercase() || c.is_whitespace()) {
            let why = "invalid reference format".to_owned();
            return Err(ImageError::Name(image.to_owned(), why));
        }
        let takes = {
            let mut inner = self.world.lock();
            inner.call(format!("pull {image}"));
            inner.registry.get(image).map(|known| known.1)
        };
        tokio::time::sleep(takes.unwrap_or_default()).await;
        let mut inner = self.world.lock();
        match inner.registry.get_mut(image) {
            None => Err(ImageError::Pull(format!("{image}: not found"))),
            Some((failures, _)) if *failures > 0 => {
                *failures -= 1;
                Err(ImageError::Pull(format!("{image}: the registry is away")))
            }
            Some(_) => {
                inner.images.insert(image.to_owned());
                Ok((id, true))
            }
        }
    }

    async fn sandbox(&self, pod: &Pod) -> Result<SandboxSeen, Failure> {
        self.step().await;
        {
            let mut inner = self.world.lock();
            if let Some(there) = inner.home_of(&pod.id.uid)
                && let Some(sandbox) = there.sandbox.as_ref().filter(|one| one.ready)
            {
                return Ok(sandbox.clone());
            }
            inner.call(format!("sandbox {}", pod.id.uid));
            if inner.failing_sandboxes > 0 {
                inner.failing_sandboxes -= 1;
                return Err(refuse("the sandbox can't be made"));
            }
            let home = inner.pods.entry(pod.id.uid.clone()).or_default();
            home.sandbox.get_or_insert_default();
        }
        self.step().await;
        let mut inner = self.world.lock();
        inner.made += 1;
        let [.., high, low] = inner.made.to_be_bytes();
        let home = inner.pods.entry(pod.id.uid.clone()).or_default();
        let before = home.sandbox.as_ref().map_or(0, |one| one.started_at_ns);
        let made = SandboxSeen {
            ready: true,
            // Later than the one before, even if no time has passed.
            started_at_ns: now_ns().max(before + 1),
            ip: (!pod.sandbox.host_network).then(|| Ipv4Addr::new(10, 1, high, low)),
            netns: format!("/fake/{}", pod.id.uid).into(),
        };
        home.sandbox = Some(made.clone());
        Ok(made)
    }

    async fn start(&self, start: Start<'_>) -> Result<String, Failure> {
        self.step().await;
        let uid = &start.pod.id.uid;
        let script = {
            let mut inner = self.world.lock();
            let what = format!("start {uid}/{}#{}", start.container.name, start.attempt);
            inner.call(what);
            inner.script_of(&start)
        };
        if let Some(failure) = self.fails(&start, &script) {
            return Err(failure);
        }
        let id = self.world.lock().make(&start, script)?;
        self.step().await;
        let ends = self.world.lock().go(uid, &id);
        self.tell();
        if let Some((after, code)) = ends {
            let (fake, id) = (self.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                fake.end(&id, code);
            });
        }
        Ok(id)
    }

    async fn stop(&self, id: &str, grace_s: u64) -> Result<(), Failure> {
        self.step().await;
        let (on_ask, is_immortal) = {
            let mut inner = self.world.lock();
            let Some((_, run)) = inner.run_mut(id) else {
                return Ok(());
            };
            if !is_running(&run.seen) {
                return Ok(());
            }
            let what = format!("stop {}#{} {grace_s}", run.seen.name, run.seen.attempt);
            let script = (run.script.on_ask, run.script.is_immortal);
            inner.call(what);
            script
        };
        if let (Some(code), false, false) = (on_ask, is_immortal, grace_s == 0) {
            self.step().await;
            self.end(id, code);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(grace_s)).await;
        if is_immortal {
            return Err(refuse("it does not end"));
        }
        self.end(id, KILLED);
        Ok(())
    }

    async fn signal(&self, id: &str, signal: &str) -> Result<(), Failure> {
        self.step().await;
        {
            let mut inner = self.world.lock();
            let running = inner.run_mut(id).filter(|(_, run)| is_running(&run.seen));
            let Some((_, run)) = running else {
                return Err(refuse("it does not run"));
            };
            let what = format!("signal {}#{} {signal}", run.seen.name, run.seen.attempt);
            inner.call(what);
        }
        if matches!(signal, "KILL" | "SIGKILL") {
            self.end(id, KILLED);
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), Failure> {
        self.step().await;
        let mut inner = self.world.lock();
        let Some((uid, run)) = inner.run_mut(id) else {
            return Ok(());
        };
        if is_running(&run.seen) {
            return Err(refuse("it runs"));
        }
        let uid = uid.clone();
        inner.call(format!("remove {id}"));
        if let Some(home) = inner.home_of(&uid) {
            home.containers.retain(|run| run.seen.id != id);
        }
        Ok(())
    }

    async fn stop_sandbox(&self, uid: &str) -> Result<(), Failure> {
        self.step().await;
        let mut inner = self.world.lock();
        inner.call(format!("stop-sandbox {uid}"));
        let Some(home) = inner.home_of(uid) else {
            return Ok(());
        };
        if home.containers.iter().any(|run| is_running(&run.seen)) {
            return Err(refuse("a container runs in it"));
        }
        if let Some(sandbox) = &mut home.sandbox {
            sandbox.ready = false;
            sandbox.ip = None;
        }
        Ok(())
    }

    async fn remove_sandbox(&self, uid: &str) -> Result<(), Failure> {
        self.step().await;
        let mut inner = self.world.lock();
        let Some(home) = inner.home_of(uid) else {
            return Ok(());
        };
        if !home.containers.is_empty() {
            return Err(refuse("a container is in it"));
        }
        inner.pods.remove(uid);
        inner.call(format!("remove-sandbox {uid}"));
        Ok(())
    }

    async fn discard(&self, volume: &str) -> Result<(), Failure> {
        self.step().await;
        let mut inner = self.world.lock();
        if inner.runs().any(|run| run.volumes.contains(volume)) {
            return Err(refuse("a container has it"));
        }
        inner.volumes.remove(volume);
        inner.call(format!("discard {volume}"));
        Ok(())
    }

    async fn usage(&self) -> Vec<UsageSeen> {
        self.step().await;
        let inner = self.world.lock();
        let now = now_ns();
        let all = inner.pods.iter();
        let runs = all.flat_map(|(uid, home)| home.containers.iter().map(move |run| (uid, run)));
        let seen = runs.filter_map(|(uid, run)| match run.seen.state {
            // A tenth of a processor, whatever it does.
            RunState::Running { started_at_ns, .. } => Some(UsageSeen {
                uid: uid.clone(),
                container: run.seen.name.clone(),
                id: run.seen.id.clone(),
                cpu_ns: u64::try_from(now - started_at_ns).unwrap_or(0) / 10,
                memory_bytes: 1 << 20,
            }),
            _ => None,
        });
        seen.collect()
    }

    async fn disk(&self, id: &str) -> Result<u64, Failure> {
        self.step().await;
        let mut inner = self.world.lock();
        let run = inner.run_mut(id);
        Ok(run.map_or(0, |(_, run)| run.script.disk_bytes + run.said.len() as u64))
    }

    async fn serve(&self, services: &Services) -> Result<Vec<Unserved>, Failure> {
        self.step().await;
        self.world.lock().routes.serve(services)
    }

    fn pod(&self, uid: &str) -> PodSeen {
        let inner = self.world.lock();
        let Some(home) = inner.pods.get(uid) else {
            return PodSeen::default();
        };
        let containers = home.containers.iter().map(|run| run.seen.clone());
        PodSeen {
            sandbox: home.sandbox.clone(),
            containers: containers.collect(),
        }
    }

    fn pods(&self) -> Vec<String> {
        self.world.lock().pods.keys().cloned().collect()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.world.told.subscribe()
    }

    fn changed(&self) -> Vec<String> {
        let changed = std::mem::take(&mut self.world.lock().changed);
        changed.into_iter().collect()
    }

    async fn log_tail(&self, id: &str, bytes: usize, lines: usize) -> String {
        self.step().await;
        let mut inner = self.world.lock();
        let said = inner.run_mut(id).map(|(_, run)| run.said.clone());
        let said = said.unwrap_or_default();
        let all: Vec<&str> = said.split_inclusive('\n').collect();
        let last = all[all.len().saturating_sub(lines)..].concat();
        let from = last.len().saturating_sub(bytes);
        String::from_utf8_lossy(&last.as_bytes()[from..]).into_owned()
    }

    async fn run(
        &self,
        id: &str,
        command: &[String],
        timeout_s: u64,
    ) -> Result<(i32, String), Failure> {
        self.step().await;
        let outcome = {
            let mut inner = self.world.lock();
            let Some((_, run)) = inner.run_mut(id).filter(|(_, run)| is_running(&run.seen)) else {
                return Err(refuse("it does not run"));
            };
            let words = command.join(" ");
            let outcome = run.script.commands.get(&words).cloned();
            let what = format!("run {} {words}", run.seen.name);
            inner.call(what);
            outcome
        };
        match outcome {
            None => Ok((0, String::new())),
            Some(Outcome::Ends(code, mut said)) => {
                said.truncate(SAID_MAX);
                Ok((code, said))
            }
            Some(Outcome::Fails(why)) => Err(refuse(why)),
            Some(Outcome::Hangs) => {
                tokio::time::sleep(Duration::from_secs(timeout_s)).await;
                Err(refuse(format!("it takes longer than {timeout_s}s")))
            }
        }
    }
}
