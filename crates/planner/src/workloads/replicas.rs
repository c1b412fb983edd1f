//! Pods that are alike: how they are counted, and which of them are missed least.

use std::cmp::{Ordering, Reverse};

/// What a pod's status says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It does not run yet.
    #[default]
    Pending,
    /// Nobody knows.
    Unknown,
    /// It runs.
    Running,
}

/// A pod that is one of several, and not at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replica {
    /// What tells it from all others.
    pub uid: String,
    /// Whether it has a node.
    pub is_assigned: bool,
    /// How far it is.
    pub phase: Phase,
    /// Since when it is ready, if it is; seconds.
    pub ready_since_s: Option<i64>,
    /// When it was made; seconds.
    pub created_s: i64,
    /// How often its containers began anew, the most of one.
    pub restarts: u32,
    /// What its removal is said to cost.
    pub cost: i32,
    /// How many of its kin are on the same node.
    pub beside: u32,
    /// Whether it has all labels of the template.
    pub is_labelled: bool,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub all: u32,
    /// With all labels of the template.
    pub labelled: u32,
    /// Ready.
    pub ready: u32,
    /// Ready for long enough.
    pub available: u32,
    /// In how many seconds the next one is available, if it stays ready.
    pub next_s: Option<u64>,
}

impl Replica {
    /// In how many seconds it has been ready for long enough; 0: it has. Nothing: it is not ready.
    pub fn available_in_s(&self, min_ready_s: i64, now_s: i64) -> Option<u64> {
        let since = self.ready_since_s?;
        let left = since.saturating_add(min_ready_s).saturating_sub(now_s);
        Some(match min_ready_s {
            // Without a wait it does not matter what the clock said.
            0 => 0,
            _ => u64::try_from(left).unwrap_or(0),
        })
    }
}

/// Counts them.
pub fn counts(replicas: &[Replica], min_ready_s: i64, now_s: i64) -> Counts {
    let mut counts = Counts::default();
    for replica in replicas {
        counts.all += 1;
        counts.labelled += u32::from(replica.is_labelled);
        let Some(left) = replica.available_in_s(min_ready_s, now_s) else {
            continue;
        };
        counts.ready += 1;
        if left == 0 {
            counts.available += 1;
        } else {
            counts.next_s = Some(counts.next_s.map_or(left, |next| next.min(left)));
        }
    }
    counts
}

/// Which `count` of them go first (Kubernetes, "ReplicaSet", scaling down): those without a node,
/// not running, not ready; then those that cost least; then those that share their node with most of
/// their kin, and the younger ones. Ages count by their magnitude only.
pub fn victims(replicas: &[Replica], count: usize, now_s: i64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..replicas.len()).collect();
    order.sort_by(|one, other| compare(&replicas[*one], &replicas[*other], now_s));
    order.truncate(count);
    order
}

fn compare(one: &Replica, other: &Replica, now_s: i64) -> Ordering {
    let first = |replica: &Replica| {
        (
            replica.is_assigned,
            replica.phase,
            replica.ready_since_s.is_some(),
            replica.cost,
            Reverse(replica.beside),
        )
    };
    let age = |at: i64| magnitude(now_s.saturating_sub(at));
    let last = |replica: &Replica| {
        (
            replica.ready_since_s.map(age),
            Reverse(replica.restarts),
            age(replica.created_s),
        )
    };
    let ordered = first(one).cmp(&first(other));
    let ordered = ordered.then_with(|| last(one).cmp(&last(other)));
    ordered.then_with(|| one.uid.cmp(&other.uid))
}

/// Twice as old is one more.
fn magnitude(age: i64) -> u32 {
    match u64::try_from(age) {
        Ok(age) => 64 - age.leading_zeros(),
        // Made in the future: a clock was set.
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10_000;

    fn good(uid: &str) -> Replica {
        Replica {
            uid: uid.to_owned(),
            is_assigned: true,
            phase: Phase::Running,
            ready_since_s: Some(1000),
            created_s: 900,
            is_labelled: true,
            ..Replica::default()
        }
    }

    #[test]
    fn who_is_missed_least_goes_first() {
        let kept = good("z");
        for (why, goes) in [
            (
                "no node",
                Replica {
                    is_assigned: false,
                    ..good("zz")
                },
            ),
            (
                "pending",
                Replica {
                    phase: Phase::Pending,
                    ..good("zz")
                },
            ),
            (
                "unknown",
                Replica {
                    phase: Phase::Unknown,
                    ..good("zz")
                },
            ),
            (
                "not ready",
                Replica {
                    ready_since_s: None,
                    ..good("zz")
                },
            ),
            (
                "cheaper",
                Replica {
                    cost: -1,
                    ..good("zz")
                },
            ),
            (
                "crowded",
                Replica {
                    beside: 1,
                    ..good("zz")
                },
            ),
            (
                "ready later",
                Replica {
                    ready_since_s: Some(9990),
                    ..good("zz")
                },
            ),
            (
                "restarted",
                Replica {
                    restarts: 3,
                    ..good("zz")
                },
            ),
            (
                "younger",
                Replica {
                    created_s: 9990,
                    ..good("zz")
                },
            ),
        ] {
            assert_eq!(victims(&[kept.clone(), goes.clone()], 1, NOW), [1], "{why}");
            assert_eq!(victims(&[goes, kept.clone()], 1, NOW), [0], "{why}");
        }
        // What is said of cost weighs less than what does not work, and more than the rest.
        let broken = Replica {
            ready_since_s: None,
            cost: 100,
            ..good("a")
        };
        let cheap = Replica {
            cost: -100,
            ..good("b")
        };
        let crowded = Replica {
            beside: 5,
            ..good("c")
        };
        assert_eq!(victims(&[crowded, cheap, broken], 3, NOW), [2, 1, 0]);
        assert_eq!(victims(&[good("b"), good("a")], 5, NOW), [1, 0]);
        assert!(victims(&[good("a")], 0, NOW).is_empty());
    }

    #[test]
    fn a_little_younger_is_as_old() {
        let older = Replica {
            created_s: 2000,
            ready_since_s: Some(2000),
            ..good("a")
        };
        let younger = Replica {
            created_s: 2100,
            ready_since_s: Some(2100),
            ..good("b")
        };
        assert_eq!(victims(&[older, younger], 1, NOW), [0], "by their ids");
        // A clock that was set back makes no pod vanish from the order.
        let future = Replica {
            created_s: NOW + 50,
            ready_since_s: Some(NOW + 50),
            ..good("c")
        };
        assert_eq!(victims(&[good("d"), future], 1, NOW), [1]);
    }

    #[test]
    fn they_are_available_when_they_were_ready_for_long_enough() {
        let at = |since| Replica {
            ready_since_s: since,
            ..good("a")
        };
        let all = [
            at(Some(NOW - 30)),
            at(Some(NOW - 4)),
            at(Some(NOW - 7)),
            at(None),
            at(Some(NOW + 5)),
        ];
        let found = counts(&all, 10, NOW);
        let expected = Counts {
            all: 5,
            labelled: 5,
            ready: 4,
            available: 1,
            next_s: Some(3),
        };
        assert_eq!(found, expected);
        let at_once = counts(&all, 0, NOW);
        assert_eq!((at_once.available, at_once.next_s), (4, None));
        let far = counts(&[at(Some(i64::MAX))], 10, i64::MIN);
        assert_eq!(far.available, 0);
    }
}
