//! What is to be looked at, and when.
//!
//! ```text
//!   marked ──► due ──► taken ──► done ──► until what was written is seen
//!                ▲       │ marked meanwhile: once more
//!                └───────┴── later: because time goes by, or because it failed
//! ```
//!
//! Owns: that a key is with one only, that it is not decided again before the writes of the last
//! time are seen, and that what fails waits longer each time. Never: what is done.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;
use weft_keyspace::Revision;

/// First wait after a failure; it doubles with each.
const FAILED: Duration = Duration::from_millis(20);
/// Longest wait after a failure.
const FAILED_MAX: Duration = Duration::from_secs(60);

/// Keys that are to be looked at. Bound by the objects there are.
#[derive(Debug)]
pub(super) struct Queue<K> {
    due: BTreeSet<K>,
    later: HashMap<K, Instant>,
    /// The same, in the order of time.
    times: BTreeSet<(Instant, K)>,
    /// Not before this is seen.
    after: HashMap<K, Revision>,
    taken: HashSet<K>,
    failures: HashMap<K, u32>,
}

/// What became of a key that was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// What has to be seen before it is looked at again.
    pub(super) written: Revision,
    /// When to look again, whatever happens.
    pub(super) again: Option<Duration>,
    pub(super) has_failed: bool,
}

impl<K> Default for Queue<K> {
    fn default() -> Queue<K> {
        Queue {
            due: BTreeSet::new(),
            later: HashMap::new(),
            times: BTreeSet::new(),
            after: HashMap::new(),
            taken: HashSet::new(),
            failures: HashMap::new(),
        }
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// It is to be looked at; what has failed waits for its time, or it would be tried at each
    /// change that its own failing brings.
    pub(super) fn mark(&mut self, key: K) {
        if !self.failures.contains_key(&key) || self.taken.contains(&key) {
            self.make_due(key);
        }
    }

    /// It is another than what failed: it does not wait.
    pub(super) fn renew(&mut self, key: K) {
        self.failures.remove(&key);
        self.make_due(key);
    }

    fn make_due(&mut self, key: K) {
        self.not_later(&key);
        self.due.insert(key);
    }

    fn not_later(&mut self, key: &K) {
        if let Some(at) = self.later.remove(key) {
            self.times.remove(&(at, key.clone()));
        }
    }

    /// Takes one that is due, of which all that was written is seen.
    pub(super) fn take(&mut self, seen: Revision, now: Instant) -> Option<K> {
        while let Some((at, key)) = self.times.first().filter(|(at, _)| *at <= now) {
            let (at, key) = (*at, key.clone());
            self.times.remove(&(at, key.clone()));
            self.later.remove(&key);
            self.due.insert(key);
        }
        let is_free = |key: &&K| {
            let is_seen = self.after.get(key).is_none_or(|after| *after <= seen);
            is_seen && !self.taken.contains(key)
        };
        let key = self.due.iter().find(is_free)?.clone();
        self.due.remove(&key);
        self.after.remove(&key);
        self.taken.insert(key.clone());
        Some(key)
    }

    /// It was looked at.
    pub(super) fn done(&mut self, key: K, outcome: Outcome, now: Instant) {
        self.taken.remove(&key);
        self.after.insert(key.clone(), outcome.written);
        let again = match outcome.has_failed {
            true => {
                let failures = self.failures.entry(key.clone()).or_default();
                let wait = FAILED.saturating_mul(1 << (*failures).min(16));
                *failures += 1;
                // It is not tried at once, whatever was heard of meanwhile.
                self.due.remove(&key);
                Some(wait.min(FAILED_MAX))
            }
            false => {
                self.failures.remove(&key);
                outcome.again
            }
        };
        if let Some(again) = again.filter(|_| !self.due.contains(&key)) {
            self.not_later(&key);
            self.times.insert((now + again, key.clone()));
            self.later.insert(key, now + again);
        }
    }

    /// It is gone.
    pub(super) fn forget(&mut self, key: &K) {
        self.due.remove(key);
        self.not_later(key);
        self.failures.remove(key);
        self.after.remove(key);
    }

    /// When the next one is due by time.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.times.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Outcome = Outcome {
        written: Revision(5),
        again: None,
        has_failed: false,
    };
    const FAILS: Outcome = Outcome {
        has_failed: true,
        ..DONE
    };

    #[test]
    fn nothing_is_decided_before_its_own_writes_are_seen() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.mark("a");
        assert_eq!(queue.take(Revision(1), now), Some("a"));
        queue.mark("a");
        queue.mark("b");
        assert_eq!(
            queue.take(Revision(1), now),
            Some("b"),
            "a is with somebody"
        );
        queue.done("a", DONE, now);
        assert_eq!(
            queue.take(Revision(4), now),
            None,
            "its writes are not seen"
        );
        assert_eq!(queue.take(Revision(5), now), Some("a"));
        assert_eq!(queue.take(Revision(5), now), None);
    }

    #[test]
    fn failures_wait_longer_each_time_and_keep_nobody_else() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        queue.mark("a");
        let mut waited = Vec::new();
        for _ in 0..20 {
            assert_eq!(queue.take(Revision(5), now), Some("a"));
            queue.done("a", FAILS, now);
            queue.mark("a");
            queue.mark("b");
            assert_eq!(queue.take(Revision(5), now), Some("b"));
            queue.done("b", DONE, now);
            assert_eq!(queue.take(Revision(5), now), None);
            let next = queue.next_at().unwrap();
            waited.push(next - now);
            now = next;
        }
        assert_eq!(&waited[..3], [FAILED, FAILED * 2, FAILED * 4]);
        assert_eq!(waited[19], FAILED_MAX);
        assert_eq!(queue.take(Revision(5), now), Some("a"));
        queue.done("a", DONE, now);
        queue.mark("a");
        assert_eq!(queue.take(Revision(5), now), Some("a"), "it is well again");
    }

    #[test]
    fn time_brings_it_back() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.mark("a");
        queue.take(Revision(5), now);
        let again = Some(Duration::from_secs(3));
        queue.done("a", Outcome { again, ..DONE }, now);
        assert_eq!(queue.take(Revision(5), now), None);
        let later = queue.next_at().unwrap();
        assert_eq!(queue.take(Revision(5), later), Some("a"));
        queue.done("a", Outcome { again, ..DONE }, later);
        queue.forget(&"a");
        assert_eq!(queue.next_at(), None);
    }
}
