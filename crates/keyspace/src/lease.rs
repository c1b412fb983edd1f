//! Leases: which there are, until when, and the keys under them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::item::LeaseId;

#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) ttl: Duration,
    pub(crate) deadline: Instant,
    pub(crate) keys: BTreeSet<Bytes>,
}

impl Lease {
    pub(crate) fn new(ttl: Duration, now: Instant) -> Lease {
        Lease {
            ttl,
            deadline: until(now, ttl),
            keys: BTreeSet::new(),
        }
    }
}

/// A century is as good as for ever, and can be added to any time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86400);

fn until(now: Instant, ttl: Duration) -> Instant {
    now + ttl.min(LONGEST)
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    leases: HashMap<LeaseId, Lease>,
}

impl Leases {
    /// An id that no lease has or, at random, had.
    pub(crate) fn unused(&self) -> LeaseId {
        loop {
            let random = u64::from_str_radix(&weft_stdx::id::random_hex(8), 16);
            // etcd's are signed, and not 0.
            let id = LeaseId(random.unwrap_or(0) >> 1);
            if id.0 != 0 && !self.leases.contains_key(&id) {
                return id;
            }
        }
    }

    pub(crate) fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.leases.insert(id, lease);
    }

    pub(crate) fn remove(&mut self, id: LeaseId) -> Option<Lease> {
        self.leases.remove(&id)
    }

    pub(crate) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    /// Whether the lease is there and its time is not over: over is over, even where its keys
    /// could not be deleted yet.
    pub(crate) fn alive(&self, id: LeaseId, now: Instant) -> bool {
        self.get(id).is_some_and(|lease| now < lease.deadline)
    }

    /// False when it is over.
    pub(crate) fn renew(&mut self, id: LeaseId, now: Instant) -> bool {
        let Some(lease) = self.leases.get_mut(&id).filter(|l| now < l.deadline) else {
            return false;
        };
        lease.deadline = until(now, lease.ttl);
        true
    }

    pub(crate) fn attach(&mut self, id: Option<LeaseId>, key: &Bytes) {
        if let Some(lease) = id.and_then(|id| self.leases.get_mut(&id)) {
            lease.keys.insert(key.clone());
        }
    }

    pub(crate) fn detach(&mut self, id: Option<LeaseId>, key: &Bytes) {
        if let Some(lease) = id.and_then(|id| self.leases.get_mut(&id)) {
            lease.keys.remove(key);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.leases.values().map(|lease| lease.deadline).min()
    }

    pub(crate) fn expired(&self, now: Instant) -> Vec<LeaseId> {
        let over = self.leases.iter().filter(|(_, l)| l.deadline <= now);
        over.map(|(id, _)| *id).collect()
    }
}
