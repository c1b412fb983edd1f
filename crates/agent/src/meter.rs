//! What this node and its containers use: measured when somebody asks, and never else.
//!
//! ```text
//!   asked ─► a look a while ago? ── yes ─► one look more; the answer is what lies between
//!                                └─ no ──► two looks, a second apart
//! ```
//! Owns: that many who ask cost no more than one. A machine nobody asks about measures nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use weft_api::observed::{Usage, Used};
use weft_driver::{Driver, UsageSeen};

/// An answer is good for so long; shorter times say little.
const FRESH: Duration = Duration::from_secs(10);
/// A look that is older is none: who asks now wants to know of now.
const STALE: Duration = Duration::from_secs(60);
/// Between two looks, where there was none before.
const BETWEEN: Duration = Duration::from_secs(1);
/// USER_HZ of Linux: the unit of times in /proc.
const TICK_NS: u64 = 10_000_000;

/// Measures.
#[derive(Debug)]
pub struct Meter<D> {
    driver: Arc<D>,
    last: Mutex<Option<(Look, Usage)>>,
}

/// What was counted at one moment.
#[derive(Debug, Clone, Default)]
struct Look {
    at: Option<Instant>,
    time_ns: i64,
    /// Processor time of the whole machine since it started.
    busy_ns: u64,
    memory_bytes: u64,
    containers: Vec<UsageSeen>,
}

impl<D: Driver> Meter<D> {
    pub(crate) fn new(driver: Arc<D>) -> Meter<D> {
        Meter {
            driver,
            last: Mutex::default(),
        }
    }

    /// What is used, of late.
    pub async fn read(&self) -> Usage {
        let mut last = self.last.lock().await;
        let age = |look: &Look| look.at.map_or(STALE, |at| at.elapsed());
        let before = match &*last {
            Some((look, usage)) if age(look) < FRESH => return usage.clone(),
            Some((look, _)) if age(look) < STALE => look.clone(),
            _ => {
                let first = self.look().await;
                tokio::time::sleep(BETWEEN).await;
                first
            }
        };
        let now = self.look().await;
        let usage = between(&before, &now);
        *last = Some((now, usage.clone()));
        usage
    }

    async fn look(&self) -> Look {
        let containers = self.driver.usage().await;
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Look {
            at: Some(Instant::now()),
            time_ns: weft_stdx::clock::unix_ns(),
            busy_ns: busy_ns(&text("/proc/stat")),
            memory_bytes: memory_bytes(&text("/proc/meminfo")),
            containers,
        }
    }
}

/// What was used from one look to the next. What is not in both is new, and counts from the next on.
fn between(before: &Look, now: &Look) -> Usage {
    let window = match (before.at, now.at) {
        (Some(before), Some(now)) => now.duration_since(before),
        _ => Duration::ZERO,
    };
    let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(1);
    let rate = |before: u64, now: u64| {
        let used = u128::from(now.saturating_sub(before)) * 1_000_000_000;
        u64::try_from(used / u128::from(window_ns)).unwrap_or(u64::MAX)
    };
    let counted = |one: &UsageSeen| (one.id.clone(), one.cpu_ns);
    let earlier: BTreeMap<String, u64> = before.containers.iter().map(counted).collect();
    let mut pods = BTreeMap::<String, Vec<(String, Used)>>::new();
    for one in &now.containers {
        let Some(before) = earlier.get(&one.id) else {
            continue;
        };
        let used = Used {
            cpu_n: rate(*before, one.cpu_ns),
            memory_bytes: one.memory_bytes,
        };
        let of_pod = pods.entry(one.uid.clone()).or_default();
        of_pod.push((one.container.clone(), used));
    }
    Usage {
        time_ns: now.time_ns,
        window_ns,
        node: Used {
            cpu_n: rate(before.busy_ns, now.busy_ns),
            memory_bytes: now.memory_bytes,
        },
        pods,
    }
}

/// Processor time of /proc/stat (proc_stat(5)) in which something was done.
fn busy_ns(text: &str) -> u64 {
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal: neither the idle ones nor what others had.
    let busy = ticks
        .iter()
        .enumerate()
        .filter(|(i, _)| ![3, 4, 7].contains(i));
    busy.map(|(_, ticks)| ticks)
        .sum::<u64>()
        .saturating_mul(TICK_NS)
}

/// What of /proc/meminfo (proc_meminfo(5)) cannot be had back.
fn memory_bytes(text: &str) -> u64 {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        number.unwrap_or(0).saturating_mul(1024)
    };
    of("MemTotal:").saturating_sub(of("MemAvailable:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, cpu_ns: u64) -> UsageSeen {
        UsageSeen {
            uid: "u".to_owned(),
            container: format!("c-{id}"),
            id: id.to_owned(),
            cpu_ns,
            memory_bytes: 7,
        }
    }

    #[test]
    fn what_lies_between_two_looks_is_told_of_what_was_there_all_the_time() {
        let begun = Instant::now();
        let look = |seconds: u64, busy_ns: u64, containers: &[UsageSeen]| Look {
            at: Some(begun + Duration::from_secs(seconds)),
            busy_ns,
            memory_bytes: 9,
            containers: containers.to_vec(),
            ..Look::default()
        };
        let before = look(0, 0, &[seen("a", 1_000_000_000), seen("gone", 5)]);
        let now = look(
            4,
            6_000_000_000,
            &[seen("a", 3_000_000_000), seen("new", 4_000_000_000)],
        );
        let usage = between(&before, &now);
        assert_eq!(usage.window_ns, 4_000_000_000);
        let used = |cpu_n| Used {
            cpu_n,
            memory_bytes: 7,
        };
        assert_eq!(usage.node.cpu_n, 1_500_000_000);
        assert_eq!(usage.node.memory_bytes, 9);
        let expected = vec![("c-a".to_owned(), used(500_000_000))];
        assert_eq!(usage.pods, BTreeMap::from([("u".to_owned(), expected)]));
    }

    #[test]
    fn the_machines_own_counters_are_read() {
        assert_eq!(
            busy_ns("cpu  1 2 3 100 50 4 5 6 0 0\ncpu0 1\n"),
            15 * TICK_NS
        );
        let text = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(memory_bytes(text), 600 * 1024);
        assert_eq!(memory_bytes(""), 0);
    }
}
