//! A reflector of kube-rs that notes what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::reflector::{self, Store};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};

/// Names and revisions.
pub(super) type Maps = BTreeMap<String, u64>;

pub(super) fn revision(map: &ConfigMap) -> u64 {
    map.resource_version().unwrap().parse().unwrap()
}

pub(super) fn named<'a>(maps: impl Iterator<Item = &'a ConfigMap>) -> Maps {
    maps.map(|map| (map.name_any(), revision(map))).collect()
}

/// What a reflector was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How often it began anew.
    pub(super) beginnings: usize,
    /// Revisions of what was made, changed or deleted.
    pub(super) changes: BTreeSet<u64>,
    /// Identities of what was deleted.
    pub(super) gone: BTreeSet<String>,
    /// What was told twice, or in the wrong order.
    pub(super) mistakes: Vec<String>,
    last: u64,
}

impl Told {
    fn note(&mut self, event: &Event<ConfigMap>) {
        match event {
            Event::Init => self.beginnings += 1,
            Event::InitDone => {}
            Event::InitApply(map) => self.last = self.last.max(revision(map)),
            Event::Apply(map) => self.change(map),
            Event::Delete(map) => {
                self.change(map);
                self.gone.insert(map.uid().unwrap());
            }
        }
    }

    fn change(&mut self, map: &ConfigMap) {
        let at = revision(map);
        if at <= self.last {
            let (name, last) = (map.name_any(), self.last);
            self.mistakes.push(format!("{name} at {at}, after {last}"));
        }
        if self.gone.contains(&map.uid().unwrap()) {
            let name = map.name_any();
            self.mistakes
                .push(format!("{name} at {at}, which was deleted"));
        }
        self.last = self.last.max(at);
        self.changes.insert(at);
    }
}

pub(super) struct Reflector {
    pub(super) store: Store<ConfigMap>,
    told: Arc<Mutex<Told>>,
}

impl Reflector {
    pub(super) fn start(maps: Api<ConfigMap>, config: Config) -> Reflector {
        let (store, writer) = reflector::store();
        let told = Arc::new(Mutex::new(Told::default()));
        let noted = Arc::clone(&told);
        tokio::spawn(async move {
            let stream = watcher(maps, config).backoff(Briefly).reflect(writer);
            let mut stream = std::pin::pin!(stream);
            while let Some(event) = stream.next().await {
                // Errors are connections that break, and what kube-rs begins anew for.
                if let Ok(event) = event {
                    noted.lock().unwrap().note(&event);
                }
            }
        });
        Reflector { store, told }
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    pub(super) fn state(&self) -> Maps {
        let state = self.store.state();
        named(state.iter().map(AsRef::as_ref))
    }
}

/// How long kube-rs waits before it tries again; by itself up to half a minute.
struct Briefly;

impl Iterator for Briefly {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }
}

impl Backoff for Briefly {
    fn reset(&mut self) {}
}
