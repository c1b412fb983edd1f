//! Ending containers, and removing what is left of a pod.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use weft_api::assignment::{Action, Pod, Services};
use weft_api::observed::Pod as Observed;
use weft_driver::{Driver, PodSeen};

use super::{Routes, STUCK_MAX_S, Turn, Worker};
use crate::decide::Stop;
use crate::led;
use crate::memory::SECOND;
use crate::probe::{self, Target};

/// How many seconds services may lead to a pod that is to end: as long as it would have to end, but
/// not for ever, for who says where they lead may be away.
const LED_S: RangeInclusive<u64> = 2..=10;

impl<D: Driver> Worker<D> {
    /// Ends containers, all at once; when less time is given meanwhile, it is begun anew.
    pub(super) async fn stop(&mut self, pod: &Pod, seen: &PodSeen, these: &[Stop<'_>]) {
        for one in these {
            if let Some(why) = &one.why {
                self.tell(Some(one.name), false, "Killing", why);
            }
            self.memory
                .containers
                .entry(one.name.to_owned())
                .or_default()
                .health
                .ready = false;
        }
        self.begin_changes(seen, these);
        self.say(pod, seen).await;
        let (driver, address) = (Arc::clone(&self.driver), self.address(pod, seen));
        let is_hurried = these.iter().all(|one| one.grace_s == 0);
        if self.memory.ending.is_some() && !pod.sandbox.host_network && !is_hurried {
            let grace_s = these
                .iter()
                .map(|one| one.grace_s)
                .max()
                .unwrap_or_default();
            let limit = Duration::from_secs(grace_s.clamp(*LED_S.start(), *LED_S.end()));
            let nobody_comes = until_nobody_comes(self.routes.clone(), address, limit);
            if let Turn::Otherwise = self.unless_otherwise(nobody_comes).await {
                return;
            }
        }
        let stops = these.iter().map(|one| {
            let hook = pod.init.iter().chain(&pod.containers);
            let hook = hook.filter(|wanted| wanted.name == one.name);
            let hook = hook.filter_map(|wanted| wanted.pre_stop.as_ref()).next();
            stop_one(&*driver, one, hook, address)
        });
        let stopping = join_all(stops);
        if let Turn::Done(results) = self.unless_otherwise(stopping).await {
            let mut has_failed = false;
            for (one, (hook, result)) in these.iter().zip(results) {
                if let Err(why) = hook {
                    let message = format!("PreStopHook failed: {why}");
                    self.tell(Some(one.name), true, "FailedPreStopHook", &message);
                }
                if let Err(message) = result {
                    self.tell(Some(one.name), true, "FailedKillPod", &message);
                    has_failed = true;
                }
            }
            self.rest(has_failed).await;
        }
    }

    /// Who does not end is asked again, less and less often.
    async fn rest(&mut self, has_failed: bool) {
        if !has_failed {
            self.memory.stops_failed = 0;
            return;
        }
        self.memory.stops_failed += 1;
        let wait_s = (1i64 << self.memory.stops_failed.min(10)).min(STUCK_MAX_S as i64);
        let until = (self.node.clock)() + wait_s * SECOND;
        self.wait(Some(until)).await;
    }

    pub(super) async fn remove(&mut self, seen: &PodSeen) -> bool {
        let mut done = Ok(());
        for one in &seen.containers {
            done = done.and(self.driver.remove(&one.id).await);
        }
        if done.is_ok() {
            done = self.driver.remove_sandbox(&self.id.uid).await;
        }
        let done = done.map_err(|error| error.message);
        let done = done.and_then(|()| {
            let removed = self.files.remove();
            removed.map_err(|error| format!("remove the files of pod {}: {error}", self.id.name))
        });
        if !self.or_stuck("FailedKillPod", done) {
            let until = self.memory.stuck.as_ref().map(|(_, until)| *until);
            self.wait(until).await;
            return false;
        }
        if self.last.is_some() {
            self.reports.say(Observed {
                id: self.id.clone(),
                gone: true,
                ..self.said.take().unwrap_or_default()
            });
        }
        true
    }
}

/// Whoever ends is led to no more before it hears of it: who connects meanwhile is served. The control
/// plane has said so by now, or is away.
async fn until_nobody_comes(routes: Routes, address: Option<IpAddr>, limit: Duration) {
    let Some(address) = address else { return };
    let Routes {
        mut services,
        mut led,
    } = routes;
    let gone = async {
        // What they are to be, first: it is about to be carried out.
        let leads = |services: &Arc<Services>| led::endpoints(services).any(|one| one == address);
        let _ = services.wait_for(|services| !leads(services)).await;
        let left = led.wait_for(|led| !led.leads_to(&address)).await;
        left.ok().and_then(|led| led.served_until(&address))
    };
    match tokio::time::timeout(limit, gone).await {
        Ok(None) => {}
        Ok(Some(until)) => tokio::time::sleep_until(until).await,
        Err(_) => tracing::debug!(%address, "services still lead to a pod that ends"),
    }
}

/// Ends one container: its hook first, in the time it has. Answers what came of both.
async fn stop_one<D: Driver>(
    driver: &D,
    one: &Stop<'_>,
    hook: Option<&Action>,
    ip: Option<IpAddr>,
) -> (Result<(), String>, Result<(), String>) {
    let began = tokio::time::Instant::now();
    let mut acted = Ok(());
    if let (Some(hook), true) = (hook, one.grace_s > 0) {
        let target = Target {
            id: one.id.to_owned(),
            ip,
        };
        let limit = Duration::from_secs(one.grace_s);
        let seconds = u32::try_from(one.grace_s).unwrap_or(u32::MAX);
        let acting = probe::act(driver, hook, &target, seconds);
        let late = |_| {
            let grace_s = one.grace_s;
            Err(format!(
                "it did not return in the {grace_s}s there are (terminationGracePeriodSeconds)"
            ))
        };
        acted = tokio::time::timeout(limit, acting)
            .await
            .unwrap_or_else(late);
    }
    // Whoever used up the time in the hook gets two seconds more: upstream's rule.
    let left = one.grace_s.saturating_sub(began.elapsed().as_secs());
    let left = if one.grace_s > 0 { left.max(2) } else { 0 };
    let stopped = driver.stop(one.id, left).await;
    (acted, stopped.map_err(|error| error.message))
}
