//! What a worker remembers of its pod that nobody else knows. All of it may be lost: then back-offs
//! begin anew, probes ask again, and what failed is tried again.

use std::collections::{BTreeMap, BTreeSet};

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
    /// It has more on disk than it may have: why it is evicted.
    pub exceeds: Option<Refusal>,
    /// Seconds it was given, and from when.
    pub ending: Option<(u64, i64)>,
    /// Why nothing of it can be made: sandbox, volumes; and when it is tried again.
    pub stuck: Option<(Refusal, i64)>,
    /// How often in a row that was so.
    pub stuck_times: u32,
    /// How often in a row containers did not end.
    pub stops_failed: u32,
    /// By name. Boxed, for a map has room for eleven where mostly there is one.
    pub containers: BTreeMap<String, Box<Container>>,
    /// By volume: what is wrong with a template of it.
    pub broken: BTreeMap<String, String>,
}

impl Memory {
    /// Of the container of this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.get(name).map(Box::as_ref)
    }
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
    /// A run, by its id, that is to end though it is wanted: its hook after the start failed. And how
    /// that is told.
    pub doomed: Option<(String, String)>,
    /// It was told that it waits for its next start.
    pub told_backoff: u32,
    /// A file of its has changed.
    pub change: Option<Change>,
}

/// What is to be done to a run because a file of a template has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Change {
    /// The run.
    pub attempt: u32,
    /// Unix nanoseconds: not before.
    pub at_ns: i64,
    /// It is started again; else it gets the signals.
    pub restart: bool,
    pub signals: BTreeSet<String>,
    /// It has been asked to end: that it has ended is no failure, and not its end.
    pub begun: bool,
    /// The template.
    pub template: String,
}

impl Change {
    /// As it is kept on disk, without its template, which is only told.
    pub fn kept(&self) -> String {
        let state = if self.begun { "begun" } else { "waits" };
        let signals = self.signals.iter().map(String::as_str);
        let what: Vec<&str> = self
            .restart
            .then_some("restart")
            .into_iter()
            .chain(signals)
            .collect();
        format!("1 {} {state} {}", self.attempt, what.join(","))
    }

    /// Reads what was kept; nothing, if it is something else. What waited waits no more.
    pub fn read(text: &str) -> Option<Change> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["1", attempt, state, what] = words[..] else {
            return None;
        };
        let mut signals: BTreeSet<String> = what.split(',').map(str::to_owned).collect();
        Some(Change {
            attempt: attempt.parse().ok()?,
            restart: signals.remove("restart"),
            signals,
            begun: state == "begun",
            ..Change::default()
        })
    }
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
    /// What is to be done to this run.
    pub fn change_of(&self, attempt: u32) -> Option<&Change> {
        self.change
            .as_ref()
            .filter(|change| change.attempt == attempt)
    }

    /// Whether this run was asked to end, to be started again.
    pub fn is_asked(&self, attempt: u32) -> bool {
        self.change_of(attempt).is_some_and(|change| change.begun)
    }

    /// Seconds to wait before attempt `next`: none the first time, nor after one that was asked to end.
    pub fn backoff_s(&self, next: u32) -> u64 {
        if next > 0 && self.is_asked(next - 1) {
            return 0;
        }
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

    #[test]
    fn changes_are_kept_and_read_again() {
        let change = |restart, signals: &[&str], begun| Change {
            attempt: 7,
            restart,
            signals: signals.iter().map(|name| (*name).to_owned()).collect(),
            begun,
            ..Change::default()
        };
        for (change, kept) in [
            (change(true, &[], true), "1 7 begun restart"),
            (
                change(false, &["SIGHUP", "SIGUSR1"], false),
                "1 7 waits SIGHUP,SIGUSR1",
            ),
            (change(true, &["SIGHUP"], false), "1 7 waits restart,SIGHUP"),
        ] {
            assert_eq!(change.kept(), kept);
            assert_eq!(Change::read(kept), Some(change));
        }
        for damaged in [
            "",
            "1",
            "2 7 begun restart",
            "1 x begun restart",
            "1 7 begun restart more",
        ] {
            assert_eq!(Change::read(damaged), None, "{damaged:?}");
        }
    }

    #[test]
    fn who_was_asked_to_end_does_not_wait() {
        let asked = |change: &str| Container {
            change: Change::read(change),
            ..Container::default()
        };
        assert_eq!(asked("1 4 waits restart").backoff_s(5), 80);
        let one = asked("1 4 begun restart");
        assert_eq!(one.backoff_s(5), 0);
        assert_eq!(one.backoff_s(6), 160);
    }
}
