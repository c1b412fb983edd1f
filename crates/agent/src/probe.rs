//! Probes and hooks: finding out how well a container is, and what is done to it after its start
//! and before its end (Kubernetes, "Pod Lifecycle").
//!
//! Never: decides what follows from it.

mod http;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use weft_api::assignment::{Action, Probe, Probes};
use weft_driver::Driver;

use crate::memory::Health;

/// Of what a probe says, so much is told.
const SAID_MAX: usize = 1024;

/// One run of a container, as probes need to know it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub id: String,
    pub ip: Option<IpAddr>,
}

/// What probes have found out, and whom they tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub health: Arc<Mutex<Health>>,
    pub wake: Arc<Notify>,
    /// What is told of failures, until somebody takes it.
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Findings {
    pub fn now(&self) -> Health {
        lock(&self.health).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Health)) {
        let mut health = lock(&self.health);
        let before = health.clone();
        change(&mut health);
        let is_new = *health != before;
        drop(health);
        if is_new {
            self.wake.notify_one();
        }
    }

    fn say(&self, text: String) {
        let mut said = lock(&self.said);
        // Bounded: the worker takes them when it is woken.
        if said.len() < 16 {
            said.push(text);
        }
        drop(said);
        self.wake.notify_one();
    }

    pub fn take_said(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.said))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Probes one run for as long as it is not dropped.
pub(crate) async fn watch<D: Driver>(
    driver: Arc<D>,
    probes: Probes,
    target: Target,
    findings: Findings,
) {
    if let Some(startup) = &probes.startup
        && !start_up(&*driver, startup, &target, &findings).await
    {
        return;
    }
    findings.change(|health| health.started = true);
    let living = async {
        if let Some(probe) = &probes.liveness {
            live(&*driver, probe, &target, &findings).await;
        }
    };
    let ready = async {
        match &probes.readiness {
            Some(probe) => be_ready(&*driver, probe, &target, &findings).await,
            None => findings.change(|health| health.ready = true),
        }
    };
    tokio::join!(living, ready);
}

async fn start_up<D: Driver>(
    driver: &D,
    probe: &Probe,
    target: &Target,
    findings: &Findings,
) -> bool {
    sleep(seconds(probe.initial_delay_s)).await;
    let mut failures = 0;
    loop {
        match once(driver, probe, target).await {
            Ok(()) => return true,
            Err(why) => {
                findings.say(format!("Startup probe failed: {why}"));
                failures += 1;
            }
        }
        if failures >= probe.failures.max(1) {
            let why = "failed startup probe, will be restarted".to_owned();
            findings.change(|health| health.unwell = Some((why, probe.grace_s)));
            return false;
        }
        sleep(seconds(probe.period_s.max(1))).await;
    }
}

async fn live<D: Driver>(driver: &D, probe: &Probe, target: &Target, findings: &Findings) {
    sleep(seconds(probe.initial_delay_s)).await;
    let mut failures = 0;
    loop {
        match once(driver, probe, target).await {
            Ok(()) => failures = 0,
            Err(why) => {
                findings.say(format!("Liveness probe failed: {why}"));
                failures += 1;
            }
        }
        if failures >= probe.failures.max(1) {
            let why = "failed liveness probe, will be restarted".to_owned();
            findings.change(|health| health.unwell = Some((why, probe.grace_s)));
            return;
        }
        sleep(seconds(probe.period_s.max(1))).await;
    }
}

async fn be_ready<D: Driver>(driver: &D, probe: &Probe, target: &Target, findings: &Findings) {
    sleep(seconds(probe.initial_delay_s)).await;
    let (mut good, mut bad) = (0, 0);
    loop {
        match once(driver, probe, target).await {
            Ok(()) => (good, bad) = (good + 1, 0),
            Err(why) => {
                findings.say(format!("Readiness probe failed: {why}"));
                (good, bad) = (0, bad + 1);
            }
        }
        if good >= probe.successes.max(1) {
            findings.change(|health| health.ready = true);
        }
        if bad >= probe.failures.max(1) {
            findings.change(|health| health.ready = false);
        }
        sleep(seconds(probe.period_s.max(1))).await;
    }
}

fn seconds(s: u32) -> Duration {
    Duration::from_secs(u64::from(s))
}

async fn once<D: Driver>(driver: &D, probe: &Probe, target: &Target) -> Result<(), String> {
    let limit = seconds(probe.timeout_s.max(1));
    match timeout(limit, act(driver, &probe.action, target, probe.timeout_s)).await {
        Ok(done) => done,
        Err(_) => Err(format!("timed out after {}s", limit.as_secs())),
    }
}

/// Does it once: a probe's question, or a hook.
pub(crate) async fn act<D: Driver>(
    driver: &D,
    action: &Action,
    target: &Target,
    timeout_s: u32,
) -> Result<(), String> {
    match action {
        Action::Exec(command) => {
            let ran = driver.run(&target.id, command, u64::from(timeout_s.max(1)));
            match ran.await {
                Ok((0, _)) => Ok(()),
                Ok((code, said)) if said.trim().is_empty() => Err(format!("exit code {code}")),
                Ok((_, said)) => Err(cut(&said)),
                Err(failure) => Err(failure.message),
            }
        }
        Action::Http {
            host,
            port,
            path,
            https,
            headers,
        } => {
            let request = http::Request {
                address: address(host.as_deref(), *port, target).await?,
                host: host.as_deref(),
                port: *port,
                path,
                https: *https,
                headers,
            };
            http::get(&request).await
        }
        Action::Tcp { host, port } => {
            let address = address(host.as_deref(), *port, target).await?;
            let connected = TcpStream::connect(address).await;
            connected
                .map(drop)
                .map_err(|error| format!("dial tcp {address}: {error}"))
        }
        Action::Grpc { port, service } => {
            let address = address(None, *port, target).await?;
            http::grpc_health(address, service).await
        }
        Action::Sleep { seconds } => {
            sleep(Duration::from_secs(*seconds)).await;
            Ok(())
        }
    }
}

/// Where to connect: to the pod, unless another host is named.
async fn address(host: Option<&str>, port: u16, target: &Target) -> Result<SocketAddr, String> {
    let Some(host) = host else {
        let ip = target.ip.ok_or("the pod has no address")?;
        return Ok(SocketAddr::new(ip, port));
    };
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found = found.map_err(|error| format!("lookup {host}: {error}"))?;
    found
        .next()
        .ok_or_else(|| format!("lookup {host}: no address"))
}

fn cut(text: &str) -> String {
    let text = text.trim_end();
    let end = (0..=SAID_MAX.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text[..end.unwrap_or(0)].to_owned()
}
