//! What a pod has on disk, against its limits: who has more is evicted (Kubernetes, "Local ephemeral
//! storage"). A pod without such limits is never looked at.
//!
//! ```text
//!   limits ─► every ten seconds: volumes (their files), containers (the driver) ─► over ─► told once
//! ```
//! Never: ends anything; the worker does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use weft_api::assignment::{Pod, Refusal, Volume};
use weft_driver::Driver;

use crate::volumes::Files;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Whoever takes long to be measured is measured less often: a look takes a part of the time only.
const SHARE: u32 = 10;
/// Seconds that who is evicted is given at most: upstream's. Nobody gets less than two.
pub(crate) const GRACE_S: u64 = 1;
const REASON: &str = "Evicted";

/// Whether a pod has failed because it was evicted.
pub(crate) fn is_eviction(failed: Option<&Refusal>) -> bool {
    failed.is_some_and(|why| why.reason == REASON)
}

/// Measures a pod until it is dropped, or has found something.
#[derive(Debug)]
pub(crate) struct Watch {
    found: Arc<Mutex<Option<Refusal>>>,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Why the pod is to go.
    pub fn found(&self) -> Option<Refusal> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }
}

/// What a pod may have, in bytes.
#[derive(Debug, Default, Clone, PartialEq)]
struct Limits {
    /// Volumes on disk that have one, by name.
    volumes: BTreeMap<String, u64>,
    /// Containers that have one, by name.
    containers: BTreeMap<String, u64>,
}

impl Limits {
    fn of(pod: &Pod) -> Limits {
        let volumes = pod.volumes.iter();
        let volumes = volumes.filter_map(|(name, volume)| match volume {
            // Those in memory are bounded by what they are made of.
            Volume::Empty {
                memory: false,
                size_limit: Some(limit),
            } => Some((name.clone(), *limit)),
            _ => None,
        });
        let containers = pod.init.iter().chain(&pod.containers);
        let containers =
            containers.filter_map(|one| Some((one.name.clone(), one.resources.disk_limit_bytes?)));
        Limits {
            volumes: volumes.collect(),
            containers: containers.collect(),
        }
    }

    fn is_none(&self) -> bool {
        self.volumes.is_empty() && self.containers.is_empty()
    }

    /// What all together may have, if there is a limit. Init containers that end are there before the
    /// others: as with other resources the most of theirs counts, or what the others have.
    fn whole(&self, pod: &Pod) -> Option<u64> {
        let of = |name: &str| self.containers.get(name).copied().unwrap_or(0);
        let (mut stay, mut most) = (0_u64, 0_u64);
        for one in &pod.init {
            if one.sidecar {
                stay = stay.saturating_add(of(&one.name));
            } else {
                most = most.max(stay.saturating_add(of(&one.name)));
            }
        }
        let others = pod.containers.iter().map(|one| of(&one.name));
        let sum = others.fold(stay, u64::saturating_add);
        (!self.containers.is_empty()).then_some(sum.max(most))
    }
}

/// What a pod has, in bytes.
#[derive(Debug, Default, Clone, PartialEq)]
struct Used {
    /// All its volumes on disk.
    volumes: BTreeMap<String, u64>,
    /// The last run of each container.
    containers: BTreeMap<String, u64>,
}

/// Why a pod has more than it may have.
fn exceeds(pod: &Pod, limits: &Limits, used: &Used) -> Option<Refusal> {
    let over = |name: &str, limit: u64, of: &BTreeMap<String, u64>| {
        let used = of.get(name).copied().unwrap_or(0);
        (used > limit).then_some(used)
    };
    let refuse = |message: String| Refusal {
        reason: REASON.to_owned(),
        message,
    };
    for (name, limit) in &limits.volumes {
        if let Some(used) = over(name, *limit, &used.volumes) {
            return Some(refuse(format!(
                "emptyDir volume {name:?} has {used} bytes on disk, its sizeLimit is {limit}"
            )));
        }
    }
    let all = used.volumes.values().chain(used.containers.values());
    let all = all.fold(0_u64, |sum, one| sum.saturating_add(*one));
    if let Some(limit) = limits.whole(pod).filter(|limit| all > *limit) {
        return Some(refuse(format!(
            "the pod has {all} bytes of ephemeral storage on disk (its containers, their logs and its \
             emptyDir volumes), the limit of its containers together is {limit}"
        )));
    }
    for (name, limit) in &limits.containers {
        if let Some(used) = over(name, *limit, &used.containers) {
            return Some(refuse(format!(
                "container {name:?} has {used} bytes of ephemeral storage on disk (what it has written \
                 and its log), its limit is {limit}"
            )));
        }
    }
    None
}

/// Begins to measure a pod, if it has limits. `wake` hears when something is found.
pub(crate) fn watch<D: Driver>(
    pod: &Pod,
    driver: Arc<D>,
    files: &Files,
    wake: Arc<Notify>,
) -> Option<Watch> {
    let limits = Limits::of(pod);
    if limits.is_none() {
        return None;
    }
    let volumes = pod.volumes.iter();
    let volumes = volumes
        .filter(|(_, volume)| matches!(volume, Volume::Empty { memory: false, .. }))
        .map(|(name, _)| (name.clone(), files.volume(name)));
    let volumes: BTreeMap<String, PathBuf> = volumes.collect();
    let found: Arc<Mutex<Option<Refusal>>> = Arc::default();
    let finds = Arc::clone(&found);
    let pod = pod.clone();
    let task = tokio::spawn(async move {
        let why = look_on(&*driver, &pod, &limits, &volumes).await;
        *finds.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        wake.notify_one();
    });
    Some(Watch {
        found,
        task: task.abort_handle(),
    })
}

/// Looks until there is something wrong.
async fn look_on<D: Driver>(
    driver: &D,
    pod: &Pod,
    limits: &Limits,
    volumes: &BTreeMap<String, PathBuf>,
) -> Refusal {
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let used = look(driver, &pod.id.uid, volumes).await;
        if let Some(why) = exceeds(pod, limits, &used) {
            return why;
        }
        pause = EVERY.max(began.elapsed() * SHARE);
    }
}

async fn look<D: Driver>(driver: &D, uid: &str, volumes: &BTreeMap<String, PathBuf>) -> Used {
    let mut last = BTreeMap::new();
    for one in driver.pod(uid).containers {
        let before: Option<&(u32, String)> = last.get(&one.name);
        if before.is_none_or(|(attempt, _)| *attempt <= one.attempt) {
            last.insert(one.name, (one.attempt, one.id));
        }
    }
    let mut used = Used::default();
    for (name, (_, id)) in last {
        match driver.disk(&id).await {
            Ok(bytes) => drop(used.containers.insert(name, bytes)),
            Err(error) => tracing::warn!(%error, uid, name, "a container cannot be measured"),
        }
    }
    for (name, path) in volumes {
        let path = path.clone();
        let measured = tokio::task::spawn_blocking(move || weft_stdx::disk::used(&path)).await;
        match measured {
            Ok(Ok(bytes)) => drop(used.volumes.insert(name.clone(), bytes)),
            Ok(Err(error)) => tracing::warn!(%error, uid, name, "a volume cannot be measured"),
            Err(error) => tracing::error!(%error, uid, name, "a volume was not measured"),
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use weft_api::assignment::{Container, Resources};

    use super::*;

    fn container(name: &str, disk_limit_bytes: Option<u64>, sidecar: bool) -> Container {
        Container {
            name: name.to_owned(),
            resources: Resources {
                disk_limit_bytes,
                ..Resources::default()
            },
            sidecar,
            ..Container::default()
        }
    }

    fn empty(memory: bool, size_limit: Option<u64>) -> Volume {
        Volume::Empty { memory, size_limit }
    }

    fn used(volumes: &[(&str, u64)], containers: &[(&str, u64)]) -> Used {
        let map = |all: &[(&str, u64)]| {
            let all = all.iter();
            all.map(|(name, bytes)| ((*name).to_owned(), *bytes))
                .collect()
        };
        Used {
            volumes: map(volumes),
            containers: map(containers),
        }
    }

    #[test]
    fn only_what_is_limited_is_looked_at() {
        let mut pod = Pod::default();
        pod.containers.push(container("a", None, false));
        pod.volumes.insert("m".to_owned(), empty(true, Some(1)));
        pod.volumes.insert("v".to_owned(), empty(false, None));
        assert!(Limits::of(&pod).is_none());
        pod.containers.push(container("b", Some(0), false));
        assert!(!Limits::of(&pod).is_none());
    }

    #[test]
    fn each_limit_is_one_of_its_own() {
        let init = [("i", Some(30), false), ("s", Some(5), true)];
        let containers = [("a", Some(10), false), ("b", None, false)];
        let all = |all: [(&str, Option<u64>, bool); 2]| {
            let all = all.into_iter();
            all.map(|(name, limit, sidecar)| container(name, limit, sidecar))
                .collect()
        };
        let mut pod = Pod {
            init: all(init),
            containers: all(containers),
            ..Pod::default()
        };
        pod.volumes.insert("v".to_owned(), empty(false, Some(7)));
        pod.volumes.insert("w".to_owned(), empty(false, None));
        let limits = Limits::of(&pod);
        assert_eq!(limits.whole(&pod), Some(30));
        let says = |used: &Used| exceeds(&pod, &limits, used).map(|why| why.message);
        assert_eq!(says(&used(&[("v", 7)], &[("a", 10), ("s", 5)])), None);
        let why = says(&used(&[("v", 8)], &[])).unwrap();
        assert!(
            why.starts_with("emptyDir volume \"v\" has 8 bytes"),
            "{why}"
        );
        // Who has no limit counts for all.
        let why = says(&used(&[("w", 20)], &[("b", 11)])).unwrap();
        assert!(why.starts_with("the pod has 31 bytes"), "{why}");
        let why = says(&used(&[], &[("a", 11)])).unwrap();
        assert!(why.starts_with("container \"a\" has 11 bytes"), "{why}");
    }
}
