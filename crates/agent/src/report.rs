//! What an agent says of its pods and of services, until somebody takes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weft_api::observed::{Event, Pod};

/// Events that nobody has taken; the oldest go first.
const EVENTS_MAX: usize = 4096;

/// Reports that wait to be taken, the last of each pod. Bounded by the pods there are.
#[derive(Debug, Default)]
pub struct Reports {
    inner: Mutex<Inner>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    generation: u64,
    pods: BTreeMap<String, Pod>,
    events: VecDeque<Event>,
    /// Volumes whose data is gone. Bounded by those that were to go.
    discarded: BTreeSet<String>,
}

impl Reports {
    /// Waits for what is new, and takes it.
    pub async fn take(&self) -> (Vec<Pod>, Vec<Event>, BTreeSet<String>) {
        loop {
            {
                let mut inner = self.lock();
                let is_nothing = inner.pods.is_empty() && inner.events.is_empty();
                if !is_nothing || !inner.discarded.is_empty() {
                    let pods = std::mem::take(&mut inner.pods);
                    let events = std::mem::take(&mut inner.events);
                    let discarded = std::mem::take(&mut inner.discarded);
                    return (pods.into_values().collect(), events.into(), discarded);
                }
            }
            self.more.notified().await;
        }
    }

    pub(crate) fn say(&self, pod: Pod) {
        self.lock().pods.insert(pod.id.uid.clone(), pod);
        self.more.notify_one();
    }

    pub(crate) fn tell(&self, event: Event) {
        let mut inner = self.lock();
        if inner.events.len() >= EVENTS_MAX {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
        drop(inner);
        self.more.notify_one();
    }

    pub(crate) fn discarded(&self, volume: &str) {
        self.lock().discarded.insert(volume.to_owned());
        self.more.notify_one();
    }

    pub(crate) fn reached(&self, generation: u64) {
        self.lock().generation = generation;
    }

    /// The newest assignment that its pods are to be like.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
