//! What a health check asks for, and what a probe's result means. Pure.
//!
//! ```text
//!                    a probe succeeds
//!   starting ─────────────────────────▶ healthy
//!      │                                │    ▲
//!      │ `retries` failures in a row,   ▼    │ a probe succeeds
//!      └──────────────────────────▶ unhealthy
//!        (in the start period none counts)
//! ```

use std::time::Duration;

use crate::container::record::{Health, HealthStatus, Probe};
use crate::spec::Resolved;

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;
/// Probes that are remembered.
const LOG_MAX: usize = 5;

/// A health check with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub args: Vec<String>,
    pub timeout: Duration,
    interval: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Check {
    /// `None` when nothing is to be probed.
    pub fn of(resolved: &Resolved) -> Option<Self> {
        let health = resolved.health.as_ref()?;
        let (kind, rest) = health.test.split_first()?;
        let mut args = match kind.as_str() {
            "CMD" => Vec::new(),
            "CMD-SHELL" if resolved.shell.is_empty() => vec!["/bin/sh".into(), "-c".into()],
            "CMD-SHELL" => resolved.shell.clone(),
            _ => return None,
        };
        args.extend(rest.iter().cloned());
        let or = |ns: u64, default| match ns {
            0 => default,
            ns => Duration::from_nanos(ns),
        };
        (!rest.is_empty()).then(|| Self {
            args,
            timeout: or(health.timeout_ns, TIMEOUT),
            interval: or(health.interval_ns, INTERVAL),
            start_period: Duration::from_nanos(health.start_period_ns),
            start_interval: or(health.start_interval_ns, START_INTERVAL),
            retries: match health.retries {
                0 => RETRIES,
                retries => retries,
            },
        })
    }

    /// How long after the last probe, or the start, the next one comes.
    pub fn pause(&self, health: Option<&Health>, started_at_ns: i64, now_ns: i64) -> Duration {
        let starting = health.is_none_or(|h| h.status == HealthStatus::Starting);
        if starting && self.in_start_period(started_at_ns, now_ns) {
            self.start_interval
        } else {
            self.interval
        }
    }

    /// What is left of that pause when an earlier engine has probed before.
    pub fn rest_of_pause(
        &self,
        health: Option<&Health>,
        started_at_ns: i64,
        now_ns: i64,
    ) -> Duration {
        let last = health.and_then(|h| h.log.last()).map(|p| p.ended_at_ns);
        let since = now_ns.saturating_sub(last.unwrap_or(started_at_ns));
        let since = Duration::from_nanos(u64::try_from(since).unwrap_or(0));
        self.pause(health, started_at_ns, now_ns)
            .saturating_sub(since)
    }

    /// Takes a probe's result into account.
    pub fn judge(&self, health: &mut Health, probe: Probe, started_at_ns: i64) {
        if probe.exit_code == 0 {
            health.failing_streak = 0;
            health.status = HealthStatus::Healthy;
        } else if health.status != HealthStatus::Starting
            || !self.in_start_period(started_at_ns, probe.started_at_ns)
        {
            health.failing_streak = health.failing_streak.saturating_add(1);
            if health.failing_streak >= self.retries {
                health.status = HealthStatus::Unhealthy;
            }
        }
        health.log.push(probe);
        let old = health.log.len().saturating_sub(LOG_MAX);
        health.log.drain(..old);
    }

    fn in_start_period(&self, started_at_ns: i64, now_ns: i64) -> bool {
        let since = now_ns.saturating_sub(started_at_ns);
        u128::try_from(since).is_ok_and(|since| since < self.start_period.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::HealthSpec;

    const SECOND: u64 = 1_000_000_000;

    fn check(health: HealthSpec) -> Option<Check> {
        Check::of(&Resolved {
            health: Some(health),
            ..Resolved::default()
        })
    }

    fn test(words: &[&str]) -> HealthSpec {
        HealthSpec {
            test: words.iter().map(|w| (*w).to_owned()).collect(),
            ..HealthSpec::default()
        }
    }

    fn probe(at_s: i64, exit_code: i32) -> Probe {
        Probe {
            started_at_ns: at_s * 1_000_000_000,
            ended_at_ns: at_s * 1_000_000_000,
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn kinds_of_tests() {
        let args = |words: &[&str]| check(test(words)).map(|c| c.args.join(" "));
        assert_eq!(args(&["CMD", "a", "b"]).as_deref(), Some("a b"));
        assert_eq!(
            args(&["CMD-SHELL", "a | b"]).as_deref(),
            Some("/bin/sh -c a | b")
        );
        for none in [&["NONE"][..], &[], &["CMD"], &["CMD-SHELL"], &["HTTP", "x"]] {
            assert_eq!(args(none), None, "{none:?}");
        }
        let own = Resolved {
            health: Some(test(&["CMD-SHELL", "x"])),
            shell: vec!["/bin/ash".into(), "-ec".into()],
            ..Resolved::default()
        };
        assert_eq!(Check::of(&own).unwrap().args, ["/bin/ash", "-ec", "x"]);
        assert_eq!(Check::of(&Resolved::default()), None);
    }

    #[test]
    fn zeros_are_dockers_defaults() {
        let check = check(test(&["CMD", "x"])).unwrap();
        assert_eq!(check.interval, INTERVAL);
        assert_eq!(check.timeout, TIMEOUT);
        assert_eq!(check.retries, 3);
        assert_eq!(check.pause(None, 0, 0), INTERVAL);
    }

    #[test]
    fn a_streak_makes_unhealthy_and_one_success_healthy() {
        let check = check(HealthSpec {
            retries: 2,
            ..test(&["CMD", "x"])
        })
        .unwrap();
        let mut health = Health::default();
        for (code, status, streak) in [
            (1, HealthStatus::Starting, 1),
            (1, HealthStatus::Unhealthy, 2),
            (-1, HealthStatus::Unhealthy, 3),
            (0, HealthStatus::Healthy, 0),
            (2, HealthStatus::Healthy, 1),
            (0, HealthStatus::Healthy, 0),
        ] {
            check.judge(&mut health, probe(1, code), 0);
            assert_eq!((health.status, health.failing_streak), (status, streak));
        }
        let codes: Vec<_> = health.log.iter().map(|p| p.exit_code).collect();
        assert_eq!(codes, [1, -1, 0, 2, 0]);
    }

    #[test]
    fn in_the_start_period_failures_do_not_count_and_probes_come_sooner() {
        let check = check(HealthSpec {
            retries: 1,
            interval_ns: 60 * SECOND,
            start_period_ns: 10 * SECOND,
            start_interval_ns: SECOND,
            ..test(&["CMD", "x"])
        })
        .unwrap();
        let mut health = Health::default();
        let pause = |health: &Health, at: i64| check.pause(Some(health), 0, at * 1_000_000_000);
        assert_eq!(pause(&health, 1).as_secs(), 1);
        check.judge(&mut health, probe(9, 1), 0);
        assert_eq!(
            (health.status, health.failing_streak),
            (HealthStatus::Starting, 0)
        );
        assert_eq!(pause(&health, 10).as_secs(), 60);
        check.judge(&mut health, probe(10, 1), 0);
        assert_eq!(health.status, HealthStatus::Unhealthy);
        // Healthy once, the start is over.
        let mut health = Health::default();
        check.judge(&mut health, probe(1, 0), 0);
        assert_eq!(pause(&health, 2).as_secs(), 60);
        check.judge(&mut health, probe(2, 1), 0);
        assert_eq!(health.status, HealthStatus::Unhealthy);
    }

    #[test]
    fn what_an_earlier_engine_waited_counts() {
        let check = check(test(&["CMD", "x"])).unwrap();
        let mut health = Health::default();
        let rest = |health: &Health, at: i64| {
            check
                .rest_of_pause(Some(health), 0, at * 1_000_000_000)
                .as_secs()
        };
        assert_eq!(rest(&health, 10), 20);
        check.judge(&mut health, probe(40, 0), 0);
        assert_eq!((rest(&health, 50), rest(&health, 500)), (20, 0));
        // A clock that was set back does not stretch it.
        assert_eq!(rest(&health, 1), 30);
    }
}
