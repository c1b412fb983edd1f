//! What a worker remembers of its pod that nobody else knows. All of it may be lost: then back-offs
//! begin anew, probes ask again, and what failed is tried again.

use std::collections::BTreeMap;

use weft_api::assignment::Refusal;
use weft_api::observed::Ended;

/// First wait after something failed twice; it doubles.
const BACKOFF_FIRST_S: u64 = 10;
/// The longest.
const BACKOFF_MAX_S: u64 = 300;
/// Who has run for so long has not failed in a row.
const FORGIVEN_NS: i64 = 600 * SECOND;

pub(crate) const SECOND: i64 = 1_000_000_000;

/// Of a pod.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Unix nanoseconds: when it was taken up.
    pub started_at_ns: i64,
    /// It is over.
    pub failed: Option<Refusal>,
    /// Seconds it was given, and from when.
    pub ending: Option<(u64, i64)>,
    /// Why nothing of it can be made: sandbox, volumes; and when it is tried again.
    pub stuck: Option<(Refusal, i64)>,
    /// How often in a row that was so.
    pub stuck_times: u32,
    pub containers: BTreeMap<String, Container>,
}

/// Of a container, by its name.
#[derive(Debug, Default)]
pub(crate) struct Container {
    /// Why it does not run, as it is told.
    pub waiting: Option<Refusal>,
    /// It is not started before.
    pub not_before_ns: i64,
    /// Failures to get its image, in a row.
    pub pulls_failed: u32,
    /// A start that led to nothing: its attempt, and how it ended.
    pub stillborn: Option<(u32, Ended)>,
    /// Attempts before this one are forgiven.
    pub forgiven: u32,
    /// What probes have found of a run, by the container's id.
    pub health: Health,
    /// It was told that it waits for its next start.
    pub told_backoff: u32,
}

/// What probes say of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Health {
    /// Whose it is.
    pub id: String,
    pub started: bool,
    pub ready: bool,
    /// It is to be started again: why, and the time it gets.
    pub unwell: Option<(String, Option<u64>)>,
}

impl Container {
    /// Seconds to wait before attempt `next`: none the first time.
    pub fn backoff_s(&self, next: u32) -> u64 {
        doubled(next.saturating_sub(self.forgiven))
    }

    /// A long run forgives those before it.
    pub fn forgive(&mut self, attempt: u32, ran_ns: i64) {
        if ran_ns >= FORGIVEN_NS {
            self.forgiven = attempt;
        }
    }
}

/// Seconds to wait after so many failures: none after the first.
pub(crate) fn doubled(failures: u32) -> u64 {
    match failures {
        0 | 1 => 0,
        n => (BACKOFF_FIRST_S << (n - 2).min(10)).min(BACKOFF_MAX_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_forgiven() {
        let mut one = Container::default();
        let waits: Vec<u64> = (0..9).map(|next| one.backoff_s(next)).collect();
        assert_eq!(waits, [0, 0, 10, 20, 40, 80, 160, 300, 300]);
        one.forgive(7, FORGIVEN_NS - 1);
        assert_eq!(one.backoff_s(8), 300);
        one.forgive(7, FORGIVEN_NS);
        assert_eq!(one.backoff_s(8), 0);
        assert_eq!(one.backoff_s(9), 10);
    }
}
