//! How many there are to be, by what those there are use (`autoscaling/v2`).
//!
//! ```text
//!   samples ─► wanted, per metric ─► the most of them ─► steady: no sooner down than its window
//!                                                    ─► bounded: no faster than its policies
//! ```
//! Amounts are in thousandths, times in milliseconds of any clock that only goes forward.

use std::collections::VecDeque;

/// Differences below this are none, unless the rules say otherwise: a tenth.
const TOLERANCE_M: i64 = 100;
/// Of all decisions and changes so many are remembered: more than one a second in the longest window.
const KEPT_MAX: usize = 4096;

/// A pod, as far as one metric goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    #[allow(missing_docs)]
    pub state: State,
    /// What it uses; none: nobody knows.
    pub used: Option<i64>,
    /// What it asks for, where a share of that is the goal.
    pub request: i64,
}

/// Whether a pod's use says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Ready,
    /// It begins, or has lost its readiness: what it uses is not what it will use.
    Unready,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Percent of what is asked for, all pods together.
    Share(i64),
    /// So much for each pod.
    Each(i64),
}

/// What one metric says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How many there are to be.
    pub count: u32,
    /// Percent in use; of a [`Goal::Share`].
    pub share: Option<i64>,
    /// Used by each pod, of those that are known.
    pub each: i64,
}

/// How many there are to be by one metric, where there are `now` so many; nothing: no pod's use is
/// known.
pub fn wish(
    now: u32,
    goal: Goal,
    samples: &[Sample],
    tolerance: (Option<i64>, Option<i64>),
) -> Option<Wish> {
    let ready = samples.iter().filter(|one| one.state == State::Ready);
    let known: Vec<(i64, i64)> = ready
        .clone()
        .filter_map(|one| Some((one.used?, one.request)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let count = i64::try_from(known.len()).ok()?;
    let share = |of: &[(i64, i64)]| {
        let used: i64 = of.iter().map(|(used, _)| used).sum();
        let asked: i64 = of.iter().map(|(_, asked)| asked).sum::<i64>().max(1);
        used.saturating_mul(100) / asked
    };
    // In thousandths: 1000 is just right.
    let ratio = |of: &[(i64, i64)]| match goal {
        Goal::Share(percent) => share(of).saturating_mul(1000) / percent.max(1),
        Goal::Each(amount) => {
            let used: i64 = of.iter().map(|(used, _)| used).sum();
            let many = i64::try_from(of.len()).unwrap_or(i64::MAX).max(1);
            (used / many).saturating_mul(1000) / amount.max(1)
        }
    };
    let first = ratio(&known);
    let used: i64 = known.iter().map(|(used, _)| used).sum();
    let said = |count: u32| Wish {
        count,
        share: matches!(goal, Goal::Share(_)).then(|| share(&known)),
        each: used / count_of(&known),
    };
    let missing: Vec<&Sample> = ready.filter(|one| one.used.is_none()).collect();
    let unready = samples.iter().filter(|one| one.state == State::Unready);
    let unready: Vec<&Sample> = unready.collect();
    let (up, down) = tolerance;
    let is_near = |ratio: i64| {
        let more = 1000 + up.unwrap_or(TOLERANCE_M);
        let less = 1000 - down.unwrap_or(TOLERANCE_M);
        (less..=more).contains(&ratio)
    };
    let waits = !unready.is_empty() && first > 1000;
    if missing.is_empty() && !waits {
        return Some(said(match is_near(first) {
            true => now,
            false => times(first, count),
        }));
    }
    // Who is not known uses what speaks against a change: all it may when there are to be fewer,
    // nothing when there are to be more.
    let mut all = known.clone();
    all.extend(missing.iter().map(|one| match (goal, first < 1000) {
        (Goal::Share(percent), true) => (
            one.request.saturating_mul(percent.max(100)) / 100,
            one.request,
        ),
        (Goal::Each(amount), true) => (amount, one.request),
        (_, false) => (0, one.request),
    }));
    if waits {
        all.extend(unready.iter().map(|one| (0, one.request)));
    }
    let second = ratio(&all);
    let turns = (first < 1000 && second > 1000) || (first > 1000 && second < 1000);
    if is_near(second) || turns {
        return Some(said(now));
    }
    let count = times(second, i64::try_from(all.len()).unwrap_or(i64::MAX));
    let is_wrong = (second < 1000 && count > now) || (second > 1000 && count < now);
    Some(said(if is_wrong { now } else { count }))
}

fn count_of(known: &[(i64, i64)]) -> i64 {
    i64::try_from(known.len()).unwrap_or(i64::MAX).max(1)
}

/// `ratio` thousandths of `count`, rounded up.
fn times(ratio: i64, count: i64) -> u32 {
    let count = ratio.saturating_mul(count).saturating_add(999) / 1000;
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// How fast it goes one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speed {
    /// The least (up) or the most (down) that was wanted in so many seconds is what counts.
    pub window_s: u32,
    #[allow(missing_docs)]
    pub choice: Choice,
    #[allow(missing_docs)]
    pub policies: Vec<Policy>,
    /// Differences below this, in thousandths, are none.
    pub tolerance_m: Option<i64>,
}

/// Which of several policies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The one that lets it go furthest.
    Max,
    /// The one that holds it most.
    Min,
    /// It does not go this way.
    Disabled,
}

/// At most so much in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Percent; or else a number of pods.
    pub is_share: bool,
    #[allow(missing_docs)]
    pub value: u32,
    #[allow(missing_docs)]
    pub period_s: u32,
}

/// What is asked of a scaler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rules {
    pub least: u32,
    pub most: u32,
    pub up: Speed,
    pub down: Speed,
}

/// What it has wanted and done of late.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// When, and how many were wanted. Bound: [`KEPT_MAX`] and the longest window.
    wanted: VecDeque<(u64, u32)>,
    /// When, and by how many it changed. Bound likewise.
    changes: VecDeque<(u64, i64)>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How many there are to be.
    pub count: u32,
    /// An earlier wish holds it.
    pub is_held: bool,
    /// What bounds it, if anything does.
    pub bound: Option<Bound>,
}

/// What keeps it from what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The policies for more, or for fewer.
    Speed,
    /// There are to be no more.
    Most,
    /// There are to be no fewer.
    Least,
}

/// How many there are to be at `at_ms`, where there are `now` so many, and `wanted` would be right.
pub fn decide(rules: &Rules, memory: &mut Memory, at_ms: u64, now: u32, wanted: u32) -> Decision {
    if memory.wanted.is_empty() {
        // What it found when it came is what somebody wanted.
        memory.wanted.push_back((at_ms, now));
    }
    let within = |at: u64, seconds: u32| at_ms.saturating_sub(at) < u64::from(seconds) * 1000;
    let of = |seconds: u32| {
        let recent = memory
            .wanted
            .iter()
            .filter(move |(at, _)| within(*at, seconds));
        recent.map(|(_, count)| *count)
    };
    let least = of(rules.up.window_s).fold(wanted, u32::min);
    let most = of(rules.down.window_s).fold(wanted, u32::max);
    let steady = now.clamp(least.min(most), most.max(least));
    memory.wanted.push_back((at_ms, wanted));
    let longest = rules.up.window_s.max(rules.down.window_s);
    while memory.wanted.len() > KEPT_MAX
        || memory
            .wanted
            .front()
            .is_some_and(|(at, _)| !within(*at, longest.max(1)) && *at != at_ms)
    {
        memory.wanted.pop_front();
    }
    let (count, mut bound) = bounded(rules, memory, at_ms, now, steady);
    let within_bounds = count.clamp(rules.least, rules.most.max(rules.least));
    if within_bounds < count || (steady > rules.most && within_bounds == rules.most) {
        bound = Some(Bound::Most);
    } else if within_bounds > count || (steady < rules.least && within_bounds == rules.least) {
        bound = Some(Bound::Least);
    }
    Decision {
        count: within_bounds,
        is_held: steady != wanted,
        bound,
    }
}

impl Memory {
    /// It is so many more now, or fewer.
    pub fn changed(&mut self, at_ms: u64, by: i64) {
        self.changes.push_back((at_ms, by));
        while self.changes.len() > KEPT_MAX {
            self.changes.pop_front();
        }
    }

    /// How many came or went within a policy's period.
    fn within(&self, at_ms: u64, period_s: u32, is_up: bool) -> i64 {
        let is_recent = |at: u64| at_ms.saturating_sub(at) < u64::from(period_s) * 1000;
        let recent = self.changes.iter().filter(|(at, _)| is_recent(*at));
        let of = recent.map(|(_, by)| *by).filter(|by| (*by > 0) == is_up);
        of.map(i64::abs).sum()
    }
}

/// As far as the policies let it go.
fn bounded(
    rules: &Rules,
    memory: &Memory,
    at_ms: u64,
    now: u32,
    wanted: u32,
) -> (u32, Option<Bound>) {
    let is_up = wanted > now;
    let speed = if is_up { &rules.up } else { &rules.down };
    if wanted == now {
        return (now, None);
    }
    if speed.choice == Choice::Disabled {
        return (now, Some(Bound::Speed));
    }
    let limits = speed.policies.iter().map(|policy| {
        let done = memory.within(at_ms, policy.period_s, is_up);
        let now = i64::from(now);
        // As it was when the period began.
        let begun = if is_up { now - done } else { now + done };
        let value = i64::from(policy.value);
        match (policy.is_share, is_up) {
            (false, true) => begun + value,
            (false, false) => begun - value,
            (true, true) => (begun * (100 + value) + 99) / 100,
            (true, false) => begun * (100 - value).max(0) / 100,
        }
    });
    let furthest = match (speed.choice == Choice::Max, is_up) {
        (true, true) | (false, false) => limits.max(),
        _ => limits.min(),
    };
    let limit = furthest.map_or(wanted, |limit| {
        u32::try_from(limit.max(0)).unwrap_or(u32::MAX)
    });
    let (count, is_bound) = match is_up {
        // What is there stays, even if it came faster than it may.
        true => (wanted.min(limit.max(now)), limit < wanted),
        false => (wanted.max(limit.min(now)), limit > wanted),
    };
    (count, is_bound.then_some(Bound::Speed))
}

#[cfg(test)]
mod tests;
